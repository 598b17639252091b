//! The server dies while an agent asks the model through it: with a key that the provider rejects,
//! and with the one that somebody resumes the task with.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use midwatch_testkit::model_server::ModelServer;
use serde_json::Value;

use super::asking::{NEW, OLD, holding, in_home, model, place};
use super::place::{Place, TASK};
use super::server::learnt;
use super::story::{ASKED, REPAIRED};
use super::world::{World, wrong};
use super::{each, soak, tell, until};
use crate::house::Told;

/// Of the points that every task passes one in so many is tried here: each case takes a second of
/// the machine. With `make crash` all are.
const SHARED: usize = 3;

/// A point, which passing of it, and whether the server that recovers dies there, too.
struct Case {
    point: String,
    time: usize,
    again: bool,
}

/// Submits with the old key, and resumes with the new one when that is rejected.
fn played(place: &Place, variables: &[(&str, &str)]) -> Result<(i32, Value), String> {
    let profile = place.path("profile.yaml");
    let run = ["run", ASKED.goal, "--name", TASK, "--pipeline", ASKED.pipeline, "--setup"];
    let judged = ["sh setup.sh", "--check", "sh check.sh", "--profile", profile.to_str().unwrap()];
    let held = place.midwatch(&[run.as_slice(), &judged].concat(), variables);
    if held.result["reason"] != "NeedsLogin" {
        return Err(format!("a rejected key came to {}{}", held.result, held.stderr));
    }
    // The control of the search for keys: the one place where it has to be.
    let kept = place.state().credential("");
    let found = holding(place, OLD);
    if found.len() != 1 || !found[0].starts_with(&kept) {
        return Err(format!("the first key is in {found:?}"));
    }
    let with_key = [variables, &[("ANTHROPIC_API_KEY", NEW)]].concat();
    let Told { code, stderr, .. } = place.midwatch(&["resume", TASK], &with_key);
    // Said again to the next server, it is resumed already.
    if code != Some(0) && !(code == Some(2) && stderr.contains("cannot be resumed now")) {
        return Err(format!("it was not resumed: {stderr}"));
    }
    let told = place.midwatch(&["wait", TASK], variables);
    Ok((told.code.unwrap_or(-1), told.result))
}

/// What is wrong when nothing goes on any more, with keys and questions.
fn leaked(place: &Place, model: &ModelServer) -> Option<String> {
    let left = [OLD, NEW].map(|key| holding(place, key)).concat();
    if !left.is_empty() {
        return Some(format!("a key is in {left:?}"));
    }
    let requests = model.requests();
    let answered = |key: &str, status: u16| {
        let of = |request: &&midwatch_testkit::model_server::Recorded| {
            request.header("x-api-key") == Some(key) && request.status == status
        };
        requests.iter().filter(of).count()
    };
    let (rejected, taken) = (answered(OLD, 401), answered(NEW, 200));
    let all = rejected + taken == requests.len() && rejected > 0 && taken > 0;
    (!all).then(|| format!("{rejected} rejected, {taken} answered of {}", requests.len()))
}

fn recorded() -> (World, BTreeMap<String, usize>) {
    let (model, _lets) = model(true);
    let place = place(&model, OLD);
    let file = place.path("points");
    let server = place.serve(&[("MIDWATCH_CRASH_LEARN", file.to_str().unwrap())]);
    let ended = played(&place, &[]).unwrap();
    server.stop();
    assert_eq!(wrong(&place, &ended), None);
    assert_eq!(leaked(&place, &model), None);
    (World::of(&place, &ended), learnt(&file))
}

fn dies(case: &Case, whole: &World) -> Result<usize, String> {
    let mut at = format!("{}#{}", case.point, case.time);
    if case.again {
        at = format!("{at} {}#1", case.point);
    }
    let (model, _lets) = model(true);
    let place = place(&model, OLD);
    let deaths = place.path("deaths");
    let variables =
        [("MIDWATCH_CRASH_AT", at.as_str()), ("MIDWATCH_CRASH_DEATHS", deaths.to_str().unwrap())];
    let told = |wrong: String| format!("{at} ({}): {wrong}", place.root().display());
    let mut server = place.serve(&variables);
    let ended = played(&place, &variables).map_err(told)?;
    place.settle();
    // What the gateway is asked, and when, is the agent's: a point may not be passed. Asked to end,
    // a server that did not die ends in order.
    let died = until("the server's end", || server.ended()).code().is_none();
    // Whoever comes next starts a server, which ends in order once it has tidied up.
    place.midwatch(&["get"], &[]);
    place.settle();
    let wrong = wrong(&place, &ended)
        .or_else(|| leaked(&place, &model))
        .or_else(|| World::of(&place, &ended).differs(whole));
    let deaths = std::fs::read_to_string(deaths).unwrap_or_default().lines().count();
    assert_eq!(died, deaths > 0, "a death that is not told of");
    wrong.map_or(Ok(deaths), |wrong| Err(told(wrong)))
}

#[test]
fn dying_behind_a_question_to_the_model_changes_nothing() {
    let (whole, points) = recorded();
    // What every task passes is tried twice in a row by stories without a model.
    let known = super::server::recorded(REPAIRED).points;
    let mut cases = Vec::new();
    // Seen on the way or not, by chance: it is in the run's result, too.
    let points = points.into_iter().filter(|(point, _)| !point.ends_with(":SessionKnown"));
    for (at, (point, time)) in points.enumerate() {
        let own = !known.contains_key(&point) || soak();
        if own {
            cases.push(Case { point: point.clone(), time: 1, again: true });
        }
        if own && time > 1 || soak() || !own && at % SHARED == 0 {
            cases.push(Case { point, time, again: false });
        }
    }
    let (first, second) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let wrong = each(&cases, |case| {
        let deaths = dies(case, &whole)?;
        first.fetch_add(deaths.min(1), Ordering::SeqCst);
        second.fetch_add(deaths.saturating_sub(1), Ordering::SeqCst);
        Ok(())
    });
    let first = first.into_inner();
    let points: BTreeSet<&str> = cases.iter().map(|case| case.point.as_str()).collect();
    let again = cases.iter().filter(|case| case.again).count();
    let (points, lost, second) = (points.len(), wrong.len(), second.into_inner());
    tell(&format!(
        "gateway crash points tried {points} ({again} again by the server that recovers: it died \
         in {second}) / lost, doubled or leaked {lost}"
    ));
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(points > 30, "{points} points are too few to be all");
    assert!(first > cases.len() * 3 / 4, "only {first} of {} cases met their point", cases.len());
}

/// The control: a key that is lost with the server lets no question through, and that is seen.
#[test]
fn a_key_that_is_lost_with_its_server_is_seen() {
    let (model, _lets) = model(true);
    let place = place(&model, NEW);
    let mut server = place.serve(&[("MIDWATCH_CRASH_AT", "before-act:Agent#1")]);
    place.submit();
    until("the crash", || server.ended());
    let keys = std::fs::read_dir(place.state().credential("")).unwrap();
    keys.flatten().for_each(|key| std::fs::remove_file(key.path()).unwrap());
    let ended = place.wait();
    place.settle();
    assert!(wrong(&place, &ended).is_some(), "{ended:?}");
    assert!(model.requests().is_empty(), "a question got through without a key");
}

/// A server that cannot open the door of a run that goes on leaves the run alone: taken for failed,
/// its workspace would be saved and removed while the agent works in it.
#[test]
fn a_run_goes_on_while_its_door_cannot_be_opened() {
    let (model, lets) = model(false);
    let place = place(&model, NEW);
    let server = place.serve(&[]);
    place.submit();
    until("a question", || (!model.requests().is_empty()).then_some(()));
    server.kill();
    let keys = place.state().credential("");
    let aside = place.path("aside");
    std::fs::rename(&keys, &aside).unwrap();
    let server = place.serve(&[]);
    let log = || std::fs::read_to_string(place.state().log()).unwrap_or_default();
    until("a word", || log().contains("run.closed").then_some(()));
    assert_eq!(place.midwatch(&["get", TASK], &[]).result["state"], "Running");
    std::fs::rename(&aside, &keys).unwrap();
    lets.store(true, Ordering::SeqCst);
    let ended = place.wait();
    server.stop();
    place.settle();
    assert_eq!(wrong(&place, &ended), None);
    let starts = std::fs::read_to_string(in_home(&place, "starts")).unwrap();
    assert_eq!(starts.lines().count(), 1, "the same run, from beginning to end");
}
