//! Talk with tasks, told through the front door: answers, approved plans, messages, pauses, and an
//! agent that turns in circles.

use std::path::{Path, PathBuf};

use crate::house::{House, Told};

const CHECK: [&str; 2] = ["--check", "test -f a.txt"];

fn repository(house: &House) -> PathBuf {
    house.repository("repo", &[("README", "hello\n"), ("a.txt", "a\n")])
}

#[test]
fn a_question_is_answered_and_nothing_is_changed() {
    let house = House::new();
    let repository = repository(&house);
    let profile = house.scripted(", egress: none");
    let goal = "do: write b.txt thrown away\ndo: say forty-two";
    let profile = profile.to_str().unwrap();
    let told = house.midwatch(
        &repository,
        &["run", goal, "--profile", profile, "--pipeline", "answer", "--no-check"],
    );
    told.is("Answered", None, 0);
    assert_eq!(told.result["detail"], "forty-two\n", "{}", told.result);
    assert_eq!(house.git(&repository, &["branch", "--list", "midwatch/*"]), "");
}

#[test]
fn an_answer_needs_no_check_and_keeps_its_lines() {
    let house = House::new();
    let repository = house.repository("repo", &[("notes", "hello\n")]);
    let profile = house.scripted(", egress: none");
    let goal = "do: say first line\ndo: say second line";
    let profile = profile.to_str().unwrap();
    let words = ["run", goal, "--profile", profile, "--pipeline", "answer", "--name", "t"];
    let told = house.midwatch(&repository, &words);
    told.is("Answered", None, 0);
    assert!(told.found("check").contains("changes nothing"), "{}", told.stdout);
    assert_eq!(told.result["detail"], "first line\nsecond line\n", "{}", told.result);
    let mut shown = house.command(env!("CARGO_BIN_EXE_midwatch"), &repository);
    let shown = shown.args(["wait", "t"]).output().unwrap().stdout;
    let shown = String::from_utf8(shown).unwrap();
    assert!(shown.contains("answer  first line\n            second line\n"), "{shown}");
    // What changes something is checked as before.
    let words = ["run", goal, "--profile", profile, "--pipeline", "quick"];
    let refused = house.midwatch(&repository, &words);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
}

#[test]
fn a_plan_with_a_question_waits_for_both_and_the_answer_reaches_the_work() {
    let house = House::new();
    let repository = repository(&house);
    let profile = house.scripted(", egress: none");
    let asks = r#"{"type":"question","id":"store","text":"Where?","choices":["file","table"]}"#;
    let approve = r#"{"type":"verdict","verdict":"approve"}"#;
    let goal = format!(
        "do@plan: run echo '{asks}' >> $MIDWATCH_OUTPUTS\ndo@plan: say the plan\n\
         do@implement: write b.txt x\ndo@review: say {approve}"
    );
    let profile = profile.to_str().unwrap();
    let first = ["run", &goal, "--profile", profile, "--pipeline", "approved-change"];
    let told = house.midwatch(&repository, &[&first[..], &["--name", "t"], &CHECK].concat());
    told.is("Held", Some("Approval"), 5);
    let detail = told.result["detail"].as_str().unwrap();
    assert!(detail.contains("store: Where? (file | table)"), "{detail}");
    let refused = house.midwatch(&repository, &["approve", "t"]);
    assert_eq!(refused.code, Some(2), "the question comes first: {}", refused.stderr);
    let refused = house.midwatch(&repository, &["answer", "t", "store", "cloud"]);
    assert_eq!(refused.code, Some(2), "that is no choice: {}", refused.stderr);
    assert_eq!(house.midwatch(&repository, &["answer", "t", "store", "file"]).code, Some(0));
    let shown = house.midwatch(&repository, &["describe", "t"]);
    assert!(
        shown.stdout.contains("\"plan\":\"the plan"),
        "what is approved is shown: {}",
        shown.stdout
    );
    let stale = house.midwatch(&repository, &["approve", "t", "--plan", "0123456789"]);
    assert_eq!(stale.code, Some(2), "another plan: {}", stale.stderr);
    assert_eq!(house.midwatch(&repository, &["approve", "t"]).code, Some(0));
    house.midwatch(&repository, &["wait", "t"]).is_done();
    approval_and_answer_are_told_afterwards(&house, &repository);
}

/// Who decided what about `t` can be read when it is over.
fn approval_and_answer_are_told_afterwards(house: &House, repository: &Path) {
    let told = house.midwatch(repository, &["logs", "-f", "t"]);
    let decided = |decision: &str| {
        let lines = told.of("decided");
        lines.into_iter().find(|line| line["decision"] == decision).cloned().unwrap_or_default()
    };
    let answered = decided("Answered");
    assert_eq!((&answered["id"], &answered["text"]), (&"store".into(), &"file".into()));
    let (approved, given) = (decided("Approved"), &told.result["approvals"][0]);
    for key in ["of", "id", "by"] {
        assert_eq!(approved[key], given[key], "{}", told.result);
    }
    assert_eq!((&given["of"], &given["atMs"]), (&"Plan".into(), &approved["atMs"]));
    assert!(given["by"].as_str().unwrap().contains("uid "), "{given}");
    for words in [["describe", "t"], ["explain", "t"]] {
        let mut shown = house.command(env!("CARGO_BIN_EXE_midwatch"), repository);
        let shown = String::from_utf8(shown.args(words).output().unwrap().stdout).unwrap();
        let row = format!("plan {} by ", &given["id"].as_str().unwrap()[..12]);
        assert!(
            shown.lines().any(|line| line.contains("approved") && line.contains(&row)),
            "{shown}"
        );
    }
}

#[test]
fn an_answer_is_shown_at_once_and_what_is_open_still_asked() {
    let house = House::new();
    let repository = repository(&house);
    let asks = [
        r#"{"type":"question","id":"store","text":"Where?","choices":["file","table"]}"#,
        r#"{"type":"question","id":"title","text":"Which title?"}"#,
    ];
    let asked: String =
        asks.map(|one| format!("do@plan: run echo '{one}' >> $MIDWATCH_OUTPUTS\n")).concat();
    let goal = format!("{asked}do@plan: say the plan\ndo@implement: write b.txt x");
    let profile = house.scripted(", egress: none");
    let first =
        ["run", &goal, "--profile", profile.to_str().unwrap(), "--pipeline", "approved-change"];
    let told = house.midwatch(&repository, &[&first[..], &["--name", "t"], &CHECK].concat());
    told.is("Held", Some("Approval"), 5);
    let hint = |told: &Told| told.result["hint"].as_str().unwrap().to_owned();
    assert!(hint(&told).contains("midwatch answer"), "{}", told.result);
    let answer = |question: &str, choice: &str| {
        let told = house.midwatch(&repository, &["answer", "t", question, choice]);
        assert_eq!(told.code, Some(0), "{}", told.stderr);
    };
    let explained = || {
        let told = house.midwatch(&repository, &["explain", "t"]);
        (told.lines[0]["explain"].as_str().unwrap().to_owned(), hint(&told))
    };
    answer("store", "file");
    let (text, hint) = explained();
    assert!(text.contains("store = file") && !text.contains("(file | table)"), "{text}");
    assert!(text.contains("title: Which title?") && hint.contains("midwatch answer"), "{text}");
    answer("title", "Night");
    let (text, hint) = explained();
    assert!(text.contains("title = Night") && !text.contains("Which title?"), "{text}");
    assert!(text.contains("waits for an approval"), "{text}");
    assert!(!hint.contains("midwatch answer") && hint.contains("midwatch approve"), "{hint}");
    let shown = house.midwatch(&repository, &["describe", "t"]);
    assert!(shown.stdout.contains("store = file"), "{}", shown.stdout);
}

#[test]
fn a_follow_up_goes_on_from_the_work_on_the_same_branch_and_the_task_before_stays() {
    let house = House::new();
    let repository = repository(&house);
    let told =
        house.run(&repository, "do: write b.txt one", &[&CHECK[..], &["--name", "t"]].concat());
    told.is_done();
    let before = told.result["commit"].as_str().unwrap().to_owned();
    let said = house.midwatch(&repository, &["message", "t", "do: append b.txt two"]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    let told = house.midwatch(&repository, &["wait", "t-f2"]);
    told.is_done();
    assert_eq!(told.result["branch"], "midwatch/t");
    assert_eq!(house.git(&repository, &["show", "midwatch/t:b.txt"]), "one\ntwo");
    let first = house.midwatch(&repository, &["wait", "t"]);
    first.is_done();
    assert_eq!(first.result["commit"], before.as_str(), "what is over stays as it is");
    let after = told.result["commit"].as_str().unwrap();
    let parent = house.git(&repository, &["rev-parse", &format!("{after}^")]);
    assert_eq!(parent, before, "the branch only grows");
    // Said to the first one again, it goes on from the newest, on top of that.
    let said = house.midwatch(&repository, &["message", "t", "do: append b.txt three"]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    let third = house.midwatch(&repository, &["wait", "t-f3"]);
    third.is_done();
    let parent = third.result["commit"].as_str().unwrap();
    assert_eq!(house.git(&repository, &["rev-parse", &format!("{parent}^")]), after);
    // Nothing done is no work, whatever was there before.
    let said = house.midwatch(&repository, &["message", "t", "do: run true"]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    house.midwatch(&repository, &["wait", "t-f4"]).is("Failed", Some("EmptyDiff"), 3);
    assert_eq!(house.git(&repository, &["rev-parse", "midwatch/t"]), parent);
    // A retry goes on from the same one, for as long as that is there.
    assert_eq!(house.midwatch(&repository, &["retry", "t-f4"]).code, Some(0));
    house.midwatch(&repository, &["wait", "t-f4-r2"]).is("Failed", Some("EmptyDiff"), 3);
    assert_eq!(house.midwatch(&repository, &["delete", "t-f3"]).code, Some(0));
    let said = house.midwatch(&repository, &["retry", "t-f4"]);
    assert_eq!(said.code, Some(2), "{}", said.stdout);
    for word in ["follows 't-f3' is no task any more", "`midwatch run --base BRANCH`"] {
        assert!(said.stderr.contains(word), "{}", said.stderr);
    }
}

/// What keeps an agent from going on is told as it said it, and the work goes on with a message
/// once somebody mended that.
#[test]
fn an_agent_that_is_blocked_says_why_and_a_message_goes_on_with_its_work() {
    let house = House::new();
    let repository = repository(&house);
    let blocked = r#"{"type":"blocked","why":"the token of the mirror is missing"}"#;
    let says = format!("do@implement/1: run echo '{blocked}' >> \"$MIDWATCH_OUTPUTS\"");
    let check = ["--check", "test -e README", "--name"];
    let goal = format!("do@implement/1: write half yes\n{says}");
    let told = house.run(&repository, &goal, &[&check[..], &["t"]].concat());
    told.is("Failed", Some("Blocked"), 3);
    let detail = told.result["detail"].as_str().unwrap();
    assert_eq!(detail, "the agent cannot go on: the token of the mirror is missing");
    assert!(told.result["hint"].as_str().unwrap().contains("midwatch message"), "{}", told.result);
    assert_eq!(told.runs("Agent").len(), 1, "nothing that is tried again mends it");
    assert!(told.result["rescueRef"].is_string(), "{}", told.result);
    let brief = house.midwatch(&repository, &["brief", "--since", "1h"]);
    let failed = &brief.of("brief")[0]["failed"][0]["result"];
    assert_eq!((&failed["task"], &failed["reason"]), (&"t".into(), &"Blocked".into()));
    let said = house.midwatch(&repository, &["message", "t", "do: write rest yes"]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    house.midwatch(&repository, &["wait", "t-f2"]).is_done();
    let branch = house.git(&repository, &["ls-tree", "--name-only", "midwatch/t"]);
    assert!(branch.contains("half") && branch.contains("rest"), "{branch}");
    // The control: without that word the same is done.
    let done = house.run(&repository, "do: write half yes", &[&check[..], &["u"]].concat());
    done.is_done();
}

#[test]
fn a_task_that_is_being_paused_may_be_resumed_at_once() {
    let house = House::new();
    let repository = repository(&house);
    for (name, whom) in [("one", "one"), ("all", "--all")] {
        // Hears no TERM at once: between the two commands it is still being stopped.
        let goal = format!(
            "do@implement/1: run trap '' TERM; echo > begun; sleep 3\ndo: write {name}.txt one"
        );
        let more = [&CHECK[..], &["--name", name, "--detach"]].concat();
        assert_eq!(house.run(&repository, &goal, &more).code, Some(0));
        let begun = || {
            let runs =
                std::fs::read_dir(house.state().join("runs")).into_iter().flatten().flatten();
            let mut ours = runs.filter(|run| run.file_name().to_string_lossy().starts_with(name));
            ours.any(|run| run.path().join("upper/upper/begun").exists())
        };
        assert!(crate::house::until(crate::house::LIMIT, begun));
        assert_eq!(house.midwatch(&repository, &["pause", whom]).code, Some(0));
        let resumed = house.midwatch(&repository, &["resume", whom]);
        assert_eq!(resumed.code, Some(0), "{}", resumed.stderr);
        house.midwatch(&repository, &["wait", name]).is_done();
    }
}

#[test]
fn everything_is_paused_and_goes_on_where_it_was() {
    let house = House::new();
    let repository = repository(&house);
    assert_eq!(house.midwatch(&repository, &["pause", "--all"]).code, Some(0));
    let more = [&CHECK[..], &["--name", "t", "--detach"]].concat();
    assert_eq!(house.run(&repository, "do: write b.txt one", &more).code, Some(0));
    let shown = house.midwatch(&repository, &["explain", "t"]);
    assert!(shown.stdout.contains("paused all tasks"), "{}", shown.stdout);
    assert_eq!(house.midwatch(&repository, &["resume", "--all"]).code, Some(0));
    house.midwatch(&repository, &["wait", "t"]).is_done();
}

#[test]
fn an_agent_that_turns_in_circles_is_stopped_and_begins_anew_with_the_finding() {
    let house = House::new();
    let repository = repository(&house);
    let program = house.folder("agent").join("scripted-agent");
    let custom = "{argv: [scripted-agent], mapping: {tool: /tool, text: /text}}";
    let profile = house.profile(
        "circles",
        &format!(
            "{{agent: custom, program: {}, custom: {custom}, egress: none, limits: {{loopRounds: 3}}}}",
            program.display()
        ),
    );
    let call = r#"echo '{"tool":"bash","in":"make"}'"#;
    let goal = format!(
        "do@implement/1: run for n in 1 2 3 4 5 6 7 8 9 10 11 12; do {call}; done; sleep 600\n\
         do@implement/2: write b.txt out of the circle"
    );
    let profile = profile.to_str().unwrap();
    let first = ["run", &goal, "--profile", profile, "--pipeline", "quick", "--name", "t"];
    let told = house.midwatch(&repository, &[&first[..], &CHECK].concat());
    told.is_done();
    let ended = told.of("runEnded").into_iter().find(|line| line["run"] == "t-implement-3");
    let detail = ended.and_then(|line| line["detail"].as_str()).unwrap_or_default();
    assert!(detail.starts_with("Looping: it did the same 9 times"), "{detail}");
}
