//! An approval is of what somebody looked at, and of nothing that took its place.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::house::socket::contains;
use crate::house::{House, Told};

/// A plan, one made after a rejection, and the work.
const GOAL: &str = "do@plan/1: say the first plan\ndo@plan/2: say the second plan\n\
                    do@implement: write b.txt x\n\
                    do@review: say {\"type\":\"verdict\",\"verdict\":\"approve\"}";

/// A user with `t`, whose plan waits for an approval.
fn held() -> (House, PathBuf) {
    // A server that ended would take the socket with it that is looked at here.
    let house = House::new().with("MIDWATCH_IDLE_SECONDS", "600");
    let repository = house.repository("repo", &[("README", "hello\n"), ("a.txt", "a\n")]);
    let profile = house.scripted(", egress: none");
    let profile = profile.to_str().unwrap();
    let first = ["run", GOAL, "--profile", profile, "--pipeline", "approved-change"];
    let told = house.midwatch(
        &repository,
        &[&first[..], &["--name", "t", "--check", "test -f a.txt"]].concat(),
    );
    told.is("Held", Some("Approval"), 5);
    (house, repository)
}

/// The digest of the plan that waits.
fn digest(house: &House, repository: &Path) -> String {
    let told = house.midwatch(repository, &["describe", "t"]);
    let waits = &told.of("task")[0]["toApprove"];
    assert_eq!(waits["of"], "Plan", "{waits}");
    waits["id"].as_str().unwrap().to_owned()
}

fn reject(house: &House, repository: &Path, feedback: &str) {
    let told = house.midwatch(repository, &["reject", "t", "--feedback", feedback]);
    assert_eq!(told.code, Some(0), "{}", told.stderr);
    house.midwatch(repository, &["wait", "t"]).is("Held", Some("Approval"), 5);
}

#[track_caller]
fn refused(told: &Told, words: &[&str]) {
    assert_eq!(told.code, Some(2), "{}", told.stderr);
    for word in words {
        assert!(told.stderr.contains(word), "no {word} in {}", told.stderr);
    }
}

/// What the runs of a step were told, in their order.
fn prompts(house: &House, step: &str) -> Vec<String> {
    let begin = format!("t-{step}-");
    let mut runs: Vec<(u64, PathBuf)> = std::fs::read_dir(house.state().join("runs"))
        .unwrap()
        .flatten()
        .filter_map(|run| {
            let epoch = run.file_name().to_str()?.strip_prefix(&begin)?.parse().ok()?;
            Some((epoch, run.path()))
        })
        .collect();
    runs.sort();
    let order = |folder: &Path| -> Value {
        serde_json::from_slice(&std::fs::read(folder.join("order.json")).unwrap()).unwrap()
    };
    runs.iter().map(|(_, folder)| order(folder).to_string()).collect()
}

#[test]
fn what_somebody_said_of_a_plan_reaches_the_next_one_and_the_old_one_is_not_approved() {
    const SAID: &str = "keep the old table";
    let (house, repository) = held();
    let first = digest(&house, &repository);
    reject(&house, &repository, SAID);
    let told = prompts(&house, "plan");
    let [before, after] = told.as_slice() else { panic!("{told:?}") };
    assert!(!before.contains(SAID) && after.contains(SAID), "{after}");
    assert!(after.contains("The plan that you made before:") && after.contains("the first plan"));
    let stale = house.midwatch(&repository, &["approve", "t", "--plan", &first]);
    refused(&stale, &["waits for an approval now"]);
    let told = house.midwatch(&repository, &["approve", "t"]);
    assert_eq!(told.code, Some(0), "{}", told.stderr);
    house.midwatch(&repository, &["wait", "t"]).is_done();
    let told = prompts(&house, "implement");
    assert!(told[0].contains("made for it:\\nthe second plan"), "{}", told[0]);
    assert_eq!(house.git(&repository, &["show", "midwatch/t:b.txt"]), "x");
}

#[test]
fn what_is_approved_is_named_in_every_hint_and_a_short_name_will_do() {
    let (house, repository) = held();
    let first = digest(&house, &repository);
    let hint = |told: &Told| told.result["hint"].as_str().unwrap().to_owned();
    let explained = house.midwatch(&repository, &["explain", "t"]);
    let command = format!("`midwatch approve t --plan {}`", &first[..12]);
    assert!(hint(&explained).contains(&command), "{}", explained.result);
    let approve = |digits: &str| house.midwatch(&repository, &["approve", "t", "--plan", digits]);
    refused(&approve(&first[..6]), &["plan '", "7 or more"]);
    refused(&approve("the plan"), &["plan '", "7 or more"]);
    refused(&house.midwatch(&repository, &["approve", "t", "--commit", &first]), &[&first[..12]]);
    reject(&house, &repository, "another");
    let second = digest(&house, &repository);
    let stale = approve(&first[..12]);
    refused(&stale, &[&second[..12], "midwatch approve t --plan"]);
    let told = approve(&second[..7]);
    assert_eq!(told.code, Some(0), "{}", told.stderr);
    house.midwatch(&repository, &["wait", "t"]).is_done();
}

#[test]
fn the_control_socket_refuses_an_approval_that_names_nothing() {
    let (house, repository) = held();
    let digest = digest(&house, &repository);
    let post = |body: Value| {
        let (status, said) = house.ask("POST", "/v1/tasks/t/commands", &body);
        (status, said.to_string())
    };
    let (status, said) = post(json!({"verb": "approve", "commit": null, "plan": null, "by": "me"}));
    assert!(!(200..300).contains(&status), "{status}: {said}");
    assert!(said.contains("plan is missing") && said.contains(&digest[..12]), "{said}");
    // The control: the same with the name.
    let (status, said) = post(json!({"verb": "approve", "plan": digest, "by": "me"}));
    assert!((200..300).contains(&status), "{status}: {said}");
    house.midwatch(&repository, &["wait", "t"]).is_done();
}

/// Stands before the server's socket. The first decision that comes by waits until `between` is
/// over; everything goes on as it came.
fn stand_between(house: &House, between: impl Fn() + Send + Sync, client: impl FnOnce()) {
    let (front, behind) = (house.state().join("server.sock"), house.folder("behind").join("sock"));
    std::fs::rename(&front, &behind).unwrap();
    let listener = UnixListener::bind(&front).unwrap();
    let (over, first) = (AtomicBool::new(false), AtomicBool::new(true));
    std::thread::scope(|scope| {
        let (between, behind, over, first) = (&between, &behind, &over, &first);
        scope.spawn(move || {
            for stream in listener.incoming() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                scope.spawn(move || {
                    let mut stream = stream.unwrap();
                    let request = whole(&mut stream);
                    let decides =
                        request.starts_with(b"POST ") && contains(&request, b"/commands ");
                    if decides && first.swap(false, Ordering::SeqCst) {
                        between();
                    }
                    let mut server = UnixStream::connect(behind).unwrap();
                    server.write_all(&request).unwrap();
                    // The client ends what it has read; a follower may have left already.
                    let mut back = server.try_clone().unwrap();
                    let mut to = stream.try_clone().unwrap();
                    scope.spawn(move || {
                        let _ = std::io::copy(&mut back, &mut to);
                        let _ = to.shutdown(Shutdown::Both);
                    });
                    let _ = std::io::copy(&mut stream, &mut server);
                    let _ = server.shutdown(Shutdown::Both);
                });
            }
        });
        client();
        over.store(true, Ordering::SeqCst);
        // Woken, it sees that it is over.
        drop(UnixStream::connect(&front).unwrap());
    });
    std::fs::rename(behind, front).unwrap();
}

/// Reads one request: its head, and as much of a body as that says.
fn whole(stream: &mut UnixStream) -> Vec<u8> {
    let mut request = vec![];
    let mut part = [0; 4096];
    loop {
        let read = stream.read(&mut part).unwrap();
        request.extend_from_slice(&part[..read]);
        let text = String::from_utf8_lossy(&request).to_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
            if body.len() >= length {
                return request;
            }
        }
        if read == 0 {
            return request;
        }
    }
}

#[test]
fn a_bare_approval_is_of_the_plan_that_it_told_and_of_none_that_came_between() {
    let (house, repository) = held();
    let first = digest(&house, &repository);
    let between = || reject(&house, &repository, "another");
    stand_between(&house, between, || {
        let told = house.midwatch(&repository, &["approve", "t"]);
        refused(&told, &[&format!("plan {first}"), "waits for an approval now"]);
    });
    let second = digest(&house, &repository);
    assert_ne!(first, second, "the plan did change");
    // The control: nothing comes between, and it says which.
    stand_between(
        &house,
        || {},
        || {
            let told = house.midwatch(&repository, &["approve", "t"]);
            assert_eq!(told.code, Some(0), "{}", told.stderr);
            assert!(told.stderr.contains(&format!("plan {second}")), "{}", told.stderr);
        },
    );
    let done = house.midwatch(&repository, &["wait", "t"]);
    done.is_done();
    assert_eq!(done.result["approvals"].as_array().unwrap().len(), 1, "{}", done.result);
    assert_eq!(done.result["approvals"][0]["id"], second.as_str());
}
