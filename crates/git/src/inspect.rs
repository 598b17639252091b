//! Facts about a user's checkout, found without running anything of it.
//!
//! Only plumbing that reads objects and refs is started in the user's repository, and when we
//! are root it runs as the repository's owner. What needs the worktree works on a copy of the
//! index in a git directory of our own, where no filter, hook or monitor is configured.

mod contains;
mod dirty;
mod tree;

use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use midwatch_core::id::{BranchName, CommitId};
use midwatch_core::input::InvalidInput;

use crate::command::{Call, Git, Owner};
use crate::error::GitError;
use crate::mirror::Mirror;
use crate::url::Identity;

pub use dirty::{Change, DirtyFile};
pub(crate) use dirty::{ShadowIndex, alternate};
pub(crate) use tree::lock_hash;
pub use tree::{CommitTree, TreeFacts};

/// Why a checkout cannot be worked with. The text is for the user.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InspectError {
    /// There is no repository at that path.
    #[error("{} is not in a git repository; run it in a checkout, or `git init` and commit first", .0.display())]
    NotARepository(PathBuf),
    /// There is one, and no files of it are checked out there.
    #[error(
        "{} is a bare repository or a git directory, with no files checked out; run it in a checkout of it (`git clone`, `git worktree add`)",
        .0.display()
    )]
    Bare(PathBuf),
    /// No commit yet.
    #[error("the repository has no commit yet; commit something first")]
    Empty,
    /// The tree has files kept by Git LFS.
    #[error("the repository keeps files in Git LFS ({0}), which is not supported yet")]
    Lfs(String),
    /// The tree has submodules.
    #[error("the repository has submodules ({0}), which are not supported yet")]
    Submodules(String),
    /// Objects are missing and would be fetched when they are wanted.
    #[error(
        "the repository is a partial clone, which is not supported yet; \
         `git fetch --refetch --no-filter` makes it whole, then unset remote.origin.promisor"
    )]
    Partial,
    /// A reference names no commit, or more than one thing.
    #[error(transparent)]
    Reference(#[from] InvalidInput),
    /// Git failed.
    #[error(transparent)]
    Git(#[from] GitError),
}

/// A user's repository.
#[derive(Debug, Clone)]
pub struct Checkout {
    top: Option<PathBuf>,
    git_dir: PathBuf,
    common_dir: PathBuf,
    owner: Option<Owner>,
    /// The bits that the modes of its files leave out.
    umask: u32,
    sha256: bool,
}

/// Where HEAD stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Head {
    /// On a branch, by its short name as git has it.
    Branch(String),
    /// On a commit.
    Detached,
}

impl Checkout {
    /// Finds the repository that a path lies in: a checkout, a linked worktree or a bare
    /// repository.
    pub fn find(git: &Git, path: &Path) -> Result<Self, InspectError> {
        let none = || InspectError::NotARepository(path.to_owned());
        let path = path.canonicalize().map_err(|_| none())?;
        let (git_dir, top) = discover(&path).ok_or_else(none)?;
        let git_dir = git_dir.canonicalize().map_err(|_| none())?;
        let common_dir = common_dir(&git_dir).ok_or_else(none)?;
        let owner = owner_of(&common_dir)?;
        let umask = umask_of(&common_dir);
        let mut checkout = Self { top, git_dir, common_dir, owner, umask, sha256: false };
        let format = checkout.read(git, "rev-parse").arg("--show-object-format").text();
        checkout.sha256 = match format.as_deref() {
            Ok("sha1") => false,
            Ok("sha256") => true,
            Ok(other) => {
                return Err(GitError::unexpected("rev-parse", other.as_bytes()).into());
            }
            Err(error) if error.says("not a git repository") => return Err(none()),
            Err(_) => return Err(format.err().map_or_else(none, InspectError::Git)),
        };
        Ok(checkout)
    }

    /// The top folder of the worktree; none in a bare repository.
    pub fn top(&self) -> Option<&Path> {
        self.top.as_deref()
    }

    /// The real path of this worktree's git directory.
    pub fn git_dir(&self) -> &Path {
        &self.git_dir
    }

    /// The real path of the git directory that all worktrees share.
    pub fn common_dir(&self) -> &Path {
        &self.common_dir
    }

    /// The identity of the repository.
    pub fn identity(&self) -> Identity {
        Identity::of_common_dir(&self.common_dir)
    }

    /// Whether object ids are SHA-256.
    pub fn is_sha256(&self) -> bool {
        self.sha256
    }

    pub(crate) fn owner(&self) -> Option<Owner> {
        self.owner
    }

    /// A call in this repository, as its owner. For plumbing only.
    pub(crate) fn read(&self, git: &Git, subcommand: &'static str) -> Call {
        git.at(&self.git_dir, subcommand).owner(self.owner)
    }

    /// The same for what leaves files in it: they have the modes that are usual there.
    pub(crate) fn write(&self, git: &Git, subcommand: &'static str) -> Call {
        self.read(git, subcommand).umask(self.umask)
    }

    /// Where HEAD stands.
    pub fn head(&self, git: &Git) -> Result<Head, GitError> {
        let ended = self.read(git, "symbolic-ref").args(["-q", "HEAD"]).finish()?;
        match ended.code {
            Some(0) => {
                let text = String::from_utf8_lossy(&ended.stdout).trim().to_owned();
                Ok(Head::Branch(text.strip_prefix("refs/heads/").unwrap_or(&text).to_owned()))
            }
            Some(1) => Ok(Head::Detached),
            code => Err(GitError::Failed { what: "symbolic-ref", code, stderr: ended.stderr }),
        }
    }

    /// The commit at HEAD.
    pub fn head_commit(&self, git: &Git) -> Result<CommitId, InspectError> {
        match self.commit_of(git, "HEAD")? {
            Ok(commit) => Ok(commit),
            Err(_) => Err(InspectError::Empty),
        }
    }

    /// The commit that a reference (branch, tag, full or short id, `HEAD~2`) names.
    pub fn resolve(&self, git: &Git, reference: &str) -> Result<CommitId, InspectError> {
        let bad = |rule: &str, fix: &str| InvalidInput::new("--base", reference, rule, fix);
        if reference.is_empty() || reference.starts_with('-') {
            return Err(
                bad("must not be empty or start with '-'", "give a branch or commit").into()
            );
        }
        if reference.len() > 500 || reference.chars().any(char::is_control) {
            return Err(bad("is no reference", "give a branch or commit").into());
        }
        match self.commit_of(git, reference)? {
            Ok(commit) => Ok(commit),
            Err(stderr) if stderr.contains("ambiguous") && !stderr.contains("unknown revision") => {
                Err(bad("is ambiguous in this repository", "give the full name or id").into())
            }
            Err(_) if reference == "HEAD" => Err(InspectError::Empty),
            Err(_) => {
                Err(bad("names no commit of this repository", "see `git log` and `git branch -a`")
                    .into())
            }
        }
    }

    /// The commit, or what git said instead.
    fn commit_of(&self, git: &Git, reference: &str) -> Result<Result<CommitId, String>, GitError> {
        let ended = self
            .read(git, "rev-parse")
            .args(["--verify", "--end-of-options"])
            .arg(format!("{reference}^{{commit}}"))
            .finish()?;
        let text = String::from_utf8_lossy(&ended.stdout);
        match (ended.code, CommitId::parse(text.trim())) {
            // Two things of one name: git takes one and warns, we take none.
            (Some(0), Ok(_)) if ended.stderr.contains("is ambiguous") => Ok(Err(ended.stderr)),
            (Some(0), Ok(commit)) => Ok(Ok(commit)),
            (Some(128), _) => Ok(Err(ended.stderr)),
            (code, _) => Err(GitError::Failed { what: "rev-parse", code, stderr: ended.stderr }),
        }
    }

    /// The URL of the remote `origin`, as written in the repository's own settings.
    pub fn origin(&self, git: &Git) -> Result<Option<String>, GitError> {
        let ended = git
            .call("config")
            .owner(self.owner)
            .arg("--file")
            .arg(self.common_dir.join("config"))
            .args(["--get", "remote.origin.url"])
            .finish()?;
        match ended.code {
            Some(0) => Ok(Some(String::from_utf8_lossy(&ended.stdout).trim().to_owned())),
            Some(1) => Ok(None),
            code => Err(GitError::Failed { what: "config", code, stderr: ended.stderr }),
        }
    }

    fn is_partial(&self, git: &Git) -> Result<bool, GitError> {
        let promises = r"^(extensions\.partialclone|remote\..*\.(promisor|partialclonefilter))$";
        git.call("config")
            .owner(self.owner)
            .arg("--file")
            .arg(self.common_dir.join("config"))
            .args(["--get-regexp", promises])
            .yes_or_no()
    }

    /// The commits at which history was cut off (a shallow clone); empty in a whole one.
    pub fn shallow(&self) -> Result<Vec<CommitId>, GitError> {
        read_shallow(&self.common_dir)
    }

    /// The short names of branches that some worktree has checked out.
    pub fn checked_out(&self) -> Result<Vec<String>, GitError> {
        let mut heads = vec![self.common_dir.join("HEAD")];
        if let Ok(entries) = std::fs::read_dir(self.common_dir.join("worktrees")) {
            heads.extend(entries.flatten().map(|entry| entry.path().join("HEAD")));
        }
        let mut branches = Vec::new();
        for head in heads {
            match std::fs::read_to_string(&head) {
                Ok(text) => {
                    branches.extend(
                        text.trim().strip_prefix("ref: refs/heads/").map(ToOwned::to_owned),
                    );
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(GitError::io("could not read", &head)(error)),
            }
        }
        Ok(branches)
    }

    /// What a commit's tree holds that decides whether we can work with it.
    pub fn tree_facts(&self, git: &Git, commit: &CommitId) -> Result<TreeFacts, GitError> {
        tree::facts(git, &self.git_dir, self.owner, commit)
    }

    /// A commit's files.
    pub fn tree(&self, git: &Git, commit: &CommitId) -> CommitTree {
        CommitTree::new(git, self.git_dir.clone(), self.owner, commit)
    }

    /// Refuses what is not supported yet: partial clones, LFS and submodules in the commit's
    /// tree.
    pub fn supported(&self, git: &Git, commit: &CommitId) -> Result<TreeFacts, InspectError> {
        if self.is_partial(git)? {
            return Err(InspectError::Partial);
        }
        supported(self.tree_facts(git, commit)?)
    }

    /// The id that a branch stands at; `None` when there is none.
    pub fn branch(&self, git: &Git, branch: &BranchName) -> Result<Option<CommitId>, GitError> {
        crate::refs::read(self.read(git, "for-each-ref"), &format!("refs/heads/{branch}"))
    }

    /// Files that differ from HEAD, tracked or not, ignored ones left out.
    ///
    /// `global_excludes` is the user's own ignore file beside the repository's, where known.
    pub fn dirty(
        &self,
        git: &Git,
        global_excludes: Option<&Path>,
    ) -> Result<Vec<DirtyFile>, InspectError> {
        dirty::files(git, self, global_excludes)
    }
}

/// Refuses LFS and submodules.
fn supported(facts: TreeFacts) -> Result<TreeFacts, InspectError> {
    if let Some(path) = facts.lfs.first() {
        return Err(InspectError::Lfs(path.clone()));
    }
    if let Some(path) = facts.submodules.first() {
        return Err(InspectError::Submodules(path.clone()));
    }
    Ok(facts)
}

impl Mirror {
    /// Refuses what is not supported yet in a fetched commit's tree: LFS and submodules.
    pub fn supported(&self, commit: &CommitId) -> Result<TreeFacts, InspectError> {
        supported(tree::facts(self.git(), &self.upstream(), None, commit)?)
    }
}

/// The cut-off commits in a git directory's `shallow` file.
pub(crate) fn read_shallow(git_dir: &Path) -> Result<Vec<CommitId>, GitError> {
    let path = git_dir.join("shallow");
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            text.lines().map(|line| CommitId::parse(line).map_err(GitError::Input)).collect()
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(GitError::io("could not read", &path)(error)),
    }
}

/// Walks up to the folder that has a `.git`, or is a git directory itself.
fn discover(start: &Path) -> Option<(PathBuf, Option<PathBuf>)> {
    for dir in start.ancestors() {
        let dot_git = dir.join(".git");
        if dot_git.is_dir() {
            return Some((dot_git, Some(dir.to_owned())));
        }
        if dot_git.is_file() {
            // A linked worktree: `gitdir: PATH`, relative to the file's folder.
            let text = std::fs::read(&dot_git).ok()?;
            let path = text.strip_prefix(b"gitdir: ")?.trim_ascii_end().to_owned();
            let path = dir.join(std::ffi::OsString::from_vec(path));
            return Some((path, Some(dir.to_owned())));
        }
        if dir.join("HEAD").is_file() && dir.join("objects").is_dir() && dir.join("refs").is_dir() {
            return Some((dir.to_owned(), None));
        }
    }
    None
}

fn common_dir(git_dir: &Path) -> Option<PathBuf> {
    match std::fs::read(git_dir.join("commondir")) {
        Ok(text) => {
            let path = std::ffi::OsString::from_vec(text.trim_ascii_end().to_owned());
            git_dir.join(path).canonicalize().ok()
        }
        Err(_) => Some(git_dir.to_owned()),
    }
}

/// What the repository's own files leave out, by the folder of its objects: for `git init` that
/// is the umask of then, or what `core.sharedRepository` made of it. The owner's own bits always
/// stay.
fn umask_of(common_dir: &Path) -> u32 {
    let metadata = common_dir.join("objects").metadata();
    metadata.map_or(0o077, |metadata| !metadata.mode() & 0o077)
}

/// The repository's owner, when we are root and it is not.
fn owner_of(common_dir: &Path) -> Result<Option<Owner>, GitError> {
    let metadata = common_dir.metadata().map_err(GitError::io("could not read", common_dir))?;
    let somebody_else = rustix::process::geteuid().is_root() && metadata.uid() != 0;
    Ok(somebody_else.then(|| Owner { uid: metadata.uid(), gid: metadata.gid() }))
}
