//! Uncommitted work, found on a copy of the index in a git directory of our own. The user's
//! worktree is only read, and neither their filters nor their file monitor is known there.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use midwatch_core::id::CommitId;
use midwatch_core::path;

use super::{Checkout, InspectError};
use crate::command::{Call, Git};
use crate::error::GitError;
use crate::scratch::Scratch;

/// How a file differs from HEAD.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// In the index or worktree, not in HEAD.
    Added,
    /// Its content or mode differs.
    Modified,
    /// In HEAD, not in the worktree.
    Deleted,
    /// Not tracked and not ignored.
    Untracked,
    /// A repository of its own inside the worktree; its files are not looked at.
    NestedRepository,
}

/// One file that differs from HEAD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirtyFile {
    /// The path from the top, as bytes.
    pub path: Vec<u8>,
    /// How it differs.
    pub change: Change,
}

impl std::fmt::Display for DirtyFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&path::shown(&self.path))
    }
}

pub(super) fn files(
    git: &Git,
    checkout: &Checkout,
    global_excludes: Option<&Path>,
) -> Result<Vec<DirtyFile>, InspectError> {
    let head = checkout.head_commit(git)?;
    let shadow = ShadowIndex::of(git, checkout)?;
    Ok(shadow.dirty(git, &head, global_excludes)?)
}

/// A git directory of ours with a copy of a worktree's index and its objects as alternate.
pub(crate) struct ShadowIndex {
    git_dir: PathBuf,
    top: PathBuf,
    settings: Vec<(String, String)>,
    checkout: Checkout,
    _scratch: Scratch,
}

/// Settings of the repository that decide whether a file counts as changed, and run nothing.
const HARMLESS: &str = r"^core\.(autocrlf|eol|filemode|ignorecase|safecrlf|precomposeunicode)$";

impl ShadowIndex {
    pub(crate) fn of(git: &Git, checkout: &Checkout) -> Result<Self, InspectError> {
        let Some(top) = checkout.top() else {
            return Err(InspectError::NotARepository(checkout.common_dir().to_owned()));
        };
        let owner = checkout.owner();
        let scratch = Scratch::shared(owner)?;
        let git_dir = scratch.path().to_owned();
        let config = if checkout.is_sha256() {
            "[core]\n\trepositoryformatversion = 1\n[extensions]\n\tobjectformat = sha256\n"
        } else {
            "[core]\n\trepositoryformatversion = 0\n"
        };
        let alternates = alternate(&checkout.common_dir().join("objects"));
        for folder in ["objects", "objects/info", "objects/pack", "refs", "info"] {
            let path = git_dir.join(folder);
            std::fs::create_dir(&path).map_err(GitError::io("could not create", &path))?;
            Scratch::give(&path, owner)?;
        }
        let write = |name: &str, bytes: &[u8]| -> Result<(), GitError> {
            let path = git_dir.join(name);
            std::fs::write(&path, bytes).map_err(GitError::io("could not write", &path))?;
            Scratch::give(&path, owner)
        };
        write("HEAD", b"ref: refs/heads/none\n")?;
        write("config", config.as_bytes())?;
        write("objects/info/alternates", &alternates)?;
        for name in [checkout.git_dir().join("index")]
            .into_iter()
            .chain(shared_indexes(checkout.git_dir()))
            .chain([checkout.common_dir().join("shallow")])
        {
            let Some(file_name) = name.file_name() else { continue };
            let to = git_dir.join(file_name);
            copy_with_time(&name, &to)?;
            if to.exists() {
                Scratch::give(&to, owner)?;
            }
        }
        let exclude = git_dir.join("info/exclude");
        copy_with_time(&checkout.common_dir().join("info/exclude"), &exclude)?;
        if exclude.exists() {
            Scratch::give(&exclude, owner)?;
        }
        let settings = harmless_settings(git, checkout)?;
        Ok(Self {
            git_dir,
            top: top.to_owned(),
            settings,
            checkout: checkout.clone(),
            _scratch: scratch,
        })
    }

    pub(crate) fn top(&self) -> &Path {
        &self.top
    }

    /// A call in the shadow, on the user's worktree, as its owner.
    pub(crate) fn call(&self, git: &Git, subcommand: &'static str) -> Call {
        let mut call = git
            .at(&self.git_dir, subcommand)
            .work_tree(&self.top)
            .owner(self.checkout.owner())
            .config("core.symlinks", "true");
        for (key, value) in &self.settings {
            call = call.config(key, value);
        }
        call
    }

    pub(crate) fn dirty(
        &self,
        git: &Git,
        head: &CommitId,
        global_excludes: Option<&Path>,
    ) -> Result<Vec<DirtyFile>, GitError> {
        // Rewrites stat data of files that were only touched; exits 1 when some do differ.
        self.call(git, "update-index").args(["-q", "--refresh"]).yes_or_no()?;
        let out = self
            .call(git, "diff-index")
            .args(["-z", "--name-status", "--no-renames", "--ignore-submodules=all"])
            .arg(head.as_str())
            .run()?;
        let mut files = Vec::new();
        let mut fields = out.split(|b| *b == 0).filter(|field| !field.is_empty());
        while let (Some(status), Some(path)) = (fields.next(), fields.next()) {
            let change = match status {
                b"A" => Change::Added,
                b"D" => Change::Deleted,
                b"M" | b"T" | b"U" => Change::Modified,
                _ => return Err(GitError::unexpected("diff-index", status)),
            };
            files.push(DirtyFile { path: path.to_vec(), change });
        }
        let mut list = self.call(git, "ls-files").args(["-o", "-z", "--exclude-standard"]);
        if let Some(path) = global_excludes {
            list = list.config("core.excludesFile", &path.to_string_lossy());
        }
        for path in list.run()?.split(|b| *b == 0).filter(|path| !path.is_empty()) {
            let change =
                if path.ends_with(b"/") { Change::NestedRepository } else { Change::Untracked };
            // Deleted from the index only: the worktree still has it, so it is a modification.
            match files.iter_mut().find(|file| file.path == path) {
                Some(file) => file.change = Change::Modified,
                None => files.push(DirtyFile { path: path.to_vec(), change }),
            }
        }
        Ok(files)
    }
}

/// A line of `info/alternates`. Quoted where the path has a line break, which git unquotes since
/// 2.11: bytes as C writes them.
pub(crate) fn alternate(folder: &Path) -> Vec<u8> {
    let bytes = folder.as_os_str().as_bytes();
    if !bytes.contains(&b'\n') {
        return [bytes, b"\n"].concat();
    }
    let mut line = vec![b'"'];
    for byte in bytes {
        match byte {
            b'"' | b'\\' => line.extend([b'\\', *byte]),
            0x20..=0x7e => line.push(*byte),
            _ => line.extend(format!("\\{byte:03o}").bytes()),
        }
    }
    line.extend(b"\"\n");
    line
}

fn shared_indexes(git_dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(git_dir) else { return Vec::new() };
    entries
        .flatten()
        .filter(|entry| entry.file_name().as_bytes().starts_with(b"sharedindex."))
        .map(|entry| entry.path())
        .collect()
}

/// Copies a file, its time too: git tells by the index's time which entries it must not trust.
fn copy_with_time(from: &Path, to: &Path) -> Result<(), GitError> {
    let bytes = match std::fs::read(from) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(GitError::io("could not read", from)(error)),
    };
    let modified = std::fs::metadata(from).and_then(|m| m.modified());
    let modified = modified.map_err(GitError::io("could not read", from))?;
    std::fs::write(to, bytes).map_err(GitError::io("could not write", to))?;
    std::fs::File::options()
        .write(true)
        .open(to)
        .and_then(|file| file.set_modified(modified))
        .map_err(GitError::io("could not write", to))
}

fn harmless_settings(git: &Git, checkout: &Checkout) -> Result<Vec<(String, String)>, GitError> {
    let ended = git
        .call("config")
        .owner(checkout.owner())
        .arg("--file")
        .arg(checkout.common_dir().join("config"))
        .args(["-z", "--get-regexp", HARMLESS])
        .finish()?;
    match ended.code {
        Some(0 | 1) => Ok(String::from_utf8_lossy(&ended.stdout)
            .split('\0')
            .filter_map(|line| line.split_once('\n'))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect()),
        code => Err(GitError::Failed { what: "config", code, stderr: ended.stderr }),
    }
}
