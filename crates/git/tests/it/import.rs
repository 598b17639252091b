//! Bundles of a sandbox: good ones become commits of ours, bad ones a reason.

use midwatch_core::id::CommitId;
use midwatch_git::diff;
use midwatch_git::gates::Rule;
use midwatch_git::import::{ImportError, ImportOutcome};

use crate::sandbox::{Sandbox, has};

#[test]
fn a_range_is_made_anew_by_us_and_is_the_same_each_time() {
    let sandbox = Sandbox::new();
    sandbox.write("README", "two\n");
    let agents = sandbox.commit("First step\n\nCo-authored-by: Boss <boss@example.com>\nfixes #1");
    sandbox.commit("nothing in it");
    sandbox.write("new", "x\n");
    sandbox.commit("Second step, @everyone");
    let work = sandbox.imported();

    assert_eq!((work.files, work.commits, work.empty), (2, 2, false));
    assert_eq!(work.diffstat, "2 files changed, 2 insertions(+), 1 deletion(-)");
    assert!(work.holds.is_empty() && work.check_definitions.is_empty());
    let store = sandbox.mirror.work();
    let log = sandbox.world.git_ok(
        &store,
        &[
            "log",
            "--reverse",
            "--format=%an <%ae> %cn %at %P|%B",
            &format!("{}..{}", work.base, work.commit),
        ],
    );
    assert_eq!(log.matches("Midwatch <midwatch@localhost> Midwatch").count(), 2, "{log}");
    assert!(log.contains("First step\n\nfixes # 1") && log.contains("@ everyone"), "{log}");
    assert!(!log.contains("boss"), "{log}");
    assert!(log.contains("1700000000") && log.contains("1700000001"), "{log}");
    // The ids that the sandbox gave end at the border.
    assert!(!sandbox.mirror.has(&agents).unwrap());
    assert_eq!(sandbox.imported().commit, work.commit);
    let patch = diff::patch(&sandbox.mirror, &work.base, &work.commit).unwrap();
    assert!(String::from_utf8(patch).unwrap().contains("+two"));
    sandbox.world.git_ok(&store, &["fsck", "--strict"]);
}

#[test]
fn merges_are_flattened_and_long_ranges_folded() {
    let mut sandbox = Sandbox::new();
    sandbox.git(&["checkout", "-q", "-b", "side"]);
    sandbox.write("side", "s\n");
    sandbox.commit("on the side");
    sandbox.git(&["checkout", "-q", "-"]);
    sandbox.write("main", "m\n");
    sandbox.commit("on the line");
    sandbox.git(&["merge", "-q", "--no-ff", "-m", "merged", "side"]);
    let work = sandbox.imported();
    assert_eq!((work.files, work.commits), (2, 2));
    let merges = sandbox
        .world
        .git_ok(&sandbox.mirror.work(), &["rev-list", "--merges", work.commit.as_str()]);
    assert_eq!(merges, "");

    for round in 0..6 {
        sandbox.write("count", &format!("{round}\n"));
        sandbox.commit("round");
    }
    sandbox.limits.kept_commits = 3;
    let folded = sandbox.imported();
    assert_eq!((folded.files, folded.commits), (3, 3));
    sandbox.limits.range_commits = 4;
    sandbox.bundle("HEAD");
    assert!(matches!(sandbox.import(), Err(ImportError::TooManyCommits(4))));
}

#[test]
fn work_that_changes_nothing_is_the_base() {
    let sandbox = Sandbox::new();
    sandbox.write("README", "two\n");
    sandbox.commit("there");
    sandbox.write("README", "hello\n");
    sandbox.commit("and back");
    let work = sandbox.imported();
    assert!(work.empty && work.files == 0 && work.diffstat.is_empty());
    assert_eq!(work.commit, sandbox.base);
}

#[test]
fn a_later_bundle_may_stand_on_earlier_work_of_the_same_task_only() {
    let sandbox = Sandbox::new();
    sandbox.write("README", "two\n");
    sandbox.commit("first");
    let first = sandbox.imported();
    // The next sandbox starts from what was imported.
    sandbox.git(&["fetch", "-q", sandbox.mirror.work().to_str().unwrap(), first.commit.as_str()]);
    sandbox.git(&["checkout", "-q", "-f", first.commit.as_str()]);
    sandbox.write("more", "x\n");
    sandbox.commit("second");
    let path = sandbox.out().join("work.bundle");
    sandbox.git(&["branch", "-f", "next"]);
    sandbox.git(&[
        "bundle",
        "create",
        "-q",
        path.to_str().unwrap(),
        &format!("{}..next", first.commit),
    ]);
    let stranger = sandbox.import();
    assert!(
        matches!(&stranger, Err(ImportError::UnknownPrerequisite(id)) if *id == first.commit),
        "{stranger:?}"
    );
    let known =
        sandbox.import_to("refs/midwatch/import/t/known", std::slice::from_ref(&first.commit));
    let Ok(ImportOutcome::Imported(second)) = known else { panic!("{known:?}") };
    assert_eq!((second.files, second.commits), (2, 2));
}

/// Row 85 of the bad inputs, row 81, and their neighbours.
#[test]
fn bad_bundles_get_their_reason() {
    let mut sandbox = Sandbox::new();
    sandbox.write("README", "two\n");
    let head = sandbox.commit("work");
    sandbox.bundle("HEAD");
    let path = sandbox.out().join("work.bundle");
    let good = std::fs::read(&path).unwrap();
    let says = |sandbox: &Sandbox, text: &str| {
        let error = sandbox.import().unwrap_err();
        assert!(error.is_bundles_fault(), "{error}");
        assert!(error.to_string().contains(text), "{error}");
    };

    std::fs::write(&path, &good[..good.len() - 30]).unwrap();
    says(&sandbox, "git refused");
    std::fs::write(&path, &good[..40]).unwrap();
    says(&sandbox, "cut off");
    std::fs::write(&path, b"").unwrap();
    says(&sandbox, "cut off");
    let mut odd = good.clone();
    let end = odd.len() - 1;
    odd[end] ^= 1;
    std::fs::write(&path, &odd).unwrap();
    says(&sandbox, "git refused");
    let text = String::from_utf8_lossy(&good).into_owned();
    let pack = &good[good.windows(4).position(|w| w == b"PACK").unwrap()..];
    let with_head = |lines: &str| [lines.as_bytes(), b"\n", pack].concat();
    std::fs::write(&path, with_head(&format!("# v2 git bundle\n-{} x\n", sandbox.base))).unwrap();
    says(&sandbox, "0 refs");
    std::fs::write(&path, with_head(&format!("# v2 git bundle\n{head} a\n{head} b\n"))).unwrap();
    says(&sandbox, "2 refs");
    let missing = "a".repeat(40);
    std::fs::write(&path, with_head(&format!("# v2 git bundle\n-{missing} x\n{head} b\n")))
        .unwrap();
    says(&sandbox, "not part of this task's base");
    std::fs::write(
        &path,
        with_head(&format!("# v2 git bundle\n-{} x\n{missing} b\n", sandbox.base)),
    )
    .unwrap();
    says(&sandbox, "is missing");
    std::fs::write(&path, text.replace("v2", "v9")).unwrap();
    says(&sandbox, "version 2 or 3");

    // A history of its own, and a tip that is no commit.
    sandbox.git(&["checkout", "-q", "--orphan", "island"]);
    sandbox.commit("island");
    sandbox.git(&["bundle", "create", "-q", path.to_str().unwrap(), "island"]);
    says(&sandbox, "does not descend");
    let tree = sandbox.git(&["rev-parse", "island^{tree}"]);
    let island = std::fs::read(&path).unwrap();
    let pack = &island[island.windows(4).position(|w| w == b"PACK").unwrap()..];
    std::fs::write(&path, [format!("# v2 git bundle\n{tree} t\n\n").as_bytes(), pack].concat())
        .unwrap();
    says(&sandbox, "does not descend");

    // Not a file at all.
    let elsewhere = sandbox.world.path().join("elsewhere");
    std::fs::write(&elsewhere, &good).unwrap();
    std::fs::remove_file(&path).unwrap();
    says(&sandbox, "there is no bundle");
    std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
    says(&sandbox, "not a regular file");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    says(&sandbox, "not a regular file");
    std::fs::remove_dir(&path).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    says(&sandbox, "not a regular file");
    std::fs::remove_file(&path).unwrap();

    std::fs::write(&path, &good).unwrap();
    sandbox.limits.bundle_bytes = 100;
    says(&sandbox, "100 at most");
    // The control: the same bundle, with nothing done to it, is taken.
    sandbox.limits.bundle_bytes = 1 << 20;
    assert!(matches!(sandbox.import(), Ok(ImportOutcome::Imported(_))));
}

#[test]
fn objects_of_another_task_cannot_be_taken_along_by_naming_them() {
    let sandbox = Sandbox::new();
    sandbox.write("secret-of-another-task", "theirs\n");
    sandbox.commit("another task's work");
    let other = sandbox.imported();
    let blob = sandbox.git(&["rev-parse", "HEAD:secret-of-another-task"]);
    sandbox.git(&["reset", "-q", "--hard", sandbox.base.as_str()]);
    // A pack that leaves the blob out, as a sandbox that only knows its id would make it.
    let commit = sandbox.commit_raw_tree("100644", b"stolen", &blob);
    let tree = sandbox.git(&["rev-parse", &format!("{commit}^{{tree}}")]);
    let pack = {
        use std::io::Write;
        let mut child = std::process::Command::new("git")
            .current_dir(sandbox.repo())
            .args(["pack-objects", "--stdout", "-q"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(format!("{commit}\n{tree}\n").as_bytes()).unwrap();
        child.wait_with_output().unwrap().stdout
    };
    let head = format!("# v2 git bundle\n-{} x\n{commit} refs/heads/x\n\n", sandbox.base);
    std::fs::write(sandbox.out().join("work.bundle"), [head.as_bytes(), &pack].concat()).unwrap();
    let error = sandbox.import().unwrap_err();
    assert!(matches!(error, ImportError::Objects(_)), "{error}");
    // The control: the store itself has the blob, and would have completed the tree.
    sandbox.world.git_ok(&sandbox.mirror.work(), &["cat-file", "-e", &blob]);
    // And who may stand on the other work may use it.
    let known = [other.commit.clone()];
    assert!(sandbox.import_to("refs/midwatch/import/t/own", &known).is_ok());
}

#[test]
fn a_second_round_stands_on_the_first_and_its_facts_are_about_both() {
    let mut sandbox = Sandbox::new();
    sandbox.write(".github/workflows/ci.yml", "on: push\n");
    sandbox.commit("first round");
    let first = sandbox.imported();
    sandbox.git(&["fetch", "-q", sandbox.mirror.work().to_str().unwrap(), first.commit.as_str()]);
    sandbox.git(&["checkout", "-q", "-f", first.commit.as_str()]);
    sandbox.write("more", "x\n");
    sandbox.commit("second round");
    sandbox.onto = Some(first.commit.clone());
    let second = sandbox.imported();
    assert_eq!((second.files, second.commits), (2, 2));
    assert_eq!(second.holds.len(), 1, "{:?}", second.holds);
    let parent = sandbox
        .world
        .git_ok(&sandbox.mirror.work(), &["rev-parse", &format!("{}^", second.commit)]);
    assert_eq!(CommitId::parse(&parent).unwrap(), first.commit);
    // Looked for later, the same is known.
    let again = midwatch_git::import::imported(
        &sandbox.mirror,
        &sandbox.base,
        &sandbox
            .mirror
            .work_refs("refs/midwatch/import")
            .unwrap()
            .iter()
            .find(|(_, id)| *id == second.commit)
            .unwrap()
            .0,
        sandbox.limits,
        &midwatch_git::gates::Scanner::new(&[]),
    );
    assert_eq!(again.unwrap(), Some(second));
}

#[test]
fn a_second_round_that_leaves_the_first_out_is_its_last_tree_on_top_of_it() {
    let mut sandbox = Sandbox::new();
    let fetch = |sandbox: &Sandbox, commit: &CommitId| {
        let store = sandbox.mirror.work();
        sandbox.git(&["fetch", "-q", store.to_str().unwrap(), commit.as_str()]);
        sandbox.git(&["checkout", "-q", "-f", commit.as_str()]);
    };
    sandbox.write("first", "1\n");
    sandbox.commit("first round");
    let first = sandbox.imported();
    sandbox.onto = Some(first.commit.clone());
    let seen = |sandbox: &Sandbox, message: &str| {
        let work = sandbox.imported();
        let store = sandbox.mirror.work();
        let git = |args: &[&str]| sandbox.world.git_ok(&store, args);
        let tip = git(&["log", "-1", "--format=%P %s", work.commit.as_str()]);
        assert_eq!(tip, format!("{} {message}", first.commit));
        assert_eq!(work.commits, 2);
        git(&["ls-tree", "--name-only", work.commit.as_str()])
    };
    fetch(&sandbox, &first.commit);
    sandbox.write("second", "2\n");
    sandbox.git(&["add", "-A"]);
    sandbox.git(&["commit", "-q", "--amend", "-m", "amended"]);
    assert_eq!(seen(&sandbox, "amended"), "README\nfirst\nsecond\nsrc");
    sandbox.git(&["checkout", "-q", "-f", sandbox.base.as_str()]);
    sandbox.write("aside", "x\n");
    sandbox.commit("one more");
    sandbox.write("other", "x\n");
    sandbox.commit("from the base");
    assert_eq!(seen(&sandbox, "from the base"), "README\naside\nother\nsrc");
    // Nothing but what it began with is that.
    sandbox.git(&["checkout", "-q", "-f", sandbox.base.as_str(), "--"]);
    sandbox.write("first", "1\n");
    sandbox.commit("the same");
    assert_eq!(sandbox.imported().commit, first.commit);

    // The gates see all of it: what the first round would have been refused for is refused here.
    sandbox.git(&["checkout", "-q", "-f", sandbox.base.as_str()]);
    sandbox.commit_entry("120000", "link", "/etc/passwd");
    assert!(has(&sandbox.refused("HEAD"), Rule::Link, "link"));
    // A history that does not even have the base is nobody's later round.
    sandbox.git(&["checkout", "-q", "--orphan", "island"]);
    sandbox.commit("island");
    let path = sandbox.out().join("work.bundle");
    sandbox.git(&["bundle", "create", "-q", path.to_str().unwrap(), "island"]);
    assert!(matches!(sandbox.import(), Err(ImportError::NotDescendant(_))));
}
