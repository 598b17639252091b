//! The runner dies in each phase of a run, with the server alive and with the server dead.
//!
//! What its agent wrote is saved, the step is done again, and the end is one verified branch.

use midwatch_api::report::{BUNDLE_FILE, EVENTS_FILE, REPORT_FILE};
use midwatch_local::store::SqliteStore;
use midwatch_testkit::counts::are_told;
use rustix::fs::{FlockOperation, flock};
use rustix::process::Signal;

use super::leaks::runners_of;
use super::place::{BRANCH, Place, TASK, kill};
use super::story::{BULKY, HANGING, REPAIRED, SLOW, Story};
use super::world::{starts, work, wrong};
use super::{each, tell, until};

/// When the runner dies.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// Started, and not yet known to anybody.
    BeforeIdentity,
    /// As soon as it has said who it is.
    Identity,
    /// As soon as it says that it is in this phase.
    Phase(&'static str),
    /// When the agent has written something.
    Working,
    /// When the bundle is there, and the report is not.
    Bundled,
}

/// Who dies with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Server {
    Lives,
    Dies,
}

#[derive(Debug)]
struct Case {
    story: Story,
    /// The run, as step and epoch.
    run: &'static str,
    moment: Moment,
    server: Server,
}

/// Every phase of every kind of run that a task has.
const MOMENTS: [(Story, &str, Moment); 19] = [
    (REPAIRED, "checkout-1", Moment::BeforeIdentity),
    (REPAIRED, "checkout-1", Moment::Identity),
    (REPAIRED, "checkout-1", Moment::Phase("checkout")),
    (REPAIRED, "setup-2", Moment::Identity),
    (REPAIRED, "setup-2", Moment::Phase("command")),
    (REPAIRED, "check-3", Moment::Identity),
    (REPAIRED, "check-3", Moment::Phase("command")),
    // Nobody knows that it began: the same start is made again, and must not hang.
    (REPAIRED, "implement-4", Moment::BeforeIdentity),
    (HANGING, "implement-4", Moment::Identity),
    (HANGING, "implement-4", Moment::Phase("selfTest")),
    (HANGING, "implement-4", Moment::Phase("command")),
    (HANGING, "implement-4", Moment::Working),
    (BULKY, "implement-4", Moment::Phase("commit")),
    (BULKY, "implement-4", Moment::Phase("bundle")),
    (BULKY, "implement-4", Moment::Bundled),
    (REPAIRED, "check-5", Moment::Phase("prepare")),
    (REPAIRED, "check-5", Moment::Phase("command")),
    (SLOW, "implement-6", Moment::Phase("prepare")),
    (SLOW, "implement-6", Moment::Phase("selfTest")),
];

/// Waits for the moment and kills; whether the run was met before its report.
fn strike(place: &Place, case: &Case) -> bool {
    let folder = place.run_folder(case.run);
    if let Moment::BeforeIdentity = case.moment {
        return strike_unknown(place, &folder);
    }
    let there = |path: &str| folder.join(path).exists();
    let runner = until("the moment", || {
        let now = match case.moment {
            Moment::BeforeIdentity | Moment::Identity => true,
            Moment::Phase(phase) => {
                let events = std::fs::read_to_string(folder.join(EVENTS_FILE)).unwrap_or_default();
                events.contains(&format!("\"phase\":\"{phase}\""))
            }
            Moment::Working => there("upper/upper/first"),
            Moment::Bundled => there(&format!("out/{BUNDLE_FILE}")),
        };
        if now || there(REPORT_FILE) { place.identity(case.run) } else { None }
    });
    let met = !there(REPORT_FILE);
    if met {
        kill(runner.pid, Signal::KILL);
    }
    met && !there(REPORT_FILE)
}

/// Kills a runner that waits for the lock that makes it the only one.
fn strike_unknown(place: &Place, folder: &std::path::Path) -> bool {
    let met = place.identity(folder.file_name().unwrap().to_str().unwrap()).is_none();
    let runner = until("a runner", || runners_of(folder).first().copied());
    kill(runner, Signal::KILL);
    until("its end", || (!runners_of(folder).contains(&runner)).then_some(()));
    met
}

/// Holds every runner of a run where nobody knows it yet.
fn hold(place: &Place, run: &str) -> std::fs::File {
    // A folder of a run without a database is a damaged state, which is refused.
    SqliteStore::open(&place.state().database()).unwrap();
    let folder = place.run_folder(run);
    std::fs::create_dir_all(&folder).unwrap();
    let file = std::fs::File::open(&folder).unwrap();
    flock(&file, FlockOperation::LockExclusive).unwrap();
    file
}

fn dies(case: &Case) -> Result<(), String> {
    let place = Place::new(case.story);
    place.state().make().unwrap();
    let held = matches!(case.moment, Moment::BeforeIdentity).then(|| hold(&place, case.run));
    let server = place.serve(&[]);
    place.submit();
    if case.server == Server::Dies {
        // Not sooner: a server that dies before the runner is there leaves none to kill.
        let folder = place.run_folder(case.run);
        until("the runner", || {
            let there = place.identity(case.run).is_some() || !runners_of(&folder).is_empty();
            there.then_some(())
        });
        server.kill();
        let met = strike(&place, case);
        drop(held);
        return ended(&place, case, met);
    }
    let met = strike(&place, case);
    drop(held);
    let result = ended(&place, case, met);
    drop(server);
    result
}

fn ended(place: &Place, case: &Case, met: bool) -> Result<(), String> {
    let end = place.wait();
    if case.server == Server::Dies {
        place.settle();
    }
    let told = |what: String| format!("{case:?} ({}): {what}", place.root().display());
    if !met {
        return Err(told("the runner had ended before".into()));
    }
    if let Some(what) = wrong(place, &end) {
        return Err(told(what));
    }
    if matches!(case.moment, Moment::Working | Moment::Bundled) && !is_kept(place, case) {
        return Err(told("what the agent had written was not saved".into()));
    }
    Ok(())
}

/// Whether what only the killed agent wrote is both in a rescue and in the end.
fn is_kept(place: &Place, case: &Case) -> bool {
    let epoch = case.run.rsplit('-').next().unwrap_or_default();
    let rescue = format!("refs/midwatch/rescue/{TASK}/{epoch}/snapshot");
    let holds = |store: &std::path::Path, at: &str| {
        place.git_in(store, &["ls-tree", "--name-only", at, "first"]) == "first"
    };
    holds(&work(place), &rescue) && holds(&place.path("repository/.git"), BRANCH)
}

#[test]
fn a_runner_that_dies_costs_a_start_and_nothing_else() {
    let cases: Vec<Case> = [Server::Lives, Server::Dies]
        .into_iter()
        .flat_map(|server| {
            MOMENTS.into_iter().map(move |(story, run, moment)| Case { story, run, moment, server })
        })
        .collect();
    let wrong = each(&cases, dies);
    let (known, lost) = (cases.len(), wrong.len());
    tell(&format!("runner crash points known {known} / tried {known} / lost or doubled {lost}"));
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    are_told(&format!("runner crash points tried {known}"));
}

/// A runner that nobody knows yet, a server that dies, and a second server that starts a second
/// runner: one of the two does the work.
#[test]
fn two_runners_of_one_order_do_it_once() {
    let place = Place::new(REPAIRED);
    place.state().make().unwrap();
    let held = hold(&place, "implement-4");
    let folder = place.run_folder("implement-4");
    let server = place.serve(&[]);
    place.submit();
    until("the first runner", || (runners_of(&folder).len() == 1).then_some(()));
    server.kill();
    let client = place.begin_to_wait();
    until("the second runner", || (runners_of(&folder).len() == 2).then_some(()));
    drop(held);
    let end = Place::waited(client);
    place.settle();
    assert_eq!(wrong(&place, &end), None);
    assert_eq!(starts(&place), 2, "one start for each round");
}

/// The control: without the layer of a killed run its work is lost, and that is seen.
#[test]
fn a_lost_layer_is_seen_as_lost_work() {
    let case =
        Case { story: HANGING, run: "implement-4", moment: Moment::Working, server: Server::Dies };
    let place = Place::new(case.story);
    let server = place.serve(&[]);
    place.submit();
    until("the agent's work", || {
        place.run_folder(case.run).join("upper/upper/first").exists().then_some(())
    });
    server.kill();
    assert!(strike(&place, &case));
    until("the sandbox's end", || super::leaks::alive(&place).is_empty().then_some(()));
    std::fs::remove_dir_all(place.run_folder(case.run).join("upper")).unwrap();
    let end = place.wait();
    place.settle();
    assert_eq!(wrong(&place, &end), None, "the task itself goes on");
    assert!(!is_kept(&place, &case), "without the layer there is nothing to save");
}
