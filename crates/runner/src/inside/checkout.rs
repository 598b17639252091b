//! Makes a base from packs, and puts another commit on top of a base.

use std::fs;
use std::io::Write;
use std::path::Path;

use midwatch_core::path;

use super::git::{Git, GitError, is_id};

mod index;

use index::{Index, IndexError};

/// In `.git` of a base: written by the checkout and by nobody else, so that its time tells what
/// is newer.
pub(super) const MARK: &str = "midwatch-base";

/// Why a workspace could not be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum CheckoutError {
    #[error(transparent)]
    Git(#[from] GitError),
    #[error("{path}: {source}")]
    Io {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("{0:?} is no commit id")]
    NotAnId(String),
    #[error("HEAD is {found}, not {wanted}")]
    OtherHead { wanted: String, found: String },
    #[error("the tree on disk is not the commit's: {0}")]
    OtherTree(String),
    #[error("the index: {0}")]
    Index(#[from] IndexError),
}

/// Checks `commit` out at `folder`, whose `.git/objects/pack` holds its objects. `workers` 0
/// means as many as cores.
///
/// The folder may hold the files and the index of another base of ours: then only what differs
/// is written, by new files in the place of old ones.
pub(super) fn make_base(folder: &Path, commit: &str, workers: u32) -> Result<(), CheckoutError> {
    if !is_id(commit) {
        return Err(CheckoutError::NotAnId(commit.to_owned()));
    }
    let dir = folder.join(".git");
    for below in ["objects/info", "objects/pack", "refs/heads", "refs/tags", "info"] {
        create(&dir.join(below))?;
    }
    write(&dir.join("HEAD"), format!("{commit}\n").as_bytes())?;
    write(&dir.join("config"), configuration(commit.len()).as_bytes())?;
    write(&dir.join("info/exclude"), b"")?;
    let git = Git::new(&dir, folder);
    git.call(["checkout", "-q", "-f", "--detach", commit])
        .set(format!("checkout.workers={workers}"))
        // The one that is read here.
        .set("index.version=2")
        .output()?;
    let mut index = verify(&git, commit)?;
    if index.settle(folder)? {
        index.write()?;
        // Once more by git itself, which puts the new sum at its end.
        git.call(["update-index", "--force-write-index"])
            .set("index.version=2")
            .env("GIT_OPTIONAL_LOCKS", "1")
            .output()?;
    }
    write(&dir.join(MARK), format!("{commit}\n").as_bytes())
}

/// Checks `commit` out at `workspace`, with the objects below `pack`.
pub(super) fn prepare(workspace: &Path, pack: &Path, commit: &str) -> Result<(), CheckoutError> {
    if !is_id(commit) {
        return Err(CheckoutError::NotAnId(commit.to_owned()));
    }
    let dir = workspace.join(".git");
    let alternates = dir.join("objects/info/alternates");
    create(&dir.join("objects/info"))?;
    let line = format!("{}\n", pack.join("objects").display());
    let known = fs::read_to_string(&alternates).unwrap_or_default();
    if !known.contains(&line) {
        let file = fs::OpenOptions::new().append(true).create(true).open(&alternates);
        file.and_then(|mut file| file.write_all(line.as_bytes())).map_err(at(&alternates))?;
    }
    let git = Git::new(&dir, workspace);
    git.call(["checkout", "-q", "-f", "--detach", commit]).output()?;
    verify(&git, commit).map(drop)
}

/// HEAD is the commit, the index its tree, and every file of it is on disk. Answers the index.
fn verify(git: &Git, commit: &str) -> Result<Index, CheckoutError> {
    let head = git.dir().join("HEAD");
    let found = fs::read_to_string(&head).map_err(at(&head))?;
    let found = found.trim_end();
    if found != commit {
        let found = path::shown(found.as_bytes());
        return Err(CheckoutError::OtherHead { wanted: commit.to_owned(), found });
    }
    let wanted = git.line(["rev-parse", "--verify", &format!("{commit}^{{tree}}")])?;
    let index = Index::read(&git.dir().join("index"), commit.len() / 2)?;
    let tree = match index.tree() {
        Some(tree) => tree,
        None => git.line(["write-tree"])?,
    };
    if tree != wanted {
        return Err(CheckoutError::OtherTree(format!("the index is tree {tree}")));
    }
    if let Some(missing) = index.missing(git.tree()) {
        return Err(CheckoutError::OtherTree(format!("{} is missing", path::shown(missing))));
    }
    Ok(index)
}

/// What an agent's own git sees: no background work that would copy the base's packs up, and a
/// comparison of files that survives the overlay's other inode numbers.
fn configuration(id_length: usize) -> String {
    let (version, extension) =
        if id_length == 64 { (1, "[extensions]\n\tobjectFormat = sha256\n") } else { (0, "") };
    format!(
        "[core]\n\trepositoryformatversion = {version}\n\tfilemode = true\n\tbare = false\n\
         \tlogAllRefUpdates = true\n\tcheckStat = minimal\n\ttrustctime = false\n\
         [gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n{extension}"
    )
}

fn create(folder: &Path) -> Result<(), CheckoutError> {
    fs::create_dir_all(folder).map_err(at(folder))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), CheckoutError> {
    fs::write(path, bytes).map_err(at(path))
}

fn at(path: &Path) -> impl Fn(std::io::Error) -> CheckoutError {
    let path = path.display().to_string();
    move |source| CheckoutError::Io { path: path.clone(), source }
}
