//! A profile and settings that change while a task runs: what was ordered holds to its end, what
//! is ordered next is new.

use rustix::process::Signal;

use super::gate::Gate;
use super::ground::Ground;

/// A profile whose agent sees a word in its environment.
fn profile(word: &str, ground: &Ground) -> String {
    let program = ground.house.folder("agent").join("scripted-agent");
    format!(
        "apiVersion: midwatch.dev/v1alpha1\nkind: AgentProfile\nmetadata: {{name: worded}}\n\
         spec: {{agent: custom, program: {}, egress: none, \
         custom: {{argv: [scripted-agent], env: {{WORD: {word}}}}}}}\n",
        program.display()
    )
}

#[test]
fn a_task_keeps_what_it_was_ordered_with_and_the_next_takes_what_is_new() {
    let ground = Ground::new();
    let gate = Gate::new();
    let server = ground.serve(&[]);
    let folder = ground.house.home().join(".config/midwatch/profiles");
    std::fs::create_dir_all(&folder).unwrap();
    let apply = |word: &str| {
        std::fs::write(folder.join("worded.yaml"), profile(word, &ground)).unwrap();
    };
    apply("old");
    let run = |name: &str, goal: &str| {
        let first = ["run", goal, "--profile", "worded", "--pipeline", "quick", "--name", name];
        let told = ground.midwatch(&[&first[..], &["--detach", "--check", "true"]].concat());
        assert_eq!(told.code, Some(0), "{}{}", told.stdout, told.stderr);
    };
    let goal = format!(
        "do@implement/1: run {}\ndo@implement/1: exit 7\ndo: run echo $WORD > word",
        gate.command()
    );
    run("before", &goal);
    gate.reached();
    apply("new");
    // Over a restart, too; and its second attempt begins after the change.
    server.kill();
    let _server = ground.serve(&[]);
    gate.open(Signal::TERM);
    ground.wait("before").is_done();
    assert_eq!(ground.story("before").runs("Agent").len(), 2);
    assert_eq!(ground.on_branch("midwatch/before", "word"), "old");
    // The control: the change is one.
    run("after", "do: run echo $WORD > word");
    ground.wait("after").is_done();
    assert_eq!(ground.on_branch("midwatch/after", "word"), "new");
}
