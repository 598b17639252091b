//! Bundles that a mirror keeps as files: git refused what is in them, or their commits.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use midwatch_core::id::{CommitId, Epoch, TaskName};
use midwatch_git::bundle::{Bundle, BundleError};
use midwatch_git::mirror::kept_bundles;

/// What follows the epoch in the name of a rescue's bundle.
const RESCUE: &str = "-rescue";

/// A bundle that is kept as a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptFile {
    /// The task that it is named by.
    pub task: String,
    /// The run that it is of.
    pub epoch: u32,
    /// The file.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
}

/// The name of an import that is kept as a file.
pub(crate) fn import_name(task: &TaskName, epoch: Epoch) -> String {
    format!("{task}-{epoch}.bundle")
}

/// The name of a rescue that is kept as a file.
pub(crate) fn rescue_name(task: &TaskName, epoch: Epoch) -> String {
    format!("{task}-{epoch}{RESCUE}.bundle")
}

/// Every bundle that the mirror in a folder keeps as a file, oldest first for each task.
pub fn kept(mirror: &Path) -> io::Result<Vec<KeptFile>> {
    let entries = match std::fs::read_dir(kept_bundles(mirror)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        Err(error) => return Err(error),
    };
    let mut kept = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        if let Some((task, epoch)) = name.to_str().and_then(named) {
            let bytes = entry.metadata()?.len();
            kept.push(KeptFile { task: task.to_owned(), epoch, path: entry.path(), bytes });
        }
    }
    kept.sort_by(|a, b| (&a.task, a.epoch, &a.path).cmp(&(&b.task, b.epoch, &b.path)));
    Ok(kept)
}

/// The commits that a bundle says it holds, each once. That of a hostile agent may name anything.
pub fn tips(file: &Path) -> Result<BTreeSet<CommitId>, BundleError> {
    let (Some(folder), Some(name)) = (file.parent(), file.file_name().and_then(|n| n.to_str()))
    else {
        return Err(BundleError::Missing);
    };
    let bundle = Bundle::open(folder, name, u64::MAX)?;
    Ok(bundle.header.refs.into_iter().map(|(_, id)| id).collect())
}

fn named(name: &str) -> Option<(&str, u32)> {
    let name = name.strip_suffix(".bundle")?;
    let (task, epoch) = name.strip_suffix(RESCUE).unwrap_or(name).rsplit_once('-')?;
    Some((task, epoch.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_task_of_a_file_is_read_from_the_names_that_we_give() {
        for task in ["fix", "fix-3", "fix-rescue", "fix-3-rescue"] {
            let (name, epoch) = (TaskName::parse(task).unwrap(), Epoch(7));
            for file in [import_name(&name, epoch), rescue_name(&name, epoch)] {
                assert_eq!(named(&file), Some((task, 7)), "{file}");
            }
        }
        for other in ["fix.bundle", "fix-x.bundle", "fix-3", "-rescue.bundle", ""] {
            assert_eq!(named(other), None, "{other}");
        }
    }
}
