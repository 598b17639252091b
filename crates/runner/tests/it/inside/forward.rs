//! Loopback to unix socket, over an absence of the server.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use midwatch_runner::inside::forward::{Forwarder, HOLD};

/// Answers `count` connections, each with what it read until the end, turned to upper case.
fn server(socket: &Path, count: usize) -> JoinHandle<()> {
    let listener = UnixListener::bind(socket).unwrap();
    std::thread::spawn(move || {
        let mut all = Vec::new();
        for _ in 0..count {
            let (mut stream, _) = listener.accept().unwrap();
            all.push(std::thread::spawn(move || {
                let mut text = Vec::new();
                stream.read_to_end(&mut text).unwrap();
                stream.write_all(&text.to_ascii_uppercase()).unwrap();
            }));
        }
        for one in all {
            one.join().unwrap();
        }
    })
}

fn ask(port: u16, text: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    let mut back = stream.try_clone()?;
    let text = text.to_vec();
    let writer = std::thread::spawn(move || {
        stream.write_all(&text)?;
        stream.shutdown(Shutdown::Write)
    });
    let mut answer = Vec::new();
    back.read_to_end(&mut answer)?;
    writer.join().unwrap()?;
    Ok(answer)
}

fn start(socket: &Path, hold: Duration) -> Forwarder {
    Forwarder::start(&[(0, socket.to_owned())], hold).unwrap()
}

#[test]
fn both_directions_and_their_ends_pass() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let server = server(&socket, 3);
    let forwarder = start(&socket, HOLD);
    let port = forwarder.ports()[0];
    assert_eq!(ask(port, b"hello").unwrap(), b"HELLO");
    assert_eq!(ask(port, b"").unwrap(), b"");
    let big = vec![b'x'; 5_000_000];
    assert_eq!(ask(port, &big).unwrap(), big.to_ascii_uppercase());
    server.join().unwrap();
}

#[test]
fn a_server_that_ends_first_is_heard_while_the_client_still_talks() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let listener = UnixListener::bind(&socket).unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"first").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    });
    let forwarder = start(&socket, HOLD);
    let mut client = TcpStream::connect(("127.0.0.1", forwarder.ports()[0])).unwrap();
    let mut text = String::new();
    client.read_to_string(&mut text).unwrap();
    assert_eq!(text, "first");
    client.write_all(b"then me").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(server.join().unwrap(), "then me");
}

#[test]
fn a_connection_is_held_while_its_socket_is_missing_and_while_it_is_dead() {
    let folder = tempfile::tempdir().unwrap();
    let (socket, other) = (folder.path().join("s"), folder.path().join("other"));
    let others = server(&other, 2);
    let routes = [(0, socket.clone()), (0, other)];
    let holding = Forwarder::start(&routes, HOLD).unwrap();
    let plain = start(&socket, Duration::ZERO);
    let (port, beside) = (holding.ports()[0], holding.ports()[1]);
    // Control: without holding the client loses at once.
    assert_eq!(ask(plain.ports()[0], b"hello").unwrap_or_default(), b"");

    let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    client.write_all(b"hello").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    // Whoever comes later by another door has made the one thread try the socket for the one
    // that it holds: first it is missing, then it is there but dead, as after a crash.
    assert_eq!(ask(beside, b"one").unwrap(), b"ONE");
    drop(UnixListener::bind(&socket).unwrap());
    assert_eq!(ask(plain.ports()[0], b"hello").unwrap_or_default(), b"");
    assert_eq!(ask(beside, b"two").unwrap(), b"TWO");
    std::fs::remove_file(&socket).unwrap();
    let server = server(&socket, 1);
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, b"HELLO");
    server.join().unwrap();
    others.join().unwrap();
}

#[test]
fn a_connection_is_held_as_long_as_was_said() {
    let folder = tempfile::tempdir().unwrap();
    // A CLI gives up after 2.3 s of refusals.
    assert!(HOLD >= Duration::from_secs(3));
    let hold = Duration::from_millis(400);
    let forwarder = start(&folder.path().join("s"), hold);
    let began = Instant::now();
    assert_eq!(ask(forwarder.ports()[0], b"hello").unwrap_or_default(), b"");
    assert!(began.elapsed() >= hold);
}

#[test]
fn many_connections_at_once_are_served_and_a_crowd_waits() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let count = 600;
    let server = server(&socket, count);
    let forwarder = start(&socket, HOLD);
    let port = forwarder.ports()[0];
    let clients: Vec<_> = (0..count)
        .map(|n| std::thread::spawn(move || ask(port, format!("c{n}").as_bytes())))
        .collect();
    for (n, client) in clients.into_iter().enumerate() {
        assert_eq!(client.join().unwrap().unwrap(), format!("C{n}").as_bytes());
    }
    server.join().unwrap();
}

#[test]
fn a_client_that_goes_away_while_held_costs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let forwarder = start(&socket, HOLD);
    let port = forwarder.ports()[0];
    for _ in 0..50 {
        drop(TcpStream::connect(("127.0.0.1", port)).unwrap());
    }
    let server = server(&socket, 51);
    assert_eq!(ask(port, b"last").unwrap(), b"LAST");
    drop(forwarder);
    drop(server);
}

#[test]
fn a_port_that_is_taken_is_an_error() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    assert!(Forwarder::start(&[(port, "/nonexistent".into())], HOLD).is_err());
}
