//! Whether the user's repository has work for good, asked of git.

use midwatch_core::id::CommitId;
use midwatch_publish::Git;
use midwatch_publish::saved::have_landed;

use crate::world::World;

#[test]
fn work_has_landed_when_refs_reach_all_of_it() {
    let world = World::new();
    let repo = world.repo();
    let git = |args: &[&str]| world.git(&repo, args);
    let made = |message: &str| {
        git(&["commit", "-q", "--allow-empty", "-m", message]);
        world.head(&repo)
    };
    let (older, newer) = (made("older"), made("newer"));
    // Of a release: no branch has it, a tag with a message has.
    git(&["checkout", "-q", "--detach"]);
    let tagged = made("tagged");
    git(&["tag", "-a", "-m", "t", "t"]);
    let tag = CommitId::parse(&git(&["rev-parse", "refs/tags/t"])).unwrap();
    let nowhere = made("nowhere");
    git(&["checkout", "-q", "main"]);
    let blob = CommitId::parse(&git(&["rev-parse", "HEAD:README"])).unwrap();
    let unknown = CommitId::parse(&"9".repeat(40)).unwrap();

    let found = Git::find().unwrap();
    let landed = |commits: &[&CommitId]| {
        let commits: Vec<CommitId> = commits.iter().map(|commit| (*commit).clone()).collect();
        have_landed(&found, &repo, &commits).unwrap()
    };
    assert!(landed(&[&older, &newer, &tagged, &tag]));
    for other in [&nowhere, &blob, &unknown] {
        assert!(!landed(&[other]), "{other}");
        assert!(!landed(&[&older, other, &newer]), "{other}");
    }
    // The control: with a ref it is there for good.
    git(&["update-ref", "refs/remotes/origin/x", nowhere.as_str()]);
    assert!(landed(&[&older, &nowhere]));
    assert!(have_landed(&found, world.path(), &[older]).is_err(), "there is no repository");
}
