//! A state folder to clean up, and mirrors that are only remembered.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use midwatch_api::gc::{Collection, What};
use midwatch_core::time::Time;
use midwatch_local::folder::StateFolder;
use midwatch_local::retain::{Collector, InUse, Policy, SavedBundle, SavedRef, SavedWork};
use midwatch_local::store::SqliteStore;

use crate::world::{Home, V1};

/// Long after the tasks of the first release ended.
const LATER: Time = Time(1_795_283_016_267 + 40 * 24 * 3_600_000);

/// What is in use.
pub(super) struct Uses(pub(super) Vec<PathBuf>);

impl InUse for Uses {
    fn is_used(&self, path: &Path) -> bool {
        self.0.iter().any(|used| used == path)
    }

    fn doors(&self) -> Vec<PathBuf> {
        self.0.clone()
    }
}

/// Mirrors in memory: refs, and commits that the user's repository has.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) refs: Mutex<Vec<SavedRef>>,
    pub(crate) landed: Vec<&'static str>,
    pub(crate) bundles: Vec<SavedBundle>,
    /// What each bundle says it holds; an error where it cannot be read.
    pub(crate) tips: Vec<String>,
}

impl SavedWork for Memory {
    fn refs(&self, _mirror: &Path) -> Result<Vec<SavedRef>, String> {
        Ok(self.refs.lock().unwrap().clone())
    }

    fn bundles(&self, _mirror: &Path) -> Result<Vec<SavedBundle>, String> {
        Ok(self.bundles.iter().filter(|bundle| bundle.path.exists()).cloned().collect())
    }

    fn tips(&self, bundle: &Path) -> Result<Vec<String>, String> {
        match fs::read_to_string(bundle).as_deref() {
            Ok("cut") => Err("it is malformed".into()),
            Ok(_) | Err(_) => Ok(self.tips.clone()),
        }
    }

    fn newest(&self, _mirror: &Path, task: &str) -> Result<Option<String>, String> {
        let refs = self.refs.lock().unwrap();
        Ok(refs.iter().map(|one| one.name.clone()).rfind(|name| name.contains(task)))
    }

    fn have_landed(&self, _repository: &Path, commits: &[&str]) -> Result<bool, String> {
        if commits.contains(&"unknown") {
            return Err("the repository is gone".into());
        }
        Ok(commits.iter().all(|commit| self.landed.contains(commit)))
    }

    fn forget(&self, _mirror: &Path, refs: &[SavedRef]) -> Result<(), String> {
        self.refs.lock().unwrap().retain(|one| !refs.contains(one));
        Ok(())
    }
}

/// A state folder with tasks that are over, and one that is open.
pub(super) struct State {
    pub(super) home: Home,
    pub(super) folder: StateFolder,
    pub(super) store: SqliteStore,
}

impl State {
    /// Three tasks of the first release, each with the folders of its runs and HOMEs.
    pub(super) fn new() -> Self {
        let home = Home::of(V1);
        let store = SqliteStore::open(&home.database()).unwrap();
        let folder = StateFolder::new(home.database().parent().unwrap().to_owned());
        folder.make().unwrap();
        for task in ["done", "failed", "open"] {
            for run in store.view(task).unwrap().unwrap().runs {
                let path = folder.root().join(run.folder);
                fs::create_dir_all(&path).unwrap();
                fs::write(path.join("stdout.log"), vec![b'x'; 1000]).unwrap();
            }
            fs::create_dir_all(folder.home(task, "implement-scripted")).unwrap();
        }
        Self { home, folder, store }
    }

    pub(super) fn collector<'a>(
        &'a self,
        uses: &'a Uses,
        saved: Option<&'a dyn SavedWork>,
    ) -> Collector<'a> {
        Collector {
            folder: &self.folder,
            store: &self.store,
            in_use: uses,
            saved,
            policy: Policy::default(),
            now: LATER,
            point: midwatch_engine::pass,
        }
    }

    pub(super) fn collect(&self, dry_run: bool) -> Collection {
        self.collector(&Uses(vec![]), None).collect(dry_run).unwrap()
    }

    pub(super) fn runs(&self) -> Vec<String> {
        names(&self.folder.root().join("runs"))
    }
}

pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).map(|entries| entries.flatten().collect::<Vec<_>>());
    let entries = entries.unwrap_or_default();
    let mut names: Vec<String> =
        entries.iter().map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

pub(crate) fn gone(collection: &Collection) -> BTreeMap<(What, &str), u64> {
    collection.gone.iter().map(|gone| ((gone.what, gone.name.as_str()), gone.bytes)).collect()
}
