//! Two servers on one state folder: the second is told, or waits, and never writes beside the
//! first.

use std::process::{Child, Stdio};

use rustix::process::{Signal, geteuid};
use serde_json::Value;

use super::gate::Gate;
use super::ground::Ground;
use super::until;
use crate::house::{tell, told, wait};

/// How many clients begin at the same moment.
const CLIENTS: usize = 6;
/// What somebody starts a server with.
const FLAGS: [&str; 2] = ["--concurrency", "7"];

fn servers(ground: &Ground) -> Vec<u32> {
    let serves = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).nth(1) == Some(b"serve")
    };
    ground.house.processes().into_iter().filter(serves).collect()
}

#[test]
fn a_second_server_is_told_and_the_first_goes_on() {
    let ground = Ground::new();
    let gate = Gate::new();
    let mut first = ground.serve(&[]);
    ground.begin("t", &format!("do: run {}\ndo: write made x", gate.command()), "", &[]);
    gate.reached();
    let before = std::fs::read_to_string(ground.state().log()).unwrap();
    let second = ground.midwatch(&["serve"]);
    // By this code systemd does not start it again and again.
    assert_eq!(second.code, Some(6), "{}", second.stderr);
    assert!(second.stderr.contains("another server has"), "{}", second.stderr);
    let after = ground.log();
    assert_eq!(after.matches("server.started").count(), before.matches("server.started").count());
    assert!(first.lives());
    gate.open(Signal::TERM);
    ground.wait("t").is_done();
    assert_eq!(ground.story("t").runs("Agent").len(), 1);
    // The control: with the first gone, the folder is free, whatever file it left.
    first.kill();
    let second = ground.serve(&[]);
    assert_eq!(ground.result("t")["state"], "Done");
    assert!(second.end().success());
}

/// As systemd starts its unit where a client was faster: at a boot, or after a crash.
#[test]
fn a_server_that_stays_takes_the_place_of_a_clients_and_the_run_goes_on() {
    let mut ground = Ground::new();
    ground.house = ground.house.with("MIDWATCH_IDLE_SECONDS", "600");
    let gate = Gate::new();
    ground.begin("t", &format!("do: run {}\ndo: write made x", gate.command()), "", &[]);
    gate.reached();
    let clients = ground.house.server();
    // The control: one that another client starts leaves it at work.
    let idle = ground.midwatch(&["serve", "--exit-when-idle"]);
    assert_eq!((idle.code, ground.house.server()), (Some(75), clients), "{}", idle.stderr);
    let server = ground.serve(&[]);
    until("the client's to make room", || ground.house.server_if_any() == Some(server.pid()));
    gate.open(Signal::TERM);
    ground.wait("t").is_done();
    assert_eq!(ground.story("t").runs("Agent").len(), 1);
    assert_eq!(ground.house.server(), server.pid(), "whoever asks finds it");
    assert!(server.end().success());
}

/// As in a container that shares the folder: who is outside has no number there, and the kernel
/// says 0, which as a receiver of a signal is whoever sends it.
#[test]
fn a_server_in_another_pid_namespace_leaves_a_clients_at_work() {
    if !geteuid().is_root() {
        return tell("NOT RUN: a pid namespace of its own needs root");
    }
    let mut ground = Ground::new();
    ground.house = ground.house.with("MIDWATCH_IDLE_SECONDS", "600");
    assert_eq!(ground.midwatch(&["get"]).code, Some(0));
    let clients = ground.house.server();
    let mut command = ground.command("unshare");
    command.args(["--pid", "--fork", env!("CARGO_BIN_EXE_midwatch"), "serve", "--output", "json"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let second = told(wait(child.unwrap()));
    assert_eq!(second.code, Some(6), "{}", second.stderr);
    assert!(second.stderr.contains("another server has"), "{}", second.stderr);
    assert_eq!(ground.house.server(), clients);
    // The control: one that sees it takes its place.
    let server = ground.serve(&[]);
    until("the client's to make room", || ground.house.server_if_any() == Some(server.pid()));
}

/// After an upgrade: whoever keeps a server keeps its flags, and is told to start it again.
#[test]
fn a_server_that_stays_is_not_replaced_by_a_client_of_another_build() {
    let ground = Ground::new();
    let newer = ground.other_build();
    let objects = ground.house.scripted(", egress: none");
    let apply = ["apply", "-f", objects.to_str().unwrap()];
    let mut server = ground.serve_of(env!("CARGO_BIN_EXE_midwatch").as_ref(), &FLAGS, &[]);
    let told = ground.midwatch_of(&newer, &apply);
    assert_eq!(told.code, Some(1), "{}", told.stderr);
    let kill = format!("`kill {}`", server.pid().as_raw_pid());
    for part in ["another build (0.", "and stays", &kill, "systemctl restart midwatch"] {
        assert!(told.stderr.contains(part), "no {part} in {}", told.stderr);
    }
    // A client that would not ask first, as those of older versions.
    let (status, refusal) = ground.house.ask("POST", "/v1/shutdown", &Value::Null);
    assert!(status >= 400 && refusal["message"].to_string().contains("stays"), "{refusal}");
    assert!(server.lives());
    assert_eq!(ground.house.server(), server.pid());
    // What speaks the same language is asked and answered.
    assert_eq!(ground.midwatch_of(&newer, &["get"]).code, Some(0));
    // The control: started again as it says, with the new build and the flags.
    assert!(server.end().success());
    assert!(ground.served().contains("starts it again"), "{}", ground.served());
    let server = ground.serve_of(&newer, &FLAGS, &[]);
    let told = ground.midwatch_of(&newer, &apply);
    assert_eq!((told.code, ground.house.server()), (Some(0), server.pid()), "{}", told.stderr);
}

/// The control: nobody keeps a server that a client started, and the next client replaces it.
#[test]
fn an_idle_server_of_a_clients_is_replaced_by_another_build() {
    let mut ground = Ground::new();
    ground.house = ground.house.with("MIDWATCH_IDLE_SECONDS", "600");
    let newer = ground.other_build();
    assert_eq!(ground.midwatch(&["get"]).code, Some(0));
    let before = ground.house.server();
    let objects = ground.house.scripted(", egress: none");
    let told = ground.midwatch_of(&newer, &["apply", "-f", objects.to_str().unwrap()]);
    assert_eq!(told.code, Some(0), "{}", told.stderr);
    until("the new one alone", || ground.house.server_if_any().is_some_and(|now| now != before));
}

#[test]
fn clients_that_begin_together_share_one_server() {
    let ground = Ground::new();
    let begin = |_| -> Child {
        let mut command = ground.command(env!("CARGO_BIN_EXE_midwatch"));
        command.args(["get", "--output", "json"]).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let clients: Vec<Child> = (0..CLIENTS).map(begin).collect();
    for client in clients {
        let told = told(wait(client));
        assert_eq!(told.code, Some(0), "{}", told.stderr);
    }
    // Those that came second are gone as soon as they have seen the first.
    until("one server", || servers(&ground).len() <= 1);
    assert_eq!(ground.log().matches("server.started").count(), 1, "{}", ground.log());
}
