//! What an entry of the stash holds beside its own tree.

use midwatch_core::id::CommitId;
use midwatch_git::import::{RescueOrder, rescue};
use midwatch_git::{diff, stash};

use crate::sandbox::Sandbox;

/// Takes everything of the sandbox into the mirror, and answers where a ref of it stands.
fn taken(sandbox: &Sandbox, name: &str) -> CommitId {
    let out = sandbox.out();
    let path = out.join("rescue.bundle");
    let not_base = format!("^{}", sandbox.base);
    sandbox.git(&["bundle", "create", "-q", path.to_str().unwrap(), "--all", &not_base]);
    let order = RescueOrder {
        dir: &out,
        name: "rescue.bundle",
        base: &sandbox.base,
        known: &[],
        bundle_bytes: 1 << 20,
    };
    rescue(&sandbox.mirror, &order, "refs/midwatch/rescue/task/1", "task-1-rescue.bundle").unwrap();
    let name = format!("refs/midwatch/rescue/task/1/{name}");
    sandbox.mirror.work_ref(&name).unwrap().unwrap()
}

fn patch(sandbox: &Sandbox, commit: &CommitId) -> String {
    String::from_utf8(diff::patch(&sandbox.mirror, &sandbox.base, commit).unwrap()).unwrap()
}

#[test]
fn untracked_files_of_a_stash_are_shown_with_the_others() {
    let sandbox = Sandbox::new();
    sandbox.write("tracked", "1\n");
    sandbox.git(&["add", "tracked"]);
    sandbox.write("new", "untracked\n");
    sandbox.write("deep/new", "deep\n");
    sandbox.git(&["stash", "-q", "-u"]);
    let entry = taken(&sandbox, "stash");
    // The control: the entry alone has one of them.
    let alone = patch(&sandbox, &entry);
    assert!(alone.contains("+1") && !alone.contains("untracked"), "{alone}");
    let whole = stash::whole(&sandbox.mirror, &entry).unwrap();
    let shown = patch(&sandbox, &whole);
    for line in ["+1", "+untracked", "+deep"] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    assert_eq!(stash::whole(&sandbox.mirror, &entry).unwrap(), whole, "the same again");
    assert_eq!(stash::whole(&sandbox.mirror, &whole).unwrap(), whole);
}

/// What was untracked wins over what the entry tracks at the same place.
#[test]
fn a_place_that_both_have_is_the_untracked_ones() {
    let sandbox = Sandbox::new();
    sandbox.write("place", "tracked\n");
    sandbox.git(&["add", "place"]);
    let index = sandbox.git(&["write-tree"]);
    sandbox.git(&["rm", "-q", "--cached", "place"]);
    std::fs::remove_file(sandbox.repo().join("place")).unwrap();
    sandbox.write("place/below", "untracked\n");
    let tree = {
        sandbox.git(&["add", "-A"]);
        sandbox.git(&["write-tree"])
    };
    let base = sandbox.base.as_str();
    let made = |tree: &str, parents: &[&str]| {
        let parents = parents.iter().flat_map(|parent| ["-p", *parent]);
        let args: Vec<&str> = ["commit-tree", tree, "-m", "x"].into_iter().chain(parents).collect();
        sandbox.git(&args)
    };
    let (on_index, files) = (made(&index, &[base]), made(&tree, &[]));
    let entry = made(&index, &[base, &on_index, &files]);
    sandbox.git(&["update-ref", "refs/heads/entry", &entry]);
    let entry = taken(&sandbox, "heads/entry");
    let whole = stash::whole(&sandbox.mirror, &entry).unwrap();
    let shown = patch(&sandbox, &whole);
    assert!(shown.contains("place/below") && !shown.contains("+tracked"), "{shown}");
}

#[test]
fn what_is_no_such_entry_stays_what_it_is() {
    let sandbox = Sandbox::new();
    sandbox.write("tracked", "1\n");
    sandbox.git(&["add", "tracked"]);
    sandbox.git(&["stash", "-q"]);
    let base = sandbox.base.as_str();
    let tree = sandbox.git(&["rev-parse", "HEAD^{tree}"]);
    let side = sandbox.git(&["commit-tree", &tree, "-m", "side"]);
    let other = sandbox.git(&["commit-tree", &tree, "-m", "other"]);
    // Three parents, as somebody's own merge of unrelated histories has them.
    let parents = ["-p", base, "-p", &side, "-p", &other];
    let merge = sandbox.git(&[&["commit-tree", &tree, "-m", "merge"][..], &parents].concat());
    sandbox.git(&["update-ref", "refs/heads/merge", &merge]);
    for name in ["stash", "heads/merge"] {
        let commit = taken(&sandbox, name);
        assert_eq!(stash::whole(&sandbox.mirror, &commit).unwrap(), commit, "{name}");
    }
}
