//! Too much at the control socket, and an end amid an answer: everybody is told something true.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};

use super::gate::Gate;
use super::ground::{Ground, Server};
use super::{PATIENCE, until};
use crate::house::{self, wait};

/// What follows tasks at once, at most.
const FOLLOWERS: usize = 480;
/// And some more, as many as there are connections.
const MANY: usize = 512;
/// What is decided.
const CANCEL: &str = r#"{"verb":"cancel","by":"me"}"#;

/// A server with a task that goes on until it is cancelled.
fn at_work() -> (Ground, Gate, Server) {
    let (ground, gate) = (Ground::new(), Gate::new());
    let server = ground.serve(&[]);
    ground.begin("t", &format!("do: run {}", gate.command()), "", &[]);
    gate.reached();
    (ground, gate, server)
}

/// A request, and what was answered at first.
fn asking(ground: &Ground, request: &str) -> (UnixStream, String) {
    let mut stream = UnixStream::connect(ground.state().socket()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut begun = [0; 12];
    stream.read_exact(&mut begun).unwrap();
    (stream, String::from_utf8(begun.to_vec()).unwrap())
}

/// A decision whose body is still to come; the server has begun to read it, if it says so.
fn decision(ground: &Ground) -> (UnixStream, String) {
    let head = format!(
        "POST /v1/tasks/t/commands HTTP/1.1\r\nhost: midwatch\r\nexpect: 100-continue\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        CANCEL.len()
    );
    asking(ground, &head)
}

/// One that is under way.
fn deciding(ground: &Ground) -> UnixStream {
    let (stream, begun) = decision(ground);
    assert_eq!(begun, "HTTP/1.1 100");
    stream
}

/// Sends the body, and reads what is answered; nothing where the server cut it.
fn decided(mut stream: UnixStream) -> String {
    let mut answer = String::new();
    // Who was cut sees it here, or there.
    let _ = stream.write_all(CANCEL.as_bytes());
    let _ = stream.read_to_string(&mut answer);
    answer
}

#[test]
fn a_server_that_is_told_to_end_gives_the_answers_under_way() {
    let (ground, _gate, server) = at_work();
    let stream = deciding(&ground);
    kill_process(server.pid(), Signal::TERM).unwrap();
    until("the end to be decided", || !ground.state().socket().exists());
    let answer = decided(stream);
    assert!(answer.contains("HTTP/1.1 200"), "{answer:?}");
    assert!(server.end().success());
    // What was answered is so.
    ground.wait("t").is("Cancelled", None, 130);
}

#[test]
fn a_server_that_dies_gives_none_and_one_that_is_told_to_end_waits_for_nobody_for_long() {
    let (ground, gate, server) = at_work();
    let stream = deciding(&ground);
    // The control.
    server.kill();
    assert!(!decided(stream).contains("HTTP/1.1 200"));
    let server = ground.serve(&[]);
    let silent = deciding(&ground);
    let began = Instant::now();
    assert!(server.end().success());
    // Of the five seconds that it has; who says nothing is otherwise given a minute.
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    drop(silent);
    gate.reached();
    ground.midwatch(&["cancel", "t"]);
    ground.wait("t").is("Cancelled", None, 130);
}

/// One after the other, since a process may have few files open.
#[test]
fn however_many_ask_a_task_can_be_cancelled_and_nobody_starts_another_server() {
    let (ground, _gate, mut server) = at_work();
    let follow = "GET /v1/tasks/t/events HTTP/1.1\r\nhost: midwatch\r\nconnection: close\r\n\r\n";
    let asked: Vec<_> = (0..MANY).map(|_| asking(&ground, follow)).collect();
    let (follow, refused): (Vec<_>, Vec<_>) =
        asked.into_iter().partition(|(_, begun)| begun == "HTTP/1.1 200");
    assert_eq!((follow.len(), refused.len()), (FOLLOWERS, MANY - FOLLOWERS));
    assert!(refused.iter().all(|(_, begun)| begun == "HTTP/1.1 429"));
    let told = ground.midwatch(&["wait", "t"]);
    assert_eq!(told.code, Some(1), "{}", told.stderr);
    assert!(told.stderr.contains("480 commands follow"), "{}", told.stderr);
    assert_eq!(ground.midwatch(&["cancel", "t"]).code, Some(0));
    // Everybody who follows hears of it.
    for (mut stream, _) in follow {
        let mut rest = String::new();
        stream.read_to_string(&mut rest).unwrap();
        assert!(rest.contains("\"state\":\"Cancelled\""), "{rest}");
    }
    // The control: there is room again.
    ground.wait("t").is("Cancelled", None, 130);
    no_place_at_all(&ground);
    assert!(server.lives());
    assert_eq!(ground.log().matches("server.started").count(), 1, "{}", ground.log());
}

fn no_place_at_all(ground: &Ground) {
    let mut held = Vec::new();
    // Those who asked before are gone in a moment.
    until("every place to be taken", || {
        let asked = std::iter::repeat_with(|| decision(ground)).take(MANY);
        held.extend(asked.take_while(|(_, begun)| begun == "HTTP/1.1 100"));
        held.len() == MANY
    });
    let told = ground.midwatch(&["get", "t"]);
    assert_eq!(told.code, Some(1), "{}", told.stderr);
    assert!(told.stderr.contains("512 connections to the server are open"), "{}", told.stderr);
    drop(held);
    until("a place", || ground.result("t")["state"] == "Cancelled");
}

#[test]
fn a_server_that_is_stopped_is_named_and_what_waits_goes_on_with_it() {
    let (ground, gate, server) = at_work();
    kill_process(server.pid(), Signal::STOP).unwrap();
    let began = Instant::now();
    let another = ground.house.start(&ground.repository, &["serve"]);
    let told = ground.midwatch(&["get", "t"]);
    assert!(began.elapsed() < Duration::from_mins(1), "{:?}", began.elapsed());
    assert_eq!(told.code, Some(1), "{}", told.stderr);
    let pid = server.pid().as_raw_pid();
    for word in [format!("the server (pid {pid}) does not answer"), format!("kill -CONT {pid}")] {
        assert!(told.stderr.contains(&word), "{}", told.stderr);
    }
    // By this code systemd tries again, as with a client's server that has not begun to answer.
    let another = house::told(wait(another));
    assert_eq!(another.code, Some(1), "{}", another.stderr);
    assert!(another.stderr.contains("and does not answer"), "{}", another.stderr);
    // The control.
    kill_process(server.pid(), Signal::CONT).unwrap();
    assert_eq!(ground.result("t")["state"], "Running");
    assert_eq!(ground.midwatch(&["serve"]).code, Some(6), "one that answers has it");
    assert_eq!(ground.log().matches("server.started").count(), 1, "nobody started another");
    gate.reached();
    ground.midwatch(&["cancel", "t"]);
    ground.wait("t").is("Cancelled", None, 130);
}
