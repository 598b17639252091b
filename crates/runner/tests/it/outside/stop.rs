//! Ends from outside: asked for, insisted on, and by the runner's own death.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use midwatch_api::report::{Ending, REPORT_FILE, STOP_FILE};
use midwatch_api::segment::segment_name;
use rustix::process::{Pid, Signal, kill_process};

use super::world::{Started, World, as_everyone, open_up, process, read, wait_gone};

fn signal(started: &Started, signal: Signal) {
    let pid = Pid::from_raw(started.child.id().cast_signed()).unwrap();
    kill_process(pid, signal).unwrap();
}

#[test]
fn a_stop_is_a_file_or_a_signal_and_gives_time_to_save() {
    as_everyone(|persona| {
        let world = World::new(persona);
        let workspace = world.workspace(&world.commit(&[("a", "1\n")]));
        let script = "echo work > work.txt; echo begun; exec sleep 4242";
        for by_file in [true, false] {
            let mut started = world.agent(&workspace, script).start();
            started.until_printed("begun");
            if by_file {
                fs::write(started.folder.join(STOP_FILE), "").unwrap();
            } else {
                signal(&started, Signal::TERM);
            }
            let folder = started.folder.clone();
            let report = started.report();
            assert_eq!(report.ending, Ending::Stopped, "{report:#?}");
            // What was there is bundled all the same.
            assert!(report.claim.unwrap().head.is_some());
            assert!(folder.join("out/work.bundle").is_file());
            assert!(!report.agent.unwrap().completed);
        }
        wait_gone("sleep 4242");
    });
}

#[test]
fn who_ignores_term_is_killed_after_the_grace() {
    as_everyone(|persona| {
        let world = World::new(persona);
        let workspace = world.workspace(&world.commit(&[("a", "1\n")]));
        let command = "trap '' TERM; echo begun; while :; do sleep 0.1; done";
        let mut started =
            world.check(&workspace, command).limits(|limits| limits.grace_seconds = 1).start();
        started.until_printed("begun");
        let asked = Instant::now();
        fs::write(started.folder.join(STOP_FILE), "").unwrap();
        let report = started.report();
        assert_eq!(report.ending, Ending::Stopped);
        assert!(asked.elapsed() > Duration::from_millis(900), "{:?}", asked.elapsed());
        // An agent that ignores it: the inside kills it within the grace, and saves.
        let script = "trap '' TERM; echo work > work.txt; echo begun; while :; do sleep 0.1; done";
        let mut started = world.agent(&workspace, script).start();
        started.until_printed("begun");
        fs::write(started.folder.join(STOP_FILE), "").unwrap();
        let report = started.report();
        assert_eq!(report.ending, Ending::Stopped);
        assert!(report.claim.is_some_and(|claim| claim.head.is_some()));
    });
}

#[test]
fn a_second_signal_does_not_wait() {
    as_everyone(|persona| {
        let world = World::new(persona);
        let workspace = world.workspace(&world.commit(&[("a", "1\n")]));
        let command = "trap 'echo termed' TERM; echo begun; while :; do sleep 0.1; done";
        let mut started =
            world.check(&workspace, command).limits(|limits| limits.grace_seconds = 60).start();
        started.until_printed("begun");
        signal(&started, Signal::INT);
        started.until_printed("termed");
        signal(&started, Signal::TERM);
        let asked = Instant::now();
        assert_eq!(started.report().ending, Ending::Stopped);
        assert!(asked.elapsed() < Duration::from_secs(20));
    });
}

#[test]
fn a_killed_runner_leaves_no_process_and_no_mount() {
    as_everyone(|persona| {
        let world = World::new(persona);
        let workspace = world.workspace(&world.commit(&[("a", "1\n")]));
        let command = "setsid sleep 5151 & echo begun; exec sleep 5252";
        let mut started = world.check(&workspace, command).start();
        started.until_printed("begun");
        assert!(process("sleep 5151").is_some() && process("sleep 5252").is_some());
        started.child.kill().unwrap();
        started.child.wait().unwrap();
        wait_gone("sleep 5151");
        wait_gone("sleep 5252");
        wait_gone(started.folder.to_str().unwrap());
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let state = world.path("");
        assert!(!mounts.contains(state.to_str().unwrap().trim_end_matches('/')), "{mounts}");
        assert!(!started.folder.join(REPORT_FILE).exists());
        // And what it leaves can be removed, by whoever opens the kernel's scratch folders first.
        assert!(read(&started.folder, "stdout.log").contains("begun"));
        open_up(&started.folder);
        fs::remove_dir_all(&started.folder).unwrap();
    });
}

/// Where failures are: at the end.
#[test]
fn the_end_of_a_long_output_outlives_its_runner() {
    as_everyone(|persona| {
        let world = World::new(persona);
        let workspace = world.workspace(&world.commit(&[("a", "1\n")]));
        let command =
            "echo first; head -c 900000 /dev/zero | tr '\\0' x; echo; echo last; exec sleep 5353";
        let mut started =
            world.check(&workspace, command).limits(|limits| limits.output_bytes = 100_000).start();
        let whole = |folder: &Path| {
            (0..4).map(|n| read(folder, &segment_name("stdout.log", n))).collect::<String>()
        };
        started.until("the end", |folder| whole(folder).ends_with("x\nlast\n"));
        started.child.kill().unwrap();
        started.child.wait().unwrap();
        wait_gone("sleep 5353");
        let text = whole(&started.folder);
        assert!(text.starts_with("first\nxxx") && text.ends_with("x\nlast\n"));
        assert!(text.contains("\n[midwatch: ") && text.contains(" bytes dropped here]\n"));
        // The control: what is in the one file that there would be.
        assert!(!read(&started.folder, "stdout.log").contains("last"));
    });
}

#[test]
fn a_sandbox_that_is_killed_from_outside_has_its_own_word() {
    as_everyone(|persona| {
        let world = World::new(persona);
        let workspace = world.workspace(&world.commit(&[("a", "1\n")]));
        let mut started = world.check(&workspace, "echo begun; exec sleep 6161").start();
        started.until_printed("begun");
        let parent = started.child.id();
        let bubblewrap =
            fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap();
        let bubblewrap = bubblewrap.trim().parse().unwrap();
        kill_process(Pid::from_raw(bubblewrap).unwrap(), Signal::KILL).unwrap();
        assert!(matches!(started.report().ending, Ending::Lost { .. }));
        wait_gone("sleep 6161");
    });
}
