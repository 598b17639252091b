//! A clock that is set while a run goes on: its deadline keeps its length.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use midwatch_api::report::Ending;

use super::world::{World, as_everyone};

const DAY: i64 = 86_400;

/// Goes on for longer than a deadline of four seconds, and for much less than one of thirty.
const WORKS: &str = "echo begun; sleep 6";

/// The library that moves a runner's clocks, where there is a compiler for it.
fn library() -> Option<&'static Path> {
    static LIBRARY: OnceLock<Option<(tempfile::TempDir, PathBuf)>> = OnceLock::new();
    let made = LIBRARY.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .unwrap();
        let (source, library) = (folder.path().join("clock.c"), folder.path().join("clock.so"));
        fs::write(&source, include_str!("clock.c")).unwrap();
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source);
        compiler.status().is_ok_and(|done| done.success()).then_some((folder, library))
    });
    if made.is_none() {
        println!("NOT RUN: there is no C compiler");
    }
    made.as_ref().map(|(_, library)| library.as_path())
}

/// How a run with this deadline ends whose clocks are moved as soon as it works: the wall clock,
/// and the one that nobody can set.
fn ending(world: &World, name: &str, seconds: u64, moved: [i64; 2]) -> Option<Ending> {
    let library = library()?;
    let path = world.path(name);
    fs::write(&path, [0; 16]).unwrap();
    let clocks = File::options().write(true).open(&path).unwrap();
    let workspace = world.workspace(&world.commit(&[("a", "1\n")]));
    let mut started = world
        .check(&workspace, WORKS)
        .limits(|limits| limits.wall_seconds = seconds)
        .variable("LD_PRELOAD", library)
        .variable("CLOCK_MOVED", &path)
        .start();
    started.until_printed("begun");
    clocks.write_all_at(&moved.map(i64::to_ne_bytes).concat(), 0).unwrap();
    // Any program that is shown them alike tells the time that was set.
    let mut date = Command::new("date");
    let said = date.arg("+%s").env("LD_PRELOAD", library).env("CLOCK_MOVED", &path).output();
    let said = String::from_utf8(said.unwrap().stdout).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let off = said.trim().parse::<i64>().unwrap() - i64::try_from(now).unwrap();
    assert!((off - moved[0]).abs() < DAY / 2, "{off} for {moved:?}");
    Some(started.report().ending)
}

const DONE: Ending = Ending::Exited { code: 0 };

#[test]
fn a_deadline_keeps_its_length_when_the_clock_is_set() {
    as_everyone(|persona| {
        let world = World::new(persona);
        let Some(ahead) = ending(&world, "ahead", 30, [DAY, 0]) else { return };
        assert_eq!(ahead, DONE, "it ended early");
        assert_eq!(ending(&world, "back", 4, [-DAY, 0]), Some(Ending::Deadline), "it ended late");
    });
}

/// The control: moved alike, the clock that it does go by ends it early, or late.
#[test]
fn a_deadline_by_a_clock_that_is_set_is_another() {
    as_everyone(|persona| {
        let world = World::new(persona);
        let Some(ahead) = ending(&world, "ahead", 30, [0, DAY]) else { return };
        assert_eq!(ahead, Ending::Deadline);
        assert_eq!(ending(&world, "back", 4, [0, -DAY]), Some(DONE));
    });
}
