//! Work that no commit and no rescue can hold: it stays where it is, and everybody is told.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::ground::Ground;
use super::until;

/// More than a commit takes, and no byte on the disk.
const BIG: u64 = 300 << 20;

impl Ground {
    /// What `midwatch` says to people.
    fn says(&self, words: &[&str]) -> String {
        let output = self.command(env!("CARGO_BIN_EXE_midwatch")).args(words).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The workspace of a task's only run of an agent.
    fn workspace(&self, task: &str) -> PathBuf {
        let folder = |run: &Path| run.join("upper");
        let runs = std::fs::read_dir(self.state().root().join("runs")).unwrap().flatten();
        let mut runs = runs.map(|run| run.path());
        let name = format!("{task}-implement-");
        folder(&runs.find(|run| run.to_string_lossy().contains(&name)).unwrap())
    }
}

/// The one workspace that a result says is kept.
#[track_caller]
fn kept(result: &Value) -> (PathBuf, Value) {
    let kept = result["kept"].as_array().unwrap();
    assert_eq!(kept.len(), 1, "{result}");
    (kept[0]["folder"].as_str().unwrap().into(), kept[0]["files"].clone())
}

#[test]
fn a_file_too_big_for_a_commit_stays_until_somebody_takes_it() {
    let ground = Ground::new();
    let _server = ground.serve(&[]);
    let goal = format!("do: run truncate -s {BIG} core\ndo: write made x");
    ground.begin("big", &goal, "", &[]);
    ground.begin("failed", &format!("{goal}\ndo: exit 7"), "", &[]);
    ground.begin("alone", &format!("do: run truncate -s {BIG} core"), "", &[]);
    // The control: without such a file nothing stays.
    ground.begin("small", "do: write made x", "", &[]);
    let done = ground.wait("big");
    done.is_done();
    ground.wait("failed").is("Failed", Some("AgentFailed"), 3);
    let alone = ground.wait("alone");
    alone.is("Failed", Some("EmptyDiff"), 3);
    assert!(alone.result["detail"].as_str().unwrap().contains("too big"), "{}", alone.result);
    assert_eq!(kept(&alone.result).1[0]["path"], "core");
    let small = ground.wait("small");
    small.is_done();
    assert_eq!(small.result["kept"], serde_json::json!([]));
    until("the workspace to go", || !ground.workspace("small").exists());

    for told in [&done.result, &ground.result("big")] {
        let (folder, files) = kept(told);
        assert_eq!(files, serde_json::json!([{"path": "core", "bytes": BIG}]));
        assert_eq!(folder.join("core").metadata().unwrap().len(), BIG);
    }
    let failed = ground.result("failed");
    assert!(failed["rescueRef"].is_string(), "what fits is saved: {failed}");
    for kept in failed["kept"].as_array().unwrap() {
        let folder = Path::new(kept["folder"].as_str().unwrap());
        assert_eq!(folder.join("core").metadata().unwrap().len(), BIG);
    }
    assert!(!failed["kept"].as_array().unwrap().is_empty(), "{failed}");
    for words in [&["explain", "big"][..], &["describe", "big"], &["brief"], &["wait", "big"]] {
        let said = ground.says(words).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains("core (300 MiB) is in no commit"), "{words:?}: {said}");
    }

    let (folder, _) = kept(&done.result);
    let collected = ground.midwatch(&["gc", "--older-than", "0s"]);
    let named = &collected.of("gc")[0]["kept"];
    assert!(named.to_string().contains("core is in no commit"), "{named}");
    assert!(folder.join("core").exists());
    std::fs::remove_file(folder.join("core")).unwrap();
    ground.midwatch(&["gc", "--older-than", "0s"]);
    assert!(!folder.exists(), "somebody has it now");
    assert_eq!(ground.result("big")["kept"], serde_json::json!([]));
}

/// A build's output that no `.gitignore` names is 30 MiB, which git would take and no gate does.
#[test]
fn a_build_that_nobody_ignored_fails_no_task_and_one_that_was_committed_does() {
    let ground = Ground::new();
    let _server = ground.serve(&[]);
    let built = "truncate -s 30M built.bin";
    ground.begin("left", &format!("do: run {built}\ndo: write made x"), "", &[]);
    ground.begin("staged", &format!("do: run {built}; echo x > made; git add -A"), "", &[]);
    let again =
        "do@implement/1: write half x\ndo@implement/1: exit 7\ndo@implement/2: write made x";
    ground.begin("again", &format!("do: run {built}\n{again}"), "", &[]);
    let commit = "git add -A; git commit -q -m built";
    ground.begin("committed", &format!("do: run {built}; {commit}"), "", &[]);
    let branch = |task: &str| {
        let args = ["ls-tree", "-r", "--name-only", &format!("midwatch/{task}")];
        ground.house.git(&ground.repository, &args)
    };
    for task in ["left", "staged"] {
        let done = ground.wait(task);
        done.is_done();
        let files = branch(task);
        assert!(files.contains("made") && !files.contains("built.bin"), "{files}");
        let (folder, files) = kept(&done.result);
        assert_eq!(files, serde_json::json!([{"path": "built.bin", "bytes": 30 << 20}]));
        assert_eq!(folder.join("built.bin").metadata().unwrap().len(), 30 << 20);
        let said = ground.says(&["explain", task]);
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains("built.bin (30 MiB) is in no commit"), "{said}");
    }
    // What goes on from a rescue does not go on with what no gate lets through.
    ground.wait("again").is_done();
    let files = branch("again");
    assert!(files.contains("half") && files.contains("made"), "{files}");
    assert!(!files.contains("built.bin"), "{files}");
    // What the agent committed is its change, and is judged as one.
    let refused = ground.wait("committed");
    refused.is("Failed", Some("ProtectedPath"), 3);
    assert!(refused.result.to_string().contains("built.bin: too large"), "{}", refused.result);
}

/// 30 folders in each other with names of 200 letters: no call of the system takes the path.
const DEEP: &str = "n=$(printf %0200d 0); a=a; for i in $(seq 15); do a=$a/$n; done; \
    mkdir -p $a; cp -r a b; echo leaf > b${a#a}/leaf; mv b $a/b";

#[test]
fn a_path_that_is_too_long_is_named_and_its_workspace_stays() {
    let ground = Ground::new();
    let _server = ground.serve(&[]);
    let begin = |name: &str, script: &str| {
        ground.begin(name, &format!("do: run {script}; echo x > made"), "", &[]);
    };
    begin("deep", DEEP);
    // The control: half of it.
    begin("half", &DEEP.replace("; mv b $a/b", ""));
    let deep = ground.wait("deep");
    deep.is_done();
    assert_eq!(ground.on_branch("midwatch/deep", "made"), "x");
    let (folder, files) = kept(&deep.result);
    assert_eq!(files.as_array().unwrap().len(), 1, "{files}");
    assert!(files[0]["path"].as_str().unwrap().starts_with("\"a/000"), "{files}");
    assert!(folder.join("a").is_dir());
    let half = ground.wait("half");
    half.is_done();
    assert_eq!(half.result["kept"], serde_json::json!([]));
    assert!(half.result["diffstat"].as_str().unwrap().contains("2 files"), "{}", half.result);
}

/// Commits a tree with a date beyond 2^63, which git makes only by force.
const IMPOSSIBLE: &str = "echo 2 > file; git add file; who='A <a@example.com> 99999999999999999999 \
    +0000'; printf 'tree %s\\nparent %s\\nauthor %s\\ncommitter %s\\n\\nx\\n' $(git write-tree) \
    $(git rev-parse HEAD) \"$who\" \"$who\" > ~/commit; git reset -q --hard $(git hash-object \
    -t commit -w --literally ~/commit)";
/// A branch with a name that no file may have.
const ODD: &str = "tree=$(printf '100644 blob %s\\t.GIT\\n' $(echo x | git hash-object -w --stdin) \
    | git mktree); git branch odd $(git commit-tree $tree -p HEAD -m odd); echo 2 > file";

#[test]
fn a_rescue_that_git_refuses_is_opened_as_files_or_told_with_its_place() {
    let ground = Ground::new();
    let _server = ground.serve(&[]);
    ground.begin("date", &format!("do: run {IMPOSSIBLE}\ndo: exit 7"), "", &[]);
    ground.begin("tree", &format!("do: run {ODD}\ndo: exit 7"), "", &[]);
    ground.wait("date").is("Failed", Some("AgentFailed"), 3);
    assert!(ground.log().contains("saved without its commits"), "{}", ground.log());
    let opened = ground.midwatch(&["open", "date"]);
    assert_eq!(opened.code, Some(0), "{}", opened.stderr);
    let folder = opened.of("opened")[0]["folder"].as_str().unwrap().to_owned();
    assert_eq!(std::fs::read_to_string(Path::new(&folder).join("file")).unwrap(), "2\n");

    let told = ground.wait("tree");
    told.is("Failed", Some("AgentFailed"), 3);
    let file = told.result["rescueRef"].as_str().unwrap();
    let refused = ground.midwatch(&["open", "tree"]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(
        refused.stderr.contains(file) && refused.stderr.contains("fetch"),
        "{}",
        refused.stderr
    );
    // What it says to do gives the work.
    let copy = ground.house.folder("copy");
    let repository = ground.repository.to_str().unwrap();
    ground.house.git(&copy, &["clone", "-q", repository, "."]);
    ground.house.git(&copy, &["fetch", "-q", file, "refs/*:refs/saved/*"]);
    let work = ground.house.git(&copy, &["show", "refs/saved/rescue/snapshot:file"]);
    assert_eq!(work.trim(), "2");
}

#[test]
fn a_folder_that_nobody_can_make_is_refused_with_what_to_do() {
    let ground = Ground::new();
    let _server = ground.serve(&[]);
    ground.begin("t", "do: write made x", "", &[]);
    ground.wait("t").is_done();
    let closed = ground.house.folder("closed");
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o555)).unwrap();
    let mut places = vec![ground.repository.join("README/x"), "/proc/opened".into()];
    if rustix::process::geteuid().is_root() {
        crate::house::tell("NOT RUN: root may write to a folder without permissions");
    } else {
        places.push(closed.join("x"));
        places.push(closed.join("deep/x"));
    }
    for place in places {
        let place = place.to_str().unwrap();
        let refused = ground.midwatch(&["open", "t", place]);
        assert_eq!(refused.code, Some(2), "{place}: {}", refused.stderr);
        assert!(refused.stderr.contains(place), "{}", refused.stderr);
        assert!(refused.stderr.contains("midwatch open t FOLDER"), "{}", refused.stderr);
    }
    // The control: where somebody may write, folders on the way there are made.
    let folder = ground.house.folder("open").join("deep/x");
    let opened = ground.midwatch(&["open", "t", folder.to_str().unwrap()]);
    assert_eq!(opened.code, Some(0), "{}", opened.stderr);
    assert_eq!(std::fs::read_to_string(folder.join("made")).unwrap().trim(), "x");
}

/// A repository of the agent's own with one commit.
const NESTED: &str = "mkdir made && cd made && git init -q && echo m > m && git add m \
    && git -c user.name=A -c user.email=a@example.com commit -q -m mine";

#[test]
fn what_a_deleted_task_left_is_freed_once_somebody_took_it() {
    let ground = Ground::new();
    let _server = ground.serve(&[]);
    let odd = format!("do: run truncate -s {BIG} \"$(printf 'core\\ndump')\"");
    ground.begin("t", &format!("do: run {NESTED}\n{odd}\ndo: write made/x x"), "", &[]);
    let done = ground.wait("t");
    done.is_done();
    let (folder, files) = kept(&done.result);
    let history = ".git/midwatch-set-aside/0-made.git";
    let odd = serde_json::json!({"path": "\"core\\ndump\"", "bytes": BIG});
    let mut told = files.as_array().unwrap().clone();
    told.sort_by_key(|file| file["bytes"].as_u64());
    assert_eq!(told, [serde_json::json!({"path": history, "bytes": 0}), odd]);
    let log = ["--git-dir", history, "log", "--format=%s"];
    assert_eq!(ground.house.git(&folder, &log).trim(), "mine");

    let deleted = ground.midwatch(&["delete", "t"]);
    assert_eq!(deleted.code, Some(0), "{}", deleted.stderr);
    assert!(deleted.lines[0]["kept"].to_string().contains("is in no commit"), "{}", deleted.stdout);
    std::fs::remove_file(folder.join("core\ndump")).unwrap();
    // The control: one of the two is still the only place of something.
    let stays = ground.midwatch(&["gc", "--older-than", "0s"]);
    assert!(stays.of("gc")[0]["kept"].to_string().contains(history), "{}", stays.stdout);
    assert!(stays.of("gc")[0]["gone"].to_string().contains("on refs of its own"), "its branch");
    assert!(folder.join(history).exists());
    std::fs::remove_dir_all(folder.join(history)).unwrap();
    let dry = ground.midwatch(&["gc", "--older-than", "0s", "--dry-run"]);
    assert!(folder.exists());
    let real = ground.midwatch(&["gc", "--older-than", "0s"]);
    let of_it = |told: &crate::house::Told| {
        let gone = told.of("gc")[0]["gone"].as_array().unwrap().clone();
        gone.into_iter().filter(|gone| gone["name"] == "t").collect::<Vec<_>>()
    };
    assert_eq!(of_it(&dry), of_it(&real));
    assert_eq!(of_it(&real).len(), 1, "its last run: {}", real.stdout);
    assert!(!folder.exists());

    // Its branch is the user's now, who is told what to do where it is in the way.
    let taken = ground.submit("u", "do: write y y", "", &["--branch", "midwatch/t"]);
    assert_eq!(taken.code, Some(2), "{}", taken.stderr);
    assert!(taken.stderr.contains("`git branch -D midwatch/t`"), "{}", taken.stderr);
}
