//! What sandboxes are given, and what is taken of a user's own checkout.

use std::os::unix::fs::PermissionsExt as _;

use midwatch_core::id::CommitId;

use crate::sandbox::Sandbox;
use crate::world::{World, write};

#[test]
fn packs_for_sandboxes_hold_what_is_asked_and_nothing_of_other_tasks() {
    let sandbox = Sandbox::new();
    sandbox.write("theirs", "t\n");
    sandbox.commit("another task");
    let other = sandbox.imported();
    sandbox.git(&["reset", "-q", "--hard", sandbox.base.as_str()]);
    sandbox.write("README", "two\n");
    sandbox.commit("work");
    let work = sandbox.imported();

    // As a runner puts them together: links to the base's packs, the commit's pack as alternate.
    midwatch_git::pack::pack_of(&sandbox.mirror, &work.base, &work.commit).unwrap();
    midwatch_git::pack::pack_of(&sandbox.mirror, &work.base, &work.commit).unwrap();
    let pack = sandbox.mirror.pack_dir(&work.commit).join("objects");
    for entry in std::fs::read_dir(pack.join("pack")).unwrap() {
        assert_eq!(entry.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o444);
    }
    let stores = [sandbox.mirror.base_store(&sandbox.base).join("objects"), pack];
    let git_dir = bound(&sandbox.world, &stores);
    let top = git_dir.parent().unwrap();
    sandbox.world.git_ok(top, &["checkout", "-q", "-f", "--detach", work.commit.as_str()]);
    assert_eq!(std::fs::read_to_string(top.join("README")).unwrap(), "two\n");
    assert_eq!(sandbox.world.git_ok(top, &["status", "--porcelain"]), "");
    let peek = sandbox.world.naive(top, &["cat-file", "-e", other.commit.as_str()]);
    assert!(!peek.status.success());
}

#[test]
fn a_snapshot_takes_uncommitted_work_and_leaves_no_trace() {
    let world = World::new();
    world.write("README", "changed\n");
    world.git_ok(&world.repo(), &["add", "README"]);
    world.write("README", "changed again\n");
    world.write("new/file", "x\n");
    world.write(".gitignore", "ignored\n");
    world.write("ignored", "i\n");
    std::fs::remove_file(world.repo().join("src/main.rs")).unwrap();
    std::os::unix::fs::symlink("README", world.repo().join("link")).unwrap();
    let nested = world.repo().join("nested");
    std::fs::create_dir(&nested).unwrap();
    world.git_ok(&nested, &["init", "-q"]);
    write(&nested.join("f"), "f");
    world.git_ok(&nested, &["add", "-A"]);
    world.git_ok(&nested, &["commit", "-q", "-m", "n"]);
    let before = crate::world::photograph(&world.repo(), &|_| false);

    let checkout = world.checkout();
    let mirror = world.mirror();
    let head = checkout.head_commit(&world.git).unwrap();
    mirror.fetch_local(&checkout, &head).unwrap();
    let take = || {
        let target = "refs/midwatch/snapshot/task";
        midwatch_git::snapshot::snapshot(&mirror, &checkout, None, target, 1_700_000_000).unwrap()
    };
    let snapshot = take();
    assert_eq!(take().commit, snapshot.commit);
    assert_eq!(crate::world::photograph(&world.repo(), &|_| false), before);
    assert_eq!(snapshot.head, head);
    assert_eq!(snapshot.nested.len(), 1);

    let store = mirror.work();
    let listed = world.git_ok(&store, &["ls-tree", "-r", "--name-only", snapshot.commit.as_str()]);
    assert_eq!(listed, ".gitignore\nREADME\nlink\nnew/file");
    let text = world.git_ok(&store, &["show", &format!("{}:README", snapshot.commit)]);
    assert_eq!(text, "changed again");
    let parent = world.git_ok(&store, &["rev-parse", &format!("{}^", snapshot.commit)]);
    assert_eq!(CommitId::parse(&parent).unwrap(), head);
    // Only this task's base gets it: upstream, which every sandbox sees, does not.
    assert!(!mirror.has_upstream(&snapshot.commit).unwrap());
    let git_dir = bound(&world, &[mirror.base_store(&snapshot.commit).join("objects")]);
    world.git_ok(git_dir.parent().unwrap(), &["checkout", "-q", snapshot.commit.as_str()]);
}

/// A git directory in a folder of its own that sees these stores and nothing else.
fn bound(world: &World, objects: &[std::path::PathBuf]) -> std::path::PathBuf {
    let top = world.path().join("bound");
    std::fs::create_dir(&top).unwrap();
    world.git_ok(&top, &["init", "-q"]);
    let lines: Vec<String> = objects.iter().map(|path| format!("{}\n", path.display())).collect();
    write(&top.join(".git/objects/info/alternates"), &lines.concat());
    top.join(".git")
}
