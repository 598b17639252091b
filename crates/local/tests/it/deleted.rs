//! What deleted tasks leave: it stays for as long as it is the only place of work, and no longer.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use midwatch_api::control::{Command, PauseAll, Submit};
use midwatch_api::gc::{CollectOrder, Collection, What};
use midwatch_local::folder::StateFolder;
use midwatch_local::retain::{SavedBundle, SavedRef};
use midwatch_local::server::{Server, Settings};
use midwatch_local::store::SqliteStore;
use tokio::task::JoinHandle;

use super::retain::{Memory, gone, names};
use super::world::{Closed, Home, Lands, V1, ended, submit};

/// The run of the failed task's agent.
const RUN: &str = "failed-implement-4";

pub(crate) const A_CENTURY: u64 = 100 * 365 * 24 * 3600;

/// A server beside the tasks of the first release, of which one left a file that no commit holds.
pub(crate) struct Left {
    pub(crate) server: Arc<Server<Closed, Lands>>,
    folder: StateFolder,
    driven: JoinHandle<()>,
    home: Home,
    /// The file.
    kept: PathBuf,
}

impl Left {
    pub(crate) fn new(saved: Option<Arc<Memory>>) -> Self {
        Self::with(r#""leftOut":[{"path":"core","bytes":7}]"#, saved)
    }

    /// With these files in no commit.
    fn with(left_out: &str, saved: Option<Arc<Memory>>) -> Self {
        let home = Home::of(V1);
        let bundled = r#""type":"Bundled""#;
        let left = format!("replace(event, '{bundled}', '{bundled},{left_out}')");
        let sql = format!("UPDATE event SET event = {left} WHERE task = 'failed'");
        home.plain().execute(&sql, []).unwrap();
        // Before all that the clock is set by.
        let ended = "UPDATE task SET ended = 1795282000000 WHERE name = 'failed'";
        home.plain().execute(ended, []).unwrap();
        Self::beside(home, saved)
    }

    pub(crate) fn beside(home: Home, saved: Option<Arc<Memory>>) -> Self {
        let folder = StateFolder::new(home.path().to_owned());
        folder.make().unwrap();
        for run in ["failed-checkout-1", RUN, "failed-rescue-5"] {
            fs::create_dir_all(folder.run(run)).unwrap();
            fs::write(folder.run(run).join("stdout.log"), "said").unwrap();
        }
        let kept = home.folder(&format!("runs/{RUN}/upper/upper")).join("core");
        fs::write(&kept, [1; 7]).unwrap();
        fs::create_dir_all(folder.mirror("/home/user/repository/.git")).unwrap();
        let store = Arc::new(SqliteStore::open(&folder.database()).unwrap());
        let mut settings = Settings::new("/bin/false".into());
        settings.saved = saved.map(|saved| saved as Arc<_>);
        let (server, driven) =
            Server::start(folder.clone(), store, Closed, Lands::default(), settings).unwrap();
        let driven = tokio::spawn(async { drop(driven.await) });
        Self { server, folder, driven, home, kept }
    }

    pub(crate) fn collect(&self, dry_run: bool) -> Collection {
        let order = CollectOrder { dry_run, age_seconds: Some(0), cap_bytes: None };
        self.server.collect(&order).unwrap()
    }

    /// A task that goes on from the failed one.
    fn follow_up(&self, name: &str) -> Submit {
        let before = self.server.order("failed").unwrap();
        let mut on = submit(name);
        (on.order.repository, on.order.base) = (before.repository, before.base);
        on.order.follows = serde_json::from_value(serde_json::json!({ "task": "failed" })).unwrap();
        on
    }

    /// What goes, which has to be what a dry run said.
    #[track_caller]
    pub(crate) fn collect_as_told(&self) -> Collection {
        let (dry, real) = (self.collect(true), self.collect(false));
        assert_eq!((&dry.gone, dry.freed_bytes), (&real.gone, real.freed_bytes));
        assert_eq!((&dry.kept, dry.kept_bytes), (&real.kept, real.kept_bytes));
        real
    }

    fn runs(&self) -> Vec<String> {
        let mut runs = names(&self.folder.root().join("runs"));
        runs.retain(|run| run.starts_with("failed-"));
        runs
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        self.driven.abort();
    }
}

pub(crate) fn why(collection: &Collection, what: What, name: &str) -> String {
    let of =
        |kept: &&midwatch_api::gc::Kept| kept.what == what && kept.name.as_deref() == Some(name);
    collection.kept.iter().find(of).map(|kept| kept.why.clone()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_folder_of_a_deleted_task_goes_once_somebody_took_the_kept_file() {
    let left = Left::new(None);
    let told = left.server.delete_task("failed", "me").unwrap().kept;
    assert!(told.iter().any(|line| line.contains("core is in no commit")), "{told:?}");
    assert_eq!(left.runs(), [RUN]);
    // The control: while the file is there, it is the only place of it.
    let collection = left.collect_as_told();
    assert!(left.kept.exists());
    assert!(why(&collection, What::Runs, RUN).contains("core is in no commit"), "{collection:?}");

    fs::remove_file(&left.kept).unwrap();
    let collection = left.collect_as_told();
    assert!(gone(&collection).contains_key(&(What::Runs, "failed")), "{collection:?}");
    assert_eq!(left.runs(), [""; 0]);
    assert_eq!(left.collect(false).gone, [], "nothing is left to do");
}

#[tokio::test(flavor = "multi_thread")]
async fn refs_of_a_deleted_task_go_once_the_repository_has_all_of_them() {
    for (landed, goes) in [(vec!["work", "more"], true), (vec!["work"], false)] {
        let saved = |name: &str, commit: &str| SavedRef {
            name: format!("refs/midwatch/{name}"),
            commit: commit.to_owned(),
        };
        let refs =
            vec![saved("rescue/failed/4/snapshot", "work"), saved("import/failed/3", "more")];
        let memory =
            Arc::new(Memory { refs: Mutex::new(refs.clone()), landed, ..Memory::default() });
        let left = Left::new(Some(Arc::clone(&memory)));
        left.server.delete_task("failed", "me").unwrap();
        // Deleting makes nothing older.
        let young = CollectOrder { age_seconds: Some(A_CENTURY), ..CollectOrder::default() };
        let collection = left.server.collect(&young).unwrap();
        assert_eq!(*memory.refs.lock().unwrap(), refs, "{collection:?}");
        let collection = left.collect_as_told();
        let kept = if goes { vec![] } else { refs };
        assert_eq!(*memory.refs.lock().unwrap(), kept, "{collection:?}");
        let told = gone(&collection).contains_key(&(What::SavedWork, "failed"));
        assert_eq!(told, goes, "{collection:?}");
        let why = why(&collection, What::SavedWork, "failed");
        assert_eq!(why.contains("no branch"), !goes, "{why}");
        assert!(left.kept.exists(), "refs and files are two things");
        fs::remove_file(&left.kept).unwrap();
        let refusal = left.server.submit(submit("failed")).unwrap_err();
        assert!(refusal.message.contains("`midwatch gc`"), "how to free it: {}", refusal.message);
        left.collect(false);
        let given = left.server.submit(submit("failed"));
        assert_eq!(given.is_ok(), goes, "the control is a ref that stays: {given:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_given_again_only_when_no_folder_has_it() {
    let home = Home::of(V1);
    let rescued = "DELETE FROM event WHERE task = 'failed' AND event LIKE '%\"Rescued\"%'";
    home.plain().execute(rescued, []).unwrap();
    let left = Left::beside(home, None);
    let told = left.server.delete_task("failed", "me").unwrap().kept;
    assert!(told.iter().any(|line| line.contains("never saved")), "{told:?}");
    let refusal = left.server.submit(submit("failed")).unwrap_err();
    assert!(refusal.message.contains("deleted"), "its runs would have the names of these");
    left.collect(false);
    assert!(left.kept.exists(), "the only place of the work");
    assert!(left.server.submit(submit("failed")).is_err());

    fs::remove_dir_all(left.folder.run(RUN).join("upper")).unwrap();
    left.collect(true);
    assert!(left.server.submit(submit("failed")).is_err(), "a dry run frees nothing");
    left.collect(false);
    assert_eq!(left.runs(), [""; 0]);
    left.server.submit(submit("failed")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_task_that_an_older_version_deleted_only_empty_runs_go() {
    let left = Left::new(None);
    left.server.delete_task("failed", "me").unwrap();
    let older = "UPDATE fact SET value = 1795283016267 WHERE key = 'reserved/failed'";
    assert_eq!(left.home.plain().execute(older, []).unwrap(), 1);
    left.collect_as_told();
    assert!(left.kept.exists());
    fs::remove_file(&left.kept).unwrap();
    left.collect_as_told();
    assert_eq!(left.runs(), [RUN], "another file may be the work: nothing is known of it");
    fs::remove_dir_all(left.folder.run(RUN).join("upper")).unwrap();
    left.collect_as_told();
    assert_eq!(left.runs(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_took_is_named_no_more_file_by_file() {
    let two = r#""leftOut":[{"path":"core","bytes":7},{"path":"deep/disk","bytes":9}]"#;
    let left = Left::with(two, None);
    let other = left.home.folder(&format!("runs/{RUN}/upper/upper/deep")).join("disk");
    fs::write(&other, [1; 9]).unwrap();
    let named = || {
        let kept = left.server.get("failed").unwrap().result.kept;
        let of = |work: &midwatch_api::view::KeptWork| {
            let names: Vec<_> = work.files.iter().map(|file| file.path.clone()).collect();
            (work.folder.clone(), names)
        };
        kept.iter().map(of).collect::<Vec<_>>()
    };
    let folder = left.folder.run(RUN).join("upper/upper").to_str().unwrap().to_owned();
    assert_eq!(named(), [(folder.clone(), vec!["core".to_owned(), "deep/disk".to_owned()])]);
    fs::remove_file(&left.kept).unwrap();
    assert_eq!(named(), [(folder, vec!["deep/disk".to_owned()])]);
    fs::remove_file(&other).unwrap();
    assert_eq!(named(), [], "its folder is still there, and holds nothing that counts");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_with_a_hostile_name_stays_until_that_very_file_is_taken() {
    for name in ["core\n", "a\tb", "a; b", "\x1b[31mred", " ", "it\\n", "\"q\"", "a, core"] {
        let shown = midwatch_core::path::shown(name.as_bytes());
        let json = serde_json::json!([{"path": shown, "bytes": 7}]).to_string();
        let left = Left::with(&format!(r#""leftOut":{}"#, json.replace('\'', "''")), None);
        let hostile = left.kept.with_file_name(name);
        // `core` is another name, and so is what it could be taken for.
        fs::rename(&left.kept, &hostile).unwrap();
        left.collect_as_told();
        let named = left.server.get("failed").unwrap().result.kept;
        assert!(hostile.exists(), "{name:?}: the only place of it");
        assert_eq!(named[0].files[0].path, shown);
        fs::rename(&hostile, &left.kept).unwrap();
        let taken = left.server.get("failed").unwrap().result.kept;
        assert_eq!(taken, [], "{name:?} is not there, whatever else is");
        left.collect_as_told();
        assert_eq!(left.runs(), [""; 0], "{name:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_more_was_left_than_is_named_nothing_goes_until_all_is_taken() {
    let left = Left::with(r#""leftOut":[{"path":"core","bytes":7},{"path":"…","bytes":0}]"#, None);
    let unnamed = left.kept.with_file_name("unnamed");
    fs::rename(&left.kept, &unnamed).unwrap();
    let collection = left.collect_as_told();
    assert!(unnamed.exists());
    let why = why(&collection, What::Runs, RUN);
    assert!(why.starts_with("more than was named is in no commit"), "{why}");
    fs::remove_file(unnamed).unwrap();
    left.collect_as_told();
    assert!(!left.runs().contains(&RUN.to_owned()), "the control: nothing is in it");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_home_of_a_deleted_task_stays_while_a_follow_up_goes_on_in_it() {
    let left = Left::new(None);
    let home = left.folder.home("failed", "implement-a");
    fs::create_dir_all(&home).unwrap();
    fs::write(home.join("chat"), "what was said").unwrap();
    left.server.pause_all(&PauseAll { paused: true, by: "me".into() }).unwrap();
    left.server.submit(left.follow_up("on")).unwrap();

    left.collect_as_told();
    assert!(home.join("chat").exists(), "a clean-up took it");
    left.server.delete_task("failed", "me").unwrap();
    left.collect_as_told();
    assert!(home.join("chat").exists(), "its task's deletion took it");
    // The control: nobody goes on in it.
    left.server.command("on", Command::Cancel { by: "me".into() }).unwrap();
    ended(&left.server, "on").await;
    left.collect_as_told();
    assert!(!home.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_cannot_be_read_leaves_its_follow_up_its_home_and_names_all_it_saved() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let bundle = SavedBundle { task: "failed".into(), path: file.path().to_owned(), bytes: 0 };
    let memory = Memory { bundles: vec![bundle], ..Memory::default() };
    let left = Left::new(Some(Arc::new(memory)));
    let home = left.folder.home("failed", "implement-a");
    fs::create_dir_all(&home).unwrap();
    left.server.pause_all(&PauseAll { paused: true, by: "me".into() }).unwrap();
    left.server.submit(left.follow_up("on")).unwrap();
    let damage = "UPDATE event SET event = '!' WHERE task = 'failed' AND seq = 1";
    assert_eq!(left.home.plain().execute(damage, []).unwrap(), 1);

    let kept = left.server.delete_task("failed", "me").unwrap().kept;
    assert!(kept.iter().any(|line| line.contains(file.path().to_str().unwrap())), "{kept:?}");
    assert!(left.server.get("failed").is_err());
    assert!(home.exists(), "a follow-up goes on in it");
    // The control: nobody goes on in it.
    left.server.command("on", Command::Cancel { by: "me".into() }).unwrap();
    ended(&left.server, "on").await;
    left.collect(false);
    assert!(!home.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_goes_on_from_a_task_whose_work_is_only_in_its_workspace() {
    let home = Home::of(V1);
    // As if no rescue had come through.
    let sql = "DELETE FROM event WHERE task = 'failed' AND event LIKE '%\"Rescued\"%'";
    home.plain().execute(sql, []).unwrap();
    let left = Left::beside(home, None);
    let upper = left.folder.run(RUN).join("upper");
    fs::create_dir_all(&upper).unwrap();
    fs::write(upper.join("early"), "yes").unwrap();
    let refusal = left.server.submit(left.follow_up("on")).unwrap_err();
    assert!(refusal.message.contains("would not have"), "{refusal:?}");
    assert!(refusal.message.contains(RUN), "it says where: {refusal:?}");
    // The control: what it would not have is taken away.
    fs::remove_dir_all(left.folder.run(RUN)).unwrap();
    left.server.submit(left.follow_up("on")).unwrap();
}
