//! Reads objects through one long-lived `cat-file`, never more of one than the caller can hold.

use std::io::{BufRead, Read};
use std::path::Path;

use crate::command::{Git, LONG, Running};
use crate::error::GitError;

const WHAT: &str = "cat-file";

/// What kind an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file's content.
    Blob,
    /// A folder.
    Tree,
    /// A commit.
    Commit,
    /// An annotated tag.
    Tag,
}

/// An object's head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// The full id.
    pub id: String,
    /// What it is.
    pub kind: Kind,
    /// Its length in bytes, as the pack says.
    pub size: u64,
}

/// A reader of the objects of one store.
pub struct Objects {
    process: Running,
}

impl Objects {
    /// Opens a store by its git directory.
    pub fn open(git: &Git, git_dir: &Path) -> Result<Self, GitError> {
        let call = git.at(git_dir, "cat-file").arg("--batch-command").timeout(LONG);
        Ok(Self { process: call.start()? })
    }

    /// What an object is, by its id or any revision that holds no newline; `None` when it is
    /// not there.
    pub fn info(&mut self, id: &str) -> Result<Option<Info>, GitError> {
        self.request("info", id)?;
        self.head(id)
    }

    /// An object's content; `None` when it is not there or longer than `cap` bytes.
    pub fn content(&mut self, id: &str, cap: u64) -> Result<Option<Vec<u8>>, GitError> {
        // Asked first, so that a huge object is never written into our pipe.
        match self.info(id)? {
            Some(info) if info.size <= cap => {}
            Some(_) | None => return Ok(None),
        }
        self.request("contents", id)?;
        let Some(info) = self.head(id)? else { return Ok(None) };
        if info.size > cap {
            return Err(GitError::unexpected(WHAT, b"an object that changed its size"));
        }
        let mut content = Vec::new();
        let answers = self.process.answers();
        let read = answers.take(info.size + 1).read_to_end(&mut content);
        let whole = matches!(read, Ok(count) if count as u64 == info.size + 1);
        if !whole || content.pop() != Some(b'\n') {
            return Err(self.process.failure());
        }
        Ok(Some(content))
    }

    fn request(&mut self, command: &str, id: &str) -> Result<(), GitError> {
        if id.is_empty() || id.contains(['\n', '\0']) {
            return Err(GitError::unexpected(WHAT, b"a revision with a newline"));
        }
        self.process.ask(format!("{command} {id}\n").as_bytes())
    }

    fn head(&mut self, asked: &str) -> Result<Option<Info>, GitError> {
        let mut line = Vec::new();
        let read = self.process.answers().take(8192).read_until(b'\n', &mut line);
        if !matches!(read, Ok(count) if count > 0) || line.pop() != Some(b'\n') {
            return Err(self.process.failure());
        }
        let line = String::from_utf8(line).map_err(|e| GitError::unexpected(WHAT, e.as_bytes()))?;
        let odd = || GitError::unexpected(WHAT, line.as_bytes());
        if line == format!("{asked} missing") || line == format!("{asked} ambiguous") {
            return Ok(None);
        }
        let mut parts = line.split(' ');
        let (Some(id), Some(kind), Some(size), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(odd());
        };
        let kind = match kind {
            "blob" => Kind::Blob,
            "tree" => Kind::Tree,
            "commit" => Kind::Commit,
            "tag" => Kind::Tag,
            _ => return Err(odd()),
        };
        Ok(Some(Info { id: id.to_owned(), kind, size: size.parse().map_err(|_| odd())? }))
    }
}
