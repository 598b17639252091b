//! Each limit ends a run with its own word, and without the limit the same command goes on.

use std::fs;
use std::time::Duration;

use midwatch_api::order::{EventMapping, Limits, Work};
use midwatch_api::report::{Ending, STDOUT_FILE};

use super::world::{World, as_everyone};

/// A command that goes over one limit and ends with 0 where there is none.
struct Story {
    command: &'static str,
    limit: fn(&mut Limits),
    ending: Ending,
}

/// Python, because a shell has no big allocations and no sparse waiting.
const EAT_MEMORY: &str = "/usr/bin/python3 -c 'import time
kept = [bytearray(1 << 20) for _ in range(200)]
time.sleep(2.5)'";

const MANY_PROCESSES: &str = "for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do \
                              sleep 2.5 & done; wait";

/// Half of it in the workspace, half of it in HOME, for longer than the disk is not looked at.
const WRITE: &str = "head -c 60000000 /dev/zero > big; head -c 60000000 /dev/zero > ~/big; \
                     sync; sleep 2.5";

fn stories() -> Vec<(&'static str, Story)> {
    vec![
        (
            "deadline",
            Story {
                command: "echo busy; sleep 3",
                limit: |limits| limits.wall_seconds = 2,
                ending: Ending::Deadline,
            },
        ),
        (
            "idle",
            Story {
                command: "echo begun; sleep 3",
                limit: |limits| limits.idle_seconds = 1,
                ending: Ending::Idle,
            },
        ),
        (
            "memory",
            Story {
                command: EAT_MEMORY,
                limit: |limits| limits.memory_bytes = 100 << 20,
                ending: Ending::OutOfMemory,
            },
        ),
        (
            "pids",
            Story {
                command: MANY_PROCESSES,
                limit: |limits| limits.pids = 12,
                ending: Ending::Pids,
            },
        ),
        (
            "disk",
            Story {
                command: WRITE,
                limit: |limits| limits.disk_bytes = 100_000_000,
                ending: Ending::Disk,
            },
        ),
        (
            "output",
            Story {
                command: "head -c 4000000 /dev/zero | tr '\\0' x; sleep 1",
                limit: |limits| limits.output_bytes = 100_000,
                ending: Ending::Output,
            },
        ),
    ]
}

fn tell(name: &str) {
    let (_, story) = stories().into_iter().find(|(found, _)| *found == name).unwrap();
    as_everyone(|persona| {
        let world = World::new(persona);
        let workspace = world.workspace(&world.commit(&[("a", "1\n")]));
        let limited = world.check(&workspace, story.command).limits(story.limit).start();
        let control = world.check(&workspace, story.command).start();
        let (limited, control) = (limited.report(), control.report());
        assert_eq!(limited.ending, story.ending, "{name}: {limited:#?}");
        assert_eq!(control.ending, Ending::Exited { code: 0 }, "{name}: {control:#?}");
    });
}

#[test]
fn the_wall_clock() {
    tell("deadline");
}

#[test]
fn no_progress() {
    tell("idle");
}

#[test]
fn memory() {
    tell("memory");
}

#[test]
fn processes() {
    tell("pids");
}

#[test]
fn disk() {
    tell("disk");
}

#[test]
fn output() {
    tell("output");
}

#[test]
fn output_that_goes_on_is_no_idleness() {
    as_everyone(|persona| {
        let world = World::new(persona);
        let workspace = world.workspace(&world.commit(&[("a", "1\n")]));
        let command = "for n in 1 2 3 4 5; do echo $n; sleep 0.5; done";
        let report =
            world.check(&workspace, command).limits(|limits| limits.idle_seconds = 1).report();
        assert_eq!(report.ending, Ending::Exited { code: 0 }, "{report:#?}");
    });
}

#[test]
fn much_output_is_kept_at_both_ends() {
    as_everyone(|persona| {
        let world = World::new(persona);
        let workspace = world.workspace(&world.commit(&[("a", "1\n")]));
        let command = "echo first; head -c 900000 /dev/zero | tr '\\0' x; echo; echo last; exit 4";
        let (report, folder) = world
            .check(&workspace, command)
            .limits(|limits| limits.output_bytes = 100_000)
            .finish();
        assert_eq!(report.ending, Ending::Exited { code: 4 }, "{:?}", report.ending);
        let log = fs::read(folder.join(STDOUT_FILE)).unwrap();
        assert!(log.starts_with(b"first\nxxx") && log.ends_with(b"x\nlast\n"));
        assert_eq!(report.dropped_bytes, 900_012 - 100_000 - (256 << 10));
        assert_eq!(report.tail.last().unwrap(), "last");
    });
}

#[test]
fn a_limit_goes_before_the_code_that_follows_it() {
    as_everyone(|persona| {
        let world = World::new(persona);
        let workspace = world.workspace(&world.commit(&[("a", "1\n")]));
        let command = "trap 'exit 0' TERM; while :; do sleep 0.1; done";
        let report =
            world.check(&workspace, command).limits(|limits| limits.wall_seconds = 2).report();
        assert_eq!(report.ending, Ending::Deadline);
        assert!(report.duration_ms < Duration::from_secs(4).as_millis().try_into().unwrap());
    });
}

#[test]
fn a_heartbeat_is_no_progress() {
    as_everyone(|persona| {
        let world = World::new(persona);
        let workspace = world.workspace(&world.commit(&[("a", "1\n")]));
        let ends =
            [("beat", Ending::Idle), ("text", Ending::Exited { code: 0 })].map(|(key, ending)| {
                let line = format!("{{\"{key}\":\"still here\"}}");
                let script = format!("for n in 1 2 3 4 5 6 7 8; do echo '{line}'; sleep 0.5; done");
                let started = world
                    .agent(&workspace, &script)
                    .limits(|limits| limits.idle_seconds = 2)
                    .with(|order| {
                        let Work::Agent { agent, home, .. } = &mut order.work else {
                            unreachable!()
                        };
                        *home = world.path("homes").join(key);
                        let mapping =
                            EventMapping { text: Some("/text".into()), ..EventMapping::default() };
                        agent.custom.as_mut().unwrap().mapping = Some(mapping);
                    })
                    .start();
                (started, ending)
            });
        for (started, ending) in ends {
            let report = started.report();
            assert_eq!(report.ending, ending, "{report:#?}");
        }
    });
}
