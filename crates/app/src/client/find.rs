//! Finds the server of a state folder, starts one where none answers, and replaces an idle one
//! of another build that a client started.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use midwatch_api::control::{API_NUMBER, ServerInfo};
use midwatch_local::folder::StateFolder;
use rustix::process::Pid;

use super::connection::{self, Failure};
use super::{Client, PAUSE, build};
use crate::environment::Environment;
use crate::problem::{Problem, exit};

/// How long a server may take from its start to its first answer: it opens the database and
/// tests sandbox and git. Machines under load take long.
const START_WAIT: Duration = Duration::from_mins(1);
/// How many servers may be killed by a signal as they start before the next would be, too.
const KILLED: u32 = 3;
/// What a server that could not start left to say, in bytes.
const LAST_WORDS: usize = 4096;

/// Settings of our own, none of them a secret. The last three are for tests.
const HANDED_ON: [&str; 6] = [
    "MIDWATCH_UID",
    "MIDWATCH_LOG",
    "MIDWATCH_IDLE_SECONDS",
    "MIDWATCH_CRASH_AT",
    "MIDWATCH_CRASH_DEATHS",
    "MIDWATCH_CRASH_LEARN",
];

/// Which server will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// Any that speaks our language: for questions and decisions about what goes on.
    Any,
    /// The same build, for new work; an idle other one that leaves is replaced.
    SameBuild,
}

/// The control socket of a state folder.
pub(super) fn socket(state: &Path) -> PathBuf {
    StateFolder::new(state.to_owned()).socket()
}

/// The variables that a server is started with. Everything else of the user's environment,
/// secrets above all, stays here.
pub(super) fn handed_on(environment: &Environment) -> Vec<(&'static str, OsString)> {
    let mut variables = vec![
        ("HOME", environment.home().as_os_str().to_owned()),
        ("MIDWATCH_HOME", environment.state_folder().into_os_string()),
    ];
    for name in HANDED_ON {
        if let Some(value) = environment.text(name) {
            variables.push((name, value.into()));
        }
    }
    variables
}

/// Says that no server can be reached.
pub(super) fn unreachable(state: &Path, what: &str) -> Problem {
    let log = StateFolder::new(state.to_owned()).log();
    Problem::internal(format!("the server cannot be reached: {what}"))
        .with_hint(format!("see {}, or start it by hand: midwatch serve", log.display()))
}

/// Says that the server is there, and is stopped or stuck: another one would wait for its lock.
pub(super) fn silent(pid: Option<Pid>, waited: Duration) -> Problem {
    let seconds = waited.as_secs();
    let Some(pid) = pid.map(Pid::as_raw_pid) else {
        return Problem::internal(format!("the server does not answer for {seconds} seconds"))
            .with_hint("it is in another container; look there whether it is stopped");
    };
    Problem::internal(format!("the server (pid {pid}) does not answer for {seconds} seconds"))
        .with_hint(format!(
            "`ps -o stat,wchan -p {pid}` says what it waits for: T is stopped, and goes on with \
             `kill -CONT {pid}`; after `kill -9 {pid}` the next command starts another, and runs go on"
        ))
}

/// Why a question has no answer yet, by what the server says of itself meanwhile: one that is at
/// long work answers everybody else.
pub(super) fn unanswered(
    state: &Path,
    pid: Option<Pid>,
    waited: Duration,
    who: Result<ServerInfo, Failure>,
) -> Problem {
    match who {
        Ok(_) | Err(Failure::Refused(_)) => {
            let seconds = waited.as_secs();
            let log = StateFolder::new(state.to_owned()).log();
            Problem::internal(format!("the server is still at it after {seconds} seconds"))
                .with_hint(format!(
                    "it goes on: repeat the command in a while, or see {}",
                    log.display()
                ))
        }
        Err(Failure::Gone(what)) => unreachable(state, &what),
        Err(Failure::Silent { .. } | Failure::Odd(_)) => silent(pid, waited),
    }
}

/// A server that answers and speaks our language.
pub(super) async fn ready(client: &Client, start: Start) -> Result<ServerInfo, Problem> {
    let socket = socket(&client.state);
    let began = Instant::now();
    let mut child: Option<Child> = None;
    let mut killed = 0;
    // A digest of the whole program: only where builds are compared.
    let ours = match start {
        Start::Any => String::new(),
        Start::SameBuild => build()?,
    };
    loop {
        let what = match connection::who(&socket).await {
            Ok(info) if suits(&info, start, &ours) => return Ok(info),
            Ok(info) => {
                end(&socket, &info).await?;
                String::from("the server before is still ending")
            }
            Err(Failure::Refused(refusal)) => return Err(refusal.into()),
            Err(Failure::Odd(what)) => return Err(Problem::internal(what)),
            Err(Failure::Silent { pid, waited }) => return Err(silent(pid, waited)),
            Err(Failure::Gone(what)) => {
                match &mut child {
                    None => child = Some(spawn(client)?),
                    Some(started) => {
                        if let Some(status) = ended(started)? {
                            // Another client's server may have been faster, and one that was
                            // killed says little about the next.
                            killed += u32::from(status.code().is_none());
                            let was_faster =
                                status.code() == Some(i32::from(crate::cli::serve::ALREADY));
                            if was_faster || status.code().is_none() && killed < KILLED {
                                child = None;
                            } else {
                                return Err(last_words(&client.state, status));
                            }
                        }
                    }
                }
                what
            }
        };
        if began.elapsed() > START_WAIT {
            return Err(unreachable(&client.state, &what));
        }
        tokio::time::sleep(PAUSE / 4).await;
    }
}

fn suits(info: &ServerInfo, start: Start, ours: &str) -> bool {
    let same_build = match start {
        Start::Any => true,
        Start::SameBuild => info.build == ours,
    };
    info.api == API_NUMBER && same_build
}

/// Asks a server of another build to end. It says no while something goes on. One that stays is
/// not asked: what would take its place has neither its flags nor whoever keeps it.
async fn end(socket: &Path, info: &ServerInfo) -> Result<(), Problem> {
    if !info.leaves {
        return Err(stays(info));
    }
    match connection::ask::<()>(socket, "POST", "/v1/shutdown", super::NO_BODY).await {
        // Gone is as good.
        Ok(()) | Err(Failure::Gone(_)) => Ok(()),
        Err(Failure::Silent { pid, waited }) => Err(silent(pid, waited)),
        Err(Failure::Refused(_) | Failure::Odd(_)) => Err(busy(info)),
    }
}

fn busy(info: &ServerInfo) -> Problem {
    let ServerInfo { build, pid, open_tasks, api: _, leaves: _ } = info;
    Problem::internal(format!(
        "a server of another build ({build}, pid {pid}) is busy with {open_tasks} open tasks"
    ))
    .with_hint("wait until they are over, or set MIDWATCH_HOME to another folder")
}

fn stays(info: &ServerInfo) -> Problem {
    let ServerInfo { build, pid, open_tasks: _, api: _, leaves: _ } = info;
    Problem::internal(format!(
        "the server is of another build ({build}, pid {pid}) and stays until who started it ends it"
    ))
    .with_hint(format!(
        "`systemctl restart midwatch` (`--user` for a user's) where that keeps it, else `kill {pid}` \
         and start it again with its flags; runs go on meanwhile"
    ))
}

fn words(state: &Path) -> PathBuf {
    state.join("server.start")
}

/// Starts a server that nothing ties to this process: it makes a session of its own.
fn spawn(client: &Client) -> Result<Child, Problem> {
    let failed = |what: &str, error: std::io::Error| {
        Problem::internal(format!("{what}: {error}"))
            .with_hint("set MIDWATCH_HOME to a folder that can be written")
    };
    StateFolder::new(client.state.clone())
        .make()
        .map_err(|error| Problem::cannot(error.to_string(), "set MIDWATCH_HOME"))?;
    let path = words(&client.state);
    let said = std::fs::File::create(&path)
        .map_err(|error| failed(&format!("{} cannot be written", path.display()), error))?;
    Command::new("/proc/self/exe")
        .arg0("midwatch")
        .args(["serve", "--exit-when-idle"])
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .envs(client.variables.iter().map(|(name, value)| (name, value)))
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(said)
        .spawn()
        .map_err(|error| failed("the server cannot be started", error))
}

fn ended(child: &mut Child) -> Result<Option<ExitStatus>, Problem> {
    child.try_wait().map_err(|error| Problem::internal(format!("the server was lost: {error}")))
}

/// Why a server could not start: what it said, with its own exit code where that says whose fault
/// it is.
fn last_words(state: &Path, status: ExitStatus) -> Problem {
    let said = std::fs::read(words(state)).unwrap_or_default();
    let said = String::from_utf8_lossy(&said[said.len().saturating_sub(LAST_WORDS)..]).into_owned();
    let said = said.trim().trim_start_matches("error:").trim();
    if said.is_empty() {
        return unreachable(state, &format!("it ended as soon as it was started, with {status}"));
    }
    let (message, hint) = (
        format!("the server could not start: {said}"),
        format!("mend it, or set MIDWATCH_HOME; the log is {}", state.join("server.log").display()),
    );
    match status.code().map(u8::try_from) {
        Some(Ok(exit::USAGE)) => Problem::wrong(message).with_hint(hint),
        Some(Ok(exit::CANNOT)) => Problem::cannot(message, hint),
        Some(Ok(_) | Err(_)) | None => Problem::internal(message).with_hint(hint),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_work_wants_the_same_build_and_questions_only_the_same_language() {
        let info = |api, build: &str| {
            let build = build.into();
            ServerInfo { build, api, pid: 7, open_tasks: 2, leaves: true }
        };
        assert!(suits(&info(API_NUMBER, "a"), Start::SameBuild, "a"));
        assert!(!suits(&info(API_NUMBER, "b"), Start::SameBuild, "a"));
        assert!(suits(&info(API_NUMBER, "b"), Start::Any, "a"));
        assert!(!suits(&info(0, "a"), Start::Any, "a"));
        let problem = busy(&info(0, "old"));
        assert!(problem.message.contains("old, pid 7") && problem.exit == 1, "{problem:?}");
    }

    #[test]
    fn nobody_is_told_to_kill_a_server_that_is_at_work() {
        let (state, waited) = (Path::new("/state"), Duration::from_mins(5));
        let pid = Pid::from_raw(7);
        let after = |who| unanswered(state, pid, waited, who);
        let info = ServerInfo { build: "a".into(), api: 1, pid: 7, open_tasks: 2, leaves: true };
        let at_work = after(Ok(info));
        assert!(at_work.message.contains("still at it after 300 seconds"), "{at_work:?}");
        assert!(!at_work.hint.unwrap().contains("kill"));
        // The control: one that says nothing at all.
        let stopped = after(Err(Failure::Silent { pid, waited: Duration::from_secs(20) }));
        assert!(stopped.hint.unwrap().contains("kill -9 7"), "{}", stopped.message);
        let gone = after(Err(Failure::Gone("refused".into())));
        assert!(gone.message.contains("cannot be reached: refused"), "{gone:?}");
    }

    #[test]
    fn a_server_gets_no_secret_of_the_users() {
        let environment = crate::environment::tests::environment(
            Path::new("/home/u"),
            &[("ANTHROPIC_API_KEY", "sk-canary"), ("MIDWATCH_UID", "61999")],
        );
        let handed = handed_on(&environment);
        assert!(handed.iter().all(|(name, _)| *name != "ANTHROPIC_API_KEY"));
        assert!(handed.iter().any(|(name, _)| *name == "MIDWATCH_UID"));
    }
}
