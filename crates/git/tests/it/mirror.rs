//! Facts about a checkout, and fetching from it, with the checkout untouched.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use midwatch_core::id::CommitId;
use midwatch_git::inspect::{Change, Head, InspectError};
use midwatch_git::{Checkout, Mirror};

use crate::world::{World, photograph, write};

#[test]
fn a_checkout_is_known_and_fetched_without_a_trace() {
    let world = World::new();
    world.git_ok(&world.repo(), &["remote", "add", "origin", "https://h.example/o/r.git"]);
    world.write("README", "changed\n");
    world.write("new file", "x");
    std::fs::remove_file(world.repo().join("src/main.rs")).unwrap();
    let before = photograph(&world.repo(), &|_| false);

    let checkout = world.checkout();
    let head = checkout.head_commit(&world.git).unwrap();
    assert_eq!(checkout.head(&world.git).unwrap(), Head::Branch("main".into()));
    assert_eq!(checkout.origin(&world.git).unwrap().as_deref(), Some("https://h.example/o/r.git"));
    assert_eq!(checkout.resolve(&world.git, "main").unwrap(), head);
    assert_eq!(checkout.resolve(&world.git, head.short()).unwrap(), head);
    assert_eq!(checkout.supported(&world.git, &head).unwrap().files, 2);
    let dirty = checkout.dirty(&world.git, None).unwrap();
    let mut dirty: Vec<_> = dirty.iter().map(|f| (f.to_string(), f.change)).collect();
    dirty.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(
        dirty,
        [
            ("\"new file\"".to_owned(), Change::Untracked),
            ("README".to_owned(), Change::Modified),
            ("src/main.rs".to_owned(), Change::Deleted),
        ]
    );
    let mirror = world.mirror();
    mirror.fetch_local(&checkout, &head).unwrap();
    mirror.fetch_local(&checkout, &head).unwrap();
    assert!(mirror.has_upstream(&head).unwrap() && mirror.has(&head).unwrap());

    assert_eq!(photograph(&world.repo(), &|_| false), before);
}

/// Git renames a pack into its place, which ends at the border of a file system.
#[test]
fn a_repository_on_another_file_system_is_fetched_without_a_trace() {
    let world = World::new();
    let device = |path: &Path| path.metadata().map(|metadata| metadata.dev()).ok();
    let elsewhere = tempfile::tempdir_in("/dev/shm").ok();
    let elsewhere = elsewhere.filter(|folder| device(folder.path()) != device(world.path()));
    let Some(elsewhere) = elsewhere else {
        println!("NOT RUN: /dev/shm is no other file system here");
        return;
    };
    let before = photograph(&world.repo(), &|_| false);
    let head = world.head(&world.repo());
    let mirror = Mirror::open(&world.git, &elsewhere.path().join("mirror"), false).unwrap();
    mirror.fetch_local(&world.checkout(), &head).unwrap();
    assert!(mirror.has_upstream(&head).unwrap());
    assert_eq!(photograph(&world.repo(), &|_| false), before);
    // The control: git's own way, with the user's objects, does not get there.
    let pack = elsewhere.path().join("pack");
    let words = ["pack-objects", "--all", "-q", pack.to_str().unwrap()];
    let naive = world.naive(&world.repo(), &words);
    assert!(!naive.status.success(), "{naive:?}");
}

#[test]
fn a_file_changed_in_the_same_moment_as_the_index_is_seen() {
    let world = World::new();
    for round in 0..20 {
        world.write("README", &format!("a{round:03}\n"));
        world.commit("round");
        world.write("README", &format!("b{round:03}\n"));
        assert_eq!(world.checkout().dirty(&world.git, None).unwrap().len(), 1, "round {round}");
    }
}

#[test]
fn references_name_one_commit_or_get_a_clear_error() {
    let world = World::new();
    let checkout = world.checkout();
    world.git_ok(&world.repo(), &["tag", "both"]);
    world.write("README", "two\n");
    world.commit("second");
    world.git_ok(&world.repo(), &["branch", "both"]);
    for (reference, says) in [
        ("deadbee", "names no commit"),
        ("deadbeefdeadbeefdeadbeefdeadbeefdeadbeef", "names no commit"),
        ("no-such", "names no commit"),
        ("both", "ambiguous"),
        ("--upload-pack=x", "start with '-'"),
        ("-f", "start with '-'"),
        ("", "empty"),
        ("a\nb", "no reference"),
        ("HEAD:README", "names no commit"),
    ] {
        let error = checkout.resolve(&world.git, reference).unwrap_err().to_string();
        assert!(error.contains(says), "{reference:?}: {error}");
    }
    assert!(checkout.resolve(&world.git, "HEAD~1").is_ok());
    assert!(checkout.resolve(&world.git, "refs/tags/both").is_ok());
}

#[test]
fn what_is_not_supported_is_refused_with_a_sentence() {
    let world = World::new();
    let empty = world.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let none = Checkout::find(&world.git, &empty).unwrap_err();
    assert!(none.to_string().contains("is not in a git repository"), "{none}");
    world.git_ok(&empty, &["init", "-q"]);
    let unborn = Checkout::find(&world.git, &empty).unwrap().head_commit(&world.git).unwrap_err();
    assert!(matches!(unborn, InspectError::Empty), "{unborn}");

    let source = format!("file://{}", world.repo().display());
    world.git_ok(&world.repo(), &["config", "uploadpack.allowFilter", "true"]);
    world.git_ok(world.path(), &["clone", "-q", "--filter=blob:none", &source, "partial"]);
    let partial = Checkout::find(&world.git, &world.path().join("partial")).unwrap();
    let head = partial.head_commit(&world.git).unwrap();
    let error = partial.supported(&world.git, &head).unwrap_err();
    assert!(matches!(error, InspectError::Partial), "{error}");

    world.write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n");
    let lfs = world.commit("lfs");
    let error = world.checkout().supported(&world.git, &lfs).unwrap_err();
    assert!(matches!(error, InspectError::Lfs(_)), "{error}");

    world.git_ok(&world.repo(), &["rm", "-q", ".gitattributes"]);
    world.git_ok(
        &world.repo(),
        &["update-index", "--add", "--cacheinfo", &format!("160000,{lfs},sub")],
    );
    world.git_ok(&world.repo(), &["commit", "-q", "-m", "gitlink"]);
    let head = world.head(&world.repo());
    let error = world.checkout().supported(&world.git, &head).unwrap_err();
    assert!(matches!(error, InspectError::Submodules(_)), "{error}");
}

#[test]
fn shallow_detached_linked_and_sha256_repositories_work() {
    let world = World::new();
    world.write("README", "two\n");
    let second = world.commit("second");
    let source = format!("file://{}", world.repo().display());
    world.git_ok(world.path(), &["clone", "-q", "--depth", "1", &source, "shallow"]);
    let shallow = Checkout::find(&world.git, &world.path().join("shallow")).unwrap();
    assert_eq!(shallow.shallow().unwrap(), std::slice::from_ref(&second));
    let mirror = world.mirror();
    mirror.fetch_local(&shallow, &second).unwrap();
    assert_eq!(history(&world, &mirror, &second), 1);

    // The same commit is there already; another one from the whole repository brings history.
    world.write("README", "three\n");
    let third = world.commit("third");
    mirror.fetch_local(&world.checkout(), &third).unwrap();
    assert_eq!(history(&world, &mirror, &third), 3);
    assert!(!mirror.upstream().join("shallow").exists());

    world.git_ok(&world.repo(), &["worktree", "add", "-q", "--detach", "../linked", "HEAD~1"]);
    let linked = Checkout::find(&world.git, &world.path().join("linked/src")).unwrap();
    assert_eq!(linked.head(&world.git).unwrap(), Head::Detached);
    assert_eq!(linked.head_commit(&world.git).unwrap(), second);
    assert_eq!(linked.identity(), world.checkout().identity());
    assert!(linked.dirty(&world.git, None).unwrap().is_empty());

    let other = world.path().join("sha256");
    std::fs::create_dir(&other).unwrap();
    world.git_ok(&other, &["init", "-q", "--object-format=sha256"]);
    write(&other.join("a"), "a");
    world.git_ok(&other, &["add", "a"]);
    world.git_ok(&other, &["commit", "-q", "-m", "a"]);
    let checkout = Checkout::find(&world.git, &other).unwrap();
    assert!(checkout.is_sha256() && checkout.dirty(&world.git, None).unwrap().is_empty());
    let mirror = Mirror::open(&world.git, &world.path().join("mirror256"), true).unwrap();
    mirror.fetch_local(&checkout, &checkout.head_commit(&world.git).unwrap()).unwrap();
}

fn history(world: &World, mirror: &Mirror, commit: &CommitId) -> usize {
    world.git_ok(&mirror.upstream(), &["rev-list", "--count", commit.as_str()]).parse().unwrap()
}

#[test]
fn a_damaged_base_is_found_before_anything_stands_on_it() {
    let sandbox = crate::sandbox::Sandbox::new();
    sandbox.write("work", "w\n");
    sandbox.commit("work");
    sandbox.bundle("HEAD");
    let packs = sandbox.mirror.upstream().join("objects/pack");
    let pack = std::fs::read_dir(&packs)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|e| e == "pack"))
        .unwrap();
    let good = std::fs::read(&pack).unwrap();
    let mut bad = good.clone();
    let middle = bad.len() / 2;
    bad[middle] ^= 0xff;
    std::fs::remove_file(&pack).unwrap();
    std::fs::write(&pack, &bad).unwrap();
    let error = sandbox.import().unwrap_err();
    assert!(!error.is_bundles_fault(), "{error}");
    // The control: whole again, it is checked once, and not a second time.
    std::fs::write(&pack, &good).unwrap();
    sandbox.mirror.check_fetched().unwrap();
    assert_eq!(sandbox.imported().files, 1);
    std::fs::write(&pack, &bad).unwrap();
    sandbox.mirror.check_fetched().unwrap();
}

#[test]
fn what_a_power_loss_left_of_a_pack_is_fetched_again() {
    let world = World::new();
    let first = world.head(&world.repo());
    let mirror = world.mirror();
    mirror.fetch_local(&world.checkout(), &first).unwrap();
    world.write("README", "two\n");
    let second = world.commit("second");
    mirror.fetch_local(&world.checkout(), &second).unwrap();
    let marks = world.path().join("mirror/unchecked");
    let packs = mirror.upstream().join("objects/pack");
    let names = || -> Vec<_> {
        std::fs::read_dir(&marks).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    };
    assert_eq!(names().len(), 2);
    // The control: in the boot that wrote it, a pack is not looked at before an import.
    let damaged = packs.join(&names()[0]);
    let good = std::fs::read(&damaged).unwrap();
    std::fs::remove_file(&damaged).unwrap();
    std::fs::write(&damaged, &good[..good.len() / 2]).unwrap();
    world.mirror();
    assert!(damaged.exists());
    for name in names() {
        std::fs::write(marks.join(name), "").unwrap();
    }
    let mirror = world.mirror();
    assert!(!damaged.exists() && names().is_empty(), "the whole one is checked, the other gone");
    let both = [&first, &second];
    assert!(both.iter().any(|commit| !mirror.has_upstream(commit).unwrap()));
    for commit in both {
        mirror.fetch_local(&world.checkout(), commit).unwrap();
        assert!(mirror.has_upstream(commit).unwrap());
    }
    assert_eq!(history(&world, &mirror, &second), 2);
    mirror.check_fetched().unwrap();

    // Refs that came to the disk before their packs did.
    for entry in std::fs::read_dir(&packs).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    assert!(!mirror.has_upstream(&second).unwrap());
    mirror.fetch_local(&world.checkout(), &second).unwrap();
    assert_eq!(history(&world, &mirror, &second), 2);
}
