//! What the control socket offers, as a port: whoever wires the server answers it.

use std::future::Future;
use std::path::PathBuf;

use midwatch_api::control::{
    Applied, Apply, Asked, Command, DamageQuery, Deleted, FollowFrom, ObjectView, Opened, Patch,
    PatchForm, Refusal, ServerInfo, Submit, Submitted, TaskPage, TaskView,
};
use midwatch_api::kind::Kind;
use midwatch_api::task::TaskOrder;
use midwatch_api::view::{ProgressLine, ResultLine};
use serde::Serialize;
use tokio::sync::mpsc;

/// The `exit` of a refusal that a server gives while it ends: the client asks the next server.
/// It becomes status 503 and is no exit code of a command.
pub const CLOSING: u8 = 75;

/// One line for a watcher.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Line {
    /// Something happened.
    Progress(Box<ProgressLine>),
    /// The last line: how the task stands now that it is over or held.
    Result(Box<ResultLine>),
}

/// Lines as they come; closed after the result, or when the server ends.
pub type Lines = mpsc::Receiver<Line>;

/// The server, as far as clients know it. Refusals go to the client as they are.
pub trait Desk: Send + Sync + 'static {
    /// Who it is.
    fn info(&self) -> impl Future<Output = ServerInfo> + Send;

    /// Takes an order; durable when this returns.
    fn submit(&self, submit: Submit) -> impl Future<Output = Result<Submitted, Refusal>> + Send;

    /// A page of tasks, newest first.
    fn list(&self, asked: Asked) -> impl Future<Output = Result<TaskPage, Refusal>> + Send;

    /// One task.
    fn get(&self, name: &str) -> impl Future<Output = Result<TaskView, Refusal>> + Send;

    /// A task's order, to be submitted again under another name.
    fn order(&self, name: &str) -> impl Future<Output = Result<TaskOrder, Refusal>> + Send;

    /// What happens to a task from a place on, and what its runs say.
    fn follow(
        &self,
        name: &str,
        from: FollowFrom,
    ) -> impl Future<Output = Result<Lines, Refusal>> + Send;

    /// What is wrong with the transcripts of a task, a sentence each.
    fn damage(
        &self,
        name: &str,
        asked: DamageQuery,
    ) -> impl Future<Output = Result<Vec<String>, Refusal>> + Send;

    /// Takes a decision of somebody.
    fn command(
        &self,
        name: &str,
        command: Command,
    ) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// Kills a cancelled task's runs at once; returns the runs that were killed.
    fn kill(&self, name: &str) -> impl Future<Output = Result<Vec<String>, Refusal>> + Send;

    /// What a task changed.
    fn patch(
        &self,
        name: &str,
        form: PatchForm,
    ) -> impl Future<Output = Result<Patch, Refusal>> + Send;

    /// Puts a task's result, or what was saved of it, into a worktree at a folder that must not
    /// exist. `umask` holds the bits that the modes of its files leave out.
    fn open(
        &self,
        name: &str,
        folder: PathBuf,
        umask: Option<u32>,
    ) -> impl Future<Output = Result<Opened, Refusal>> + Send;

    /// Forgets a task that is over.
    fn delete_task(
        &self,
        name: &str,
        by: String,
    ) -> impl Future<Output = Result<Deleted, Refusal>> + Send;

    /// Stores objects and submits tasks: all, or nothing.
    fn apply(&self, apply: Apply) -> impl Future<Output = Result<Applied, Refusal>> + Send;

    /// Objects of a kind, by name.
    fn objects(&self, kind: Kind) -> impl Future<Output = Result<Vec<ObjectView>, Refusal>> + Send;

    /// One object.
    fn object(
        &self,
        kind: Kind,
        name: &str,
    ) -> impl Future<Output = Result<ObjectView, Refusal>> + Send;

    /// Takes an object away.
    fn delete_object(
        &self,
        kind: Kind,
        name: &str,
    ) -> impl Future<Output = Result<Deleted, Refusal>> + Send;

    /// Ends a server that a client started, if nothing goes on that needs it.
    fn shutdown(&self) -> impl Future<Output = Result<(), Refusal>> + Send;
}
