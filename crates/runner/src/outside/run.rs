//! One run: its files, its place, its sandboxes, and what was seen of them.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use midwatch_api::order::{Limits, Order, inside};
use midwatch_api::report::{Ending, LimitsMode, StreamEvent, out_folder};
use midwatch_core::supervise;
use midwatch_sandbox::cgroup;
use midwatch_sandbox::policy::{INSIDE_EXE, Policy};
use midwatch_sandbox::prelude::{Entered, Plan, enter};
use midwatch_sandbox::{Exit, Stdin, spawn};

use super::capture::Capture;
use super::conversation::Conversation;
use super::disk::{self, DiskMeter};
use super::environment::Surroundings;
use super::events::Events;
use super::ground::{Door, Ground};
use super::layers;
use super::left::Follower;
use super::room::INSIDE_FILE;
use super::stop::Stop;
use super::watch::{self, Bounds, Cut, Watched};
use crate::inside_order::{InsideOrder, left};

mod ending;
mod seen;

pub(super) use ending::{Stopped, ending, internal, ours};
use seen::Supervision;

/// What a run is, from its order to its report.
pub(super) struct Run<'a> {
    /// What to do.
    pub(super) order: &'a Order,
    /// The run's folder by descriptor.
    pub(super) door: &'a Door,
    /// What surrounds its sandboxes.
    pub(super) around: Surroundings,
    /// The agent's conversation, for an agent's run.
    pub(super) conversation: Option<Conversation>,
    /// Facts for the report.
    pub(super) facts: Facts,
    /// Where `out` is reached from here, once the place was entered.
    pub(super) out: Option<PathBuf>,
    began: Instant,
    stop: Stop,
    capture: Capture,
    events: Events,
    supervision: Option<Supervision>,
    follower: Option<(PathBuf, Follower)>,
}

/// What was seen from outside.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    /// From the start of the last sandbox to its end.
    pub(super) duration: Duration,
    /// Bytes.
    pub(super) peak_memory: u64,
    /// Who held the limits.
    pub(super) limits: LimitsMode,
    /// Layers that were left out.
    pub(super) accepted_missing: Vec<String>,
    /// init's code of the last sandbox, where there is one.
    pub(super) code: Option<i32>,
    /// We ended it.
    pub(super) stopped_by_us: bool,
    /// Where the work lies that is to be saved, as paths from here.
    pub(super) written: Vec<PathBuf>,
}

/// Whether the idle limit holds for a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Idle {
    /// Something of the user's runs.
    Counts,
    /// Our own work, which says nothing while it goes on.
    Ignored,
}

/// Where sandboxes are started from.
pub(super) struct Site {
    /// The proof, and the meter.
    pub(super) entered: Entered,
    /// What disk is watched, as paths of the host; whether they are all fresh.
    pub(super) watched: Vec<PathBuf>,
    /// Nothing was in them before.
    pub(super) fresh: bool,
}

impl<'a> Run<'a> {
    /// Makes the run's files.
    pub(super) fn new(
        order: &'a Order,
        door: &'a Door,
        around: Surroundings,
        stop: Stop,
        began: Instant,
    ) -> io::Result<Self> {
        Ok(Self {
            order,
            door,
            around,
            conversation: None,
            facts: Facts {
                duration: Duration::ZERO,
                peak_memory: 0,
                limits: LimitsMode::Polled,
                accepted_missing: Vec::new(),
                code: None,
                stopped_by_us: false,
                written: Vec::new(),
            },
            out: None,
            began,
            stop,
            capture: Capture::create(door, order.limits.output_bytes)?,
            events: Events::create(door, began)?,
            supervision: None,
            follower: None,
        })
    }

    /// Becomes whoever starts sandboxes. No way back: after this only what was shown can be
    /// reached by path.
    pub(super) fn enter(&mut self, ground: &Ground) -> Result<Site, Ending> {
        let unavailable = |detail: String| Ending::SandboxUnavailable { detail };
        let accepted = layers::choose(&ground.folder, ground.owner.uid, &self.order.accept_missing)
            .map_err(unavailable)?;
        self.facts.accepted_missing =
            accepted.missing().map(|layer| layer.as_str().to_owned()).collect();
        let stage = ground.fresh("stage").map_err(unavailable)?;
        let pids = u32::try_from(self.order.limits.pids).unwrap_or(u32::MAX);
        let plan = Plan {
            stage,
            expose: ground.expose.clone(),
            service_uid: ground.owner.uid,
            limits: cgroup::Limits {
                memory_bytes: Some(self.order.limits.memory_bytes),
                pids: Some(pids),
            },
            name: "run".into(),
            layers: accepted,
        };
        let entered = enter(&plan).map_err(|error| unavailable(error.to_string()))?;
        self.facts.limits = match entered.meter.mode() {
            cgroup::LimitsMode::Enforced => LimitsMode::Enforced,
            cgroup::LimitsMode::Polled => LimitsMode::Polled,
        };
        self.out = Some(entered.resolve(&out_folder(&ground.folder)));
        Ok(Site { entered, watched: Vec::new(), fresh: true })
    }

    /// From now on the agent's events are watched. `writes` says whether it is to change things.
    pub(super) fn supervise(&mut self, writes: bool) {
        let Limits { loop_rounds, no_change_seconds, .. } = self.order.limits;
        let bounds = supervise::Bounds { loop_rounds, no_change_seconds };
        self.supervision = Some(Supervision::new(bounds, writes));
    }

    /// Leaves a phase in the events.
    pub(super) fn phase(&mut self, phase: &str) {
        self.events.phase(phase);
    }

    /// From now on, what the inside says of its progress in `out` is passed on.
    pub(super) fn follow(&mut self, out: PathBuf) {
        self.follower = Some((out, Follower::new(left::PROGRESS)));
    }

    /// One sandbox for the inside half.
    pub(super) fn inside(
        &mut self,
        site: &mut Site,
        policy: &Policy,
        job: &InsideOrder,
        idle: Idle,
    ) -> Result<Watched, Ending> {
        let file = site.entered.resolve(&self.order.folder).join(INSIDE_FILE);
        let bytes = serde_json::to_vec(job).map_err(|error| internal(&error))?;
        // Not through our own door: it has to belong to whoever reads it inside.
        let _ = fs::remove_file(&file);
        fs::write(&file, bytes).map_err(|error| internal(&error))?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o400))
            .map_err(|error| internal(&error))?;
        let words = [INSIDE_EXE, "inside", inside::ORDER].map(OsString::from);
        self.sandbox(site, policy, &words, idle)
    }

    /// One sandbox for one command, with init as its parent.
    pub(super) fn sandbox(
        &mut self,
        site: &mut Site,
        policy: &Policy,
        command: &[OsString],
        idle: Idle,
    ) -> Result<Watched, Ending> {
        let mut limits = self.order.limits;
        match idle {
            Idle::Counts => {}
            Idle::Ignored => limits.idle_seconds = 0,
        }
        let roots = site.watched.iter().map(|path| site.entered.resolve(path)).collect();
        let floor = disk::floor(&self.order.work);
        let disk = DiskMeter::new(roots, limits.disk_bytes, floor, site.fresh)
            .map_err(|error| internal(&error))?;
        let bounds = Bounds {
            limits: &limits,
            deadline: self.began + Duration::from_secs(limits.wall_seconds),
            disk,
        };
        let running = spawn(&mut site.entered, policy, command, Stdin::Null).map_err(|error| {
            let detail = error.to_string();
            if error.passes() {
                Ending::Lost { detail }
            } else {
                Ending::SandboxUnavailable { detail }
            }
        })?;
        let watched = watch::watch(running, &site.entered.meter, bounds, self)
            .map_err(|error| Ending::Lost { detail: error.to_string() })?;
        self.facts.duration = watched.duration;
        self.facts.peak_memory = self.facts.peak_memory.max(watched.peak_memory);
        self.facts.stopped_by_us = watched.cut.is_some();
        self.facts.code = match watched.exit {
            Exit::Code(code) => Some(code.into()),
            Exit::Lost => None,
        };
        if let Some(Cut::Disk(what)) = &watched.cut {
            self.note(&format!("midwatch: {what}"));
        }
        Ok(watched)
    }

    /// A line of our own in the report's tail and in the events.
    pub(super) fn note(&mut self, text: &str) {
        self.capture.note(text);
        self.events.write(&StreamEvent::Warning { text: text.to_owned() });
    }

    /// The last lines of output so far, for a detail.
    pub(super) fn last_words(&self) -> String {
        self.capture.last_words()
    }

    /// Ends the log files. Returns the dropped bytes and the last lines, the conversation, and
    /// the facts.
    pub(super) fn close(mut self) -> (u64, Vec<String>, Option<Conversation>, Facts) {
        if let Some(mut conversation) = self.conversation.take() {
            for event in conversation.last_events() {
                self.tell(&event);
            }
            self.conversation = Some(conversation);
        }
        let (dropped, tail) = self.capture.finish();
        (dropped, tail, self.conversation, self.facts)
    }
}
