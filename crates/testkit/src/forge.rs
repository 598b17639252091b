//! A forge as git sees one: bare repositories over https, for who has a login.
//!
//! The protocol is the real one, spoken by git's own `http-backend`; what a forge adds to it is
//! done here: Basic authentication, rights, redirects. It can be told to misbehave, and records
//! every request.

use std::io::{self, BufReader, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

mod backend;
mod request;

use request::Request;

/// How long a connection may be silent: tests fail rather than hang.
const SILENCE: Duration = Duration::from_mins(1);

/// Who may come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The user.
    pub user: String,
    /// The password or token.
    pub password: String,
    /// Whether pushing is allowed.
    pub may_push: bool,
}

/// How the forge behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manner {
    /// As it should.
    Honest,
    /// Sends every request elsewhere, to this origin.
    Redirects(String),
    /// Says that a push was taken, and keeps what it had.
    Lies,
    /// Answers 503.
    Down,
}

/// A request that came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// User and password, where some were sent.
    pub login: Option<(String, String)>,
    /// The status of the answer.
    pub status: u16,
}

/// The running forge.
pub struct Forge {
    address: SocketAddr,
    certificate: PathBuf,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    root: PathBuf,
    tls: Arc<ServerConfig>,
    state: Mutex<State>,
}

struct State {
    logins: Vec<Login>,
    manner: Manner,
    seen: Vec<Seen>,
    stopped: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Forge {
    /// A name that its certificate is for too, and that nobody can resolve.
    pub const NAME: &str = "forge.midwatch.example";

    /// Serves the bare repositories below `root` on a free port of 127.0.0.1. Its certificate is
    /// left beside them.
    ///
    /// # Errors
    /// The socket's and the folder's.
    pub fn start(root: &Path) -> io::Result<Self> {
        let names = ["127.0.0.1".to_owned(), Self::NAME.to_owned()];
        let certified = rcgen::generate_simple_self_signed(names);
        let certified = certified.map_err(io::Error::other)?;
        let key = PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(vec![certified.cert.der().clone()], PrivateKeyDer::Pkcs8(key))
            .map_err(io::Error::other)?;
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let certificate = root.join(format!("forge-{}.crt", address.port()));
        std::fs::write(&certificate, certified.cert.pem())?;
        let state =
            State { logins: Vec::new(), manner: Manner::Honest, seen: Vec::new(), stopped: false };
        let shared = Arc::new(Shared {
            root: root.to_owned(),
            tls: Arc::new(tls),
            state: Mutex::new(state),
        });
        let acceptor = {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || accept(&listener, &shared))
        };
        Ok(Self { address, certificate, shared, acceptor: Some(acceptor) })
    }

    /// Lets somebody in.
    pub fn let_in(&self, user: &str, password: &str, may_push: bool) {
        let login = Login { user: user.into(), password: password.into(), may_push };
        self.shared.state().logins.push(login);
    }

    /// Forgets every login.
    pub fn lock_out(&self) {
        self.shared.state().logins.clear();
    }

    /// Behaves so from now on.
    pub fn behave(&self, manner: Manner) {
        self.shared.state().manner = manner;
    }

    /// `https://127.0.0.1:PORT`.
    pub fn origin(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Its port of 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The URL of a repository below the root.
    pub fn url(&self, repository: &str) -> String {
        format!("{}/{repository}", self.origin())
    }

    /// The certificate to trust, a PEM file.
    pub fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// Every request so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.state().seen.clone()
    }
}

impl Drop for Forge {
    fn drop(&mut self) {
        self.shared.state().stopped = true;
        // Wakes the acceptor.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.state().stopped {
            return;
        }
        let Ok(stream) = stream else { continue };
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            // A client that goes away in the middle is ordinary here.
            let _ = serve(&stream, &shared);
            let _ = stream.shutdown(Shutdown::Both);
        });
    }
}

/// One request, one answer: the connection is closed after it.
fn serve(stream: &TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_read_timeout(Some(SILENCE))?;
    stream.set_nodelay(true)?;
    let tls = ServerConnection::new(Arc::clone(&shared.tls)).map_err(io::Error::other)?;
    let mut reader = BufReader::new(StreamOwned::new(tls, stream.try_clone()?));
    let Some(request) = request::read(&mut reader)? else { return Ok(()) };
    let login = request.header("authorization").and_then(basic);
    let answer = answer(&request, login.as_ref(), shared);
    shared.state().seen.push(Seen {
        method: request.method.clone(),
        target: request.target.clone(),
        login,
        status: answer.status,
    });
    let writer = reader.get_mut();
    writer.write_all(&answer.bytes())?;
    writer.conn.send_close_notify();
    writer.flush()
}

/// What goes back.
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Answer {
    fn plain(status: u16, headers: &[(&str, &str)]) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self { status, headers: headers.iter().map(owned).collect(), body: Vec::new() }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} Status\r\nconnection: close\r\n", self.status);
        for (name, value) in &self.headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        let length = self.body.len().to_string();
        head.extend(["content-length: ", &length, "\r\n\r\n"]);
        [head.into_bytes(), self.body.clone()].concat()
    }
}

fn basic(header: &str) -> Option<(String, String)> {
    let bytes = BASE64.decode(header.strip_prefix("Basic ")?).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

fn answer(request: &Request, login: Option<&(String, String)>, shared: &Shared) -> Answer {
    let (manner, known) = {
        let state = shared.state();
        let known = login.and_then(|(user, password)| {
            let is = |known: &&Login| known.user == *user && known.password == *password;
            state.logins.iter().find(is).cloned()
        });
        (state.manner.clone(), known)
    };
    let lies = match manner {
        Manner::Honest => false,
        Manner::Lies => true,
        Manner::Down => return Answer::plain(503, &[]),
        Manner::Redirects(to) => {
            return Answer::plain(302, &[("location", &format!("{to}{}", request.target))]);
        }
    };
    let Some(known) = known else {
        return Answer::plain(401, &[("www-authenticate", "Basic realm=\"forge\"")]);
    };
    let pushes = request.target.contains("git-receive-pack");
    if pushes && !known.may_push {
        return Answer::plain(403, &[]);
    }
    let done = if pushes && lies && request.method == "POST" {
        backend::run_on_a_copy(&shared.root, request, &known.user)
    } else {
        backend::run(&shared.root, request, &known.user)
    };
    done.unwrap_or_else(|_| Answer::plain(500, &[]))
}

#[cfg(test)]
mod tests;
