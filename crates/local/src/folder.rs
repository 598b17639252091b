//! The state folder: where everything is, and the lock that makes one server its only owner.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use sha2::{Digest, Sha256};

/// Why a state folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Another server has it.
    #[error("another server uses {0}; `midwatch get` talks to it")]
    Busy(PathBuf),
    /// It belongs to somebody else.
    #[error("{path} belongs to uid {owner}, not to {us}; set MIDWATCH_HOME to a folder of yours")]
    NotOurs {
        /// The folder.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// This process.
        us: u32,
    },
    /// The key in it is not one.
    #[error(
        "{path} is damaged: it has {found} bytes instead of 32; with no server running, move it away and a new one is made. Agents at work lose their way to the model by that, and begin another attempt"
    )]
    Key {
        /// The key.
        path: PathBuf,
        /// Its length.
        found: usize,
    },
    /// It cannot be read or written.
    #[error("{path}: {error}; make it writable, or set MIDWATCH_HOME to another folder")]
    Io {
        /// Where.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

/// Names of everything in a state folder.
#[derive(Debug, Clone)]
pub struct StateFolder {
    root: PathBuf,
}

/// The lock on a state folder; let go when it is dropped or the process dies.
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
}

impl StateFolder {
    /// Names only; nothing is made.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Makes the folders. Root's are open for passing through, because runs belong to another uid.
    pub fn make(&self) -> Result<(), FolderError> {
        let root = rustix::process::geteuid().is_root();
        make(&self.root, if root { 0o711 } else { 0o700 })?;
        let metadata = fs::metadata(&self.root).map_err(|error| io_at(&self.root, error))?;
        let us = rustix::process::geteuid().as_raw();
        if metadata.uid() != us {
            return Err(FolderError::NotOurs {
                path: self.root.clone(),
                owner: metadata.uid(),
                us,
            });
        }
        for name in ["mirrors", "bases", "deps", "runs", "homes", "doors"] {
            make(&self.root.join(name), if root { 0o711 } else { 0o700 })?;
        }
        make(&self.root.join("credentials"), 0o700)
    }

    /// Takes the lock, or says who has it.
    pub fn lock(&self) -> Result<FolderLock, FolderError> {
        let path = self.root.join("lock");
        let file = fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| io_at(&path, error))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(FolderLock { _file: file }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(FolderError::Busy(self.root.clone())),
            Err(error) => Err(io_at(&path, error.into())),
        }
    }

    /// The 32 bytes that run tokens are derived from; made once, from the kernel's randomness.
    pub fn key(&self) -> Result<[u8; 32], FolderError> {
        let path = self.root.join("key");
        if let Some(key) = self.made_key()? {
            return Ok(key);
        }
        let mut key = [0; 32];
        File::open("/dev/urandom")
            .and_then(|mut random| io::Read::read_exact(&mut random, &mut key))
            .and_then(|()| write_private(&path, &key))
            .map_err(|error| io_at(&path, error))?;
        Ok(key)
    }

    /// The same key; none where it was not made yet. A damaged one is told at a start, and not when
    /// the first task needs it.
    pub fn made_key(&self) -> Result<Option<[u8; 32]>, FolderError> {
        let path = self.root.join("key");
        match fs::read(&path) {
            Ok(bytes) => match <[u8; 32]>::try_from(bytes) {
                Ok(key) => Ok(Some(key)),
                Err(bytes) => Err(FolderError::Key { path, found: bytes.len() }),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_at(&path, error)),
        }
    }

    /// Makes sure that runs and HOMEs that were taken away stay away when the power goes.
    pub fn settle_removals(&self) -> io::Result<()> {
        ["runs", "homes"].iter().try_for_each(|name| File::open(self.root.join(name))?.sync_all())
    }

    /// Keeps a credential; equal ones share a file. Returns its id, which tells nothing of it.
    pub fn keep_credential(&self, secret: &str) -> Result<String, FolderError> {
        let mut hash = Sha256::new();
        hash.update(self.key()?);
        hash.update(secret.as_bytes());
        let id = hex(&hash.finalize()[..12]);
        let path = self.credential(&id);
        if !path.exists() {
            write_private(&path, secret.as_bytes()).map_err(|error| io_at(&path, error))?;
        }
        Ok(id)
    }

    /// Puts another secret in the place of a kept one: whole or not at all.
    pub fn replace_credential(&self, id: &str, secret: &str) -> Result<(), FolderError> {
        let path = self.credential(id);
        write_private(&path, secret.as_bytes()).map_err(|error| io_at(&path, error))
    }

    /// Keeps the login at a git server. There is one for each URL, the newest: a token that was
    /// renewed serves the tasks that are open, too. Returns its id.
    pub fn keep_login(&self, url: &str, login: &str) -> Result<String, FolderError> {
        let id = format!("login-{}", key_of(url));
        let path = self.credential(&id);
        write_private(&path, login.as_bytes()).map_err(|error| io_at(&path, error))?;
        Ok(id)
    }

    /// Where a kept credential is.
    pub fn credential(&self, id: &str) -> PathBuf {
        self.root.join("credentials").join(id)
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The database.
    pub fn database(&self) -> PathBuf {
        self.root.join("midwatch.db")
    }

    /// The control socket.
    pub fn socket(&self) -> PathBuf {
        self.root.join("server.sock")
    }

    /// The server's own log.
    pub fn log(&self) -> PathBuf {
        self.root.join("server.log")
    }

    /// The mirror of a repository: `upstream.git`, `work.git`, `packs/<commit>`.
    pub fn mirror(&self, identity: &str) -> PathBuf {
        self.root.join("mirrors").join(key_of(identity))
    }

    /// An immutable checkout of a base.
    pub fn base(&self, identity: &str, commit: &str) -> PathBuf {
        self.root.join("bases").join(key_of(identity)).join(commit)
    }

    /// A layer of dependencies.
    pub fn deps(&self, layer: &str) -> PathBuf {
        self.root.join("deps").join(layer)
    }

    /// A run.
    pub fn run(&self, run: &str) -> PathBuf {
        self.root.join("runs").join(run)
    }

    /// The HOMEs of a task, which are those of its follow-ups, too.
    pub fn homes(&self, task: &str) -> PathBuf {
        self.root.join("homes").join(task)
    }

    /// A HOME that outlives runs.
    pub fn home(&self, task: &str, name: &str) -> PathBuf {
        self.homes(task).join(name)
    }

    /// The sockets of a run's broker.
    pub fn door(&self, run: &str) -> PathBuf {
        self.root.join("doors").join(key_of(run))
    }
}

/// The task in a run's name, which is task, step and epoch: neither of the last two holds a `-`.
pub(crate) fn task_of(run: &str) -> Option<&str> {
    let (rest, _epoch) = run.rsplit_once('-')?;
    let (task, _step) = rest.rsplit_once('-')?;
    Some(task)
}

/// A short, fixed name for an identity of any length and any characters.
pub fn key_of(identity: &str) -> String {
    hex(&Sha256::digest(identity.as_bytes())[..8])
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Writes a file that appears whole or not at all, durable when this returns, 0600.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (file, temporary, parent) = write_beside(path, bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    File::open(parent)?.sync_all()
}

/// Removes a file, durable when this returns. What is not there needs no removing.
pub(crate) fn remove_private(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        // Who removed it may not have come as far as what follows.
        Ok(()) | Err(_) => {}
    }
    File::open(path.parent().ok_or(io::ErrorKind::InvalidInput)?)?.sync_all()
}

/// Writes one that is of no use after a power loss: it may be empty then.
pub(crate) fn write_private_for_this_boot(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (_, temporary, _) = write_beside(path, bytes)?;
    fs::rename(&temporary, path)
}

fn write_beside<'a>(path: &'a Path, bytes: &[u8]) -> io::Result<(File, PathBuf, &'a Path)> {
    let parent = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    name.push(".new");
    let temporary = parent.join(name);
    let _ = fs::remove_file(&temporary);
    let mut file =
        fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&temporary)?;
    file.write_all(bytes)?;
    Ok((file, temporary, parent))
}

fn make(path: &Path, mode: u32) -> Result<(), FolderError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| io_at(path, error))?;
    let us = rustix::process::geteuid().as_raw();
    let metadata = fs::metadata(path).map_err(|error| io_at(path, error))?;
    if metadata.uid() == us && metadata.permissions().mode() & 0o777 != mode {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
            .map_err(|error| io_at(path, error))?;
    }
    Ok(())
}

fn io_at(path: &Path, error: io::Error) -> FolderError {
    FolderError::Io { path: path.to_owned(), error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_key_is_named_with_its_own_fix() {
        let place = tempfile::tempdir().unwrap();
        let folder = StateFolder::new(place.path().to_owned());
        assert_eq!(folder.made_key().unwrap(), None);
        let key = folder.key().unwrap();
        // The control: whole, it is the same again.
        assert_eq!((folder.made_key().unwrap(), folder.key().unwrap()), (Some(key), key));
        let path = place.path().join("key");
        fs::write(&path, &key[..7]).unwrap();
        for error in [folder.made_key().unwrap_err(), folder.key().unwrap_err()] {
            let text = error.to_string();
            for part in ["7 bytes instead of 32", "move it away"] {
                assert!(text.contains(part), "no '{part}' in {text}");
            }
            assert!(!text.contains("writable"), "{text}");
        }
        fs::remove_file(path).unwrap();
        assert_ne!(folder.key().unwrap(), key);
    }

    #[test]
    fn the_task_of_a_run_is_in_its_name() {
        assert_eq!(task_of("fix-the-login-implement-12"), Some("fix-the-login"));
        assert_eq!(task_of("t-check-3"), Some("t"));
        assert_eq!(task_of("check-3"), None);
    }
}
