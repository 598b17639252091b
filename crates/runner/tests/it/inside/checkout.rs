//! Bases and commits on top of them.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use midwatch_runner::inside::carry_out;
use midwatch_runner::inside_order::{InsideOrder, Job};

use super::world::{World, line, sh};

#[test]
fn a_base_is_clean_detached_and_its_index_settled() {
    let world = World::new();
    let workspace = &world.places.workspace;
    assert_eq!(line(workspace, "git status --porcelain"), "");
    assert_eq!(line(workspace, "git rev-parse HEAD"), world.base);
    assert_eq!(line(workspace, "git branch --show-current"), "");
    // No entry is as new as the index: none has to be read again by the first status.
    let newer =
        "find . -path ./.git -prune -o -type f -newermt \"@$(stat -c %Y .git/index)\" -print";
    assert_eq!(line(workspace, newer), "");
}

/// Seconds of a file's time, as the index has it and as the disk has it.
fn seconds(workspace: &std::path::Path, file: &str) -> (String, String) {
    let said = line(workspace, &format!("git ls-files --debug {file} | grep mtime"));
    let index = said.trim().strip_prefix("mtime: ").unwrap().split(':').next().unwrap().to_owned();
    (index, line(workspace, &format!("stat -c %Y {file}")))
}

#[test]
fn no_later_change_of_a_base_can_hide_and_no_file_is_read_again() {
    for hash in ["sha1", "sha256"] {
        let world = World::of_format(hash);
        let workspace = &world.places.workspace;
        let status = "git status --porcelain";
        let (index, disk) = seconds(workspace, "README.md");
        assert_eq!(index, disk);
        assert!(index < line(workspace, "stat -c %Y .git/index"), "older than the index");
        sh(workspace, "git fsck --strict");
        // As soon as can be, of the same size.
        sh(workspace, "printf 'HELLO\nmore\n' > README.md");
        assert_eq!(line(workspace, status), "M README.md");
        // With its old time it looks like none: nothing but the time was looked at.
        sh(workspace, &format!("touch -d @{disk} README.md"));
        assert_eq!(line(workspace, status), "");
        // The control: where a file is as new as the index, it is read.
        sh(workspace, &format!("touch -d @{disk} .git/index"));
        assert_eq!(line(workspace, status), "M README.md");
    }
}

#[test]
fn control_an_index_that_is_only_made_newer_hides_a_change() {
    let world = World::new();
    let workspace = &world.places.workspace;
    // In the same second, which does not always succeed at once.
    let hidden = (0..50).any(|_| {
        let script = "rm -f README.md .git/index; git checkout -q -f HEAD -- .; \
                      touch -d @$(($(stat -c %Y README.md) + 1)) .git/index; \
                      printf 'HELLO\nmore\n' > README.md";
        sh(workspace, script);
        line(workspace, "git status --porcelain").is_empty()
    });
    assert!(hidden);
}

#[test]
fn a_commit_is_put_on_top_from_its_own_pack() {
    let world = World::new();
    sh(
        &world.upstream,
        "echo up > README.md; git rm -q dir/deep/file.txt; git commit -q -am third",
    );
    let commit = line(&world.upstream, "git rev-parse HEAD");
    let pack = world.folder.path().join("pack");
    let objects = pack.join("objects/pack");
    std::fs::create_dir_all(&objects).unwrap();
    let script = format!(
        "printf '{commit}\\n^{}\\n' | git pack-objects -q --revs {}/pack",
        world.base,
        objects.display()
    );
    sh(&world.upstream, &script);
    let job = Job::Prepare { pack: pack.clone(), commit: commit.clone() };
    assert_eq!(world.carry_out(job.clone()), 0);
    assert_eq!(line(&world.places.workspace, "git rev-parse HEAD"), commit);
    assert_eq!(line(&world.places.workspace, "cat README.md; git status --porcelain"), "up");
    assert!(!world.at("dir").exists());
    assert_eq!(world.carry_out(job), 0, "once more does no harm");
    let alternates = std::fs::read_to_string(world.at(".git/objects/info/alternates")).unwrap();
    assert_eq!(alternates.lines().count(), 1);
}

#[test]
fn a_commit_that_is_not_there_and_a_name_that_is_none_are_refused() {
    let world = World::new();
    let stop = Arc::new(AtomicBool::new(false));
    for commit in ["1111111111111111111111111111111111111111", "HEAD", "--help"] {
        let pack = world.folder.path().to_owned();
        let job = Job::Prepare { pack, commit: commit.to_owned() };
        let order = InsideOrder { forward: Vec::new(), job };
        let error = carry_out(&order, &world.places, &stop).unwrap_err().to_string();
        assert!(!error.contains('\n') || commit.len() == 40, "{error}");
    }
    assert_eq!(line(&world.places.workspace, "git rev-parse HEAD"), world.base);
}

#[test]
fn setup_ends_with_the_code_of_its_command() {
    let world = World::new();
    let setup = |command: &str| world.carry_out(Job::Setup { command: command.to_owned() });
    assert_eq!(setup("mkdir node_modules && echo d > node_modules/d"), 0);
    assert!(world.at("node_modules/d").exists());
    assert_eq!(setup("exit 4"), 4);
    assert_eq!(setup("kill -15 $$"), 143);
}

#[test]
fn an_order_is_read_from_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("inside.json");
    let setup = InsideOrder {
        forward: vec![(8787, "/midwatch/sockets/gateway.sock".into())],
        job: Job::Setup { command: "true".to_owned() },
    };
    std::fs::write(&file, serde_json::to_vec(&setup).unwrap()).unwrap();
    let read: InsideOrder = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(read, setup);
    std::fs::write(&file, "{").unwrap();
    assert_eq!(midwatch_runner::inside::main(&file), 199);
}

#[test]
fn a_repository_with_the_longer_hash_works_from_checkout_to_bundle() {
    for gone in ["", "rm -rf .git;"] {
        let world = World::of_format("sha256");
        let claim = world.agent(&format!("{gone} echo a > a"));
        let head = claim.head.unwrap();
        assert_eq!(head.len(), 64);
        let bundle = world.places.out.join("work.bundle");
        let fetch = format!("git fetch -q {} refs/midwatch/work:refs/heads/work", bundle.display());
        sh(&world.upstream, &fetch);
        assert_eq!(line(&world.upstream, "git rev-parse work"), head);
        assert_eq!(line(&world.upstream, "git show work:a"), "a");
        assert_eq!(line(&world.upstream, "git rev-parse work^"), world.base);
    }
}
