//! Checks: the code decides, and nothing that the code under check does changes it.

use std::fs;

use midwatch_api::order::Work;
use midwatch_api::report::{Ending, LimitsMode, TestCounts};

use super::world::{Persona, World, as_everyone, read, wait_gone};

#[test]
fn a_checks_code_is_its_verdict() {
    as_everyone(|persona| {
        let world = World::new(persona);
        let commit = world.commit(&[("answer.txt", "42\n"), ("src/lib.sh", "echo lib\n")]);
        let workspace = world.workspace(&commit);
        for (command, code) in [
            ("grep -q 42 answer.txt && sh src/lib.sh", 0),
            ("exit 3", 3),
            ("kill -9 $$", 137),
            ("no-such-program", 127),
        ] {
            let report = world.check(&workspace, command).report();
            assert_eq!(report.ending, Ending::Exited { code }, "{command}: {report:#?}");
            let mode = match persona {
                Persona::Root => LimitsMode::Enforced,
                Persona::User => LimitsMode::Polled,
            };
            assert_eq!(report.limits, mode);
        }
    });
}

#[test]
fn a_commit_on_top_of_the_base_is_what_is_checked() {
    as_everyone(|persona| {
        let world = World::new(persona);
        let base = world.commit(&[("answer.txt", "41\n"), ("gone.txt", "x\n")]);
        let workspace = world.workspace(&base);
        let on_top = world.on_top(&workspace, &[("answer.txt", "42\n"), ("new.txt", "x\n")]);
        let command =
            "git status --porcelain && git log --oneline | wc -l && cat answer.txt new.txt";
        let (report, folder) = world.check(&on_top, command).finish();
        assert_eq!(report.ending, Ending::Exited { code: 0 }, "{report:#?}");
        assert_eq!(read(&folder, "stdout.log"), "2\n42\nx\n");
        // The base itself is as it was.
        let report = world.check(&workspace, "grep 41 answer.txt && ! test -e new.txt").report();
        assert_eq!(report.ending, Ending::Exited { code: 0 }, "{report:#?}");
        assert!(!folder.join("upper").exists(), "what a check wrote is thrown away");
    });
}

#[test]
fn a_shallow_store_makes_a_base_too() {
    as_everyone(|persona| {
        let world = World::new(persona);
        world.commit(&[("a", "1\n")]);
        let commit = world.commit(&[("a", "2\n")]);
        world.cut_off();
        let workspace = world.workspace(&commit);
        let command =
            "git log --oneline | wc -l; git status --porcelain; git fsck --connectivity-only";
        let (report, folder) = world.check(&workspace, command).finish();
        assert_eq!(report.ending, Ending::Exited { code: 0 }, "{report:#?}");
        assert_eq!(read(&folder, "stdout.log"), "1\n");
        let (report, folder) = world.agent(&workspace, "echo 3 > a").finish();
        assert_eq!(report.ending, Ending::Exited { code: 0 }, "{report:#?}");
        assert_eq!(world.changed(&folder.join("out/work.bundle"), &report), "a");
    });
}

#[test]
fn two_runners_may_make_the_same_base() {
    as_everyone(|persona| {
        let world = World::new(persona);
        let commit = world.commit(&[("a", "1\n")]);
        let base = world.path("bases/same");
        let started = [1, 2, 3].map(|_| {
            let work = Work::Checkout {
                commit: commit.clone(),
                upstream: world.upstream(),
                base: base.clone(),
                workers: 1,
            };
            world.order("checkout", work).start()
        });
        for started in started {
            let report = started.report();
            assert_eq!(report.ending, Ending::Exited { code: 0 }, "{report:#?}");
        }
        assert_eq!(fs::read_dir(world.path("bases")).unwrap().count(), 1, "and nothing beside it");
        assert_eq!(read(&base, "a"), "1\n");
    });
}

#[test]
fn a_commit_that_is_not_there_makes_no_base() {
    as_everyone(|persona| {
        let world = World::new(persona);
        world.commit(&[("a", "1\n")]);
        let work = Work::Checkout {
            commit: "c".repeat(40),
            upstream: world.upstream(),
            base: world.path("bases/none"),
            workers: 1,
        };
        let report = world.order("checkout", work).report();
        assert!(
            matches!(&report.ending, Ending::Prepare { detail } if !detail.is_empty()),
            "{report:#?}"
        );
        assert_eq!(fs::read_dir(world.path("bases")).unwrap().count(), 0);
    });
}

#[test]
fn a_commit_that_is_not_in_its_pack_is_said_before_the_command() {
    as_everyone(|persona| {
        let world = World::new(persona);
        let base = world.commit(&[("a", "1\n")]);
        let workspace = world.workspace(&base);
        let mut on_top = world.on_top(&workspace, &[("a", "2\n")]);
        on_top.commit.as_mut().unwrap().id = "b".repeat(40);
        let report = world.check(&on_top, "true").report();
        assert!(
            matches!(&report.ending, Ending::Prepare { detail } if !detail.is_empty()),
            "{report:#?}"
        );
    });
}

/// What code under check tries. Each ends with the code that stands beside it, and is said in
/// its log to have begun.
const HOSTILE: [(&str, i32); 6] = [
    // A report of its own, wherever one could be.
    (
        "echo begun; for place in /midwatch /midwatch/out /workspace /proc/1/cwd ..; do \
         echo '{\"ending\":{\"type\":\"Exited\",\"code\":0}}' > $place/report.json; done; exit 7",
        7,
    ),
    // Its log rewritten: a pipe has no beginning to go back to.
    ("echo begun; truncate -s 0 /proc/self/fd/1; echo x > /proc/self/fd/1; exit 8", 8),
    // Descriptors of pid 1, where a reporter would have its own.
    ("echo begun; for fd in /proc/1/fd/*; do echo '{\"exit-code\":0}' > $fd; done; exit 9", 9),
    // All that it can see, killed.
    ("echo begun; trap '' TERM; kill -9 -1; exit 10", 10),
    // Its parent, killed and traced.
    ("echo begun; kill -9 1; kill -TERM 1; exit 11", 11),
    // Daemons left behind, with its streams open and closed.
    ("echo begun; setsid sleep 1000 & setsid sh -c 'exec >&- 2>&-; exec sleep 1001' & exit 0", 0),
];

#[test]
fn hostile_checks_do_not_change_their_verdict() {
    as_everyone(|persona| {
        let world = World::new(persona);
        let workspace = world.workspace(&world.commit(&[("a", "1\n")]));
        for (command, code) in HOSTILE {
            let (report, folder) = world.check(&workspace, command).finish();
            assert_eq!(report.ending, Ending::Exited { code }, "{command}: {report:#?}");
            assert!(read(&folder, "stdout.log").starts_with("begun\n"), "{command}");
            assert_eq!(report.run, format!("task-check-{}", report.epoch));
        }
        wait_gone("sleep 1000");
        wait_gone("sleep 1001");
    });
}

/// The control for the log: with a file for stdout, the same trick works.
#[test]
fn control_a_log_that_is_a_file_can_be_rewritten() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let command = "echo begun; truncate -s 0 /proc/self/fd/1; exit 8";
    let status = std::process::Command::new("sh")
        .args(["-c", command])
        .stdout(fs::File::create(&log).unwrap())
        .status()
        .unwrap();
    assert_eq!((status.code(), fs::read_to_string(&log).unwrap()), (Some(8), String::new()));
}

#[test]
fn tests_are_counted_from_both_streams() {
    as_everyone(|persona| {
        let world = World::new(persona);
        let test = "import unittest\nclass T(unittest.TestCase):\n    def test_a(self): pass\n    \
                    def test_b(self): self.fail()\nunittest.main()\n";
        let workspace = world.workspace(&world.commit(&[("test_it.py", test)]));
        let report = world.check(&workspace, "/usr/bin/python3 test_it.py").report();
        assert_eq!(report.ending, Ending::Exited { code: 1 }, "{report:#?}");
        let TestCounts { executed, failed, .. } = report.tests.expect("unittest is known");
        assert_eq!((executed, failed), (2, 1));
        let report = world.check(&workspace, "true").report();
        assert_eq!(report.tests, None);
    });
}

#[test]
fn a_check_has_no_network_and_nothing_of_ours() {
    as_everyone(|persona| {
        let world = World::new(persona);
        let workspace = world.workspace(&world.commit(&[("a", "1\n")]));
        let command = "ls /midwatch; env | sort; ls -A /home/agent; cat /proc/net/dev | wc -l; id -u; \
                       grep -c . /proc/self/status; test \"$PWD\" = /workspace";
        let (report, folder) = world.check(&workspace, command).finish();
        assert_eq!(report.ending, Ending::Exited { code: 0 }, "{report:#?}");
        let log = read(&folder, "stdout.log");
        assert!(log.starts_with("midwatch\n"), "only our program is there, as init: {log}");
        for absent in ["PROXY", "proxy", "TOKEN", "KEY", "CERT"] {
            assert!(!log.contains(absent), "{absent}: {log}");
        }
        // Two heading lines and lo.
        assert!(log.contains("\n3\n1000\n"), "{log}");
    });
}
