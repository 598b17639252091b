//! The program is replaced by a newer one while a task is at work: the old runner goes on with its
//! old order, and the new server takes in what it reports.
//!
//! The old program is the one of the version before, built by `tools/install/previous.sh`.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use midwatch_core::agent::AgentOutcome;
use midwatch_core::event::{Event, RunResult};
use midwatch_local::store::SqliteStore;
use midwatch_testkit::agent_clis::cache;
use midwatch_testkit::model_server::{ModelServer, Recorded};
use rustix::process::Signal;

use super::asking;
use super::leaks::runners_of;
use super::place::{Place, TASK, kill};
use super::story::SLOW;
use super::world::{starts, wrong};
use super::{PATIENCE, tell, until};

/// The run of the agent.
const RUN: &str = "implement-4";

/// How the old server ends.
#[derive(Debug, Clone, Copy)]
enum End {
    /// As a service manager ends it.
    Asked,
    /// `kill -9`.
    Killed,
}

/// The program of the version before, where it could be built.
fn previous() -> Option<String> {
    let revision = include_str!("../../../../../tools/install/previous.rev").trim();
    let program = cache().join("previous").join(revision).join("midwatch");
    if program.is_file() {
        return program.into_os_string().into_string().ok();
    }
    tell("NOT RUN: the version before this one is not built (tools/install/previous.sh)");
    None
}

/// A place where a run of the old version goes on, and its old server has ended.
fn upgraded(old: &str, end: End) -> Place {
    let place = Place::new(SLOW);
    let server = place.serve_by(old, &[]);
    place.submit_by(old);
    until("the agent at work", || {
        let upper = place.state().home(TASK, "implement-scripted").join("upper/starts");
        let old_home = place.run_folder(RUN).join("stdout");
        (upper.exists() || old_home.exists()).then(|| place.identity(RUN)).flatten()
    });
    match end {
        End::Asked => {
            server.stop();
        }
        End::Killed => server.kill(),
    }
    place
}

/// Whether the run's own report was taken in, rather than its loss.
fn reported(place: &Place) -> bool {
    let store = SqliteStore::open(&place.state().database()).unwrap();
    let events = store.events(TASK, 0).unwrap();
    events.iter().any(|stored| match &stored.event {
        Event::RunEnded { run, result: RunResult::Agent(result), .. } => {
            run.as_str().ends_with(RUN) && result.outcome == AgentOutcome::Completed
        }
        _ => false,
    })
}

#[test]
fn a_run_of_the_version_before_is_adopted() {
    let Some(old) = previous() else { return };
    for end in [End::Asked, End::Killed] {
        let place = upgraded(&old, end);
        let before = place.identity(RUN);
        assert!(!runners_of(&place.run_folder(RUN)).is_empty(), "{end:?}: the old runner is gone");
        let ended = place.wait();
        place.settle();
        assert_eq!(wrong(&place, &ended), None, "{end:?}");
        assert_eq!(place.identity(RUN), before, "{end:?}: the run was begun again");
        assert!(reported(&place), "{end:?}: what the old runner reported is not taken in");
        // One for the first answer, which is wrong, and one for its repair.
        assert_eq!(starts(&place), 2, "{end:?}");
    }
}

/// The control: where the old runner dies with its server, there is nothing to adopt, and its work
/// is saved as that of any other.
#[test]
fn a_dead_run_of_the_version_before_is_saved_and_tried_again() {
    let Some(old) = previous() else { return };
    let place = upgraded(&old, End::Killed);
    for runner in runners_of(&place.run_folder(RUN)) {
        kill(runner, Signal::KILL);
    }
    let ended = place.wait();
    place.settle();
    assert_eq!(wrong(&place, &ended), None);
    assert!(!reported(&place), "it was not killed in time");
}

/// A run of the old version that was answered by the old server and asks for more, with that server
/// gone; the model, and what lets it answer.
fn asks(old: &str) -> (Place, ModelServer, Arc<AtomicBool>) {
    let (model, lets) = asking::model(false);
    let place = asking::place(&model, asking::NEW);
    let server = place.serve_by(old, &[]);
    place.submit_by(old);
    assert!(model.wait_for("/v1/messages", 1, PATIENCE), "the old server lets no question through");
    server.kill();
    (place, model, lets)
}

/// The agent's questions go through whichever server has the folder, with a key that only servers
/// have: the old runner's way to the model is made anew.
#[test]
fn a_run_of_the_version_before_goes_on_asking_the_model() {
    let Some(old) = previous() else { return };
    let (place, model, lets) = asks(&old);
    let before = (place.identity(RUN), model.requests().len());
    assert!(!runners_of(&place.run_folder(RUN)).is_empty(), "the old runner is gone");
    let client = place.begin_to_wait();
    assert!(model.wait_for("/v1/messages", before.1 + 1, PATIENCE), "no question gets through");
    lets.store(true, Ordering::SeqCst);
    let ended = Place::waited(client);
    place.settle();
    assert_eq!(wrong(&place, &ended), None);
    assert_eq!(place.identity(RUN), before.0, "the run was begun again");
    assert!(reported(&place) && starts(&place) == 1, "{ended:?}");
    let with_key = |request: &Recorded| request.header("x-api-key") == Some(asking::NEW);
    assert!(model.requests().iter().all(with_key), "a question went another way");
    assert_eq!(asking::holding(&place, asking::NEW), Vec::<PathBuf>::new());
}

/// The control: with no server there, the same question of the same run fails.
#[test]
fn a_run_of_the_version_before_asks_in_vain_without_a_server() {
    let Some(old) = previous() else { return };
    let (place, model, lets) = asks(&old);
    lets.store(true, Ordering::SeqCst);
    let failed = asking::in_home(&place, "failed");
    until("a question that fails", || failed.exists().then_some(()));
    let before = model.requests().len();
    let lines = || std::fs::read_to_string(&failed).unwrap_or_default().lines().count();
    let first = lines();
    until("another one", || (lines() > first).then_some(()));
    assert_eq!(model.requests().len(), before, "something reached the provider without us");
    for runner in runners_of(&place.run_folder(RUN)) {
        kill(runner, Signal::KILL);
    }
}

/// The way back is closed before anything is written, and says so.
#[test]
fn the_version_before_refuses_a_newer_database() {
    let Some(old) = previous() else { return };
    let place = Place::new(SLOW);
    let server = place.serve(&[]);
    place.submit();
    let ended = place.wait();
    assert_eq!(wrong(&place, &ended), None);
    server.stop();
    let database = || std::fs::read(place.state().database()).unwrap();
    let before = database();
    let said = place.asked(&old, &["serve"]);
    assert!(!said.status.success());
    let text = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(text.contains("newer") && text.contains("version"), "{text}");
    assert_eq!(database(), before, "it wrote something");
    let store = SqliteStore::open(&place.state().database()).unwrap();
    assert!(!store.events(TASK, 0).unwrap().is_empty());
}
