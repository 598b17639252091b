//! What a clean-up takes and what it leaves, on disk and in the mirrors.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use midwatch_api::gc::What;
use midwatch_api::order::base::durable_file;
use midwatch_core::time::Time;
use midwatch_local::retain::{InUse, SavedRef, Trash};

mod ground;

pub(crate) use ground::{Memory, gone, names};
use ground::{State, Uses};

#[test]
fn a_dry_run_says_what_the_real_one_does_and_touches_nothing() {
    let state = State::new();
    let before = state.runs();
    let dry = state.collect(true);
    assert_eq!(state.runs(), before);
    assert!(!state.folder.root().join("trash").exists());
    let real = state.collect(false);
    assert_eq!((&dry.gone, dry.freed_bytes), (&real.gone, real.freed_bytes));
    assert!(gone(&real).contains_key(&(What::Runs, "done")) && real.freed_bytes >= 11_000);
    // What belongs to the task that is not over stays.
    assert!(state.runs().iter().all(|run| run.starts_with("open-")), "{:?}", state.runs());
    assert_eq!(names(&state.folder.root().join("homes")), ["open"]);
    assert_eq!(names(&state.folder.root().join("trash")), [""; 0]);
    assert_eq!(state.collect(false).gone, [], "nothing is left to do");
}

#[test]
fn young_tasks_stay_below_the_cap_and_the_oldest_goes_first() {
    let state = State::new();
    let uses = Uses(vec![]);
    let mut collector = state.collector(&uses, None);
    collector.now = Time(1_795_283_016_267 + 1000);
    assert_eq!(collector.collect(false).unwrap().gone, []);
    let kept = collector.collect(true).unwrap().kept_bytes;
    collector.policy.runs_cap = kept / 2;
    let collection = collector.collect(false).unwrap();
    let gone = gone(&collection);
    assert!(
        gone.contains_key(&(What::Runs, "done")) && !gone.contains_key(&(What::Runs, "failed"))
    );
}

#[test]
fn a_run_whose_work_was_never_saved_is_never_removed() {
    let state = State::new();
    // The failed task's agent run, as if no rescue had been stored.
    state
        .home
        .plain()
        .execute("DELETE FROM event WHERE task = 'failed' AND event LIKE '%\"Rescued\"%'", [])
        .unwrap();
    let run = state.folder.run("failed-implement-4");
    fs::create_dir_all(run.join("upper")).unwrap();
    fs::write(run.join("upper/early"), "yes").unwrap();
    let collection = state.collect(false);
    assert!(run.join("upper/early").exists());
    let kept =
        collection.kept.iter().find(|kept| kept.name.as_deref() == Some("failed-implement-4"));
    assert!(kept.is_some_and(|kept| kept.why.contains("never saved")), "{collection:?}");
    assert!(!state.folder.run("failed-check-3").exists(), "its other runs may go");
    // The control: with the rescue stored, the same folder goes.
    let other = State::new();
    let run = other.folder.run("failed-implement-4");
    fs::create_dir_all(run.join("upper")).unwrap();
    fs::write(run.join("upper/early"), "yes").unwrap();
    other.collect(false);
    assert!(!run.exists());
}

/// Removing takes long: while the first task's folders go, somebody deletes the second one and
/// submits it again.
#[test]
fn a_task_that_is_submitted_again_meanwhile_keeps_its_folders() {
    // Over again, at another time; not over; the control.
    let changes = [("ended + 1", true), ("NULL", true), ("ended", false)];
    for (ended, stays) in changes {
        let state = State::new();
        let trigger = format!(
            "INSERT INTO segment VALUES ('done-check-3', 'events', 1, 1, 1, 1, 'digest');
             CREATE TRIGGER again AFTER DELETE ON segment
             BEGIN UPDATE task SET ended = {ended} WHERE name = 'failed'; END"
        );
        state.home.plain().execute_batch(&trigger).unwrap();
        let run = state.folder.run("failed-check-3");
        let home = state.folder.home("failed", "implement-scripted");
        let collection = state.collect(false);
        assert!(!state.folder.run("done-check-3").exists(), "{collection:?}");
        assert_eq!((run.exists(), home.exists()), (stays, stays), "{ended}: {collection:?}");
        let told = collection.kept.iter().any(|kept| kept.why.contains("meanwhile"));
        assert_eq!(told, stays, "{collection:?}");
    }
}

/// What its files are compared with stays as long as they do.
#[test]
fn a_run_that_cannot_be_taken_keeps_its_rows() {
    for (blocked, rows) in [(true, 1), (false, 0)] {
        let state = State::new();
        let row = "INSERT INTO segment VALUES ('done-check-3', 'events', 1, 1, 1, 1, 'digest')";
        state.home.plain().execute_batch(row).unwrap();
        let trash = state.folder.root().join("trash");
        if blocked {
            fs::write(&trash, "no folder").unwrap();
        }
        let collection = state.collect(false);
        assert_eq!(state.folder.run("done-check-3").exists(), blocked, "{collection:?}");
        assert_eq!(state.store.segments("done-check-3", "events").unwrap().len(), rows);
    }
}

#[test]
fn folders_of_nobody_stay_and_are_told() {
    let state = State::new();
    fs::create_dir_all(state.folder.run("stranger-implement-4")).unwrap();
    let collection = state.collect(false);
    assert!(state.folder.run("stranger-implement-4").exists());
    let kept = collection.kept.iter().find(|kept| kept.name.as_deref() == Some("stranger"));
    assert!(kept.is_some_and(|kept| kept.why.contains("no task")), "{collection:?}");
}

#[test]
fn what_is_shared_goes_when_it_is_old_and_nobody_uses_it() {
    let state = State::new();
    let aged = |path: PathBuf, days: u64| {
        fs::create_dir_all(&path).unwrap();
        let then = SystemTime::now() - Duration::from_hours(24 * days);
        fs::File::open(&path).unwrap().set_modified(then).unwrap();
        path
    };
    let made = |name: &str, days: u64| aged(state.folder.deps(name), days);
    let (old, used, young) = (made("base-old", 40), made("base-used", 40), made("base-young", 2));
    let base = aged(state.folder.base("repository", "abc"), 40);
    let mark = durable_file(&base);
    fs::write(&mark, "boot t-checkout-1 7\n").unwrap();
    let door = state.folder.door("done-implement-4");
    let open_door = state.folder.door("open-implement-6");
    fs::create_dir_all(&door).unwrap();
    fs::create_dir_all(&open_door).unwrap();
    let uses = Uses(vec![used.clone(), open_door.clone()]);
    let collection = state.collector(&uses, None).collect(false).unwrap();
    assert!(!old.exists() && used.exists() && young.exists(), "{collection:?}");
    assert!(!base.exists() && !mark.exists(), "what says of it that it is whole goes with it");
    assert!(!door.exists() && open_door.exists());
}

/// Begins to use a base in the moment in which it goes.
struct JustNow(Mutex<u32>);

impl InUse for JustNow {
    fn is_used(&self, _path: &Path) -> bool {
        let mut asked = self.0.lock().unwrap();
        *asked += 1;
        *asked > 1
    }

    fn doors(&self) -> Vec<PathBuf> {
        vec![]
    }
}

#[test]
fn what_a_task_begins_to_use_meanwhile_is_put_back() {
    let state = State::new();
    let layer = state.folder.deps("base-wanted");
    fs::create_dir_all(layer.join("workspace")).unwrap();
    let (nobody, just_now) = (Uses(vec![]), JustNow(Mutex::new(0)));
    let mut collector = state.collector(&nobody, None);
    collector.in_use = &just_now;
    collector.policy.shared_age = Duration::ZERO;
    collector.policy.shared_cap = 0;
    let collection = collector.collect(false).unwrap();
    assert!(layer.join("workspace").exists(), "{collection:?}");
}

#[test]
fn saved_work_goes_only_when_the_repository_has_all_of_it() {
    let state = State::new();
    fs::create_dir_all(state.folder.mirror("/home/user/repository/.git")).unwrap();
    let saved = |name: &str, commit: &str| SavedRef {
        name: format!("refs/midwatch/{name}"),
        commit: commit.to_owned(),
    };
    let all = vec![
        saved("import/done/6", "landed"),
        saved("rescue/done/4/snapshot", "landed-too"),
        saved("rescue/failed/4/snapshot", "nowhere"),
        saved("import/failed/3", "landed"),
        saved("import/open/6", "landed"),
        saved("rescue/stranger/1", "landed"),
    ];
    let memory = Memory {
        refs: Mutex::new(all.clone()),
        landed: vec!["landed", "landed-too"],
        ..Memory::default()
    };
    let uses = Uses(vec![]);
    let dry = state.collector(&uses, Some(&memory)).collect(true).unwrap();
    assert_eq!(memory.refs.lock().unwrap().len(), all.len());
    assert!(gone(&dry).contains_key(&(What::SavedWork, "done")), "{dry:?}");
    let collection = state.collector(&uses, Some(&memory)).collect(false).unwrap();
    assert_eq!(*memory.refs.lock().unwrap(), all[2..], "only the landed task's refs go");
    let why = |task: &str| {
        let of = |kept: &&midwatch_api::gc::Kept| kept.name.as_deref() == Some(task);
        collection.kept.iter().find(of).map(|kept| kept.why.clone()).unwrap_or_default()
    };
    assert!(why("failed").contains("refs/midwatch/rescue/failed/4/snapshot"), "{collection:?}");
    assert!(why("stranger").contains("no task"), "{collection:?}");
    // One commit that is not there any more, or a repository that is gone, keeps all.
    for (landed, commit) in [(vec!["landed"], "landed-too"), (vec!["landed"], "unknown")] {
        let refs = vec![all[0].clone(), saved("rescue/done/4/snapshot", commit)];
        let memory = Memory { refs: Mutex::new(refs.clone()), landed, ..Memory::default() };
        state.collector(&uses, Some(&memory)).collect(false).unwrap();
        assert_eq!(*memory.refs.lock().unwrap(), refs, "{commit}");
    }
}

#[test]
fn what_a_crash_left_in_the_trash_goes_next_time() {
    let state = State::new();
    let half = state.folder.root().join("trash/7-done-implement-4/upper");
    fs::create_dir_all(&half).unwrap();
    fs::write(half.join("file"), "x").unwrap();
    let collection = state.collect(false);
    assert!(gone(&collection).keys().any(|(what, _)| *what == What::Trash), "{collection:?}");
    assert_eq!(names(&state.folder.root().join("trash")), [""; 0]);
}

/// A mount in the way: it cannot be removed, is told, and goes once it is free.
#[test]
fn a_busy_mount_is_told_and_tried_again() {
    if !rustix::process::geteuid().is_root() {
        println!("NOT RUN: mounting needs root");
        return;
    }
    let state = State::new();
    let busy = state.folder.run("done-check-3").join("mounted");
    fs::create_dir_all(&busy).unwrap();
    let mount = |program: &str, args: &[&str]| {
        let done = std::process::Command::new(program).args(args).arg(&busy).status();
        done.is_ok_and(|status| status.success())
    };
    if !mount("mount", &["-t", "tmpfs", "none"]) {
        println!("NOT RUN: no tmpfs can be mounted here");
        return;
    }
    let collection = state.collect(false);
    let told = &collection.busy;
    // The mount moved along with its folder.
    let trashed: Vec<PathBuf> = fs::read_dir(state.folder.root().join("trash"))
        .unwrap()
        .flatten()
        .map(|e| e.path())
        .collect();
    let at = trashed.first().map_or_else(|| busy.clone(), |path| path.join("mounted"));
    let freed = std::process::Command::new("umount").arg(&at).status();
    assert!(freed.is_ok_and(|status| status.success()), "{collection:?}");
    assert_eq!(told.len(), 1, "{collection:?}");
    assert!(told[0].error.contains("busy"), "{told:?}");
    assert!(!state.runs().iter().any(|run| run.starts_with("done-")), "all else went");
    assert_eq!(state.collect(false).busy, []);
    assert_eq!(names(&state.folder.root().join("trash")), [""; 0]);
}

#[test]
fn nothing_is_ever_half_there() {
    let state = State::new();
    let trash = Trash::of(&state.folder, midwatch_engine::pass);
    let path = state.folder.run("done-implement-4");
    trash.take(&path).unwrap();
    assert!(!path.exists());
    trash.take(&path).unwrap();
    // The same name again is another thing.
    fs::create_dir_all(&path).unwrap();
    trash.take(&path).unwrap();
    assert!(!path.exists());
}
