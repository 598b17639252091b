//! `midwatch serve`: the local server. Started by every command that needs one.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use midwatch_local::folder::StateFolder;
use tracing_subscriber::EnvFilter;

use super::Context;
use crate::client::build;
use crate::problem::{Problem, exit};
use crate::wire::{Exit, Locked, lock, run};

pub(super) mod limits;

use limits::Limits;

/// The exit code of a server that found another one at work. Outside of the codes that commands
/// end with, since only a client that started it looks at it.
pub(crate) const ALREADY: u8 = 75;
/// The log of a server is begun anew above this, with one old one kept: bytes.
const LOG_MAX: u64 = 16 << 20;

/// Runs the local server in the foreground
///
/// Commands start one by themselves where none answers, so this is rarely needed. It logs JSON
/// lines to server.log in the state folder; `MIDWATCH_LOG=debug` says more.
///
/// How much goes on at once is said by flags, else by server.toml in the state folder, with keys
/// such as `concurrency = 8`, `perRepository = 4`, `perCredential = 2`, `taskDiskMib = 2048`,
/// `taskMemoryMib = 1024`, `spareDiskMib = 512`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  midwatch serve\n  midwatch serve --concurrency 8 --per-credential 4"
)]
pub(crate) struct Serve {
    /// End when nothing goes on and nobody asks
    #[arg(long, hide = true)]
    exit_when_idle: bool,

    #[command(flatten)]
    limits: Limits,
}

impl Serve {
    pub(super) fn carry_out(self, context: &Context) -> Result<u8, Problem> {
        let environment = &context.environment;
        if self.exit_when_idle {
            // Started by a client: its terminal and its Ctrl-C are not ours. Where it cannot be,
            // this process leads a group of its own already.
            let _ = rustix::process::setsid();
        }
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
        let folder = StateFolder::new(environment.state_folder());
        let made = folder.make();
        made.map_err(|error| Problem::cannot(error.to_string(), "set MIDWATCH_HOME"))?;
        let _lock = match lock(&folder, !self.exit_when_idle)? {
            Locked::Taken(lock) => lock,
            Locked::Answered => return Err(self.busy(answered(&folder))),
            Locked::Silent => return Err(self.busy(silent(&folder))),
        };
        let limits = self.limits.over(&folder)?;
        log_to(&folder.log(), environment.text("MIDWATCH_LOG").unwrap_or("info"))?;
        let exit = if self.exit_when_idle {
            Exit::when_idle(environment.text("MIDWATCH_IDLE_SECONDS"))
        } else {
            context
                .output
                .say(&format!("serving {}; Ctrl-C ends it, runs go on", folder.root().display()));
            Exit::OnSignal
        };
        let runtime = tokio::runtime::Runtime::new();
        let runtime = runtime.map_err(|error| Problem::internal(error.to_string()))?;
        let result = runtime.block_on(run(folder, build()?, exit, limits));
        if let Err(problem) = &result {
            tracing::error!(problem = problem.message, "server.failed");
        }
        // Threads that wait for a runner end with the process; the runner does not.
        runtime.shutdown_background();
        result?;
        if exit == Exit::OnSignal {
            // Nothing else ends it. Who reads this terminal may be another than who sent that.
            let text = "ended by a signal, and runs go on; `midwatch serve` with the same flags";
            context.output.say(&format!("{text} starts it again"));
        }
        if context.output.is_json() {
            context.output.json(&Problem::nothing());
        }
        Ok(exit::FINE)
    }

    /// A client waits for whoever has the folder, in its own time.
    fn busy(&self, problem: Problem) -> Problem {
        let exit = if self.exit_when_idle { ALREADY } else { problem.exit };
        Problem { exit, ..problem }
    }
}

fn answered(folder: &StateFolder) -> Problem {
    Problem::cannot(
        format!("another server has {}", folder.root().display()),
        "`midwatch get` talks to it; MIDWATCH_HOME names another folder",
    )
}

/// No exit code that keeps systemd from trying again: a server that starts is soon there, and
/// leaves when one that stays comes.
fn silent(folder: &StateFolder) -> Problem {
    let text = format!("another server has {} and does not answer", folder.root().display());
    Problem::internal(text).with_hint(format!(
        "it still starts, or is stopped: {} says which; then start this one again",
        folder.log().display()
    ))
}

/// One JSON object a line, so that no text from outside can forge another.
fn log_to(path: &Path, level: &str) -> Result<(), Problem> {
    let failed = |error: std::io::Error| Problem::internal(format!("{}: {error}", path.display()));
    if std::fs::metadata(path).is_ok_and(|metadata| metadata.len() > LOG_MAX) {
        std::fs::rename(path, path.with_extension("log.old")).map_err(failed)?;
    }
    let file = File::options().create(true).append(true).mode(0o600).open(path).map_err(failed)?;
    let filter = EnvFilter::try_new(level).map_err(|error| {
        Problem::usage("MIDWATCH_LOG", level, &error.to_string(), "for example info or debug")
    })?;
    tracing_subscriber::fmt()
        .json()
        .with_env_filter(filter)
        .with_writer(std::sync::Mutex::new(file))
        .init();
    Ok(())
}
