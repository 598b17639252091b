//! The way out of the sandbox: loopback ports to unix sockets, one thread for all connections.
//!
//! A socket that is missing or refuses means that the server restarts. A new connection is then
//! held, because a CLI gives up after two refusals (2.3 s, measured with Claude Code) and a held
//! one succeeded after 6 s without the agent's noticing.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

/// How long a new connection is held while its socket does not answer.
pub const HOLD: Duration = Duration::from_mins(1);

/// Connections at once; more wait in the listeners' queues.
const CONNECTIONS_MAX: usize = 512;

/// Bytes that wait in one direction.
const BUFFER: usize = 16 << 10;

/// Between two tries of a socket that does not answer.
const RETRY: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// A running forwarder; it ends when dropped, and its connections with it.
#[derive(Debug)]
pub struct Forwarder {
    ports: Vec<u16>,
    ender: UnixStream,
    thread: Option<JoinHandle<()>>,
}

impl Forwarder {
    /// Listens on each port of 127.0.0.1 and forwards to the socket beside it. Port 0 takes a
    /// free one. `hold` zero gives up at the first refusal.
    ///
    /// # Errors
    /// A port is taken, or the thread cannot be started.
    pub fn start(routes: &[(u16, PathBuf)], hold: Duration) -> io::Result<Self> {
        let (ender, end) = UnixStream::pair()?;
        let mut doors = Vec::new();
        let mut ports = Vec::new();
        for (port, socket) in routes {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, *port))?;
            listener.set_nonblocking(true)?;
            ports.push(listener.local_addr()?.port());
            doors.push(Door { listener, socket: socket.clone() });
        }
        let thread = std::thread::Builder::new()
            .name("forward".to_owned())
            .stack_size(256 << 10)
            .spawn(move || run(&doors, &end, hold))?;
        Ok(Self { ports, ender, thread: Some(thread) })
    }

    /// The ports in the order of the routes.
    pub fn ports(&self) -> &[u16] {
        &self.ports
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        let _thread_gone = self.ender.shutdown(Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _its_panic_is_its_own = thread.join();
        }
    }
}

/// A port and where it leads.
struct Door {
    listener: TcpListener,
    socket: PathBuf,
}

/// Bytes in one direction.
#[derive(Default)]
struct Flow {
    bytes: Vec<u8>,
    /// The reader saw the end.
    ended: bool,
    /// The end was passed on.
    passed: bool,
}

impl Flow {
    fn has_room(&self) -> bool {
        !self.ended && self.bytes.len() < BUFFER
    }

    fn fill(&mut self, from: &mut impl Read) -> io::Result<()> {
        if !self.has_room() {
            return Ok(());
        }
        let mut buffer = [0_u8; BUFFER];
        match from.read(&mut buffer[..BUFFER - self.bytes.len()]) {
            Ok(0) => self.ended = true,
            Ok(read) => self.bytes.extend_from_slice(&buffer[..read]),
            Err(error) if is_later(&error) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn empty(&mut self, to: &mut impl Write) -> io::Result<()> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        match to.write(&self.bytes) {
            Ok(written) => {
                self.bytes.drain(..written);
                Ok(())
            }
            Err(error) if is_later(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Whether the end is to be passed on now.
    fn is_due(&mut self) -> bool {
        let due = self.ended && self.bytes.is_empty() && !self.passed;
        self.passed |= due;
        due
    }
}

/// One client and, when it answers, its server.
struct Connection {
    client: TcpStream,
    server: Option<UnixStream>,
    door: usize,
    since: Instant,
    up: Flow,
    down: Flow,
}

impl Connection {
    /// Moves what can be moved; false when the connection is over.
    fn pump(&mut self, socket: &Path, hold: Duration) -> bool {
        if self.server.is_none() {
            match connect(socket) {
                Ok(server) => self.server = Some(server),
                Err(_) if self.since.elapsed() >= hold => return false,
                Err(_) => {}
            }
        }
        self.moved().is_ok_and(|()| !(self.up.passed && self.down.passed))
    }

    fn moved(&mut self) -> io::Result<()> {
        self.up.fill(&mut self.client)?;
        let Some(server) = &mut self.server else {
            return Ok(());
        };
        self.up.empty(server)?;
        if self.up.is_due() {
            half_close(server.shutdown(Shutdown::Write))?;
        }
        self.down.fill(server)?;
        self.down.empty(&mut self.client)?;
        if self.down.is_due() {
            half_close(self.client.shutdown(Shutdown::Write))?;
        }
        Ok(())
    }

    fn client_interest(&self) -> PollFlags {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN, self.up.has_room());
        flags.set(PollFlags::OUT, !self.down.bytes.is_empty());
        flags
    }

    fn server_interest(&self) -> PollFlags {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN, self.down.has_room());
        flags.set(PollFlags::OUT, !self.up.bytes.is_empty());
        flags
    }
}

/// The other side may have closed first: that is no failure of the direction back.
fn half_close(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::NotConnected => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn run(doors: &[Door], end: &UnixStream, hold: Duration) {
    let mut connections: Vec<Connection> = Vec::new();
    let mut ready: Vec<bool> = Vec::new();
    loop {
        let accepting = connections.len() < CONNECTIONS_MAX;
        let mut fds = vec![PollFd::new(end, PollFlags::IN)];
        if accepting {
            fds.extend(doors.iter().map(|door| PollFd::new(&door.listener, PollFlags::IN)));
        }
        // Which connection each descriptor belongs to. One without an interest is not polled:
        // its hang-up would be reported for ever.
        let first = fds.len();
        let mut owners = Vec::new();
        for (number, connection) in connections.iter().enumerate() {
            let client = connection.client_interest();
            if !client.is_empty() {
                fds.push(PollFd::from_borrowed_fd(connection.client.as_fd(), client));
                owners.push(number);
            }
            let server = connection.server_interest();
            if let Some(stream) = connection.server.as_ref().filter(|_| !server.is_empty()) {
                fds.push(PollFd::from_borrowed_fd(stream.as_fd(), server));
                owners.push(number);
            }
        }
        let waiting = connections.iter().any(|connection| connection.server.is_none());
        if poll(&mut fds, waiting.then_some(&RETRY)).is_err() {
            continue;
        }
        if !fds.first().is_none_or(|fd| fd.revents().is_empty()) {
            return;
        }
        ready.clear();
        ready.extend(connections.iter().map(|connection| connection.server.is_none()));
        for (fd, owner) in fds.iter().skip(first).zip(&owners) {
            if !fd.revents().is_empty()
                && let Some(ready) = ready.get_mut(*owner)
            {
                *ready = true;
            }
        }
        let mut number = 0;
        connections.retain_mut(|connection| {
            let ready = ready.get(number).copied().unwrap_or_default();
            number += 1;
            let socket = doors.get(connection.door).map(|door| door.socket.as_path());
            !ready || socket.is_some_and(|socket| connection.pump(socket, hold))
        });
        if accepting {
            accept(doors, &mut connections, hold);
        }
    }
}

fn accept(doors: &[Door], connections: &mut Vec<Connection>, hold: Duration) {
    for (number, door) in doors.iter().enumerate() {
        while connections.len() < CONNECTIONS_MAX {
            match door.listener.accept() {
                Ok((client, _)) => {
                    let set = client.set_nonblocking(true).and_then(|()| client.set_nodelay(true));
                    if set.is_err() {
                        continue;
                    }
                    let mut connection = Connection {
                        client,
                        server: None,
                        door: number,
                        since: Instant::now(),
                        up: Flow::default(),
                        down: Flow::default(),
                    };
                    if connection.pump(&door.socket, hold) {
                        connections.push(connection);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // No descriptors left, or a client that went again: the next round tries anew,
                // but not at full speed.
                Err(_) => {
                    std::thread::sleep(Duration::from_millis(20));
                    break;
                }
            }
        }
    }
}

/// A full backlog answers at once too; it counts as a refusal and is tried again.
fn connect(socket: &Path) -> io::Result<UnixStream> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let fd = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::connect(&fd, &SocketAddrUnix::new(socket)?)?;
    Ok(UnixStream::from(fd))
}

fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
