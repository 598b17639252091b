//! The server dies while it carries out an order of somebody's: objects and tasks of one file, the
//! switch for everything, a cancel, a publication, a follow-up, deletions, a clean-up. The client
//! gives the order again to the next server, which may die of it, too.
//!
//! Each story is tried at every point that no story before it passes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use midwatch_testkit::counts::are_told;

use super::order_facts::Facts;
use super::order_stories::{EVENING, Flaw, Orders, PUBLISHED, User, prepare};
use super::place::Place;
use super::server::learnt;
use super::story::{BLOCKED, REPAIRED, TALKED};
use super::{each, soak, tell, until};

/// Stories of orders, in their order.
const STORIES: [Orders; 2] = [EVENING, PUBLISHED];

/// One in so many cases is tried here: each is a whole evening of orders and takes seconds of the
/// machine. `make crash` tries all.
const SAMPLED: usize = 3;

/// A point, which passing of it, and whether the server that recovers dies there, too.
struct Case {
    story: usize,
    point: String,
    time: usize,
    again: bool,
}

/// A crash-free story.
fn recorded(story: Orders) -> (Facts, BTreeMap<String, usize>) {
    let place = Place::new(story.task);
    prepare(&place);
    let file = place.path("points");
    let variables = [("MIDWATCH_CRASH_LEARN", file.to_str().unwrap())];
    let server = place.serve(&variables);
    let user = User { place: &place, variables: &variables, flaw: Flaw::None };
    (story.play)(&user).unwrap_or_else(|wrong| panic!("{}: {wrong}", story.name));
    server.stop();
    let facts = Facts::of(&place);
    assert_eq!((story.wrong)(&place, &facts), None, "{}", story.name);
    (facts, learnt(&file))
}

/// Plays a story to its end with a flaw, whoever dies: what is wrong then.
fn played(story: Orders, place: &Place, variables: &[(&str, &str)], flaw: Flaw) -> Option<String> {
    prepare(place);
    let mut server = place.serve(variables);
    let told = (story.play)(&User { place, variables, flaw }).err();
    if told.is_some() {
        return told;
    }
    // One that ends with a signal has no code.
    let died = until("the crash", || server.ended());
    if died.code().is_some() {
        return Some(format!("the server did not crash but ended with {died}"));
    }
    // Whoever comes next starts a server, which ends in order once it has tidied up.
    place.midwatch(&["get"], &[]);
    place.settle();
    let facts = Facts::of(place);
    (story.wrong)(place, &facts)
}

fn dies(case: &Case, whole: &Facts) -> Result<usize, String> {
    let story = STORIES[case.story];
    let mut at = format!("{}#{}", case.point, case.time);
    if case.again {
        at = format!("{at} {}#1", case.point);
    }
    let place = Place::new(story.task);
    let deaths = place.path("deaths");
    let variables =
        [("MIDWATCH_CRASH_AT", at.as_str()), ("MIDWATCH_CRASH_DEATHS", deaths.to_str().unwrap())];
    let wrong = played(story, &place, &variables, Flaw::None)
        .or_else(|| Facts::of(&place).differs(whole))
        .or_else(|| super::leaks::left(&place).into_iter().next());
    let deaths = std::fs::read_to_string(deaths).unwrap_or_default().lines().count();
    let told = |wrong| format!("{} at {at} ({}): {wrong}", story.name, place.root().display());
    wrong.map_or(Ok(deaths), |wrong| Err(told(wrong)))
}

#[test]
fn dying_of_an_order_changes_nothing() {
    // What every task passes is tried by stories of its own.
    let mut known: BTreeSet<String> = BTreeSet::new();
    for story in [REPAIRED, BLOCKED, TALKED] {
        known.extend(super::server::recorded(story).points.into_keys());
    }
    let (mut cases, mut wholes) = (Vec::new(), Vec::new());
    for (story, orders) in STORIES.into_iter().enumerate() {
        let (facts, points) = recorded(orders);
        wholes.push(facts);
        for (point, times) in points {
            if !known.insert(point.clone()) && !soak() {
                continue;
            }
            // Two deaths begin with one: the last passing is another moment where there are more.
            let once = (times > 1 || soak()).then_some((times, false));
            let case = |(time, again)| Case { story, point: point.clone(), time, again };
            cases.extend(once.into_iter().chain([(1, true)]).map(case));
        }
    }
    let known = cases.iter().filter(|case| case.again).count();
    if !soak() {
        cases = cases.into_iter().step_by(SAMPLED).collect();
    }
    let second = AtomicUsize::new(0);
    let wrong = each(&cases, |case| {
        second.fetch_add(dies(case, &wholes[case.story])?.saturating_sub(1), Ordering::SeqCst);
        Ok(())
    });
    let points = cases.iter().filter(|case| case.again).count();
    let (lost, second) = (wrong.len(), second.into_inner());
    tell(&format!(
        "order crash points known {known} / tried {points} (and again by the server that \
         recovers: it died in {second} of {points}) / lost, doubled or left over {lost}"
    ));
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(second > points / 3, "too few servers died while they recovered");
    if !soak() {
        are_told(&format!("order crash points known {known}"));
    }
}

/// A flaw, the moment at which it is played, and the words that it has to be seen by.
type Broken = (Orders, &'static str, Flaw, &'static str);

const BROKEN: [Broken; 4] = [
    (EVENING, "after-order:SwitchedOff#1", Flaw::SwitchLost, "though everything is paused"),
    (EVENING, "after-order:Applied#1", Flaw::HalfApplied, "tonight.yaml was not applied as one"),
    (PUBLISHED, "after-order:Submitted#2", Flaw::SaidTwice, "t-f3"),
    (PUBLISHED, "after-order:TaskDeleted#1", Flaw::NothingCollected, "runs: [\n        \"t-"),
];

/// The control: an effect that is broken, or a defence that is not there, is seen for what it is,
/// and nothing is seen where nothing is broken.
#[test]
fn a_broken_effect_of_an_order_is_seen() {
    let sound = if soak() { 1 } else { SAMPLED };
    let broken: Vec<_> = BROKEN.into_iter().enumerate().collect();
    let wrong = each(&broken, |(number, (story, at, flaw, words))| {
        let play = |flaw| {
            let place = Place::new(story.task);
            let deaths = place.path("deaths");
            let deaths = deaths.to_str().unwrap();
            let variables = [("MIDWATCH_CRASH_AT", *at), ("MIDWATCH_CRASH_DEATHS", deaths)];
            played(*story, &place, &variables, flaw)
        };
        let seen = play(*flaw).unwrap_or_default();
        if !seen.contains(words) {
            return Err(format!("{flaw:?} at {at} is not seen by '{words}': {seen:?}"));
        }
        let wrong = if number % sound == 0 { play(Flaw::None) } else { None };
        wrong.map_or(Ok(()), |wrong| Err(format!("without a flaw at {at}: {wrong}")))
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
