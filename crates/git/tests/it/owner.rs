//! Who we are and whose repository it is.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use midwatch_core::id::BranchName;
use midwatch_git::Checkout;
use midwatch_git::deliver::{Delivery, deliver};

use crate::sandbox::Sandbox;

/// Nobody's uid on an ordinary machine.
const SOMEBODY: u32 = 61998;

fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

#[test]
fn as_root_the_repository_of_somebody_else_stays_theirs() {
    if !is_root() {
        println!("NOT RUN: needs root to give a repository to somebody else");
        return;
    }
    let sandbox = Sandbox::new();
    let world = &sandbox.world;
    sandbox.write("work", "w\n");
    sandbox.commit("work");
    let work = sandbox.imported();
    std::fs::set_permissions(world.path(), PermissionsExt::from_mode(0o755)).unwrap();
    world.write("README", "dirty\n");
    give(&world.repo());
    let own = world.path().join("theirs");
    std::fs::create_dir(&own).unwrap();
    give(&own);

    let checkout = Checkout::find(&world.git, &world.repo()).unwrap();
    assert_eq!(checkout.dirty(&world.git, None).unwrap().len(), 1);
    let target = "refs/midwatch/snapshot/t";
    let taken = midwatch_git::snapshot::snapshot(&sandbox.mirror, &checkout, None, target, 1);
    assert_eq!(taken.unwrap().files.len(), 1);
    // A mirror that has nothing yet fetches as the owner.
    let fresh = midwatch_git::Mirror::open(&world.git, &world.path().join("fresh"), false).unwrap();
    fresh.fetch_local(&checkout, &sandbox.base).unwrap();
    fresh.check_fetched().unwrap();
    let branch = BranchName::parse("midwatch/t").unwrap();
    let delivery =
        Delivery { commit: &work.commit, branch: &branch, ours_at: None, protected: &[] };
    deliver(&sandbox.mirror, &checkout, &delivery).unwrap();
    let folder = own.join("opened");
    midwatch_git::worktree::open(&sandbox.mirror, &checkout, &work.commit, "t", &folder, None)
        .unwrap();
    for top in [world.repo(), own] {
        each(&top, &|path| {
            assert_eq!(path.symlink_metadata().unwrap().uid(), SOMEBODY, "{}", path.display());
        });
    }
    // The control: plain git as root leaves files that the owner cannot change.
    let repo = world.repo();
    let args = ["-c", "safe.directory=*", "hash-object", "-w", "/etc/hostname"];
    world.git_ok(&repo, &args);
    let foreign = std::cell::Cell::new(0);
    each(&repo, &|path| {
        if path.symlink_metadata().unwrap().uid() == 0 {
            foreign.set(foreign.get() + 1);
        }
    });
    assert!(foreign.get() > 0);
}

fn give(top: &Path) {
    std::os::unix::fs::lchown(top, Some(SOMEBODY), Some(SOMEBODY)).unwrap();
    each(top, &|path| {
        std::os::unix::fs::lchown(path, Some(SOMEBODY), Some(SOMEBODY)).unwrap();
    });
}

fn each(top: &Path, visit: &dyn Fn(&Path)) {
    for entry in std::fs::read_dir(top).unwrap() {
        let path = entry.unwrap().path();
        visit(&path);
        if path.symlink_metadata().unwrap().is_dir() {
            each(&path, visit);
        }
    }
}

#[test]
fn an_ordinary_user_can_do_the_same() {
    if !is_root() {
        println!("NOT RUN: this run is an ordinary user's already");
        return;
    }
    let output = Command::new("setpriv")
        .args([&format!("--reuid={SOMEBODY}"), &format!("--regid={SOMEBODY}"), "--clear-groups"])
        .arg(std::env::current_exe().unwrap())
        .args(["mirror::", "import::", "deliver::"])
        .current_dir("/")
        .env("HOME", "/nonexistent")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("test result: ok.") && !text.contains(" 0 passed"), "{text}");
}
