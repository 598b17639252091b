//! The refs that save work, for the clean-up: asked of git by way of the publisher's room.

use std::path::Path;

use midwatch_core::id::CommitId;
use midwatch_local::retain::{SavedBundle, SavedRef, SavedWork};
use midwatch_publish::Git;
use midwatch_publish::files::{self, KeptFile};
use midwatch_publish::saved;

/// Looks into mirrors and the users' repositories.
pub(super) struct Mirrors {
    pub(super) git: Git,
}

impl SavedWork for Mirrors {
    fn refs(&self, mirror: &Path) -> Result<Vec<SavedRef>, String> {
        let refs = saved::refs(&self.git, mirror).map_err(|error| error.to_string())?;
        let told = |(name, commit): (String, CommitId)| SavedRef {
            name,
            commit: commit.as_str().to_owned(),
        };
        Ok(refs.into_iter().map(told).collect())
    }

    fn bundles(&self, mirror: &Path) -> Result<Vec<SavedBundle>, String> {
        let kept = files::kept(mirror).map_err(|error| error.to_string())?;
        let told = |KeptFile { task, epoch: _, path, bytes }| SavedBundle { task, path, bytes };
        Ok(kept.into_iter().map(told).collect())
    }

    fn tips(&self, bundle: &Path) -> Result<Vec<String>, String> {
        let tips = files::tips(bundle).map_err(|error| error.to_string())?;
        Ok(tips.into_iter().map(|id| id.as_str().to_owned()).collect())
    }

    fn newest(&self, mirror: &Path, task: &str) -> Result<Option<String>, String> {
        let newest = saved::newest_in(&self.git, mirror, task);
        Ok(newest.map_err(|error| error.to_string())?.map(|(name, _)| name))
    }

    fn have_landed(&self, repository: &Path, commits: &[&str]) -> Result<bool, String> {
        let commits = commits.iter().map(|commit| CommitId::parse(commit));
        let commits: Vec<_> = commits.collect::<Result<_, _>>().map_err(|e| e.to_string())?;
        saved::have_landed(&self.git, repository, &commits).map_err(|error| error.to_string())
    }

    fn forget(&self, mirror: &Path, refs: &[SavedRef]) -> Result<(), String> {
        let names: Vec<&str> = refs.iter().map(|one| one.name.as_str()).collect();
        saved::forget(&self.git, mirror, &names).map_err(|error| error.to_string())
    }
}
