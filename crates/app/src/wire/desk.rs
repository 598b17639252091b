//! The desk behind the control socket: asks the local server, the publisher's views, and nobody
//! else.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use midwatch_api::control::{
    API_NUMBER, Applied, Apply, Asked, Command, DamageQuery, Deleted, FollowFrom, ObjectView,
    Refusal, ServerInfo, Submit, Submitted, TaskPage, TaskView,
};
use midwatch_api::kind::{AnyObject, Kind};
use midwatch_api::task::{RepositoryRef, TaskOrder};
use midwatch_core::id::{CommitId, TaskName};
use midwatch_local::folder::StateFolder;
use midwatch_local::server::{Line as LocalLine, Server};
use midwatch_publish::view::View;
use midwatch_publish::{Git, Publisher, UrlRules};
use midwatch_web::{CLOSING, Desk, Line, Lines, Opened, Patch, PatchForm};
use tokio::sync::{Mutex, RwLock, RwLockReadGuard, mpsc, watch};

use super::doors::Doors;
use super::found::{self, Found};
use super::intake::Intake;
use super::places::StoredPlaces;
use super::room;
use crate::discover::hosts::check_hosts;
use crate::problem::exit;

/// The local server with this binary's rooms.
pub(super) type Local = Server<Doors, Publisher<StoredPlaces>>;

/// Lines between the server and a client.
const LINES_AHEAD: usize = 64;

/// Answers the control socket.
pub(super) struct LocalDesk {
    pub(super) server: Arc<Local>,
    pub(super) folder: StateFolder,
    pub(super) git: Git,
    pub(super) build: String,
    /// What the git self-test said at the start, when it did not pass.
    pub(super) git_fault: Option<String>,
    /// True once the server is about to end. Whoever changes tasks holds it for reading.
    pub(super) closing: RwLock<bool>,
    /// It ends by itself when nothing goes on.
    pub(super) leaves: bool,
    /// Tells the server to end.
    pub(super) end: watch::Sender<bool>,
    /// Clients that are following.
    pub(super) followers: Arc<AtomicUsize>,
    /// When somebody asked last.
    pub(super) asked: Mutex<Instant>,
}

pub(super) fn refusal(exit: u8, message: impl Into<String>) -> Refusal {
    Refusal { message: message.into(), hint: None, exit }
}

fn no_text(commit: &CommitId) -> Refusal {
    let message = format!("the patch of {commit} has bytes that are no UTF-8");
    let hint = "`midwatch open` gives the files as they are".to_owned();
    Refusal { hint: Some(hint), ..refusal(exit::CANNOT, message) }
}

pub(super) fn internal(error: impl std::fmt::Display) -> Refusal {
    refusal(exit::INTERNAL, error.to_string())
}

impl LocalDesk {
    pub(super) async fn touch(&self) {
        *self.asked.lock().await = Instant::now();
    }

    /// How long nobody has asked anything; nothing while somebody follows.
    pub(super) async fn idle(&self) -> Duration {
        if self.followers.load(Ordering::SeqCst) > 0 {
            return Duration::ZERO;
        }
        self.asked.lock().await.elapsed()
    }

    /// Refuses once the server is about to end, and keeps it from ending as long as what is
    /// returned is held.
    async fn open_still(&self) -> Result<RwLockReadGuard<'_, bool>, Refusal> {
        let closing = self.closing.read().await;
        if *closing {
            return Err(refusal(CLOSING, "the server is about to end"));
        }
        Ok(closing)
    }

    /// Begins to end when nothing goes on; from then on no task is taken.
    pub(super) async fn close(&self) -> bool {
        let mut closing = self.closing.write().await;
        if self.server.busy_tasks() > 0 {
            return false;
        }
        *closing = true;
        self.end.send_replace(true);
        true
    }

    /// Looks at new orders, before they are stored.
    async fn intake<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Intake<'_>) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let (server, folder) = (Arc::clone(&self.server), self.folder.clone());
        let git = match &self.git_fault {
            Some(fault) => Err(refusal(exit::CANNOT, fault.clone())),
            None => Ok(self.git.clone()),
        };
        let job = tokio::task::spawn_blocking(move || {
            work(&mut Intake::new(&server, &folder, git.as_ref()))
        });
        job.await.map_err(internal)?
    }

    /// The task's repository and the commit that stands for its work: the newest that passed the
    /// gates, else what was saved.
    async fn view<T: Send + 'static>(
        &self,
        name: &str,
        work: impl FnOnce(&View, &TaskName, CommitId, Found) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let task = self.server.get(name)?;
        let order = self.server.order(name)?;
        let name = TaskName::parse(name).map_err(|e| refusal(exit::USAGE, e.to_string()))?;
        let mirror = self.folder.mirror(order.repository.identity());
        let git = self.git.clone();
        let job = tokio::task::spawn_blocking(move || {
            let base = CommitId::parse(&order.base).map_err(internal)?;
            let view = match &order.repository {
                RepositoryRef::Checkout(checkout) => {
                    let place = (checkout.path.as_path(), Path::new(&checkout.identity));
                    View::open(&git, &mirror, place, &base)
                }
                RepositoryRef::Remote(_) => View::open_remote(&git, &mirror, &base),
            };
            let view = view.map_err(internal)?;
            let found = Found::newest(&view, &task.result)?;
            // Somebody may have removed the mirror since.
            for commit in [&found.commit, &base] {
                let there = view.bring(commit);
                let to = found::pushed_to(&order);
                there.map_err(|error| found::gone(&task.result, to, error))?;
            }
            work(&view, &name, base, found)
        });
        job.await.map_err(internal)?
    }
}

impl Desk for LocalDesk {
    async fn info(&self) -> ServerInfo {
        self.touch().await;
        ServerInfo {
            build: self.build.clone(),
            api: API_NUMBER,
            pid: std::process::id(),
            open_tasks: self.server.open_tasks(),
            leaves: self.leaves,
        }
    }

    async fn submit(&self, submit: Submit) -> Result<Submitted, Refusal> {
        self.touch().await;
        let _open = self.open_still().await?;
        let submit = self.intake(move |intake| intake.fit(submit)).await?;
        self.server.submit(submit)
    }

    async fn list(&self, asked: Asked) -> Result<TaskPage, Refusal> {
        self.touch().await;
        self.server.tasks(asked)
    }

    async fn get(&self, name: &str) -> Result<TaskView, Refusal> {
        self.touch().await;
        self.server.get(name)
    }

    async fn order(&self, name: &str) -> Result<TaskOrder, Refusal> {
        self.touch().await;
        self.server.order(name)
    }

    async fn follow(&self, name: &str, from: FollowFrom) -> Result<Lines, Refusal> {
        self.touch().await;
        let mut lines = self.server.follow(name, from)?;
        let (sender, receiver) = mpsc::channel(LINES_AHEAD);
        let followers = Follower::new(&self.followers);
        tokio::spawn(async move {
            let _follows = followers;
            while let Some(line) = lines.recv().await {
                let line = match line {
                    LocalLine::Progress(line) => Line::Progress(line),
                    LocalLine::Result(line) => Line::Result(line),
                };
                if sender.send(line).await.is_err() {
                    break;
                }
            }
        });
        Ok(receiver)
    }

    async fn damage(&self, name: &str, asked: DamageQuery) -> Result<Vec<String>, Refusal> {
        self.touch().await;
        let (server, name) = (Arc::clone(&self.server), name.to_owned());
        let job = tokio::task::spawn_blocking(move || server.damage(&name, &asked));
        job.await.map_err(internal)?
    }

    async fn command(&self, name: &str, command: Command) -> Result<(), Refusal> {
        self.touch().await;
        let _open = self.open_still().await?;
        self.server.command(name, command)
    }

    async fn kill(&self, name: &str) -> Result<Vec<String>, Refusal> {
        self.touch().await;
        let (server, name) = (Arc::clone(&self.server), name.to_owned());
        let job = tokio::task::spawn_blocking(move || server.kill(&name));
        job.await.map_err(internal)?
    }

    async fn patch(&self, name: &str, form: PatchForm) -> Result<Patch, Refusal> {
        self.touch().await;
        self.view(name, move |view, _, base, found| {
            let text = match form {
                PatchForm::Stat => view.stat(&base, &found.commit).map_err(internal)?,
                PatchForm::Patch => {
                    let bytes = view.patch(&base, &found.commit).map_err(internal)?;
                    String::from_utf8_lossy(&bytes).into_owned()
                }
                PatchForm::Raw => {
                    let bytes = view.raw_patch(&base, &found.commit).map_err(internal)?;
                    String::from_utf8(bytes).map_err(|_| no_text(&found.commit))?
                }
            };
            Ok(Patch { base: base.as_str().into(), commit: found.commit.as_str().into(), text })
        })
        .await
    }

    async fn open(
        &self,
        name: &str,
        folder: PathBuf,
        umask: Option<u32>,
    ) -> Result<Opened, Refusal> {
        self.touch().await;
        self.view(name, move |view, task, _, found| {
            let _alone = room::alone();
            room::check(&folder, task.as_str())?;
            view.worktree(&found.commit, task, &folder, umask).map_err(internal)?;
            Ok(Opened { folder, commit: found.commit.as_str().into(), from: found.from })
        })
        .await
    }

    async fn delete_task(&self, name: &str, by: String) -> Result<Deleted, Refusal> {
        self.touch().await;
        let _open = self.open_still().await?;
        let server = Arc::clone(&self.server);
        let name = name.to_owned();
        let job = tokio::task::spawn_blocking(move || server.delete_task(&name, &by));
        job.await.map_err(internal)?
    }

    async fn apply(&self, mut apply: Apply) -> Result<Applied, Refusal> {
        self.touch().await;
        let _open = self.open_still().await?;
        let objects = apply.objects.iter().chain(apply.tasks.iter().map(|task| &task.object));
        for object in objects {
            // Whether a repository may be at a private address is asked when a task is for it.
            let rules = UrlRules { private_addresses: true, plain_http: false };
            // One that cannot be read is told of where it is stored.
            let Ok(read) = AnyObject::try_from(object.clone()) else { continue };
            check_hosts(&read, rules).map_err(|error| {
                let text = format!("{} {}: {error}", read.kind(), read.name());
                refusal(exit::USAGE, text)
            })?;
        }
        let looked_at = self.intake(move |intake| {
            for task in &mut apply.tasks {
                let Some(submit) = task.submit.take() else { continue };
                let submit = Submit { name: Some(task.object.metadata.name.clone()), ..submit };
                task.submit = Some(intake.fit(submit)?);
            }
            Ok(apply)
        });
        let apply = looked_at.await?;
        let server = Arc::clone(&self.server);
        let job = tokio::task::spawn_blocking(move || server.apply(apply));
        job.await.map_err(internal)?
    }

    async fn objects(&self, kind: Kind) -> Result<Vec<ObjectView>, Refusal> {
        self.touch().await;
        self.server.objects(kind)
    }

    async fn object(&self, kind: Kind, name: &str) -> Result<ObjectView, Refusal> {
        self.touch().await;
        self.server.object(kind, name)
    }

    async fn delete_object(&self, kind: Kind, name: &str) -> Result<Deleted, Refusal> {
        self.touch().await;
        self.server.delete_object(kind, name)
    }

    async fn shutdown(&self) -> Result<(), Refusal> {
        if !self.leaves {
            let hint = format!("`kill {}` ends it; runs go on", std::process::id());
            let message = "this server stays until who started it ends it";
            return Err(Refusal { hint: Some(hint), ..refusal(exit::INTERNAL, message) });
        }
        if self.close().await {
            return Ok(());
        }
        Err(refusal(exit::INTERNAL, format!("{} tasks go on", self.server.busy_tasks())))
    }
}

/// Counts a follower for as long as it lives.
struct Follower(Arc<AtomicUsize>);

impl Follower {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
