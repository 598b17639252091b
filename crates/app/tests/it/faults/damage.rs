//! What lies beside the database is damaged or gone: a mirror, and what an agent said.

use std::path::PathBuf;

use rustix::process::Signal;

use super::gate::Gate;
use super::ground::Ground;

#[test]
fn a_mirror_that_is_deleted_is_made_anew_and_the_task_goes_on() {
    let ground = Ground::new();
    let gate = Gate::new();
    let server = ground.serve(&[]);
    ground.begin("t", &format!("do: run {}\ndo: write made x", gate.command()), "", &[]);
    gate.reached();
    let mirrors = ground.state().root().join("mirrors");
    assert_eq!(std::fs::read_dir(&mirrors).unwrap().count(), 1);
    std::fs::remove_dir_all(&mirrors).unwrap();
    gate.open(Signal::TERM);
    ground.wait("t").is_done();
    assert_eq!(ground.on_branch("midwatch/t", "made"), "x");
    assert_eq!(std::fs::read_dir(&mirrors).unwrap().count(), 1, "it was made anew");
    drop(server);
}

#[test]
fn what_landed_is_shown_from_the_repository_when_the_mirror_is_deleted() {
    let ground = Ground::new();
    let _server = ground.serve(&[]);
    ground.begin("t", "do: write made x", "", &[]);
    ground.begin("failed", "do: write made x", "", &["--check", "test ! -e made"]);
    ground.wait("t").is_done();
    assert_eq!(ground.wait("failed").result["state"], "Failed");
    let mirrors = ground.state().root().join("mirrors");
    let diff = |task: &str| ground.midwatch(&["diff", task]);
    // The control: with the mirror there both are shown.
    for task in ["t", "failed"] {
        assert!(diff(task).stdout.contains("+x"), "{}", diff(task).stderr);
    }
    std::fs::remove_dir_all(&mirrors).unwrap();
    assert!(diff("t").stdout.contains("+x"), "{}", diff("t").stderr);
    std::fs::remove_dir_all(&mirrors).unwrap();
    let opened = ground.midwatch(&["open", "t"]);
    assert_eq!(opened.code, Some(0), "{}", opened.stderr);
    let folder = opened.of("opened")[0]["folder"].as_str().unwrap().to_owned();
    assert_eq!(std::fs::read_to_string(PathBuf::from(&folder).join("made")).unwrap(), "x\n");
    ground.house.git(&ground.repository, &["worktree", "remove", &folder]);

    // What only the mirror had is gone with it, and what no repository has any more.
    ground.house.git(&ground.repository, &["update-ref", "-d", "refs/midwatch/open/t"]);
    ground.house.git(&ground.repository, &["branch", "-D", "midwatch/t"]);
    ground.house.git(&ground.repository, &["reflog", "expire", "--expire=now", "--all"]);
    ground.house.git(&ground.repository, &["gc", "-q", "--prune=now"]);
    for task in ["t", "failed"] {
        std::fs::remove_dir_all(&mirrors).unwrap();
        for words in [&["diff", task][..], &["open", task]] {
            let refused = ground.midwatch(words);
            assert_eq!(refused.code, Some(2), "{words:?}: {}", refused.stderr);
            let said = refused.stderr;
            assert!(said.contains(&format!("the work of task {task} is not here")), "{said}");
            assert!(said.contains(&format!("`midwatch retry {task}`")), "{said}");
        }
    }
}

#[test]
fn a_follow_up_goes_on_from_what_landed_though_the_mirror_is_deleted() {
    let ground = Ground::new();
    let server = ground.serve(&[]);
    ground.begin("t", "do: write made one", "", &[]);
    ground.wait("t").is_done();
    let mirrors = ground.state().root().join("mirrors");
    let follow = |word: &str| {
        std::fs::remove_dir_all(&mirrors).unwrap();
        let said = ground.midwatch(&["message", "t", &format!("do: append made {word}")]);
        assert_eq!(said.code, Some(0), "{}", said.stderr);
    };
    follow("two");
    ground.wait("t-f2").is_done();
    assert_eq!(ground.on_branch("midwatch/t", "made"), "one\ntwo");
    // The control: where the branch went as well, there is nothing to make it from.
    ground.house.git(&ground.repository, &["branch", "-D", "midwatch/t"]);
    ground.house.git(&ground.repository, &["reflog", "expire", "--expire=now", "--all"]);
    ground.house.git(&ground.repository, &["gc", "-q", "--prune=now"]);
    follow("three");
    let told = ground.wait("t-f3");
    assert_eq!(told.result["state"], "Failed", "{}", told.result);
    let detail = told.result["detail"].as_str().unwrap();
    assert!(detail.contains("is lost") && detail.contains("submit the goal anew"), "{detail}");
    drop(server);
}

#[test]
fn a_damaged_transcript_says_what_is_missing_and_everything_else_goes_on() {
    let ground = Ground::new();
    let server = ground.serve(&[]);
    // More than one file of events.
    let goal = "do: say first-words\ndo: flood 9000000\ndo: say last-words\ndo: write made x";
    ground.begin("t", goal, "", &[]);
    let told = ground.wait("t");
    told.is_done();
    let folder = PathBuf::from(told.result["transcript"].as_str().unwrap());
    let files = ["events.jsonl", "events.1.jsonl"].map(|name| folder.join(name));
    assert!(files.iter().all(|file| file.exists()), "{}", folder.display());
    let logs = || ground.midwatch(&["logs", "t"]);
    // The control: whole, nothing is missing.
    let whole = logs();
    assert!(whole.stdout.contains("last-words"), "{}", whole.stdout);
    assert!(!whole.stderr.contains("missing") && !whole.stderr.contains("cannot be read"));
    let checked = ground.midwatch(&["logs", "t", "--check"]);
    assert!(!checked.stderr.contains("damaged"), "{}", checked.stderr);
    // What is not shown is not read, unless somebody asks for it.
    let mut middle = std::fs::read(&files[1]).unwrap();
    middle[100] ^= 1;
    std::fs::write(&files[1], &middle).unwrap();
    assert!(!logs().stderr.contains("damaged"));
    let checked = ground.midwatch(&["logs", "t", "--check"]);
    assert!(checked.stderr.contains("events.1.jsonl was changed"), "{}", checked.stderr);
    // Its last file is damaged, its first is gone.
    let last = (1..).map(|n| folder.join(format!("events.{n}.jsonl"))).take_while(|f| f.exists());
    let last = last.last().unwrap();
    let mut bytes = std::fs::read(&last).unwrap();
    let at = bytes.windows(10).position(|part| part == b"last-words").unwrap();
    bytes[at - 30..at].fill(0);
    std::fs::write(&last, bytes).unwrap();
    std::fs::remove_file(&files[0]).unwrap();
    let damaged = logs();
    assert_eq!(damaged.code, Some(0), "{}", damaged.stderr);
    assert!(damaged.stderr.contains("events.jsonl is missing"), "{}", damaged.stderr);
    assert!(damaged.stderr.contains("1 lines cannot be read"), "{}", damaged.stderr);
    assert!(damaged.stdout.contains("a line of sixty-four bytes"), "the rest is shown");
    assert!(!damaged.stdout.contains("last-words"));
    assert_eq!(ground.result("t")["state"], "Done");
    ground.begin("u", "do: write made x", "", &[]);
    ground.wait("u").is_done();
    drop(server);
}

#[test]
fn a_damaged_key_ends_for_good_and_one_that_cannot_be_read_does_not() {
    let ground = Ground::new();
    ground.state().make().unwrap();
    let key = ground.state().root().join("key");
    // Nobody can read what is no file, not even root.
    std::fs::create_dir(&key).unwrap();
    let unread = ground.midwatch(&["serve"]);
    assert_eq!(unread.code, Some(1), "systemd tries again: {}", unread.stderr);
    assert!(unread.stderr.contains("Is a directory"), "{}", unread.stderr);
    // The control: what another start cannot mend.
    std::fs::remove_dir(&key).unwrap();
    std::fs::write(&key, "short").unwrap();
    let damaged = ground.midwatch(&["serve"]);
    assert_eq!(damaged.code, Some(6), "{}", damaged.stderr);
    assert!(damaged.stderr.contains("is damaged: it has 5 bytes"), "{}", damaged.stderr);
}
