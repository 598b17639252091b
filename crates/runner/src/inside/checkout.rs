//! Makes a base from packs, and puts another commit on top of a base.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::git::{Git, GitError, is_id};
use super::names::escaped;

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
}

/// Checks `commit` out at `folder`, whose `.git/objects/pack` holds its objects. `workers` 0
/// means as many as cores.
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
        .output()?;
    verify(&git, commit)?;
    write(&dir.join(MARK), format!("{commit}\n").as_bytes())?;
    settle(&git, &dir)
}

/// Files written in the same second as the index are read again by every `git status`, in every
/// overlay. So the second is waited for and the index written once more.
fn settle(git: &Git, dir: &Path) -> Result<(), CheckoutError> {
    let index = dir.join("index");
    let written = index.metadata().and_then(|meta| meta.modified()).map_err(at(&index))?;
    let second = |time: SystemTime| {
        time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
    };
    while second(SystemTime::now()) <= second(written) {
        std::thread::sleep(Duration::from_millis(20));
    }
    git.call(["status", "--porcelain", "-uno"]).env("GIT_OPTIONAL_LOCKS", "1").output()?;
    Ok(())
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
    verify(&git, commit)
}

/// HEAD is the commit, the index its tree, and every file of it is on disk.
fn verify(git: &Git, commit: &str) -> Result<(), CheckoutError> {
    let found = git.line(["rev-parse", "--verify", "HEAD"])?;
    if found != commit {
        return Err(CheckoutError::OtherHead { wanted: commit.to_owned(), found });
    }
    let wanted = git.line(["rev-parse", "--verify", &format!("{commit}^{{tree}}")])?;
    let index = git.line(["write-tree"])?;
    if index != wanted {
        return Err(CheckoutError::OtherTree(format!("the index is tree {index}")));
    }
    let missing = git.call(["ls-files", "--deleted", "-z"]).output()?;
    if let Some(first) = missing.split(|byte| *byte == 0).find(|path| !path.is_empty()) {
        return Err(CheckoutError::OtherTree(format!("{} is missing", escaped(first))));
    }
    Ok(())
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
