//! Refs in the mirrors that save the work of tasks. They go only when the task is over for long
//! and the user's repository has every one of their commits on a ref of its own.

use std::collections::BTreeMap;
use std::path::Path;

use midwatch_api::gc::{Gone, What};

use super::{Collector, Found, deleted};
use crate::store::StoreError;
use crate::sweep::folders_in;

/// Tasks whose refs are looked at in one clean-up: each costs a few starts of git.
const TASKS: usize = 500;

/// Why saved work of such a repository stays.
pub(super) const ON_A_SERVER: &str = "its repository is on a server: what that has is not known";

/// A ref in a mirror.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedRef {
    /// Its whole name: `refs/midwatch/KIND/TASK/..`.
    pub name: String,
    /// What it keeps.
    pub commit: String,
}

impl SavedRef {
    /// The task that it is named by.
    pub(crate) fn task(&self) -> Option<&str> {
        self.name.split('/').nth(3)
    }
}

/// Who knows the mirrors' refs. Errors are one sentence.
pub trait SavedWork: Send + Sync {
    /// Every ref in a mirror that saves work.
    fn refs(&self, mirror: &Path) -> Result<Vec<SavedRef>, String>;

    /// Whether a branch, remote branch or tag of the user's repository has a commit.
    fn has_landed(&self, repository: &Path, commit: &str) -> Result<bool, String>;

    /// Removes refs of a mirror.
    fn forget(&self, mirror: &Path, refs: &[SavedRef]) -> Result<(), String>;
}

pub(super) fn collect(collector: &Collector<'_>, found: &mut Found) -> Result<(), StoreError> {
    let Some(saved) = collector.saved else { return Ok(()) };
    let old = collector.before(collector.policy.age);
    let mut looked = 0;
    for mirror in folders_in(&collector.folder.root().join("mirrors")).unwrap_or_default() {
        let refs = match saved.refs(&mirror) {
            Ok(refs) => refs,
            Err(error) => {
                tracing::warn!(mirror = %mirror.display(), error, "gc.mirror_unread");
                continue;
            }
        };
        for (task, refs) in by_task(refs) {
            let ended = match collector.store.ended(&task)? {
                None => deleted::ended(collector, &task)?.map(Some),
                ended => ended,
            };
            let why = match ended {
                Some(None) => Some("the task is not over"),
                Some(Some(ended)) if ended >= old => Some("the task ended not long ago"),
                Some(Some(_)) if looked >= TASKS => Some("it is looked at next time"),
                Some(Some(_)) | None => None,
            };
            if let Some(why) = why {
                found.keep_with_others(What::SavedWork, 0, why);
                continue;
            }
            looked += 1;
            match landed(collector, saved, &task, &refs)? {
                Landed::Everywhere => forget(saved, found, &mirror, &task, &refs),
                Landed::Not(why) => found.keep(What::SavedWork, &task, 0, why),
            }
        }
    }
    Ok(())
}

enum Landed {
    Everywhere,
    Not(String),
}

fn landed(
    collector: &Collector<'_>,
    saved: &dyn SavedWork,
    task: &str,
    refs: &[SavedRef],
) -> Result<Landed, StoreError> {
    let repository = match collector.store.row(task) {
        Ok(Some(row)) => {
            let path = row.order.repository.path().map(Path::to_owned);
            path.ok_or_else(|| ON_A_SERVER.to_owned())
        }
        Ok(None) => deleted::repository(collector, task)?,
        Err(error @ StoreError::Row { .. }) => Err(error.to_string()),
        Err(error) => return Err(error),
    };
    let repository = match repository {
        Ok(repository) => repository,
        Err(why) => return Ok(Landed::Not(why)),
    };
    for one in refs {
        match saved.has_landed(&repository, &one.commit) {
            Ok(true) => {}
            Ok(false) => {
                let why = format!("no branch of the repository has {}", one.name);
                return Ok(Landed::Not(why));
            }
            Err(error) => return Ok(Landed::Not(error)),
        }
    }
    Ok(Landed::Everywhere)
}

fn forget(saved: &dyn SavedWork, found: &mut Found, mirror: &Path, task: &str, refs: &[SavedRef]) {
    if !found.dry_run
        && let Err(error) = saved.forget(mirror, refs)
    {
        found.keep(What::SavedWork, task, 0, error);
        return;
    }
    let why = format!("the repository has all {} of its commits on refs of its own", refs.len());
    found.gone.push(Gone { what: What::SavedWork, name: task.to_owned(), bytes: 0, why });
}

fn by_task(refs: Vec<SavedRef>) -> BTreeMap<String, Vec<SavedRef>> {
    let mut tasks: BTreeMap<String, Vec<SavedRef>> = BTreeMap::new();
    for one in refs {
        if let Some(task) = one.task().map(ToOwned::to_owned) {
            tasks.entry(task).or_default().push(one);
        }
    }
    tasks
}
