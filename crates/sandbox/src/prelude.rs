//! One way in for root and for everyone: an ordinary user in a user and mount namespace of its
//! own. Root first shows that user the folders that it could not reach, then becomes it.
//!
//! The uid inside a sandbox is 1000, but what counts is the kernel's: `bwrap --uid 1000`
//! started by root is root to the kernel.

mod identity;
mod stage;

use std::io;
use std::path::{Path, PathBuf};

use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use thiserror::Error;

use crate::cgroup::{CgroupError, Limits, Meter};
use crate::layer::{Layer, Layers};

pub(crate) use identity::become_user;
pub use identity::{SERVICE_UID, check_service_uid};
use stage::Stage;

/// Where root stages: on a tmpfs that only our mount namespace sees. The empty folder stays.
const ROOT_STAGE: &str = "/run/midwatch";

/// What is to be arranged before a sandbox can be started.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Any existing folder: covered by a tmpfs in our own mount namespace, so nothing of ours
    /// may be in it. Not used when started as root.
    pub stage: PathBuf,
    /// Host paths that policies will name and that may be below folders which the service uid
    /// cannot enter, as /root is one. Without meaning when not started as root.
    pub expose: Vec<PathBuf>,
    /// Who root becomes: [`SERVICE_UID`] unless the operator chose another.
    pub service_uid: u32,
    /// Of the sandbox.
    pub limits: Limits,
    /// The name of its cgroup: letters, digits, `-`.
    pub name: String,
    /// Which layers the sandbox has.
    pub layers: Layers,
}

/// Why no sandbox can be started here.
#[derive(Debug, Error)]
pub enum PreludeError {
    /// The kernel refused a step.
    #[error("{step}: {error}")]
    Step {
        /// What was tried.
        step: &'static str,
        /// What the kernel said.
        error: io::Error,
    },
    /// A path of the plan cannot be shown to the service uid.
    #[error("{path:?} cannot be staged: {error}")]
    Stage {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Someone has that uid.
    #[error("uid {uid} belongs to {name}: choose a free one with MIDWATCH_UID")]
    UidTaken {
        /// The number.
        uid: u32,
        /// Who has it.
        name: String,
    },
    /// 0, or not a number that a user can have.
    #[error("uid {0} cannot be the service's")]
    UidUnusable(u32),
    /// Limits cannot be kept.
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
}

/// Proof that this process is where sandboxes can be started from.
#[derive(Debug)]
pub struct Entered {
    pub(crate) stage: Stage,
    pub(crate) layers: Layers,
    /// Counts the sandbox.
    pub meter: Meter,
}

impl Entered {
    /// Where a path of the host is now: staged ones have moved.
    pub fn resolve(&self, path: &Path) -> PathBuf {
        self.stage.resolve(path)
    }

    /// Which layers a sandbox started from here has.
    pub const fn layers(&self) -> &Layers {
        &self.layers
    }
}

/// Changes this process for good; to be called once, by a process with a single thread.
///
/// Afterwards it is an ordinary user without privileges outside of its own namespaces, and not
/// dumpable. Descriptors opened before stay usable.
pub fn enter(plan: &Plan) -> Result<Entered, PreludeError> {
    let root = rustix::process::geteuid().is_root();
    let owner = if root { plan.service_uid } else { rustix::process::geteuid().as_raw() };
    if root {
        check_service_uid(plan.service_uid)?;
    }
    let meter = if plan.layers.has(Layer::Cgroup) {
        Meter::prepare(&plan.name, plan.limits, owner)?
    } else {
        Meter::polled(plan.limits)
    };
    let stage = if root { root_stage(plan, owner)? } else { Stage::new(&plan.stage) };
    own_user_namespace()?;
    if !root {
        stage.cover(None)?;
        stage.add_exe()?;
    }
    rustix::thread::set_no_new_privs(true).map_err(step("no_new_privs"))?;
    // Another run of the same uid must not be able to look at or write to this one.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(step("PR_SET_DUMPABLE"))?;
    Ok(Entered { stage, layers: plan.layers.clone(), meter })
}

/// What only root can do: a stage that others may enter, with all that they could not reach.
fn root_stage(plan: &Plan, owner: u32) -> Result<Stage, PreludeError> {
    own_namespaces(UnshareFlags::NEWNS)?;
    let place = Path::new(ROOT_STAGE);
    match std::fs::create_dir(place) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(PreludeError::Stage { path: place.to_owned(), error });
        }
        Ok(()) | Err(_) => {}
    }
    let mut stage = Stage::new(place);
    stage.cover(Some(owner))?;
    for path in &plan.expose {
        stage.expose(path)?;
    }
    stage.add_exe()?;
    // Only root's word sets the least that those below may go down to: where we were started
    // spared by the memory killer, code inside could otherwise spare itself.
    std::fs::write("/proc/self/oom_score_adj", "0")
        .map_err(|error| PreludeError::Step { step: "oom_score_adj", error })?;
    become_user(owner)?;
    // Lost with the uid, and without it /proc/self would be root's: no uid_map to write.
    set_dumpable_behavior(DumpableBehavior::Dumpable).map_err(step("PR_SET_DUMPABLE"))?;
    Ok(stage)
}

/// A user namespace in which we are who we were, with the right to mount in its mounts.
fn own_user_namespace() -> Result<(), PreludeError> {
    let uid = rustix::process::geteuid().as_raw();
    let gid = rustix::process::getegid().as_raw();
    own_namespaces(UnshareFlags::NEWUSER | UnshareFlags::NEWNS)?;
    for (file, text) in [
        ("/proc/self/setgroups", "deny".to_owned()),
        ("/proc/self/uid_map", format!("{uid} {uid} 1")),
        ("/proc/self/gid_map", format!("{gid} {gid} 1")),
    ] {
        std::fs::write(file, text)
            .map_err(|error| PreludeError::Step { step: "mapping the uid", error })?;
    }
    Ok(())
}

fn own_namespaces(flags: UnshareFlags) -> Result<(), PreludeError> {
    #[expect(unsafe_code, reason = "unshare is unsafe where it can split a thread's files")]
    // SAFETY: no flag that parts descriptor tables or file system state from other threads.
    unsafe { unshare_unsafe(flags) }.map_err(step("unshare"))?;
    // What we mount stays ours; what the host unmounts goes here too.
    mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)
        .map_err(step("making mounts private"))
}

fn step(step: &'static str) -> impl Fn(rustix::io::Errno) -> PreludeError {
    move |error| PreludeError::Step { step, error: error.into() }
}
