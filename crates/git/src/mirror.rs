//! Midwatch's own two bare stores of a repository.
//!
//! `upstream.git` holds only what was fetched, in packs, and may be shown to every sandbox of
//! the repository. `work.git` holds what was imported, checkpoints and rescues, with upstream as
//! its alternate; no sandbox ever sees it, because through an alternate one task could read
//! another's work.

mod fetch;
mod unchecked;

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use midwatch_core::id::CommitId;

use crate::command::{Git, Input};
use crate::error::GitError;
use crate::inspect::{CommitTree, lock_hash};
use crate::refs;
use crate::scratch::Scratch;

pub(crate) use fetch::strict_but_for_the_past;

/// The file in a store that says that it was made to its end.
const DONE: &str = "midwatch";

/// The two stores of one repository.
#[derive(Debug, Clone)]
pub struct Mirror {
    git: Git,
    root: PathBuf,
    sha256: bool,
}

/// Holds other writers of the same mirror back until it is dropped.
#[derive(Debug)]
pub(crate) struct Locked {
    _file: File,
}

impl Mirror {
    /// Opens the mirror in a folder of its own, and makes it where it is missing.
    pub fn open(git: &Git, root: &Path, sha256: bool) -> Result<Self, GitError> {
        std::fs::create_dir_all(root).map_err(GitError::io("could not create", root))?;
        let mirror = Self { git: git.clone(), root: root.to_owned(), sha256 };
        let stores = [mirror.upstream(), mirror.work()];
        if stores.iter().all(|store| store.join(DONE).exists()) {
            mirror.sweep_once();
            mirror.distrust_other_boots()?;
            return Ok(mirror);
        }
        let _locked = mirror.lock()?;
        // Sandboxes of another user reach `upstream`, packs and snapshots by their names, and
        // cannot list what else is here.
        set_mode(root, 0o711)?;
        for store in stores {
            if !store.join(DONE).exists() {
                mirror.init(&store)?;
            }
        }
        set_mode(&mirror.work(), 0o700)?;
        Ok(mirror)
    }

    /// Removes what crashed processes left, once in the life of this one.
    fn sweep_once(&self) {
        static SWEPT: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
        let mut swept = SWEPT.lock().unwrap_or_else(PoisonError::into_inner);
        if swept.insert(self.root.clone()) {
            Scratch::sweep(&self.scratch_dir());
        }
    }

    /// The store of what was fetched.
    pub fn upstream(&self) -> PathBuf {
        self.root.join("upstream.git")
    }

    /// The store of what was imported.
    pub fn work(&self) -> PathBuf {
        self.root.join("work.git")
    }

    /// Where `pack::pack_of` leaves the pack of a commit.
    pub fn pack_dir(&self, commit: &CommitId) -> PathBuf {
        self.root.join("packs").join(commit.as_str())
    }

    /// The store whose packs a base is made from: `upstream`, or for a snapshot the folder that
    /// `pack::snapshot_store` made.
    pub fn base_store(&self, base: &CommitId) -> PathBuf {
        let snapshot = self.snapshot_dir(base);
        if snapshot.exists() { snapshot } else { self.upstream() }
    }

    /// A commit's files, from `work` or `upstream`.
    pub fn tree(&self, commit: &CommitId) -> CommitTree {
        CommitTree::new(&self.git, self.work(), None, commit)
    }

    /// Identifies the lock files of a commit's tree. Kept once it is known: listing a large tree
    /// is what a warm start spends most on.
    pub fn lock_hash(&self, commit: &CommitId) -> Result<String, GitError> {
        let dir = self.root.join("lock-hashes");
        let path = dir.join(commit.as_str());
        if let Ok(known) = std::fs::read_to_string(&path)
            && known.len() == 32
        {
            return Ok(known);
        }
        let hash = lock_hash(&self.git, &self.work(), commit)?;
        std::fs::create_dir_all(&dir).map_err(GitError::io("could not create", &dir))?;
        std::fs::write(&path, &hash).map_err(GitError::io("could not write", &path))?;
        Ok(hash)
    }

    /// Git as this mirror uses it.
    pub fn git(&self) -> &Git {
        &self.git
    }

    /// Whether object ids are SHA-256.
    pub fn is_sha256(&self) -> bool {
        self.sha256
    }

    /// Whether a commit is in `upstream`, kept by a ref. A ref alone would not do: it may have
    /// come to the disk before its pack did.
    pub fn has_upstream(&self, commit: &CommitId) -> Result<bool, GitError> {
        let said = self
            .git
            .at(&self.upstream(), "cat-file")
            .arg("--batch-check=%(objectname) %(objecttype)")
            .stdin(Input::Bytes(format!("{}\n", fetch::base_ref(commit)).into_bytes()))
            .text()?;
        Ok(said.trim_end() == format!("{commit} commit"))
    }

    /// Where the history of a fetched base begins: what every later state of its repository has, as
    /// long as nobody writes all of it anew.
    pub fn roots(&self, base: &CommitId) -> Result<Vec<CommitId>, GitError> {
        let said = self
            .git
            .at(&self.upstream(), "rev-list")
            .args(["--max-parents=0", base.as_str()])
            .text()?;
        Ok(said.lines().filter_map(|line| CommitId::parse(line).ok()).collect())
    }

    /// Whether an object is in either store.
    pub fn has(&self, commit: &CommitId) -> Result<bool, GitError> {
        self.git
            .at(&self.work(), "cat-file")
            .args(["-e", &format!("{commit}^{{commit}}")])
            .finish()
            .map(|ended| ended.code == Some(0))
    }

    /// The id that a ref of `work` holds.
    pub fn work_ref(&self, name: &str) -> Result<Option<CommitId>, GitError> {
        self.read(&self.work(), name)
    }

    /// Refs of `work` at or below a name, with the commits they name.
    pub fn work_refs(&self, prefix: &str) -> Result<Vec<(String, CommitId)>, GitError> {
        refs::list(self.git.at(&self.work(), "for-each-ref"), prefix)
    }

    /// Sets a ref of `work`.
    pub fn remember(&self, name: &str, commit: &CommitId) -> Result<(), GitError> {
        refs::set(self.git.at(&self.work(), "update-ref"), name, commit, refs::Before::Any)
    }

    /// Removes a ref of `work`, when nobody needs what it keeps. Its objects stay until they
    /// are collected.
    pub fn forget(&self, name: &str) -> Result<(), GitError> {
        let _locked = self.lock()?;
        refs::remove(&self.git, &self.work(), name)
    }

    pub(crate) fn read(&self, store: &Path, name: &str) -> Result<Option<CommitId>, GitError> {
        refs::read(self.git.at(store, "for-each-ref"), name)
    }

    pub(crate) fn lock(&self) -> Result<Locked, GitError> {
        let path = self.root.join("lock");
        let file = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(GitError::io("could not open", &path))?;
        file.lock().map_err(GitError::io("could not lock", &path))?;
        Ok(Locked { _file: file })
    }

    /// Bundles that were kept as files because they could not be imported.
    pub(crate) fn kept_bundles(&self) -> PathBuf {
        kept_bundles(&self.root)
    }

    pub(crate) fn snapshot_dir(&self, commit: &CommitId) -> PathBuf {
        self.root.join("snapshots").join(commit.as_str())
    }

    pub(crate) fn scratch_dir(&self) -> PathBuf {
        self.root.join("scratch")
    }

    fn init(&self, store: &Path) -> Result<(), GitError> {
        let format = if self.sha256 { "sha256" } else { "sha1" };
        self.git
            .call("init")
            .args(["-q", "--bare", "--template=", &format!("--object-format={format}")])
            // Readable packs whatever our umask is; `work` is closed at its top folder.
            .args(["--shared=0644", "--"])
            .arg(store)
            .run()?;
        let info = store.join("objects/info");
        std::fs::create_dir_all(&info).map_err(GitError::io("could not create", &info))?;
        if *store == self.work() {
            let path = info.join("alternates");
            std::fs::write(&path, "../../upstream.git/objects\n")
                .map_err(GitError::io("could not write", &path))?;
        }
        // Written last: a store without it was cut off while it was made, and is made again.
        let done = store.join(DONE);
        std::fs::write(&done, "1\n").map_err(GitError::io("could not write", &done))
    }
}

/// Where the mirror in a folder keeps bundles as files.
pub fn kept_bundles(root: &Path) -> PathBuf {
    root.join("bundles")
}

pub(crate) fn set_mode(path: &Path, mode: u32) -> Result<(), GitError> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
        .map_err(GitError::io("could not set the mode of", path))
}
