//! One sandbox by hand, for the tests of this crate and for people who want to look: reads a
//! trial as JSON on stdin, runs it, writes what happened as JSON lines on stdout. With `probe`
//! it prints what this machine has.
#![expect(clippy::print_stdout, reason = "its output is its purpose")]

use std::ffi::OsString;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use midwatch_sandbox::cgroup::Limits;
use midwatch_sandbox::policy::Policy;
use midwatch_sandbox::prelude::{Plan, SERVICE_UID, enter};
use midwatch_sandbox::{Exit, Layer, Layers, Running, Signal, Stdin, init, probe, spawn};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Trial {
    policy: Policy,
    command: Vec<String>,
    stage: PathBuf,
    #[serde(default)]
    expose: Vec<PathBuf>,
    #[serde(default)]
    limits: Limits,
    #[serde(default)]
    without: Vec<Layer>,
    timeout_ms: u64,
    /// Send SIGTERM once stdout holds this.
    term_on: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase", tag = "event")]
enum Line {
    #[serde(rename_all = "camelCase")]
    Started {
        init_pid: u32,
        bubblewrap_pid: u32,
        mode: String,
    },
    #[serde(rename_all = "camelCase")]
    Ended {
        code: Option<u8>,
        timed_out: bool,
        over: Option<String>,
        stdout: String,
        stderr: String,
        oom_kills: u64,
        forks_refused: u64,
        most_memory: u64,
    },
    Refused {
        error: String,
    },
}

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    if words.get(1).is_some_and(|word| word == "init") {
        return ExitCode::from(init::run(&words[2..]));
    }
    if words.get(1).is_some_and(|word| word == "probe") {
        for state in probe::probe(&std::env::temp_dir(), SERVICE_UID) {
            println!("{state}");
        }
        return ExitCode::SUCCESS;
    }
    match attempt() {
        Ok(line) => {
            say(&line);
            ExitCode::SUCCESS
        }
        Err(error) => {
            say(&Line::Refused { error });
            ExitCode::from(2)
        }
    }
}

fn say(line: &Line) {
    println!("{}", serde_json::to_string(line).unwrap_or_default());
    let _ = io::stdout().flush();
}

fn attempt() -> Result<Line, String> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).map_err(|error| error.to_string())?;
    let trial: Trial = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let plan = Plan {
        stage: trial.stage.clone(),
        expose: trial.expose.clone(),
        service_uid: SERVICE_UID,
        limits: trial.limits,
        name: "try".to_owned(),
        layers: Layers::without(trial.without.iter().copied()),
    };
    let mut entered = enter(&plan).map_err(|error| error.to_string())?;
    let command: Vec<OsString> = trial.command.iter().map(OsString::from).collect();
    let mut running = spawn(&mut entered, &trial.policy, &command, Stdin::Null)
        .map_err(|error| error.to_string())?;
    say(&Line::Started {
        init_pid: running.init_pid(),
        bubblewrap_pid: running.bubblewrap_pid(),
        mode: format!("{:?}", entered.meter.mode()),
    });
    let line = watch(&trial, &mut entered, &mut running).map_err(|error| error.to_string());
    drop(running);
    entered.meter.remove().map_err(|error| error.to_string())?;
    line
}

/// Reads both outputs, looks at the limits, and ends with the sandbox.
fn watch(
    trial: &Trial,
    entered: &mut midwatch_sandbox::prelude::Entered,
    running: &mut Running,
) -> io::Result<Line> {
    let started = Instant::now();
    let mut ends = [running.stdout.take(), running.stderr.take()];
    let mut texts = [Vec::new(), Vec::new()];
    let (mut timed_out, mut over, mut termed) = (false, None, false);
    let mut most_memory = 0;
    let mut last = midwatch_sandbox::cgroup::Sample::default();
    loop {
        wait(&ends, running)?;
        for (end, text) in ends.iter_mut().zip(&mut texts) {
            take(end, text)?;
        }
        if let Ok(sample) = entered.meter.sample() {
            last = sample;
            most_memory = most_memory.max(sample.memory_bytes);
            if over.is_none() {
                over = entered.meter.over(&sample);
                if over.is_some() {
                    running.kill()?;
                }
            }
        }
        let marker = trial.term_on.as_deref().unwrap_or_default().as_bytes();
        let found = !marker.is_empty() && texts[0].windows(marker.len()).any(|part| part == marker);
        if found && !termed {
            termed = true;
            running.signal(Signal::TERM)?;
        }
        if !timed_out && started.elapsed() > Duration::from_millis(trial.timeout_ms) {
            timed_out = true;
            running.kill()?;
        }
        if ends.iter().all(Option::is_none)
            && let Some(exit) = running.try_exit()?
        {
            let [stdout, stderr] = texts.map(|text| String::from_utf8_lossy(&text).into_owned());
            let code = match exit {
                Exit::Code(code) => Some(code),
                Exit::Lost => None,
            };
            return Ok(Line::Ended {
                code,
                timed_out,
                over: over.map(|over| format!("{over:?}")),
                stdout,
                stderr,
                oom_kills: last.oom_kills,
                forks_refused: last.forks_refused,
                most_memory,
            });
        }
    }
}

/// Until something can be read, or a tenth of a second, which is how often limits are looked at.
fn wait(ends: &[Option<OwnedFd>; 2], running: &Running) -> io::Result<()> {
    let mut fds: Vec<PollFd<'_>> =
        ends.iter().flatten().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
    if fds.is_empty() {
        fds.push(PollFd::from_borrowed_fd(running.status_fd(), PollFlags::IN));
    }
    let tick = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
    match poll(&mut fds, Some(&tick)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn take(end: &mut Option<OwnedFd>, text: &mut Vec<u8>) -> io::Result<()> {
    let Some(fd) = end.as_ref() else {
        return Ok(());
    };
    let mut fds = [PollFd::new(fd, PollFlags::IN)];
    if poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))? == 0 {
        return Ok(());
    }
    let mut bytes = vec![0; 65536];
    match rustix::io::read(fd, &mut bytes)? {
        0 => *end = None,
        count => text.extend(&bytes[..count]),
    }
    Ok(())
}
