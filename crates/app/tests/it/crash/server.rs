//! The server dies at each of its points, and at moments of chance; and it is asked to end.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use midwatch_testkit::counts::are_told;
use rustix::process::Signal;

use super::leaks::runners_of;
use super::place::{BRANCH, Place, kill};
use super::story::{BLOCKED, HANGING, REPAIRED, SLOW, Story, TALKED};
use super::world::{World, starts, wrong};
use super::{each, soak, tell, until};

/// Moments of chance in a test run.
const MOMENTS: u64 = 20;
/// What an agent's run still has to gain when it says who carries it out: nothing, its events, two
/// logs, and its report, with which it is over.
const SOON: usize = 5;

/// A point, which passing of it, and whether the server that recovers dies there, too.
struct Case {
    story: Story,
    /// Which of the crash-free worlds it is compared with.
    world: usize,
    point: String,
    time: usize,
    again: bool,
}

/// A crash-free run.
pub(super) struct Recorded {
    world: World,
    /// How often it passed each point.
    pub(super) points: BTreeMap<String, usize>,
    /// How many entries its runs left, see [`entries`].
    entries: usize,
}

pub(super) fn recorded(story: Story) -> Recorded {
    let place = Place::new(story);
    let file = place.path("points");
    let server = place.serve(&[("MIDWATCH_CRASH_LEARN", file.to_str().unwrap())]);
    let ended = place.run_to_end(&[]);
    drop(server);
    assert_eq!(wrong(&place, &ended), None);
    Recorded { world: World::of(&place, &ended), points: learnt(&file), entries: entries(&place) }
}

/// How often each point was passed that a file holds.
pub(super) fn learnt(file: &Path) -> BTreeMap<String, usize> {
    let mut points = BTreeMap::new();
    for point in std::fs::read_to_string(file).unwrap().lines() {
        *points.entry(point.to_owned()).or_default() += 1;
    }
    points
}

/// Run folders and the files that stand directly in them: they get more as a task goes on, so
/// their number says how far it is.
fn entries(place: &Place) -> usize {
    let listed = |folder| std::fs::read_dir(folder).into_iter().flatten().flatten();
    let of_run = |run: std::fs::DirEntry| {
        1 + listed(run.path()).filter(|entry| entry.path().is_file()).count()
    };
    listed(place.state().root().join("runs")).map(of_run).sum()
}

/// Dies at a point, and compares what comes of it; how many servers died.
fn dies(case: &Case, whole: &World) -> Result<usize, String> {
    let mut at = format!("{}#{}", case.point, case.time);
    if case.again {
        at = format!("{at} {}#1", case.point);
    }
    let place = Place::new(case.story);
    let deaths = place.path("deaths");
    let variables =
        [("MIDWATCH_CRASH_AT", at.as_str()), ("MIDWATCH_CRASH_DEATHS", deaths.to_str().unwrap())];
    let mut server = place.serve(&variables);
    // The client meets the crash, starts another server, and tells the end.
    let ended = place.run_to_end(&variables);
    // The end may have been read in the moment before the server was gone. One that ends with a
    // signal has no code.
    let died = until("the crash", || server.ended());
    if died.code().is_some() {
        return Err(format!("{at}: the server did not crash but ended with {died}"));
    }
    place.settle();
    let told = wrong(&place, &ended).or_else(|| World::of(&place, &ended).differs(whole));
    let deaths = std::fs::read_to_string(deaths).unwrap().lines().count();
    told.map_or(Ok(deaths), |told| Err(format!("{at} ({}): {told}", place.root().display())))
}

#[test]
fn dying_at_any_point_changes_nothing() {
    let mut cases = Vec::new();
    let mut worlds = Vec::new();
    let mut known = BTreeSet::new();
    let mut passings = 0;
    for story in [REPAIRED, BLOCKED, TALKED] {
        let Recorded { world, mut points, entries: _ } = recorded(story);
        worlds.push(world);
        // A repair and a failure pass the same points in other states; what somebody says comes on
        // top of them.
        if story.talks() && !soak() {
            points.retain(|point, _| !known.contains(point));
        }
        for (point, times) in points {
            passings += times;
            let tried = if soak() { (1..=times).collect() } else { vec![times] };
            let once = tried.into_iter().map(|time| (time, false));
            let cases_of = once.chain([(1, true)]);
            cases.extend(cases_of.map(|(time, again)| Case {
                story,
                world: worlds.len() - 1,
                point: point.clone(),
                time,
                again,
            }));
            known.insert(point);
        }
    }
    let points = cases.iter().filter(|case| case.again).count();
    let second = AtomicUsize::new(0);
    let wrong = each(&cases, |case| {
        let deaths = dies(case, &worlds[case.world])?;
        second.fetch_add(deaths - 1, Ordering::SeqCst);
        Ok(())
    });
    let (lost, second) = (wrong.len(), second.into_inner());
    tell(&format!(
        "server crash points known {} / in stories {points} / tried {points} (passings {} of \
         {passings}, and again by the server that recovers: it died in {second} of {points}) / \
         lost or doubled {lost}",
        known.len(),
        cases.len() - points
    ));
    if cases.len() - points < passings {
        tell("passings between first and last only with MIDWATCH_SOAK=1");
    }
    assert!(second > points / 3, "too few servers died while they recovered");
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    if !soak() {
        let known = known.len();
        are_told(&format!("server crash points known {known} / tried {points}"));
    }
}

#[test]
fn dying_at_any_moment_leaves_the_run_to_be_adopted() {
    let Recorded { world: whole, points: _, entries: most } = recorded(SLOW);
    let moments: Vec<u64> = (0..if soak() { 10 * MOMENTS } else { MOMENTS }).collect();
    let adopted = AtomicUsize::new(0);
    let met = Mutex::new(BTreeSet::new());
    let wrong = each(&moments, |seed| {
        let place = Place::new(SLOW);
        let server = place.serve(&[]);
        place.submit();
        // The multiplier is Knuth's.
        let drawn = seed.wrapping_add(1).wrapping_mul(6_364_136_223_846_793_005) >> 33;
        let drawn = usize::try_from(drawn).unwrap();
        // Every other moment lies in the agent's run or soon after it.
        let wanted = if seed % 2 == 0 {
            drawn % (most + 1)
        } else {
            until("the agent's run", || place.identity("implement-4"));
            entries(&place) + drawn % SOON
        };
        let landed = place.path("repository/.git/refs/heads").join(BRANCH);
        let now = until("the moment", || {
            let now = entries(&place);
            (now >= wanted || landed.exists()).then_some(now)
        });
        server.kill();
        met.lock().unwrap().insert(now);
        let before = place.identity("implement-4");
        let alive = !runners_of(&place.run_folder("implement-4")).is_empty();
        let ended = place.wait();
        place.settle();
        if alive {
            adopted.fetch_add(1, Ordering::SeqCst);
        }
        if before.is_some() && place.identity("implement-4") != before {
            return Err(format!("seed {seed}: the run was begun again"));
        }
        let told = wrong(&place, &ended).or_else(|| World::of(&place, &ended).differs(&whole));
        told.map_or(Ok(()), |told| Err(format!("seed {seed}: {told}")))
    });
    let (adopted, met) = (adopted.into_inner(), met.into_inner().unwrap());
    let (tried, lost) = (moments.len(), wrong.len());
    tell(&format!(
        "server killed at {tried} moments, {} of them apart, of {most} entries / agent's run \
         adopted {adopted} / lost or doubled {lost}",
        met.len()
    ));
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(adopted > 3, "too few moments met the agent at work");
    let (first, last) = (met.first().unwrap(), met.last().unwrap());
    assert!(met.len() > 7 && last - first > most / 2, "the moments lie too close: {met:?}");
}

/// What is to be removed is gone before an orderly end. The control dies at the same point, and
/// leaves it to the next start.
#[test]
fn an_orderly_end_leaves_no_workspace_behind() {
    let Recorded { world: whole, points, entries: _ } = recorded(REPAIRED);
    let point = points.keys().find(|point| point.starts_with("after-store:Imported")).unwrap();
    for (variable, is_left) in [("MIDWATCH_STOP_AT", false), ("MIDWATCH_CRASH_AT", true)] {
        let place = Place::new(REPAIRED);
        let mut server = place.serve(&[(variable, point)]);
        place.submit();
        until("the server's end", || server.ended());
        let upper = place.run_folder("implement-4").join("upper");
        assert_eq!(upper.exists(), is_left, "{variable}={point}");
        let ended = place.wait();
        place.settle();
        assert!(!upper.exists(), "the next start leaves it, too");
        let told = wrong(&place, &ended).or_else(|| World::of(&place, &ended).differs(&whole));
        assert_eq!(told, None, "{variable}={point}");
    }
}

/// Runs are not stopped by it: the next server adopts them.
#[test]
fn an_orderly_end_leaves_runs_alone() {
    let place = Place::new(HANGING);
    let mut server = place.serve(&[]);
    place.submit();
    let folder = place.run_folder("implement-4");
    until("the agent's work", || folder.join("upper/upper/first").exists().then_some(()));
    let runner = place.identity("implement-4").unwrap();
    kill(place.last_server().unwrap(), Signal::TERM);
    let ended = until("the server's end", || server.ended());
    assert_eq!(ended.code(), Some(0), "it ended in order: {ended}");
    assert_eq!(runners_of(&folder), [runner.pid], "the run goes on");
    let client = place.begin_to_wait();
    let socket = place.state().socket();
    until("the next server", || std::os::unix::net::UnixStream::connect(&socket).ok());
    kill(runner.pid, Signal::KILL);
    let end = Place::waited(client);
    assert_eq!(place.identity("implement-4"), Some(runner), "it was not begun again");
    place.settle();
    assert_eq!(wrong(&place, &end), None);
}

/// The control: a world in which something was lost or doubled does not pass.
#[test]
fn a_lost_report_is_seen_as_a_doubled_run() {
    let whole = recorded(REPAIRED).world;
    let place = Place::new(REPAIRED);
    let mut server = place.serve(&[("MIDWATCH_CRASH_AT", "after-act:Agent#1")]);
    place.submit();
    until("the crash", || server.ended());
    // What a restart finds the run by.
    std::fs::remove_dir_all(place.run_folder("implement-4")).unwrap();
    let ended = place.wait();
    place.settle();
    let told = World::of(&place, &ended).differs(&whole);
    assert!(told.is_some() && starts(&place) == 3, "{told:?}");
}
