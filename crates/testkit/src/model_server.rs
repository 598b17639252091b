//! A scripted model provider on loopback: four wire APIs, the real ones' refusals, and their
//! failures on demand.
//!
//! ```text
//! POST /v1/messages, /v1/messages/count_tokens   Anthropic (claude-code)
//! POST /v1/responses                             OpenAI responses (codex)
//! POST /v1/chat/completions                      OpenAI chat (opencode, qwen-code, aider)
//! POST /v1beta/models/MODEL:VERB                 Gemini (gemini-cli)
//! GET  /v1/models                                both
//! /m/NAME/...                                    the same, failing as NAME says
//! ```
//!
//! A thread per connection, no runtime; the thread of a silent answer waits for the drop of the
//! server. Every request is recorded as it came in, so tests can say which credential arrived.

use std::io::{self, BufReader};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use midwatch_rehearsal::http;
use serde_json::Value;

pub mod chat;
mod dispatch;
mod failure;
mod fault;
pub mod gemini;
mod openai;
mod refusal;
pub mod responses;

pub use failure::Failure;
pub use midwatch_rehearsal::anthropic;

use crate::script::{Conversation, Script};

/// The wire format that a path belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// Anthropic messages.
    Anthropic,
    /// `OpenAI` responses.
    Responses,
    /// `OpenAI` chat completions.
    Chat,
    /// Gemini.
    Gemini,
}

/// A credential that the server takes. Without any, whatever is sent is taken, but nothing is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// `x-api-key`.
    AnthropicKey(String),
    /// `authorization: Bearer` with the OAuth beta header.
    AnthropicSubscription(String),
    /// `authorization: Bearer` on the Anthropic paths, as gateways of others take it.
    AnthropicToken(String),
    /// `authorization: Bearer` on the `OpenAI` paths.
    OpenAiKey(String),
    /// `x-goog-api-key`.
    GeminiKey(String),
}

/// One request as it came in.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The method.
    pub method: String,
    /// Path and query, the prefix of a failure included.
    pub target: String,
    /// Names in lower case, in order.
    pub headers: Vec<(String, String)>,
    /// The body's bytes.
    pub body: Vec<u8>,
    /// What was answered; 0 for a silent one.
    pub status: u16,
}

impl Recorded {
    /// The first value of a header; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON, `Null` when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

type Choose = dyn Fn(&Conversation) -> Script + Send + Sync;

/// What a server is to do; made by [`ModelServer::builder`].
pub struct Builder {
    pub(crate) credentials: Vec<Credential>,
    pub(crate) failure: Option<Failure>,
    pub(crate) resets_at: i64,
    pub(crate) choose: Box<Choose>,
}

impl Builder {
    /// Takes this credential; may be called more than once.
    #[must_use]
    pub fn credential(mut self, credential: Credential) -> Self {
        self.credentials.push(credential);
        self
    }

    /// Fails every request so, as if each path had the prefix.
    #[must_use]
    pub fn failure(mut self, failure: Failure) -> Self {
        self.failure = Some(failure);
        self
    }

    /// When a usage limit resets, in seconds since 1970. Default: 90 minutes from now.
    #[must_use]
    pub fn resets_at(mut self, seconds: i64) -> Self {
        self.resets_at = seconds;
        self
    }

    /// The same script for every prompt.
    #[must_use]
    pub fn script(self, script: Script) -> Self {
        self.scripts(move |_| script.clone())
    }

    /// Chooses the script from the conversation, at every request anew. [`Conversation::step`]
    /// reads the marker that Midwatch's prompts carry.
    #[must_use]
    pub fn scripts(
        mut self,
        choose: impl Fn(&Conversation) -> Script + Send + Sync + 'static,
    ) -> Self {
        self.choose = Box::new(choose);
        self
    }

    /// Starts it on a free port of 127.0.0.1.
    pub fn start(self) -> io::Result<ModelServer> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            builder: self,
            state: Mutex::new(State::default()),
            changed: Condvar::new(),
        });
        let acceptor = {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || accept(&listener, &shared))
        };
        Ok(ModelServer { address, shared, acceptor: Some(acceptor) })
    }
}

pub(crate) struct Shared {
    pub(crate) builder: Builder,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    requests: Vec<Recorded>,
    connections: Vec<TcpStream>,
    refused_once: bool,
    stopped: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True the first time only.
    pub(crate) fn first_refusal(&self) -> bool {
        !std::mem::replace(&mut self.state().refused_once, true)
    }
}

/// The running server; dropped, it closes every connection.
pub struct ModelServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

impl ModelServer {
    /// A server that takes any credential, does not fail and says "Done.".
    pub fn builder() -> Builder {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Builder {
            credentials: Vec::new(),
            failure: None,
            resets_at: i64::try_from(now).unwrap_or(0) + 5400,
            choose: Box::new(|_| Script::saying("Done.")),
        }
    }

    /// `http://127.0.0.1:PORT`, without a path.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The base URL below which every request fails so.
    pub fn failing_url(&self, failure: Failure) -> String {
        format!("http://{}/m/{}", self.address, failure.as_str())
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.state().requests.clone()
    }

    /// Waits until at least `count` requests of a path that ends so (query aside) were received.
    /// `false` when the time is over.
    pub fn wait_for(&self, path_end: &str, count: usize, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        let mut state = self.shared.state();
        loop {
            let matches = |request: &&Recorded| {
                let path = request.target.split('?').next().unwrap_or_default();
                path.ends_with(path_end)
            };
            if state.requests.iter().filter(matches).count() >= count {
                return true;
            }
            let Some(left) = end.checked_duration_since(Instant::now()) else {
                return false;
            };
            state = self
                .shared
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        {
            let mut state = self.shared.state();
            state.stopped = true;
            for connection in &state.connections {
                // Already closed by the client: nothing to do.
                let _ = connection.shutdown(Shutdown::Both);
            }
        }
        self.shared.changed.notify_all();
        // Wakes the acceptor.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        let Ok(stream) = stream else { continue };
        let mut state = shared.state();
        if state.stopped {
            return;
        }
        let Ok(copy) = stream.try_clone() else {
            continue;
        };
        state.connections.push(copy);
        drop(state);
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            // A client that goes away in the middle is ordinary here.
            let _ = serve(&stream, &shared);
            let _ = stream.shutdown(Shutdown::Both);
            let peer = stream.peer_addr().ok();
            shared
                .state()
                .connections
                .retain(|open| peer.is_none() || open.peer_addr().ok() != peer);
        });
    }
}

fn serve(stream: &TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream.try_clone()?;
    while let Some(request) = http::read_request(&mut reader)? {
        let head_only = request.method == "HEAD";
        let answer = dispatch::answer(&request, shared);
        {
            let mut state = shared.state();
            state.requests.push(Recorded {
                method: request.method,
                target: request.target,
                headers: request.headers,
                body: request.body,
                status: answer.status(),
            });
        }
        shared.changed.notify_all();
        if matches!(answer, http::Answer::Silent) {
            let mut state = shared.state();
            while !state.stopped {
                state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            return Ok(());
        }
        if !http::write_answer(&mut writer, &answer, head_only)? {
            return Ok(());
        }
    }
    Ok(())
}

/// A port of 127.0.0.1 that refuses connections for as long as this lives: bound, so that
/// nobody else gets it, and not listening.
pub struct RefusedPort {
    _socket: std::os::fd::OwnedFd,
    port: u16,
}

impl RefusedPort {
    /// Takes a free port.
    pub fn new() -> io::Result<Self> {
        use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket};
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
        bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let address = SocketAddr::try_from(getsockname(&socket)?)?;
        Ok(Self { _socket: socket, port: address.port() })
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

#[cfg(test)]
mod tests;
