//! JSON lines: every command, one shape, and a result at the end whatever happens.

use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::house::{House, RESULT_KEYS, Told, told, wait};

/// The page that says what the lines are.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/cli.md");

/// Every line has the keys of all, the last one is a whole result, and no other one is.
#[track_caller]
pub(super) fn is_whole(told: &Told, case: &str) {
    let page = std::fs::read_to_string(PAGE).unwrap();
    for line in told.lines.iter().chain([&told.result]) {
        let kind = line["type"].as_str().unwrap_or_else(|| panic!("{case}: no type in {line}"));
        assert!(page.contains(&format!("`{kind}`")), "{case}: {kind} is not in the reference");
        assert_eq!(line["version"], 1, "{case}: {line}");
        assert!(line.get("task").is_some(), "{case}: no task in {line}");
    }
    for line in &told.lines {
        assert!(line["seq"].is_u64() && line["type"] != "result", "{case}: {line}");
    }
    assert_eq!(told.result["type"], "result", "{case}: {}\n{}", told.stdout, told.stderr);
    for key in RESULT_KEYS {
        assert!(told.result.get(key).is_some(), "{case}: no {key} in {}", told.result);
        assert!(page.contains(&format!("`{key}`")), "{case}: {key} is not in the reference");
    }
}

#[test]
fn every_command_ends_in_one_whole_result() {
    let house = House::new();
    let repository = house.repository("repo", &[("README", "x\n")]);
    let check = ["--check", "test -e README", "--name", "one"];
    let ran = house.run(&repository, "do: append README more", &check);
    ran.is_done();
    is_whole(&ran, "run");
    let about: [(&[&str], i32, bool); 15] = [
        (&["get", "one"], 0, true),
        (&["describe", "one"], 0, true),
        (&["explain", "one"], 0, true),
        (&["wait", "one"], 0, true),
        (&["logs", "one"], 0, true),
        (&["logs", "-f", "one"], 0, true),
        (&["logs", "one", "--run", "one-implement-4"], 2, false),
        (&["diff", "one"], 0, true),
        (&["diff", "one", "--stat"], 0, true),
        (&["open", "one", "../opened"], 0, true),
        (&["open", "one", "../opened"], 2, false),
        (&["cancel", "one", "--now"], 2, false),
        (&["approve", "one"], 2, false),
        (&["reject", "one", "--feedback", "no"], 2, false),
        (&["resume", "one"], 2, false),
    ];
    for (words, code, asked_for) in about {
        let told = house.midwatch(&repository, words);
        is_whole(&told, &words.join(" "));
        assert_eq!((told.code, told.task()), (Some(code), "one"), "{words:?}: {}", told.stderr);
        if asked_for {
            assert_eq!(told.result, ran.result, "{words:?}");
        } else {
            assert!(told.result["state"].is_null(), "{words:?}: {}", told.result);
        }
    }
    let retried = house.midwatch(&repository, &["retry", "one"]);
    is_whole(&retried, "retry");
    assert_eq!(retried.task(), "one-r2");
    house.midwatch(&repository, &["wait", "one-r2"]).is_done();

    for words in [&["get", "runs", "one"][..], &["delete", "one-r2"]] {
        let told = house.midwatch(&repository, words);
        is_whole(&told, &words.join(" "));
        assert_eq!(told.code, Some(0), "{words:?}: {}", told.stderr);
    }
    let nobody: [(&[&str], i32); 19] = [
        (&["get"], 0),
        (&["get", "--limit", "1"], 0),
        (&["get", "--limit", "0"], 2),
        (&["get", "profiles"], 0),
        (&["get", "profile", "nobody"], 2),
        (&["brief"], 0),
        (&["gc", "--dry-run"], 0),
        (&["pause", "--all"], 0),
        (&["resume", "--all"], 0),
        (&["completions", "bash"], 0),
        (&["completions", "names"], 0),
        (&["install-service", "--print"], 0),
        (&["install-service", "--user"], 0),
        (&["delete", "profile", "nobody"], 2),
        (&["--help"], 0),
        (&["run", "--help"], 0),
        (&["--version"], 0),
        (&["reference"], 0),
        (&["run", "x", "--no-such-flag"], 2),
    ];
    for (words, code) in nobody {
        let told = house.midwatch(&repository, words);
        is_whole(&told, &words.join(" "));
        assert_eq!((told.code, told.task()), (Some(code), ""), "{words:?}: {}", told.stderr);
        assert_eq!(told.result["verified"], false);
    }
    let doctor = house.midwatch(&repository, &["doctor", "--offline"]);
    is_whole(&doctor, "doctor");
    assert!(!doctor.of("doctor").is_empty());
    let silent = house.midwatch(&repository, &[]);
    is_whole(&silent, "no command at all");
    assert_eq!(silent.code, Some(2));
}

#[test]
fn what_open_and_diff_tell_stands_in_lines_of_their_own() {
    let house = House::new();
    let repository = house.repository("repo", &[("README", "x\n")]);
    let check = ["--check", "test -e README", "--name", "one"];
    let ran = house.run(&repository, "do: append README more", &check);
    let commit = &ran.is_done().result["commit"];
    let opened = house.midwatch(&repository, &["open", "one"]);
    let line = opened.of("opened")[0];
    assert_eq!((&line["commit"], &line["from"]), (commit, &ran.result["branch"]));
    assert_eq!(line["folder"], format!("{}-one", repository.display()));
    let patch = house.midwatch(&repository, &["diff", "one"]);
    let line = patch.of("patch")[0];
    assert_eq!((&line["commit"], &line["base"]), (commit, &ran.result["base"]));
    assert!(line["text"].as_str().unwrap().contains("+more"), "{line}");
}

/// What `git apply` is given is what the task changed, whatever bytes its files have.
#[test]
fn a_raw_patch_is_applied_and_one_for_people_says_that_it_is_none() {
    let house = House::new();
    let repository = house.repository("repo", &[("README", "x\n")]);
    let check = ["--check", "test -e README", "--name", "odd"];
    let odd = r"do: run printf 'a\r\nb\033[31m\r\n' > dos && head -c 300 /dev/zero > binary";
    let ran = house.run(&repository, odd, &check);
    let commit = ran.is_done().result["commit"].as_str().unwrap().to_owned();
    let midwatch = |more: &str, applied: &str| {
        let mut command = house.command("sh", &repository);
        let program = env!("CARGO_BIN_EXE_midwatch");
        let text = format!("set -e; {program} diff odd {more} > p; git apply {applied} p");
        command.args(["-c", &text]).output().unwrap()
    };
    let escaped = midwatch("", "--check");
    assert!(!escaped.status.success(), "the control: what people read is no patch");
    let said = String::from_utf8_lossy(&escaped.stderr).into_owned();
    assert!(said.contains("--raw gives them as they are"), "{said}");
    let applied = midwatch("--raw", "--index");
    assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));
    let tree = house.git(&repository, &["write-tree"]);
    assert_eq!(tree, house.git(&repository, &["rev-parse", &format!("{commit}^{{tree}}")]));

    let check = ["--check", "test -e README", "--name", "latin"];
    house.run(&repository, r"do: run printf 'caf\351\n' > menu", &check).is_done();
    let refused = house.midwatch(&repository, &["diff", "latin", "--raw"]);
    assert_eq!(refused.code, Some(6), "{}", refused.stdout);
    assert!(refused.stderr.contains("no UTF-8"), "{}", refused.stderr);
}

/// A worktree is as the user's own files are, and the state folder stays closed.
#[test]
fn modes_of_a_worktree_are_the_users_own() {
    use std::os::unix::fs::PermissionsExt as _;
    let house = House::new();
    let repository = house.repository("repo", &[("README", "x\n")]);
    let check = ["--check", "test -e README", "--name", "one"];
    house.run(&repository, "do: append README more", &check).is_done();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    for (umask, folder, file) in [("022", 0o755, 0o644), ("077", 0o700, 0o600)] {
        let there = house.folder("open").join(umask);
        let mut command = house.command("sh", &repository);
        let program = env!("CARGO_BIN_EXE_midwatch");
        let text = format!("umask {umask}; exec {program} open one {}", there.display());
        assert!(command.args(["-c", &text]).stderr(Stdio::null()).status().unwrap().success());
        assert_eq!((mode(&there), mode(&there.join("README"))), (folder, file), "{umask}");
    }
    // What landed in the repository, too: a colleague who may read it can fetch the branch.
    let usual = mode(&repository.join(".git/refs/heads/main"));
    assert_eq!(mode(&repository.join(".git/refs/heads/midwatch/one")), usual);
    let packs = std::fs::read_dir(repository.join(".git/objects/pack")).unwrap().flatten();
    for pack in packs {
        assert_eq!(mode(&pack.path()), usual & 0o444, "{}", pack.path().display());
    }
    assert_eq!(mode(&house.state().join("midwatch.db")), 0o600);
}

/// A layer of dependencies that is there already is no run, and is said to be there.
#[test]
fn a_setup_that_was_done_before_is_told_as_such() {
    let house = House::new();
    let repository = house.repository("repo", &[("README", "x\n")]);
    let words = ["--check", "test -e README", "--setup", "mkdir -p node_modules/x"];
    let goal = "do: append README more";
    let first = house.run(&repository, goal, &words);
    first.is_done();
    assert_eq!(first.runs("Setup").len(), 1, "{}", first.stdout);
    assert!(first.stderr.contains("setup: mkdir -p node_modules/x"), "{}", first.stderr);

    let again = house.run(&repository, goal, &words);
    again.is_done();
    assert_eq!(again.runs("Setup"), [""; 0], "{}", again.stdout);
    let kept = |line: &&Value| line["type"] == "runEnded" && line["kept"] == true;
    assert_eq!(again.lines.iter().filter(kept).count(), 1, "{}", again.stdout);
    let listed = house.midwatch(&repository, &["get", again.task()]);
    let runs = listed.lines[0]["runs"].as_array().unwrap();
    assert!(runs.iter().all(|run| run["kind"] != "Setup"), "{runs:?}");
    // Told to people, who come later, in the same way.
    let program = env!("CARGO_BIN_EXE_midwatch");
    let mut command = house.command(program, &repository);
    let followed = command.args(["logs", "-f", again.task()]).output().unwrap();
    let said = String::from_utf8(followed.stderr).unwrap();
    assert!(said.contains("setup: kept from before"), "{said}");
    assert!(!said.contains("setup: mkdir"), "{said}");
}

#[test]
fn help_is_json_where_json_is_wanted_and_text_elsewhere() {
    let house = House::new();
    let folder = house.folder("anywhere");
    let told = house.midwatch(&folder, &["wait", "--help"]);
    assert!(told.of("help")[0]["text"].as_str().unwrap().contains("Waits for a task"));
    let mut command = house.command(env!("CARGO_BIN_EXE_midwatch"), &folder);
    let plain = command.args(["wait", "--help"]).stdout(Stdio::piped()).spawn().unwrap();
    let plain = wait(plain);
    assert!(String::from_utf8(plain.stdout).unwrap().starts_with("Waits for a task"));
    let mut command = house.command(env!("CARGO_BIN_EXE_midwatch"), &folder);
    command.args(["serve", "--output", "json", "--no-such-flag"]);
    let wrong = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    is_whole(&told_of(wrong), "serve");
}

fn told_of(child: std::process::Child) -> Told {
    told(wait(child))
}
