//! What is kept of work that is not imported.

use std::path::{Path, PathBuf};

use midwatch_core::id::CommitId;
use midwatch_git::import::{ImportError, RescueOrder, checkpoint, keep_file, rescue};
use midwatch_git::mirror::kept_bundles;
use midwatch_git::worktree::open_alone;

use crate::sandbox::Sandbox;

/// What a bundle that git refuses is kept as.
const FILE: &str = "task-1-rescue.bundle";

/// Bundles everything behind the base, under the name that `order` reads.
fn bundle_all(sandbox: &Sandbox) -> PathBuf {
    let path = sandbox.out().join("rescue.bundle");
    let not_base = format!("^{}", sandbox.base);
    sandbox.git(&["bundle", "create", "-q", path.to_str().unwrap(), "--all", &not_base]);
    path
}

fn order<'a>(sandbox: &'a Sandbox, out: &'a Path) -> RescueOrder<'a> {
    RescueOrder {
        dir: out,
        name: "rescue.bundle",
        base: &sandbox.base,
        known: &[],
        bundle_bytes: 1 << 20,
    }
}

#[test]
fn everything_an_agent_left_is_rescued() {
    let sandbox = Sandbox::new();
    sandbox.write("a", "1\n");
    let one = sandbox.commit("one");
    sandbox.git(&["branch", "feature/x"]);
    sandbox.git(&["tag", "-a", "-m", "t", "v1"]);
    sandbox.git(&["tag", "a-tree", "HEAD^{tree}"]);
    sandbox.write("a", "2\n");
    let two = sandbox.commit("two");
    sandbox.write("a", "3\n");
    sandbox.git(&["stash", "-q"]);
    sandbox.git(&["update-ref", "refs/heads/odd;name", "HEAD"]);
    let path = bundle_all(&sandbox);
    let out = sandbox.out();
    let order = order(&sandbox, &out);
    let prefix = "refs/midwatch/rescue/task/3";
    let rescued = rescue(&sandbox.mirror, &order, prefix, FILE).unwrap();
    let at = |name: &str| {
        rescued
            .refs
            .iter()
            .find(|(n, _)| *n == format!("{prefix}/{name}"))
            .map(|(_, id)| id.clone())
    };
    assert_eq!(at("heads/feature/x"), Some(one.clone()));
    assert_eq!(at("tags/v1"), Some(one));
    assert!(at("stash").is_some(), "{rescued:?}");
    assert!(
        rescued.refs.iter().any(|(name, id)| name.contains("/ref-") && *id == two),
        "{rescued:?}"
    );
    // Read back from the store, again the same.
    assert_eq!(sandbox.mirror.work_refs(prefix).unwrap().len(), rescued.refs.len());
    assert_eq!(rescue(&sandbox.mirror, &order, prefix, FILE).unwrap(), rescued);
    let kept = keep_file(&sandbox.mirror, &order, "task-3.bundle").unwrap();
    assert_eq!(std::fs::read(kept).unwrap(), std::fs::read(path).unwrap());

    sandbox.bundle("HEAD");
    let order = RescueOrder { name: "work.bundle", ..order };
    let target = "refs/midwatch/checkpoint/task/3";
    assert_eq!(checkpoint(&sandbox.mirror, &order, target).unwrap(), two);
    assert_eq!(sandbox.mirror.work_ref(target).unwrap(), Some(two));
    sandbox.mirror.forget(target).unwrap();
    assert_eq!(sandbox.mirror.work_ref(target).unwrap(), None);
}

/// A commit that `git` makes only of force, and refuses to take: its date is beyond 2^63.
fn impossible(sandbox: &Sandbox, parent: &CommitId, tree: &str) -> CommitId {
    let who = "A <a@example.com> 99999999999999999999 +0000";
    let text =
        format!("tree {tree}\nparent {parent}\nauthor {who}\ncommitter {who}\n\nimpossible\n");
    CommitId::parse(sandbox.object("commit", text.as_bytes()).trim()).unwrap()
}

#[test]
fn what_git_reads_but_for_its_commits_is_rescued_as_trees() {
    let sandbox = Sandbox::new();
    sandbox.write("a", "1\n");
    let sound = sandbox.commit("sound");
    sandbox.write("a", "2\n");
    sandbox.git(&["add", "-A"]);
    let tree = sandbox.git(&["write-tree"]).trim().to_owned();
    let bad = impossible(&sandbox, &sound, &tree);
    let below = impossible(&sandbox, &bad, &tree);
    sandbox.git(&["update-ref", "refs/heads/bad", bad.as_str()]);
    sandbox.git(&["update-ref", "refs/rescue/snapshot", below.as_str()]);
    bundle_all(&sandbox);
    let out = sandbox.out();
    let order = order(&sandbox, &out);
    let prefix = "refs/midwatch/rescue/task/3";
    // Nothing is saved by halves: no ref says so before the commits are kept beside it.
    let folder = kept_bundles(sandbox.mirror.work().parent().unwrap());
    std::fs::write(&folder, "in the way").unwrap();
    rescue(&sandbox.mirror, &order, prefix, FILE).unwrap_err();
    assert_eq!(sandbox.mirror.work_refs(prefix).unwrap(), []);
    std::fs::remove_file(&folder).unwrap();
    let rescued = rescue(&sandbox.mirror, &order, prefix, FILE).unwrap();
    assert!(rescued.as_trees, "{rescued:?}");
    let name = format!("{prefix}/snapshot");
    let (_, commit) = rescued.refs.iter().find(|(at, _)| *at == name).unwrap();
    assert_ne!(*commit, below, "the commit itself stays outside");
    assert_eq!(sandbox.mirror.work_ref(&name).unwrap().as_ref(), Some(commit));
    let whole = std::fs::read(out.join("rescue.bundle")).unwrap();
    assert_eq!(std::fs::read(folder.join(FILE)).unwrap(), whole);
    let folder = sandbox.out().join("opened");
    open_alone(&sandbox.mirror, commit, &folder, None).unwrap();
    assert_eq!(std::fs::read_to_string(folder.join("a")).unwrap(), "2\n");
    let inside = |id: &CommitId| {
        let there = std::process::Command::new("git")
            .args(["cat-file", "-e", id.as_str()])
            .current_dir(sandbox.mirror.work())
            .output();
        there.unwrap().status.success()
    };
    assert!(inside(commit) && !inside(&bad) && !inside(&below));
    // Done again, it is the same; and the store is sound.
    assert_eq!(rescue(&sandbox.mirror, &order, prefix, FILE).unwrap(), rescued);
    let checked = std::process::Command::new("git")
        .args(["fsck", "--strict", "--no-dangling"])
        .current_dir(sandbox.mirror.work())
        .output()
        .unwrap();
    assert!(checked.status.success(), "{checked:?}");
}

#[test]
fn a_rescued_tree_stands_on_the_newest_commit_that_is_known() {
    let sandbox = Sandbox::new();
    sandbox.write("a", "1\n");
    let older = sandbox.commit("older");
    sandbox.write("a", "2\n");
    let newer = sandbox.commit("newer");
    bundle_all(&sandbox);
    let out = sandbox.out();
    let first = order(&sandbox, &out);
    rescue(&sandbox.mirror, &first, "refs/midwatch/rescue/task/1", FILE).unwrap();
    sandbox.write("a", "3\n");
    sandbox.git(&["add", "-A"]);
    let tree = sandbox.git(&["write-tree"]).trim().to_owned();
    let bad = impossible(&sandbox, &newer, &tree);
    sandbox.git(&["update-ref", "refs/rescue/snapshot", bad.as_str()]);
    bundle_all(&sandbox);
    let all = [sandbox.base.clone(), newer.clone(), older.clone()];
    // The control knows less.
    for (epoch, known, parent) in
        [(2, &all[..], newer), (3, &all[2..], older), (4, &[][..], sandbox.base.clone())]
    {
        let prefix = format!("refs/midwatch/rescue/task/{epoch}");
        let order = RescueOrder { known, ..order(&sandbox, &out) };
        let rescued = rescue(&sandbox.mirror, &order, &prefix, FILE).unwrap();
        let name = format!("{prefix}/snapshot");
        let (_, commit) = rescued.refs.iter().find(|(at, _)| *at == name).unwrap();
        let line = std::process::Command::new("git")
            .args(["rev-parse", &format!("{commit}^")])
            .current_dir(sandbox.mirror.work())
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&line.stdout).trim(), parent.as_str());
    }
}

#[test]
fn a_tree_that_git_refuses_is_no_rescue_whatever_its_commit_is() {
    let sandbox = Sandbox::new();
    let blob = sandbox.object("blob", b"x");
    for name in [&b".."[..], b".git", b"GIT~1/x"] {
        let harmless = sandbox.commit_raw_tree("100644", name, blob.trim());
        let tree = sandbox.git(&["rev-parse", &format!("{harmless}^{{tree}}")]).trim().to_owned();
        let head = impossible(&sandbox, &sandbox.base, &tree);
        sandbox.bundle(head.as_str());
        let out = sandbox.out();
        let order = RescueOrder {
            dir: &out,
            name: "work.bundle",
            base: &sandbox.base,
            known: &[],
            bundle_bytes: 1 << 20,
        };
        let refused = rescue(&sandbox.mirror, &order, "refs/midwatch/rescue/task/4", FILE);
        assert!(matches!(refused, Err(ImportError::Objects(_))), "{name:?}: {refused:?}");
    }
    assert_eq!(sandbox.mirror.work_refs("refs/midwatch/rescue").unwrap(), []);
}
