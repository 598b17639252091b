//! The listener on loopback: a thread for each connection, few connections, all gone on drop.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::demo;
use crate::http::{self, Answer, Request};
use crate::script::{Conversation, Script};

mod answer;

/// Connections at a time: one agent needs two or three. One more is closed unheard.
const CONNECTIONS: usize = 32;
/// A connection on which nobody says anything for so long is closed; longer than the idle time
/// of any client's pool, so that the client ends it first.
const IDLE: Duration = Duration::from_mins(10);
/// A client that does not take an answer for so long is gone.
const STUCK: Duration = Duration::from_secs(30);
/// How long a refused client may go on sending: closed at once, it would lose our answer.
const LINGER: Duration = Duration::from_secs(2);
/// How many bytes a refused client may go on sending.
const LINGER_BYTES: u64 = 32 << 20;
/// The pause after a failed accept: without one, a lack of descriptors would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A model provider that follows a script, on a free port of 127.0.0.1. It takes one pretend
/// key, made at its start: so nothing real is ever sent to it unnoticed, and nobody else's agent
/// on this machine can take it for a provider. Dropped, it closes every connection and waits for
/// its threads.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

impl Server {
    /// The model of `midwatch demo`: it follows [`demo::script`].
    ///
    /// # Errors
    /// No port, or no randomness for the key.
    pub fn start() -> io::Result<Self> {
        Self::start_with(demo::script)
    }

    /// One that follows another script, chosen at every request from the conversation.
    ///
    /// # Errors
    /// As of [`Server::start`].
    pub fn start_with(
        choose: impl Fn(&Conversation) -> Script + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let key = pretend_key()?;
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            key,
            choose: Box::new(choose),
            state: Mutex::default(),
            closed: Condvar::new(),
        });
        let acceptor = {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new()
                .name("rehearsal".into())
                .spawn(move || accept(&listener, &shared))?
        };
        Ok(Self { address, shared, acceptor: Some(acceptor) })
    }

    /// The base URL for an Anthropic client: `http://127.0.0.1:PORT`, without a path.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The only key that it takes, as `x-api-key`.
    pub fn key(&self) -> &str {
        &self.shared.key
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        {
            let mut state = self.shared.state();
            state.stopped = true;
            for (_, stream) in &state.open {
                // Already closed by the client: nothing to do.
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
        // Wakes the acceptor, which looks at `stopped` first.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        let mut state = self.shared.state();
        while !state.open.is_empty() {
            state = self.shared.closed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

struct Shared {
    key: String,
    choose: Box<dyn Fn(&Conversation) -> Script + Send + Sync>,
    state: Mutex<State>,
    closed: Condvar,
}

#[derive(Default)]
struct State {
    /// Open connections by their number.
    open: Vec<(u64, TcpStream)>,
    counted: u64,
    stopped: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes its connection off the list, however its thread ends.
struct Listed {
    shared: Arc<Shared>,
    number: u64,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.shared.state().open.retain(|(number, _)| *number != self.number);
        self.shared.closed.notify_all();
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.state().stopped {
            return;
        }
        let Ok(stream) = stream else {
            std::thread::sleep(ACCEPT_PAUSE);
            continue;
        };
        let Some(listed) = list(shared, &stream) else { continue };
        // Where no thread can be had, both are dropped: the connection is closed.
        let _ = std::thread::Builder::new().name("rehearsal".into()).spawn(move || {
            // A client that goes away in the middle is ordinary.
            let _ = serve(&stream, &listed.shared);
            let _ = stream.shutdown(Shutdown::Both);
            drop(listed);
        });
    }
}

/// Puts a connection on the list; `None` when there is no room for it.
fn list(shared: &Arc<Shared>, stream: &TcpStream) -> Option<Listed> {
    let copy = stream.try_clone().ok()?;
    let mut state = shared.state();
    if state.stopped || state.open.len() >= CONNECTIONS {
        return None;
    }
    state.counted += 1;
    let number = state.counted;
    state.open.push((number, copy));
    Some(Listed { shared: Arc::clone(shared), number })
}

fn serve(stream: &TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(IDLE))?;
    stream.set_write_timeout(Some(STUCK))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream.try_clone()?;
    while let Some(mut request) = http::read_head(&mut reader)? {
        // Who has no key does not get a body of theirs into our memory.
        if let Some(refusal) = answer::refusal(&request, &shared.key) {
            http::write_answer(&mut writer, &refusal, is_head(&request))?;
            return linger(stream, &mut reader);
        }
        http::read_body(&mut reader, &mut request)?;
        let answer: Answer = answer::answer(&request, &shared.choose);
        if !http::write_answer(&mut writer, &answer, is_head(&request))? {
            return Ok(());
        }
    }
    Ok(())
}

fn is_head(request: &Request) -> bool {
    request.method == "HEAD"
}

/// Says that nothing more comes, and lets the client finish what it was sending.
fn linger(stream: &TcpStream, reader: &mut BufReader<TcpStream>) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    stream.set_read_timeout(Some(LINGER))?;
    io::copy(&mut reader.take(LINGER_BYTES), &mut io::sink())?;
    Ok(())
}

/// 256 random bits, and a word that says what it is wherever it turns up.
fn pretend_key() -> io::Result<String> {
    let mut bytes = [0_u8; 32];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let digits = digits.filter_map(|digit| char::from_digit(u32::from(digit), 16));
    Ok("rehearsal-".chars().chain(digits).collect())
}

#[cfg(test)]
mod tests;
