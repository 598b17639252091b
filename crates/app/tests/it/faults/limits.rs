//! Agents that use up what they have, hang, end badly, print rubbish, or leave processes behind.

use std::process::{Command, Stdio};

use super::gate::Gate;
use super::ground::Ground;

/// Says its actions as JSON lines, where the profile reads such.
const MAPPED: &str = ", custom: {argv: [scripted-agent], mapping: {text: /text}}";

#[test]
fn an_agent_that_takes_too_much_memory_has_its_own_reason_and_one_try() {
    let ground = Ground::new();
    let _server = ground.serve(&[]);
    let goal = "do: write half yes\ndo: hold 300";
    ground.begin("t", goal, ", limits: {memoryMib: 128}", &[]);
    let told = ground.wait("t");
    told.is("Failed", Some("OutOfMemory"), 3);
    assert!(told.result["hint"].as_str().unwrap().contains("memory limit"), "{}", told.result);
    assert!(told.result["rescueRef"].is_string(), "its work is saved: {}", told.result);
    assert_eq!(ground.story("t").runs("Agent").len(), 1, "as large again it would end as before");
    // The control: with room for it the same takes its memory, and ends by its own limit of time.
    ground.begin("u", goal, ", limits: {memoryMib: 1024, wallSeconds: 10}", &[]);
    ground.wait("u").is("Failed", Some("Timeout"), 3);
}

#[test]
fn an_agent_that_hangs_and_hears_nothing_is_killed_saved_and_tried_again() {
    let ground = Ground::new();
    let gate = Gate::new();
    let _server = ground.serve(&[]);
    let goal = format!(
        "do@implement/1: write first yes\ndo@implement/1: ignore-term\n\
         do@implement/1: run trap '' TERM; {}\ndo@implement/2: write second yes",
        gate.command()
    );
    ground.begin("t", &goal, ", limits: {idleSeconds: 3}", &[]);
    gate.reached();
    let told = ground.wait("t");
    told.is_done();
    assert!(gate.waiting().is_empty(), "it is still there");
    let on = |file: &str| ground.on_branch("midwatch/t", file);
    assert_eq!((on("first").as_str(), on("second").as_str()), ("yes", "yes"), "nothing is lost");
    let story = ground.story("t");
    let ended = story.of("runEnded").into_iter().find(|line| line["ok"] == false).unwrap();
    assert!(ended["detail"].as_str().unwrap().starts_with("Stalled"), "{ended}");
    // The control: one that says something now and then is no hang.
    let says = "do: run for n in 1 2 3 4 5; do echo $n; sleep 1; done\ndo: write made x";
    ground.begin("u", says, ", limits: {idleSeconds: 3}", &[]);
    ground.wait("u").is_done();
    assert_eq!(ground.story("u").runs("Agent").len(), 1);
}

#[test]
fn work_counts_whatever_an_agent_ends_with_and_none_is_none() {
    let ground = Ground::new();
    let _server = ground.serve(&[]);
    // Good work, and a bad end: the next attempt stands on it.
    let goal = "do@implement/1: write first yes\ndo@implement/1: exit 7\ndo@implement/2: say done";
    ground.begin("bad-end", goal, "", &["--check", "test ! -e first || grep -q yes first"]);
    // A good end, and nothing to show for it.
    ground.begin("no-work", "do: say done", "", &[]);
    // The control: a good end with what was left uncommitted.
    ground.begin("good", "do: write made x", "", &[]);
    ground.wait("bad-end").is_done();
    assert_eq!(ground.on_branch("midwatch/bad-end", "first"), "yes");
    ground.wait("no-work").is("Failed", Some("EmptyDiff"), 3);
    ground.wait("good").is_done();
    let branches = ground.branches();
    assert_eq!(branches.lines().count(), 2, "no branch without a change: {branches}");
}

#[test]
fn a_stream_of_rubbish_is_kept_and_the_task_goes_on() {
    let ground = Ground::new();
    let _server = ground.serve(&[]);
    let goal = "do: run echo '{\"text\": \"before\"}'\ndo: run echo '{\"text\": \"cut off'\n\
                do: run head -c 3000 /dev/urandom\ndo: run echo\ndo: flood-line 3000000\n\
                do: run echo\ndo: run echo '[1, 2'\ndo: run printf '{\"text\": \"aft\\\\u0065r\"}\\n'\n\
                do: write made x";
    let program = ground.house.folder("agent").join("scripted-agent");
    let spec = format!("{{agent: custom, program: {}{MAPPED}, egress: none}}", program.display());
    let profile = ground.house.profile("mapped", &spec);
    let profile = profile.to_str().unwrap();
    let words = ["run", goal, "--profile", profile, "--pipeline", "quick", "--name", "t"];
    let told = ground.midwatch(&[&words[..], &["--check", "test -e README"]].concat());
    told.is_done();
    let logs = ground.midwatch(&["logs", "t"]);
    for word in ["before", "after"] {
        assert!(logs.stdout.contains(word), "what could be read was read: {}", logs.stdout);
    }
    let transcript = told.result["transcript"].as_str().unwrap();
    let raw = std::fs::read(std::path::Path::new(transcript).join("stdout.log")).unwrap();
    let cut = b"{\"text\": \"cut off";
    assert!(raw.windows(cut.len()).any(|part| part == cut), "what could not be read is kept");
    // The control: who stops at the first thing that cannot be read never hears of the last line.
    let read = serde_json::Deserializer::from_slice(&raw).into_iter::<serde_json::Value>();
    let read: Vec<_> = read.map_while(Result::ok).collect();
    let texts = read.iter().filter_map(|line| line["text"].as_str());
    assert_eq!(texts.collect::<Vec<_>>(), ["before"]);
}

#[test]
fn what_an_agent_detaches_ends_with_its_run() {
    let ground = Ground::new();
    let (inside, outside) = (Gate::new(), Gate::new());
    let _server = ground.serve(&[]);
    let leaves = format!("setsid sh -c '{} & {} &' &", inside.command(), inside.command());
    let goal = format!(
        "do: detach {leaves}\ndo: run while ! pgrep -f '{}' >/dev/null; do :; done\ndo: write made x",
        inside.command()
    );
    ground.begin("t", &goal, "", &[]);
    ground.wait("t").is_done();
    assert!(inside.waiting().is_empty(), "detached processes outlived the run");
    // The control: where no sandbox is, the same outlives who started it.
    let script = leaves.replace(&inside.command(), &outside.command());
    let done = Command::new("sh").args(["-c", &script]).stdout(Stdio::null()).status().unwrap();
    assert!(done.success());
    outside.reached();
    super::until("both", || outside.waiting().len() == 2);
    outside.open(rustix::process::Signal::KILL);
    super::until("their end", || outside.waiting().is_empty());
}
