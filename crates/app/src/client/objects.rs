//! Objects: applied, asked for, taken away.

use midwatch_api::control::{Applied, Apply, Asked, Deleted, ObjectView, TaskPage};
use midwatch_api::kind::Kind;
use midwatch_core::id::TaskName;

use super::find::{self, Start};
use super::{Client, NO_BODY, connection, path_of};
use crate::problem::{Problem, exit};

impl Client {
    /// Stores objects and submits tasks: all of them, or nothing.
    pub(crate) async fn apply(&self, apply: &Apply) -> Result<Applied, Problem> {
        self.ready(Start::SameBuild).await?;
        self.ask("POST", "/v1/apply", Some(apply)).await
    }

    /// A page of tasks, of a server that answers already.
    pub(crate) async fn list_if_running(&self, asked: &Asked) -> Result<TaskPage, Problem> {
        let path = format!("/v1/tasks?limit={}", asked.limit);
        let socket = find::socket(&self.state);
        let told = connection::ask(&socket, "GET", &path, NO_BODY);
        told.await.map_err(|_| Problem::internal("no server answers"))
    }

    /// Objects of a kind, by name.
    pub(crate) async fn objects(&self, kind: Kind) -> Result<Vec<ObjectView>, Problem> {
        self.ask("GET", &format!("/v1/objects/{kind}"), NO_BODY).await
    }

    /// One object.
    pub(crate) async fn object(&self, kind: Kind, name: &str) -> Result<ObjectView, Problem> {
        self.ask("GET", &object_path(kind, name)?, NO_BODY).await
    }

    /// One object, if it is stored. Where nothing was ever stored no server is started to ask.
    pub(crate) async fn stored(
        &self,
        kind: Kind,
        name: &str,
    ) -> Result<Option<ObjectView>, Problem> {
        if !self.knows_tasks() {
            return Ok(None);
        }
        match self.object(kind, name).await {
            Ok(found) => Ok(Some(found)),
            Err(problem) if problem.exit == exit::USAGE => Ok(None),
            Err(problem) => Err(problem),
        }
    }

    /// Takes a profile, pipeline or repository away.
    pub(crate) async fn delete_object(&self, kind: Kind, name: &str) -> Result<Deleted, Problem> {
        self.ask("DELETE", &object_path(kind, name)?, NO_BODY).await
    }

    /// Forgets a task that is over.
    pub(crate) async fn delete_task(&self, name: &str, by: &str) -> Result<Deleted, Problem> {
        use std::fmt::Write as _;
        let by = by.bytes().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "%{byte:02X}");
            text
        });
        self.ask("DELETE", &path_of(name, &format!("?by={by}"))?, NO_BODY).await
    }
}

fn object_path(kind: Kind, name: &str) -> Result<String, Problem> {
    // Names are checked here, so that none of them can change the path.
    let name = TaskName::parse(name)?;
    Ok(format!("/v1/objects/{kind}/{name}"))
}
