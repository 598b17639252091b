//! What can be wrong with the store, said with what to do about it.

use std::io::ErrorKind;
use std::path::PathBuf;

use midwatch_api::kind::Kind;
use rusqlite::ErrorCode;

/// What can be wrong with the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite said no: a full disk, a damaged file, a lock.
    #[error("the database: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A row cannot be read.
    #[error("task {task}, event {seq}: the stored row is damaged ({detail})")]
    Row {
        /// The task.
        task: String,
        /// The event's place; 0 is the order.
        seq: u64,
        /// What the reader says.
        detail: String,
    },
    /// The row of an object cannot be read.
    #[error(
        "{kind} {name}: the stored row is damaged ({detail}); `midwatch apply` writes it anew, `midwatch delete {kind} {name}` takes it away"
    )]
    Object {
        /// Its kind.
        kind: Kind,
        /// Its name.
        name: String,
        /// What the reader says.
        detail: String,
    },
    /// Events that can be read make no task.
    #[error("task {task}, event {seq}: {illegal}")]
    Fold {
        /// The task.
        task: String,
        /// The event's place.
        seq: u64,
        /// What cannot be.
        illegal: midwatch_core::apply::Illegal,
    },
    /// Somebody else appended.
    #[error("task {task} has more events than was known: another server wrote to this database")]
    Raced {
        /// The task.
        task: String,
    },
    /// A newer version wrote it.
    #[error(
        "{path} has schema version {found}, written by midwatch {by}; this is midwatch {ours}, which knows versions up to {known}. Use the newer program, or set MIDWATCH_HOME to another folder{copy}"
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// Ours.
        known: u32,
        /// The release that wrote it.
        by: String,
        /// This release.
        ours: &'static str,
        /// Where a copy of our version is, as the end of a sentence.
        copy: String,
    },
    /// It failed its own check.
    #[error("{path} is damaged ({detail}); nothing was changed. {hint}")]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What the check said.
        detail: String,
        /// How to get going again.
        hint: String,
    },
    /// It is not there, though runs of its tasks are.
    #[error(
        "{path} is missing or empty, though there are runs of its tasks; none was made. {hint}"
    )]
    Missing {
        /// Where it should be.
        path: PathBuf,
        /// How to get going again.
        hint: String,
    },
    /// It cannot be written.
    #[error(
        "{path} cannot be written ({detail}); make its folder writable, or set MIDWATCH_HOME to another one"
    )]
    ReadOnly {
        /// The database.
        path: PathBuf,
        /// What the system said.
        detail: String,
    },
    /// Another program holds it.
    #[error(
        "{path} is held by another program (a sqlite3 of yours, a backup, a viewer); end it, or what it does there, and start again"
    )]
    Locked {
        /// The database.
        path: PathBuf,
    },
    /// The file system gave no write-ahead log.
    #[error(
        "{path} is on a file system that cannot hold a write-ahead log; set MIDWATCH_HOME to a folder on a local disk"
    )]
    NoLog {
        /// The database.
        path: PathBuf,
    },
    /// A copy could not be made before a migration.
    #[error(
        "{path} could not be copied before it is brought to version {to}: {detail}; nothing was changed. Free some space in that folder and start again"
    )]
    Copy {
        /// The copy.
        path: PathBuf,
        /// The version that was to be reached.
        to: u32,
        /// What went wrong.
        detail: String,
    },
}

/// Why a write was not possible, where waiting can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stuck {
    /// The disk is full, or a quota is reached.
    Full,
    /// The folder became read-only, or the disk gives errors.
    Unwritable,
    /// Another program holds the database.
    Locked,
}

impl Stuck {
    /// Of what the system said of a file, where waiting can help.
    pub fn of(error: &std::io::Error) -> Option<Self> {
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Some(Self::Full),
            ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => Some(Self::Unwritable),
            // The names are the library's: whatever else it says, waiting does not mend.
            _ => None,
        }
    }

    /// The name for logs and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "the disk is full",
            Self::Unwritable => "the state folder cannot be written",
            Self::Locked => "another program holds the database",
        }
    }

    /// What mends it.
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Full | Self::Unwritable => {
                "free some space or make it writable; the server goes on by itself"
            }
            Self::Locked => {
                "end it (a sqlite3 of yours, a backup, a viewer); the server goes on by itself"
            }
        }
    }
}

impl StoreError {
    /// Whether the same write may succeed later, without anything being wrong with the database.
    pub fn stuck(&self) -> Option<Stuck> {
        let Self::Sqlite(rusqlite::Error::SqliteFailure(failure, _)) = self else {
            return None;
        };
        stuck(failure.code)
    }
}

fn stuck(code: ErrorCode) -> Option<Stuck> {
    match code {
        ErrorCode::DiskFull => Some(Stuck::Full),
        ErrorCode::ReadOnly
        | ErrorCode::SystemIoFailure
        | ErrorCode::CannotOpen
        | ErrorCode::PermissionDenied => Some(Stuck::Unwritable),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Some(Stuck::Locked),
        // The names are SQLite's, not ours: whatever else it says, waiting does not mend.
        _ => None,
    }
}
