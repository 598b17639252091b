//! Checks that say another thing each time, checks that never end, and agents that are careless.

use rustix::process::Signal;

use super::gate::Gate;
use super::ground::Ground;

/// A check that passes when the test ends its sleep with USR1, and fails when with TERM.
fn check(gate: &Gate) -> String {
    format!("{}; test $? = 138", gate.command())
}

#[test]
fn a_check_that_fails_once_goes_back_and_only_green_evidence_of_that_commit_counts() {
    let ground = Ground::new();
    let gate = Gate::new();
    let _server = ground.serve(&[]);
    let goal = "do@implement/1: write made one\ndo@implement/2: append made two";
    ground.begin("t", goal, "", &["--check", &check(&gate)]);
    // The base passes, the change does not, and the next one does.
    for signal in [Signal::USR1, Signal::TERM] {
        gate.open(signal);
        super::until("its end", || gate.waiting().is_empty());
    }
    gate.open(Signal::USR1);
    let told = ground.wait("t");
    told.is_done();
    assert_eq!(told.result["checks"][0]["outcome"], "Pass");
    assert_eq!(told.result["checks"][0]["baseOutcome"], "Pass");
    let story = ground.story("t");
    assert_eq!(story.of("repair").len(), 1, "{}", story.stdout);
    assert_eq!(ground.on_branch("midwatch/t", "made"), "one\ntwo", "the first was never landed");
}

#[test]
fn a_check_that_fails_again_and_again_ends_the_task_within_bounds() {
    let ground = Ground::new();
    let gate = Gate::new();
    let _server = ground.serve(&[]);
    let goal = "do: run echo again >> made";
    ground.begin("t", goal, "", &["--check", &check(&gate)]);
    gate.open(Signal::USR1);
    super::until("its end", || gate.waiting().is_empty());
    let ended = || ground.result("t")["state"] == "Failed";
    let mut failed = 0;
    loop {
        super::until("the next check", || !gate.waiting().is_empty() || ended());
        if gate.waiting().is_empty() {
            break;
        }
        gate.open(Signal::TERM);
        super::until("its end", || gate.waiting().is_empty());
        failed += 1;
        assert!(failed < 20, "it is repaired for ever");
    }
    let told = ground.wait("t");
    told.is("Failed", Some("VerificationFailed"), 3);
    assert!(told.result["rescueRef"].is_string() || told.result["commit"].is_string());
    assert_eq!(ground.branches(), "", "nothing is handed over");
    assert_eq!(ground.story("t").of("repair").len() + 1, failed);
}

#[test]
fn a_check_that_hangs_is_ended_and_counts_as_not_run() {
    let ground = Ground::new();
    let gate = Gate::new();
    let _server = ground.serve(&[]);
    let goal = "do@implement/1: write hang yes\ndo@implement/2: run rm hang\n\
                do@implement/2: write made x";
    let command = format!("test ! -e hang || {}", gate.command());
    let limits = ", limits: {wallSeconds: 10}";
    ground.begin("t", goal, limits, &["--check", &command]);
    gate.reached();
    // Nobody ends it but its deadline.
    let told = ground.wait("t");
    told.is_done();
    assert!(gate.waiting().is_empty(), "it outlived its deadline");
    let story = ground.story("t");
    let of_change: Vec<_> =
        story.of("check").into_iter().filter(|line| line["onBase"] == false).collect();
    let outcomes: Vec<_> = of_change.iter().map(|line| line["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["CouldNotRun", "Pass"], "{}", story.stdout);
    assert!(of_change[0]["exitCode"].is_null(), "{}", of_change[0]);
    assert_eq!(story.of("repair").len(), 1);
    // The control: the same check without the file ends by itself, on the base and at the end.
    let base = story.of("check").into_iter().find(|line| line["onBase"] == true).unwrap();
    assert_eq!(base["outcome"], "Pass");
}

#[test]
fn an_agent_whose_outputs_break_a_rule_is_told_and_writes_them_anew() {
    let ground = Ground::new();
    let _server = ground.serve(&[]);
    let goal = "do: write made.txt x\ndo@implement/1: run echo all done >> $MIDWATCH_OUTPUTS";
    ground.begin("t", goal, "", &[]);
    ground.wait("t").is_done();
    let events = ground.events("t");
    let failed: Vec<_> = events.iter().filter(|stored| stored.event.name() == "Retried").collect();
    assert_eq!(failed.len(), 1, "it was asked once more");

    // The control: who breaks it again and again fails, and its work is saved.
    let goal = "do: write made.txt x\ndo: run echo all done >> $MIDWATCH_OUTPUTS";
    ground.begin("u", goal, "", &[]);
    let told = ground.wait("u");
    told.is("Failed", Some("AgentFailed"), 3);
    let detail = told.result["detail"].as_str().unwrap();
    assert!(detail.contains("line 1") && detail.contains("refused"), "{detail}");
    assert!(told.result["rescueRef"].is_string(), "{}", told.result);
}
