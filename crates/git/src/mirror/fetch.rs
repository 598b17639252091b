//! Fetching into `upstream`, each time read back: a fetch that ended well may have set nothing.

use std::collections::BTreeSet;
use std::path::Path;

use midwatch_core::id::{BranchName, CommitId};

use super::Mirror;
use crate::command::{Input, LONG};
use crate::error::GitError;
use crate::inspect::{Checkout, read_shallow};
use crate::refs::{self, Before};
use crate::remote::{Access, RemoteError};
use crate::revisions::{Revisions, lines};

/// Old histories hold small mistakes of old programs; they are the repository's own past and
/// harm nobody. What could be used to write elsewhere stays an error.
const OLD_MISTAKES: [&str; 10] = [
    "badTimezone",
    "missingSpaceBeforeDate",
    "missingSpaceBeforeEmail",
    "missingNameBeforeEmail",
    "missingEmail",
    "badEmail",
    "badDateOverflow",
    "zeroPaddedDate",
    "zeroPaddedFilemode",
    "missingTaggerEntry",
];

/// The option that makes `index-pack` check every object but excuse [`OLD_MISTAKES`].
pub(crate) fn strict_but_for_the_past() -> String {
    let excused: Vec<String> =
        OLD_MISTAKES.iter().map(|mistake| format!("{mistake}=ignore")).collect();
    format!("--strict={}", excused.join(","))
}

/// Where the refs that keep fetched commits are.
pub(super) const BASES: &str = "refs/midwatch/base";

/// The ref that keeps a fetched commit.
pub(super) fn base_ref(commit: &CommitId) -> String {
    format!("{BASES}/{commit}")
}

impl Mirror {
    /// Takes a commit and its history from a user's repository. Only objects are read there.
    pub fn fetch_local(&self, from: &Checkout, commit: &CommitId) -> Result<(), GitError> {
        if self.has_upstream(commit)? {
            return Ok(());
        }
        let locked = self.lock()?;
        let upstream = self.upstream();
        let theirs = from.shallow()?;
        let ours = read_shallow(&upstream)?;
        let mut asked = Revisions::wanted([commit]);
        if theirs.is_empty() && ours.is_empty() {
            let common = self.common_with(from).or_else(|_| {
                // After a power loss, a ref may be there without its pack.
                self.forget_broken_bases()?;
                self.common_with(from)
            });
            asked = asked.without(common?);
        } else {
            // Marked before the objects come, or the strict check misses their parents. Marked
            // too much after a crash only hides history, and the next fetch mends it.
            write_shallow(&upstream, theirs.iter().chain(&ours))?;
        }
        let pack = from
            .read(self.git(), "pack-objects")
            .args(["--revs", "-q", "--delta-base-offset", "--window=0"])
            .args(["--no-use-bitmap-index"])
            .config("pack.compression", "1")
            .timeout(LONG)
            .stdin(asked.input());
        if from.owner().is_some() {
            // Another user cannot write to our store, and what they write is not taken unread.
            self.git()
                .at(&upstream, "index-pack")
                .arg(strict_but_for_the_past())
                .arg("--stdin")
                .timeout(LONG)
                .stdin(Input::Call(Box::new(pack.arg("--stdout"))))
                .run()?;
        } else {
            self.take_unchecked(from, pack)?;
        }
        if !(theirs.is_empty() && ours.is_empty()) {
            self.mend_shallow(theirs.iter().chain(&ours))?;
        }
        let set = self.git().at(&upstream, "update-ref");
        refs::set(set, &base_ref(commit), commit, Before::Any)?;
        drop(locked);
        self.read_back(commit)
    }

    /// Takes a branch from a remote and tells where it stands.
    pub fn fetch_branch(
        &self,
        access: Access<'_>,
        branch: &BranchName,
    ) -> Result<CommitId, RemoteError> {
        let name = format!("refs/midwatch/remote/{branch}");
        self.fetch_remote(access, &format!("+refs/heads/{branch}:{name}"))?;
        let commit = self.read(&self.upstream(), &name)?;
        let commit = commit.ok_or_else(|| GitError::unexpected("fetch", b"no branch came"))?;
        self.keep_base(&commit)?;
        Ok(commit)
    }

    /// Takes one commit by its id from a remote. Where the remote gives commits by the names of
    /// branches only, `branch` is the one that it was seen on.
    pub fn fetch_commit(
        &self,
        access: Access<'_>,
        commit: &CommitId,
        branch: Option<&BranchName>,
    ) -> Result<(), RemoteError> {
        if self.has_upstream(commit)? {
            return Ok(());
        }
        let taken = self.fetch_remote(access, &format!("+{commit}:{}", base_ref(commit)));
        match (taken, branch) {
            (Ok(()), _) => Ok(self.read_back(commit)?),
            (Err(RemoteError::Git(error)), Some(branch)) if is_not_given(&error) => {
                match self.fetch_branch(access, branch) {
                    Ok(_) if self.has(commit)? => Ok(self.keep_base(commit)?),
                    Ok(_) => Err(RemoteError::NoCommit(commit.clone())),
                    Err(RemoteError::Git(error)) if error.says("couldn't find remote ref") => {
                        Err(RemoteError::NoCommit(commit.clone()))
                    }
                    Err(error) => Err(error),
                }
            }
            (Err(RemoteError::Git(error)), None) if is_not_given(&error) => {
                Err(RemoteError::NoCommit(commit.clone()))
            }
            (Err(error), _) => Err(error),
        }
    }

    fn keep_base(&self, commit: &CommitId) -> Result<(), GitError> {
        let set = self.git().at(&self.upstream(), "update-ref");
        refs::set(set, &base_ref(commit), commit, Before::Any)?;
        self.read_back(commit)
    }

    fn fetch_remote(&self, access: Access<'_>, refspec: &str) -> Result<(), RemoteError> {
        let _locked = self.lock()?;
        let mut call = self.git().at(&self.upstream(), "fetch");
        for mistake in OLD_MISTAKES {
            call = call.config(&format!("fetch.fsck.{mistake}"), "ignore");
        }
        let (call, _helper) = access.prepare(call, &self.scratch_dir())?;
        call.args(["--no-tags", "--no-write-fetch-head", "--no-auto-gc", "-q"])
            .args(["--update-shallow", "--"])
            .args([&access.url.to_git(), refspec])
            .run()?;
        Ok(())
    }

    fn read_back(&self, commit: &CommitId) -> Result<(), GitError> {
        let there = self
            .git()
            .at(&self.upstream(), "cat-file")
            .args(["-e", &format!("{commit}^{{tree}}")])
            .finish()?;
        if there.code == Some(0) && self.has_upstream(commit)? {
            Ok(())
        } else {
            Err(GitError::unexpected("fetch", b"it ended well, but the commit did not come"))
        }
    }

    /// Commits that we keep and the other repository has too.
    pub(crate) fn common_with(&self, from: &Checkout) -> Result<BTreeSet<String>, GitError> {
        let kept = refs::list(self.git().at(&self.upstream(), "for-each-ref"), BASES)?;
        if kept.is_empty() {
            return Ok(BTreeSet::new());
        }
        let said = from
            .read(self.git(), "cat-file")
            .arg("--batch-check=%(objectname) %(objecttype)")
            .stdin(Revisions::wanted(kept.iter().map(|(_, id)| id)).input())
            .text()?;
        Ok(said
            .lines()
            .filter_map(|line| line.strip_suffix(" commit"))
            .map(ToOwned::to_owned)
            .collect())
    }

    /// Keeps only the cuts whose parents we really lack.
    fn mend_shallow<'a>(&self, cuts: impl Iterator<Item = &'a CommitId>) -> Result<(), GitError> {
        let mut left = BTreeSet::new();
        for cut in cuts {
            let raw = self.git().at(&self.upstream(), "cat-file").args(["commit", cut.as_str()]);
            let ended = raw.finish()?;
            if ended.code != Some(0) {
                continue;
            }
            let text = String::from_utf8_lossy(&ended.stdout).into_owned();
            let parents = text.lines().take_while(|line| !line.is_empty());
            for parent in parents.filter_map(|line| line.strip_prefix("parent ")) {
                let have = self.git().at(&self.upstream(), "cat-file").args(["-e", parent]);
                if have.finish()?.code != Some(0) {
                    left.insert(cut.clone());
                }
            }
        }
        write_shallow(&self.upstream(), left.iter())
    }
}

/// Whether a remote does not give a commit by its id: it has none, or gives no one.
fn is_not_given(error: &GitError) -> bool {
    ["not our ref", "unadvertised object"].iter().any(|text| error.says(text))
}

/// Writes a `shallow` file in one step; with nothing to say there is none.
pub(crate) fn write_shallow<'a>(
    git_dir: &Path,
    cuts: impl Iterator<Item = &'a CommitId>,
) -> Result<(), GitError> {
    let cuts: BTreeSet<&CommitId> = cuts.collect();
    let path = git_dir.join("shallow");
    if cuts.is_empty() {
        return match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(GitError::io("could not remove", &path)(error))
            }
            Ok(()) | Err(_) => Ok(()),
        };
    }
    let text = lines("", cuts);
    let new = git_dir.join("shallow.midwatch");
    std::fs::write(&new, text).map_err(GitError::io("could not write", &new))?;
    std::fs::rename(&new, &path).map_err(GitError::io("could not write", &path))
}
