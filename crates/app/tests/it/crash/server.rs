//! The server dies at each of its points, and at moments of chance.

use std::collections::BTreeMap;
use std::time::Duration;

use super::leaks::runners_of;
use super::place::Place;
use super::story::{BLOCKED, REPAIRED, SLOW, Story};
use super::world::{World, starts, wrong};
use super::{each, soak, tell, until};

/// Moments of chance in a test run.
const MOMENTS: u64 = 20;

/// A point, and which passing of it.
struct Case {
    story: Story,
    point: String,
    time: usize,
}

/// The crash-free run, and how often it passed each point.
fn recorded(story: Story) -> (World, BTreeMap<String, usize>) {
    let place = Place::new(story);
    let learnt = place.path("points");
    let server = place.serve(&[("MIDWATCH_CRASH_LEARN", learnt.to_str().unwrap())]);
    let ended = place.run_to_end();
    drop(server);
    assert_eq!(wrong(&place, &ended), None);
    let mut points = BTreeMap::new();
    for point in std::fs::read_to_string(learnt).unwrap().lines() {
        *points.entry(point.to_owned()).or_default() += 1;
    }
    (World::of(&place, &ended), points)
}

/// Dies at a point, and compares what comes of it.
fn dies(case: &Case, whole: &World) -> Result<(), String> {
    let at = format!("{}#{}", case.point, case.time);
    let place = Place::new(case.story);
    let mut server = place.serve(&[("MIDWATCH_CRASH_AT", &at)]);
    // The client meets the crash, starts another server, and tells the end.
    let ended = place.run_to_end();
    // The end may have been read in the moment before the server was gone. One that ends with a
    // signal has no code.
    let died = until("the crash", || server.ended());
    if died.code().is_some() {
        return Err(format!("{at}: the server did not crash but ended with {died}"));
    }
    place.settle();
    let told = wrong(&place, &ended).or_else(|| World::of(&place, &ended).differs(whole));
    told.map_or(Ok(()), |told| Err(format!("{at} ({}): {told}", place.root().display())))
}

#[test]
fn dying_at_any_point_changes_nothing() {
    let mut cases = Vec::new();
    let mut worlds = Vec::new();
    let (mut known, mut passings) = (0, 0);
    for story in [REPAIRED, BLOCKED] {
        let (world, points) = recorded(story);
        worlds.push(world);
        known += points.len();
        for (point, times) in points {
            passings += times;
            let tried = if soak() { (1..=times).collect() } else { vec![1, times] };
            let mut tried: Vec<usize> = tried;
            tried.dedup();
            cases.extend(tried.into_iter().map(|time| Case { story, point: point.clone(), time }));
        }
    }
    let wrong = each(&cases, |case| dies(case, &worlds[usize::from(!case.story.done)]));
    let lost = wrong.len();
    tell(&format!(
        "server crash points known {known} / tried {known} (passings {} of {passings}) / \
         lost or doubled {lost}",
        cases.len()
    ));
    if cases.len() < passings {
        tell(&format!(
            "{} passings between first and last only with MIDWATCH_SOAK=1",
            passings - cases.len()
        ));
    }
    assert!(known > 70, "{known} points are too few to be all");
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn dying_at_any_moment_leaves_the_run_to_be_adopted() {
    let (whole, _) = recorded(SLOW);
    let moments: Vec<u64> = (0..if soak() { 10 * MOMENTS } else { MOMENTS }).collect();
    let adopted = std::sync::atomic::AtomicUsize::new(0);
    let wrong = each(&moments, |seed| {
        let place = Place::new(SLOW);
        let server = place.serve(&[]);
        place.submit();
        // Every other moment lies in the agent's run or soon after it, however slow the machine.
        let span = if seed % 2 == 0 { 4000 } else { 1500 };
        if seed % 2 == 1 {
            until("the agent's run", || place.identity("implement-4"));
        }
        // Chance is the matter here, so this waits for no marker. The multiplier is Knuth's.
        let millis = seed.wrapping_add(1).wrapping_mul(6_364_136_223_846_793_005) >> 33;
        // polls: another process; the moment of a kill is a time, drawn from a seed
        std::thread::sleep(Duration::from_millis(millis % span));
        server.kill();
        let before = place.identity("implement-4");
        let alive = !runners_of(&place.run_folder("implement-4")).is_empty();
        let ended = place.wait();
        place.settle();
        if alive {
            adopted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
        if before.is_some() && place.identity("implement-4") != before {
            return Err(format!("seed {seed}: the run was begun again"));
        }
        let told = wrong(&place, &ended).or_else(|| World::of(&place, &ended).differs(&whole));
        told.map_or(Ok(()), |told| Err(format!("seed {seed}: {told}")))
    });
    let adopted = adopted.into_inner();
    let (tried, lost) = (moments.len(), wrong.len());
    tell(&format!(
        "server killed at {tried} moments / agent's run adopted {adopted} / lost or doubled {lost}"
    ));
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(adopted > 3, "too few moments met the agent at work");
}

/// The control: a world in which something was lost or doubled does not pass.
#[test]
fn a_lost_report_is_seen_as_a_doubled_run() {
    let (whole, _) = recorded(REPAIRED);
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
