//! Bases: made from the one before, remade after a power loss, and what is written over them.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use midwatch_api::order::base::{MADE_FILE, durable_file};
use midwatch_api::order::{Work, Workspace};
use midwatch_api::report::Ending;

use super::world::{World, as_everyone, read};

fn inode(base: &Path, name: &str) -> u64 {
    fs::symlink_metadata(base.join(name)).unwrap().ino()
}

/// git's word on a base, from a sandbox over it: every file is read again.
fn is_clean(world: &World, workspace: &Workspace) {
    let command = "git status --porcelain --ignored && git fsck --strict 2>&1 | grep -vE '^(notice|dangling)'; \
                   rm .git/index && git reset -q && git status --porcelain";
    let (report, folder) = world.check(workspace, command).finish();
    assert_eq!(report.ending, Ending::Exited { code: 0 }, "{report:#?}");
    assert_eq!(read(&folder, "stdout.log"), "");
}

/// A commit, and after it another in which every kind of thing became another.
fn two_commits(world: &World) -> [String; 2] {
    let source = world.source();
    for folder in ["kept", "folder", "gone"] {
        fs::create_dir(source.join(folder)).unwrap();
    }
    symlink("kept/a", source.join("link")).unwrap();
    symlink("kept/a", source.join("link-to-file")).unwrap();
    let first = world.commit(&[
        ("kept/a", "kept\n"),
        ("changed", "before\n"),
        ("script", "echo\n"),
        ("folder/inner", "x\n"),
        ("file", "x\n"),
        ("gone/inner", "x\n"),
    ]);
    for name in ["folder", "gone"] {
        fs::remove_dir_all(source.join(name)).unwrap();
    }
    for name in ["file", "link-to-file"] {
        fs::remove_file(source.join(name)).unwrap();
    }
    fs::set_permissions(source.join("script"), fs::Permissions::from_mode(0o755)).unwrap();
    let second = world.commit(&[
        ("changed", "after!\n"),
        ("folder", "a file\n"),
        ("file/inner", "a folder\n"),
        ("link-to-file", "a file\n"),
        ("new", "new\n"),
    ]);
    [first, second]
}

#[test]
fn a_base_begins_with_the_files_of_the_one_before() {
    as_everyone(|persona| {
        let world = World::new(persona);
        let [first, second] = two_commits(&world);
        let one = world.workspace(&first);
        let two = world.workspace(&second);
        for name in ["kept/a", "link"] {
            assert_eq!(inode(&one.base, name), inode(&two.base, name), "{name}");
        }
        for name in ["changed", "script", "folder", "file", "link-to-file"] {
            assert_ne!(inode(&one.base, name), inode(&two.base, name), "{name}");
        }
        assert_eq!(read(&one.base, "changed"), "before\n");
        assert_eq!(read(&two.base, "changed"), "after!\n");
        assert_eq!(read(&two.base, "link-to-file"), "a file\n");
        assert_eq!(read(&one.base, "kept/a"), "kept\n", "not written to through a link");
        assert!(!two.base.join("gone").exists() && two.base.join("file/inner").exists());
        // Either is what git says it is, and stays so when somebody writes over the other.
        let report = world.check(&two, "echo mine > kept/a; rm link; chmod 600 changed").report();
        assert_eq!(report.ending, Ending::Exited { code: 0 }, "{report:#?}");
        is_clean(&world, &one);
        is_clean(&world, &two);
    });
}

#[test]
fn a_change_in_a_workspace_on_a_linked_base_is_committed() {
    as_everyone(|persona| {
        let world = World::new(persona);
        let [first, second] = two_commits(&world);
        world.workspace(&first);
        let workspace = world.workspace(&second);
        // Of the same size, as soon as can be.
        let (report, folder) = world.agent(&workspace, "echo KEPT > kept/a").finish();
        assert_eq!(report.ending, Ending::Exited { code: 0 }, "{report:#?}");
        assert_eq!(world.changed(&folder.join("out/work.bundle"), &report), "kept/a");
    });
}

#[test]
fn a_base_that_a_power_loss_may_have_cut_off_is_made_again() {
    as_everyone(|persona| {
        let world = World::new(persona);
        let commit = world.commit(&[("a", "whole\n"), ("b", "b\n")]);
        let base = world.workspace(&commit).base;
        let made = read(&base, MADE_FILE);
        let again = || {
            let work = Work::Checkout {
                commit: commit.clone(),
                upstream: world.upstream(),
                base: base.clone(),
                workers: 0,
            };
            let report = world.order("checkout", work).report();
            assert_eq!(report.ending, Ending::Exited { code: 0 }, "{report:#?}");
            read(&base, "a")
        };
        fs::write(base.join("a"), "").unwrap();
        // The control: in the boot that made it, what is there is what was written.
        assert_eq!(again(), "");
        let earlier = made.replacen(made.split(' ').next().unwrap(), "another-boot", 1);
        fs::write(base.join(MADE_FILE), &earlier).unwrap();
        fs::write(durable_file(&base), &earlier).unwrap();
        assert_eq!(again(), "", "known to be on the disk: kept");
        fs::write(durable_file(&base), &made).unwrap();
        assert_eq!(again(), "whole\n", "what was on the disk was another base");
        assert_eq!(fs::read_dir(world.path("bases")).unwrap().count(), 2, "and nothing beside");
        // Nothing begins from such a base either.
        fs::write(base.join(MADE_FILE), "").unwrap();
        fs::write(base.join("b"), "").unwrap();
        let next = world.commit(&[("a", "next\n")]);
        assert_eq!(read(&world.workspace(&next).base, "b"), "b\n");
    });
}

#[test]
fn only_what_is_thrown_away_is_never_brought_to_the_disk() {
    as_everyone(|persona| {
        let world = World::new(persona);
        let commit = world.commit(&[("a", "a\n")]);
        let workspace = world.workspace(&commit);
        let count = "grep -cE 'overlay .*[,=]volatile' /proc/self/mountinfo";
        let overlays = "grep -c 'overlay ' /proc/self/mountinfo";
        let (_, folder) = world.check(&workspace, &format!("{overlays}; {count}")).finish();
        let said = read(&folder, "stdout.log");
        if said.starts_with('0') {
            println!("NOT RUN: there are no overlays for users here");
            return;
        }
        assert_eq!(said, "2\n2\n", "workspace and HOME of a check");
        let script = format!("{{ {overlays}; {count}; }} > seen; git add seen; cat seen >&2");
        let (report, folder) = world.agent(&workspace, &script).finish();
        assert_eq!(report.ending, Ending::Exited { code: 0 }, "{report:#?}");
        assert_eq!(read(&folder, "stderr.log"), "2\n0\n", "an agent's work and HOME stay");
    });
}
