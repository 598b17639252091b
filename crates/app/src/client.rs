//! Talks to the server of the state folder: finds or starts it, asks, follows, and goes on after
//! the server was restarted.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use midwatch_api::control::{Asked, Command, FollowFrom, Submit, Submitted, TaskPage, TaskView};
use midwatch_api::task::TaskOrder;
use midwatch_api::view::{ProgressLine, ResultLine};
use midwatch_local::folder::StateFolder;
use midwatch_web::{Opened, Patch, PatchForm};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::environment::Environment;
use crate::problem::Problem;

mod build;
mod connection;
mod find;
mod objects;
mod records;

pub(crate) use build::build;
pub(crate) use connection::{Failure, exchange};
pub(crate) use find::Start;

/// How long a client tries to get through to a server that goes away while it is asked.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long a server stands that does not die of what it is asked.
const STOOD: Duration = Duration::from_secs(5);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(100);

/// A client of the server that owns a state folder.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    state: PathBuf,
    variables: Vec<(&'static str, std::ffi::OsString)>,
}

impl Client {
    /// Names the state folder. Nothing is started yet.
    pub(crate) fn new(environment: &Environment) -> Self {
        Self { state: environment.state_folder(), variables: find::handed_on(environment) }
    }

    /// Whether there may be a task at all, without asking a server.
    pub(crate) fn knows_tasks(&self) -> bool {
        StateFolder::new(self.state.clone()).database().exists()
    }

    /// Makes sure that a server answers; see [`Start`].
    pub(crate) async fn ready(&self, start: Start) -> Result<(), Problem> {
        find::ready(self, start).await.map(drop)
    }

    /// Asks, and asks again where the server went away meanwhile. Only for what may be asked
    /// twice: submitting with a name, questions, decisions.
    async fn ask<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<T, Problem> {
        let began = Instant::now();
        loop {
            self.ready(Start::Any).await?;
            let socket = find::socket(&self.state);
            match connection::ask(&socket, method, path, body).await {
                Ok(answer) => return Ok(answer),
                Err(Failure::Refused(refusal)) => return Err(refusal.into()),
                Err(Failure::Odd(what)) => return Err(Problem::internal(what)),
                Err(Failure::Silent { pid, waited }) => {
                    let who = connection::who(&socket).await;
                    return Err(find::unanswered(&self.state, pid, waited, who));
                }
                Err(Failure::Gone(what)) if began.elapsed() > PATIENCE => {
                    return Err(find::unreachable(&self.state, &what));
                }
                Err(Failure::Gone(_)) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// Submits. The name must be set, so that asking twice makes one task.
    pub(crate) async fn submit(&self, submit: &Submit) -> Result<Submitted, Problem> {
        self.ready(Start::SameBuild).await?;
        self.ask("POST", "/v1/tasks", Some(submit)).await
    }

    /// The newest tasks, page by page.
    pub(crate) async fn list(&self, asked: &Asked) -> Result<TaskPage, Problem> {
        let mut path = format!("/v1/tasks?limit={}", asked.limit);
        if let Some(cursor) = &asked.after {
            path.extend(["&cursor=", &cursor.to_string()]);
        }
        if !asked.states.is_empty() {
            path.extend(["&state=", &asked.states.join(",")]);
        }
        self.ask("GET", &path, NO_BODY).await
    }

    /// One task.
    pub(crate) async fn get(&self, name: &str) -> Result<TaskView, Problem> {
        self.ask("GET", &path_of(name, "")?, NO_BODY).await
    }

    /// A task's order.
    pub(crate) async fn order(&self, name: &str) -> Result<TaskOrder, Problem> {
        self.ask("GET", &path_of(name, "/order")?, NO_BODY).await
    }

    /// What is wrong with a task's transcripts, a sentence each.
    pub(crate) async fn damage(&self, name: &str, all: bool) -> Result<Vec<String>, Problem> {
        let path = path_of(name, "/damage")?;
        let path = if all { format!("{path}?all=true") } else { path };
        self.ask("GET", &path, NO_BODY).await
    }

    /// Hands over a decision.
    pub(crate) async fn command(&self, name: &str, command: &Command) -> Result<(), Problem> {
        self.ask("POST", &path_of(name, "/commands")?, Some(command)).await
    }

    /// Kills a cancelled task's runs.
    pub(crate) async fn kill(&self, name: &str) -> Result<Vec<String>, Problem> {
        self.ask("POST", &path_of(name, "/kill")?, NO_BODY).await
    }

    /// What a task changed.
    pub(crate) async fn patch(&self, name: &str, form: PatchForm) -> Result<Patch, Problem> {
        let form = match form {
            PatchForm::Patch => "patch",
            PatchForm::Stat => "stat",
            PatchForm::Raw => "raw",
        };
        self.ask("GET", &path_of(name, &format!("/patch?form={form}"))?, NO_BODY).await
    }

    /// Puts a result into a worktree.
    pub(crate) async fn open(
        &self,
        name: &str,
        folder: &std::path::Path,
        umask: Option<u32>,
    ) -> Result<Opened, Problem> {
        let body = serde_json::json!({ "folder": folder, "umask": umask });
        self.ask("POST", &path_of(name, "/open")?, Some(&body)).await
    }

    /// Tells every line from a place on, until the result; goes on behind the last one that came
    /// when the server is restarted meanwhile.
    pub(crate) async fn follow(
        &self,
        name: &str,
        mut from: FollowFrom,
        mut told: impl FnMut(&ProgressLine),
    ) -> Result<ResultLine, Problem> {
        let path = path_of(name, "/events")?;
        let mut cut = None;
        loop {
            self.ready(Start::Any).await?;
            let target = format!("{path}?{from}");
            let (before, began) = (from.clone(), Instant::now());
            let socket = find::socket(&self.state);
            let lines = connection::lines(&socket, &target, |line| {
                from.took(line);
                told(line);
            });
            let what = match lines.await {
                Ok(result) => return Ok(*result),
                Err(Failure::Refused(refusal)) => return Err(refusal.into()),
                Err(Failure::Odd(what)) => return Err(Problem::internal(what)),
                Err(Failure::Silent { pid, waited }) => return Err(find::silent(pid, waited)),
                Err(Failure::Gone(what)) => what,
            };
            // A server that dies again and again without a new line is no restart; one that was
            // there for a while may be restarted after each.
            let since = *cut.get_or_insert_with(Instant::now);
            if from != before || began.elapsed() > STOOD {
                cut = None;
            } else if since.elapsed() > PATIENCE {
                return Err(find::unreachable(&self.state, &what));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

const NO_BODY: Option<&()> = None;

/// Names are checked here, so that none of them can change the path.
fn path_of(name: &str, rest: &str) -> Result<String, Problem> {
    let name = midwatch_core::id::TaskName::parse(name)?;
    Ok(format!("/v1/tasks/{name}{rest}"))
}
