//! A branch in the user's repository, and at a remote.

use midwatch_core::id::{BranchName, CommitId};
use midwatch_git::Checkout;
use midwatch_git::deliver::{DeliverError, Delivery, deliver};

use crate::sandbox::Sandbox;
use crate::world::photograph;

fn branch(name: &str) -> BranchName {
    BranchName::parse(name).unwrap()
}

fn work(sandbox: &Sandbox, text: &str) -> CommitId {
    sandbox.write("work", text);
    sandbox.commit("work");
    sandbox.imported().commit
}

#[test]
fn a_branch_is_delivered_twice_and_nothing_else_changes() {
    let sandbox = Sandbox::new();
    let commit = work(&sandbox, "one\n");
    let repo = sandbox.world.repo();
    // Everything but the object store, our branch and its log.
    let skip = |path: &std::path::Path| {
        [".git/objects", ".git/refs/heads/midwatch", ".git/logs/refs/heads/midwatch"]
            .iter()
            .any(|ours| path.starts_with(ours))
    };
    let before = photograph(&repo, &skip);
    let checkout = sandbox.world.checkout();
    let name = branch("midwatch/task");
    let delivery =
        Delivery { commit: &commit, branch: &name, ours_at: None, protected: &[branch("main")] };
    for _ in 0..2 {
        assert_eq!(deliver(&sandbox.mirror, &checkout, &delivery).unwrap(), commit);
    }
    assert_eq!(photograph(&repo, &skip), before);
    assert_eq!(sandbox.world.git_ok(&repo, &["show", "midwatch/task:work"]), "one");
    sandbox.world.git_ok(&repo, &["fsck", "--strict"]);
}

/// Rows 20 and 21 of the bad inputs, and whose branch it is.
#[test]
fn only_a_branch_of_ours_may_move() {
    let sandbox = Sandbox::new();
    let first = work(&sandbox, "one\n");
    let second = work(&sandbox, "two\n");
    let checkout = sandbox.world.checkout();
    let repo = sandbox.world.repo();
    let (name, main) = (branch("midwatch/task"), branch("main"));
    let set = |commit: &CommitId, name: &BranchName, ours_at: Option<&CommitId>| {
        let delivery =
            Delivery { commit, branch: name, ours_at, protected: std::slice::from_ref(&main) };
        deliver(&sandbox.mirror, &checkout, &delivery)
    };
    assert!(matches!(set(&first, &main, None), Err(DeliverError::Protected(_))));
    set(&first, &name, None).unwrap();
    assert!(matches!(set(&second, &name, None), Err(DeliverError::NotOurs { .. })));
    set(&second, &name, Some(&first)).unwrap();
    // The user moves it: it is theirs now.
    sandbox.world.git_ok(&repo, &["branch", "-f", "midwatch/task", "main"]);
    assert!(matches!(set(&second, &name, Some(&first)), Err(DeliverError::NotOurs { .. })));
    // The control: a git that does not ask whose it is takes it from them.
    let theirs = || sandbox.world.git_ok(&repo, &["rev-parse", "midwatch/task"]);
    assert_eq!(theirs(), sandbox.base.as_str());
    let (from, refspec) = (sandbox.mirror.work(), format!("{second}:refs/heads/midwatch/task"));
    sandbox.world.git_ok(&from, &["push", "-q", "--force", repo.to_str().unwrap(), &refspec]);
    assert_eq!(theirs(), second.as_str());
    sandbox.world.git_ok(&repo, &["branch", "taken"]);
    for beside in ["taken/below", "midwatch"] {
        let error = set(&second, &branch(beside), None).unwrap_err();
        assert!(matches!(&error, DeliverError::Conflict { .. }), "{beside}: {error}");
    }
    sandbox.world.git_ok(&repo, &["branch", "-D", "taken"]);
    set(&second, &branch("taken/below"), None).unwrap();

    sandbox.world.git_ok(&repo, &["branch", "-f", "midwatch/task", first.as_str()]);
    sandbox.world.git_ok(&repo, &["worktree", "add", "-q", "../linked", "midwatch/task"]);
    assert!(matches!(set(&second, &name, Some(&first)), Err(DeliverError::CheckedOut(_))));
}

#[test]
fn shallow_and_bare_targets_work() {
    let sandbox = Sandbox::new();
    let commit = work(&sandbox, "one\n");
    let world = &sandbox.world;
    let source = format!("file://{}", world.repo().display());
    world.git_ok(world.path(), &["clone", "-q", "--bare", &source, "bare.git"]);
    world.git_ok(world.path(), &["clone", "-q", "--depth", "1", &source, "shallow"]);
    world.git_ok(world.path(), &["init", "-q", "--bare", "empty.git"]);
    let name = branch("midwatch/task");
    for target in ["bare.git", "shallow", "empty.git"] {
        let checkout = Checkout::find(&world.git, &world.path().join(target)).unwrap();
        let delivery = Delivery { commit: &commit, branch: &name, ours_at: None, protected: &[] };
        assert_eq!(deliver(&sandbox.mirror, &checkout, &delivery).unwrap(), commit, "{target}");
        world.git_ok(&world.path().join(target), &["fsck", "--strict"]);
    }
}

#[test]
fn a_result_is_opened_in_a_worktree() {
    let sandbox = Sandbox::new();
    let commit = work(&sandbox, "one\n");
    let folder = sandbox.world.path().join("opened");
    let checkout = sandbox.world.checkout();
    let open = |folder: &std::path::Path, umask| {
        midwatch_git::worktree::open(&sandbox.mirror, &checkout, &commit, "task", folder, umask)
    };
    open(&folder, Some(0o022)).unwrap();
    assert_eq!(std::fs::read_to_string(folder.join("work")).unwrap(), "one\n");
    assert_eq!(sandbox.world.head(&folder), commit);
    assert_eq!(sandbox.world.git_ok(&folder, &["status", "--porcelain"]), "");
    // Files for the user's own eyes where the user says so, and otherwise as in the repository.
    let mode = |path: &std::path::Path| {
        std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions()) & 0o777
    };
    let modes = |folder: &std::path::Path| (mode(folder), mode(&folder.join("work")));
    assert_eq!(modes(&folder), (0o755, 0o644));
    for (name, umask, expected) in
        [("private", Some(0o077), (0o700, 0o600)), ("shared", Some(0o002), (0o775, 0o664))]
    {
        let folder = sandbox.world.path().join(name);
        open(&folder, umask).unwrap();
        assert_eq!(modes(&folder), expected, "{name}");
    }
}
