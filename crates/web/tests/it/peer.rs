//! A desk that answers from memory, and a bare client.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use midwatch_api::control::{
    API_NUMBER, Applied, Apply, Asked, Command, DamageQuery, Deleted, FollowFrom, ObjectView,
    Opened, Patch, PatchForm, Refusal, ServerInfo, Submit, Submitted, TaskPage, TaskView,
};
use midwatch_api::kind::Kind;
use midwatch_api::task::TaskOrder;
use midwatch_api::view::{LINE_VERSION, Progress, ProgressLine, ResultLine};
use midwatch_web::{Bounds, ControlSocket, Desk, Line, Lines, serve};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// What the desk was asked, in words, and who follows the task that goes on and on.
#[derive(Default)]
pub(crate) struct Clerk {
    asked: Mutex<Vec<String>>,
    endless: Mutex<Vec<mpsc::Sender<Line>>>,
}

impl Clerk {
    pub(crate) fn note(&self, text: String) {
        self.asked.lock().unwrap().push(text);
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// Ends what goes on and on.
    pub(crate) fn finish(&self) {
        self.endless.lock().unwrap().clear();
    }
}

fn nobody(name: &str) -> Refusal {
    Refusal { message: format!("there is no task '{name}'"), hint: None, exit: 2 }
}

impl Desk for Clerk {
    async fn info(&self) -> ServerInfo {
        ServerInfo { build: "b".into(), api: API_NUMBER, pid: 1, open_tasks: 0, leaves: false }
    }

    async fn submit(&self, submit: Submit) -> Result<Submitted, Refusal> {
        self.note(format!("submit {}", submit.order.goal));
        Ok(Submitted { task: submit.name.unwrap_or_default(), attached: false })
    }

    async fn list(&self, asked: Asked) -> Result<TaskPage, Refusal> {
        let after = asked.after.map(|cursor| cursor.to_string()).unwrap_or_default();
        self.note(format!("list {} after '{after}' in {:?}", asked.limit, asked.states));
        Ok(TaskPage { tasks: vec![], next: None })
    }

    async fn get(&self, name: &str) -> Result<TaskView, Refusal> {
        assert!(name != "panics", "as a handler with a mistake in it");
        Err(nobody(name))
    }

    async fn order(&self, name: &str) -> Result<TaskOrder, Refusal> {
        Err(nobody(name))
    }

    async fn follow(&self, name: &str, from: FollowFrom) -> Result<Lines, Refusal> {
        self.note(format!("follow {name} {from}"));
        let (lines, receiver) = mpsc::channel(4);
        lines.send(progress(name, from.after + 1)).await.unwrap();
        if name == "endless" {
            self.endless.lock().unwrap().push(lines);
        } else {
            lines.send(result(name)).await.unwrap();
        }
        Ok(receiver)
    }

    async fn damage(&self, name: &str, _: DamageQuery) -> Result<Vec<String>, Refusal> {
        self.note(format!("damage {name}"));
        Ok(vec!["a file is gone".to_owned()])
    }

    async fn command(&self, name: &str, command: Command) -> Result<(), Refusal> {
        self.note(format!("{name} {command:?}"));
        Ok(())
    }

    async fn kill(&self, name: &str) -> Result<Vec<String>, Refusal> {
        Err(nobody(name))
    }

    async fn patch(&self, name: &str, form: PatchForm) -> Result<Patch, Refusal> {
        self.note(format!("patch {name} {form:?}"));
        Err(Refusal { exit: 6, ..nobody(name) })
    }

    async fn open(
        &self,
        name: &str,
        folder: PathBuf,
        _umask: Option<u32>,
    ) -> Result<Opened, Refusal> {
        self.note(format!("open {name} {}", folder.display()));
        Err(Refusal { exit: 1, ..nobody(name) })
    }

    async fn delete_task(&self, name: &str, by: String) -> Result<Deleted, Refusal> {
        self.note(format!("delete {name} by '{by}'"));
        Err(nobody(name))
    }

    async fn apply(&self, apply: Apply) -> Result<Applied, Refusal> {
        self.note(format!("apply {} objects", apply.objects.len()));
        Ok(Applied { changes: vec![] })
    }

    async fn objects(&self, kind: Kind) -> Result<Vec<ObjectView>, Refusal> {
        self.note(format!("objects {kind}"));
        Ok(vec![])
    }

    async fn object(&self, kind: Kind, name: &str) -> Result<ObjectView, Refusal> {
        self.note(format!("object {kind} {name}"));
        Err(nobody(name))
    }

    async fn delete_object(&self, kind: Kind, name: &str) -> Result<Deleted, Refusal> {
        self.note(format!("delete {kind} {name}"));
        Err(nobody(name))
    }

    async fn shutdown(&self) -> Result<(), Refusal> {
        Ok(())
    }
}

fn progress(task: &str, seq: u64) -> Line {
    Line::Progress(Box::new(ProgressLine {
        version: LINE_VERSION,
        task: task.into(),
        seq,
        at_ms: 5,
        progress: Progress::Saved { reference: "r".into() },
    }))
}

fn result(task: &str) -> Line {
    Line::Result(Box::new(ResultLine {
        state: Some("Done".into()),
        verified: true,
        ..ResultLine::unknown(Some(task))
    }))
}

/// A served desk, gone when this is dropped.
pub(crate) struct World {
    pub(crate) clerk: Arc<Clerk>,
    pub(crate) socket: PathBuf,
    pub(crate) folder: tempfile::TempDir,
    end: oneshot::Sender<()>,
    served: JoinHandle<io::Result<()>>,
}

impl World {
    /// Lets the server end.
    pub(crate) fn end(self) -> JoinHandle<io::Result<()>> {
        drop(self.end);
        self.served
    }
}

pub(crate) fn world() -> World {
    world_within(Bounds::default())
}

/// One with other bounds.
pub(crate) fn world_within(bounds: Bounds) -> World {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("server.sock");
    let clerk = Arc::new(Clerk::default());
    let (end, ended) = oneshot::channel();
    let listening = ControlSocket::listen(&socket).unwrap();
    let desk = Arc::clone(&clerk);
    let served = tokio::spawn(serve(listening, desk, bounds, async {
        let _ = ended.await;
    }));
    World { clerk, socket, folder, end, served }
}

/// Status and body of one request.
pub(crate) async fn ask(socket: &Path, method: &str, path: &str, body: &str) -> (u16, String) {
    ask_as(socket, method, path, body, &[("host", "midwatch")]).await
}

/// The same with headers of one's own.
pub(crate) async fn ask_as(
    socket: &Path,
    method: &str,
    path: &str,
    body: &str,
    headers: &[(&str, &str)],
) -> (u16, String) {
    let stream = UnixStream::connect(socket).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut request =
        Request::builder().method(method).uri(path).header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::from(body.to_owned()))).unwrap();
    let response = sender.send_request(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}
