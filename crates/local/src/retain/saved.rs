//! What saves the work of tasks in the mirrors: refs, and bundles that are kept as files. It goes
//! only when the task is over for long and the user's repository has every one of its commits on
//! a ref of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use midwatch_api::gc::What;
use midwatch_core::time::Time;

use super::tasks::MEANWHILE;
use super::{Collector, Found, deleted};
use crate::point::between;
use crate::store::StoreError;
use crate::sweep::folders_in;

/// Tasks whose saved work is looked at in one clean-up: its refs cost a few starts of git, and so
/// does each of its bundles.
const TASKS: usize = 500;

/// The most commits of a bundle that are looked for: a hostile agent's names thousands.
const TIPS: usize = 500;

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

/// A bundle that a mirror keeps as a file: git refused what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedBundle {
    /// The task that it is named by.
    pub task: String,
    /// The file.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
}

/// Who knows the mirrors' refs. Errors are one sentence.
pub trait SavedWork: Send + Sync {
    /// Every ref in a mirror that saves work.
    fn refs(&self, mirror: &Path) -> Result<Vec<SavedRef>, String>;

    /// Every bundle that a mirror keeps as a file, oldest first for each task.
    fn bundles(&self, mirror: &Path) -> Result<Vec<SavedBundle>, String>;

    /// The commits that such a bundle says it holds, each once.
    fn tips(&self, bundle: &Path) -> Result<Vec<String>, String>;

    /// The ref with the newest work of a task that git took.
    fn newest(&self, mirror: &Path, task: &str) -> Result<Option<String>, String>;

    /// Whether branches, remote branches and tags of the user's repository have all of these
    /// commits.
    fn have_landed(&self, repository: &Path, commits: &[&str]) -> Result<bool, String>;

    /// Removes refs of a mirror.
    fn forget(&self, mirror: &Path, refs: &[SavedRef]) -> Result<(), String>;
}

/// What one task has in one mirror.
#[derive(Debug, Default)]
struct Work {
    refs: Vec<SavedRef>,
    bundles: Vec<SavedBundle>,
}

impl Work {
    fn bytes(&self) -> u64 {
        self.bundles.iter().map(|bundle| bundle.bytes).sum()
    }
}

pub(super) fn collect(collector: &Collector<'_>, found: &mut Found) -> Result<(), StoreError> {
    let Some(saved) = collector.saved else { return Ok(()) };
    let old = collector.before(collector.policy.age);
    let mut looked = 0;
    for mirror in folders_in(&collector.folder.root().join("mirrors")).unwrap_or_default() {
        let tasks = match by_task(saved, &mirror) {
            Ok(tasks) => tasks,
            Err(error) => {
                tracing::warn!(mirror = %mirror.display(), error, "gc.mirror_unread");
                continue;
            }
        };
        for (task, work) in tasks {
            let over = over(collector, &task)?;
            let why = match over {
                Over::NotYet => Some("the task is not over"),
                Over::Since(ended) if ended >= old => Some("the task ended not long ago"),
                Over::Since(_) if looked >= TASKS => Some("it is looked at next time"),
                Over::Since(_) | Over::Unknown => None,
            };
            if let Some(why) = why {
                found.keep_with_others(What::SavedWork, work.bytes(), why);
                continue;
            }
            looked += 1;
            match landed(collector, saved, &task, &work)? {
                // Looking takes long: somebody may have given the name again meanwhile.
                Landed::Everywhere(_) if self::over(collector, &task)? != over => {
                    found.keep_with_others(What::SavedWork, work.bytes(), MEANWHILE);
                }
                Landed::Everywhere(commits) => {
                    forget(saved, found, &mirror, (&task, commits), &work);
                }
                Landed::Not(why) => found.keep(What::SavedWork, &task, work.bytes(), why),
            }
        }
    }
    Ok(())
}

/// What is known of the end of the task that work is named by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    NotYet,
    Since(Time),
    /// Nothing is known of such a task.
    Unknown,
}

fn over(collector: &Collector<'_>, task: &str) -> Result<Over, StoreError> {
    Ok(match collector.store.ended(task)? {
        Some(None) => Over::NotYet,
        Some(Some(ended)) => Over::Since(ended),
        None => deleted::ended(collector, task)?.map_or(Over::Unknown, Over::Since),
    })
}

enum Landed {
    /// All of its commits, of which there are so many.
    Everywhere(usize),
    Not(String),
}

fn landed(
    collector: &Collector<'_>,
    saved: &dyn SavedWork,
    task: &str,
    work: &Work,
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
    Ok(match everywhere(saved, &repository, work) {
        Ok(commits) => Landed::Everywhere(commits),
        Err(why) => Landed::Not(why),
    })
}

/// How many commits a task's work has, all of which the repository has; or why it stays.
fn everywhere(saved: &dyn SavedWork, repository: &Path, work: &Work) -> Result<usize, String> {
    let commits: Vec<&str> = work.refs.iter().map(|one| one.commit.as_str()).collect();
    if !commits.is_empty() && !saved.have_landed(repository, &commits)? {
        // Only now it is asked which.
        for one in &work.refs {
            if !saved.have_landed(repository, &[&one.commit])? {
                return Err(format!("no branch of the repository has {}", one.name));
            }
        }
    }
    let mut commits = work.refs.len();
    for bundle in &work.bundles {
        let (file, tips) = (bundle.path.display(), saved.tips(&bundle.path));
        let stays = |why: String| format!("{why}: take what you need from {file} and remove it");
        let tips =
            tips.map_err(|error| stays(format!("it is not known what it holds ({error})")))?;
        if tips.is_empty() || tips.len() > TIPS {
            return Err(stays(format!("it names {} commits", tips.len())));
        }
        let all: Vec<&str> = tips.iter().map(String::as_str).collect();
        if !saved.have_landed(repository, &all)? {
            return Err(stays("no branch of the repository has all of it".to_owned()));
        }
        commits += tips.len();
    }
    Ok(commits)
}

fn forget(
    saved: &dyn SavedWork,
    found: &mut Found,
    mirror: &Path,
    (task, commits): (&str, usize),
    work: &Work,
) {
    if !found.dry_run
        && let Err(error) =
            between(found.trash.point(), "RefsForgotten", || saved.forget(mirror, &work.refs))
    {
        found.keep(What::SavedWork, task, work.bytes(), error);
        return;
    }
    let bytes = work.bundles.iter().map(|bundle| found.take(&bundle.path, bundle.bytes)).sum();
    let why = format!("the repository has all {commits} of its commits on refs of its own");
    found.went(What::SavedWork, task, bytes, why);
}

/// The tasks that saved work is named by.
pub(super) enum Named {
    /// These, in all mirrors.
    Known(BTreeSet<String>),
    /// It cannot be seen.
    Unknown,
}

impl Named {
    /// Whether something is named by a task. What cannot be seen is.
    pub(super) fn has(&self, task: &str) -> bool {
        match self {
            Self::Known(tasks) => tasks.contains(task),
            Self::Unknown => true,
        }
    }
}

/// Looks into every mirror.
pub(super) fn tasks(collector: &Collector<'_>) -> Named {
    let mirrors = folders_in(&collector.folder.root().join("mirrors"));
    let (Some(saved), Ok(mirrors)) = (collector.saved, mirrors) else { return Named::Unknown };
    let mut named = BTreeSet::new();
    for mirror in mirrors {
        let Ok(tasks) = by_task(saved, &mirror) else { return Named::Unknown };
        named.extend(tasks.into_keys());
    }
    Named::Known(named)
}

fn by_task(saved: &dyn SavedWork, mirror: &Path) -> Result<BTreeMap<String, Work>, String> {
    let mut tasks: BTreeMap<String, Work> = BTreeMap::new();
    for one in saved.refs(mirror)? {
        if let Some(task) = one.task().map(ToOwned::to_owned) {
            tasks.entry(task).or_default().refs.push(one);
        }
    }
    for bundle in saved.bundles(mirror)? {
        tasks.entry(bundle.task.clone()).or_default().bundles.push(bundle);
    }
    Ok(tasks)
}
