//! A folder of its own with a user's repository in it, and a plain git to drive it.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use midwatch_core::id::CommitId;
use midwatch_git::{Checkout, Git, Mirror};
use tempfile::TempDir;

pub(crate) struct World {
    dir: TempDir,
    pub(crate) git: Git,
}

impl World {
    pub(crate) fn new() -> Self {
        let world = Self { dir: tempfile::tempdir().unwrap(), git: Git::find().unwrap() };
        let repo = world.repo();
        std::fs::create_dir(&repo).unwrap();
        world.git_ok(&repo, &["init", "-q", "-b", "main"]);
        world.write("README", "hello\n");
        world.write("src/main.rs", "fn main() {}\n");
        world.commit("first");
        world
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn repo(&self) -> PathBuf {
        self.dir.path().join("repo")
    }

    pub(crate) fn checkout(&self) -> Checkout {
        Checkout::find(&self.git, &self.repo()).unwrap()
    }

    pub(crate) fn mirror(&self) -> Mirror {
        Mirror::open(&self.git, &self.dir.path().join("mirror"), false).unwrap()
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        write(&self.repo().join(path), text);
    }

    pub(crate) fn commit(&self, message: &str) -> CommitId {
        let repo = self.repo();
        self.git_ok(&repo, &["add", "-A"]);
        self.git_ok(&repo, &["commit", "-q", "--allow-empty", "-m", message]);
        self.head(&repo)
    }

    pub(crate) fn head(&self, repo: &Path) -> CommitId {
        CommitId::parse(&self.git_ok(repo, &["rev-parse", "HEAD"])).unwrap()
    }

    /// Git as a careless program would run it, with the repository's own settings.
    pub(crate) fn naive(&self, dir: &Path, args: &[&str]) -> Output {
        Command::new("git")
            .current_dir(dir)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.dir.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .env("LC_ALL", "C")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_AUTHOR_NAME", "A User")
            .env("GIT_AUTHOR_EMAIL", "user@example.com")
            .env("GIT_COMMITTER_NAME", "A User")
            .env("GIT_COMMITTER_EMAIL", "user@example.com")
            .args(args)
            .output()
            .unwrap()
    }

    pub(crate) fn git_ok(&self, dir: &Path, args: &[&str]) -> String {
        let output = self.naive(dir, args);
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "git {args:?}: {err}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

pub(crate) fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// Every file below a folder with its mode, modification time and content, `skip` left out: two
/// equal maps are the same folder byte for byte.
pub(crate) fn photograph(root: &Path, skip: &dyn Fn(&Path) -> bool) -> BTreeMap<PathBuf, String> {
    use std::os::unix::fs::MetadataExt;
    let mut seen = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let relative = path.strip_prefix(root).unwrap().to_owned();
            if skip(&relative) {
                continue;
            }
            let meta = path.symlink_metadata().unwrap();
            let content = if meta.is_dir() {
                open.push(path);
                seen.insert(relative, format!("folder {:o}", meta.mode()));
                continue;
            } else if meta.is_symlink() {
                std::fs::read_link(&path).unwrap().as_os_str().as_bytes().to_vec()
            } else {
                std::fs::read(&path).unwrap()
            };
            let time = (meta.mtime(), meta.mtime_nsec());
            seen.insert(relative, format!("{:o} {time:?} {}", meta.mode(), content.escape_ascii()));
        }
    }
    seen
}
