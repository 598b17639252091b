//! What can go wrong with a git subprocess.

use std::path::{Path, PathBuf};
use std::time::Duration;

use midwatch_core::input::{InvalidInput, is_invisible};

/// The longest part of a program's stderr that is repeated in an error, in characters.
const SHOWN: usize = 600;

/// A git call, or the work around one, that did not do what it should.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GitError {
    /// There is no git in the fixed search path.
    #[error("git was not found in {searched}; install git 2.39 or later")]
    Missing {
        /// The folders searched.
        searched: &'static str,
    },
    /// Git is older than what its safety was measured with.
    #[error("git {found} is too old; 2.39 or later is needed")]
    TooOld {
        /// What `git version` printed, escaped.
        found: String,
    },
    /// The call ran past its deadline and was killed with everything it had started.
    #[error("git {what} took longer than {} s and was killed", after.as_secs())]
    TimedOut {
        /// The subcommand.
        what: &'static str,
        /// The deadline.
        after: Duration,
    },
    /// The call wrote more than its cap and was killed.
    #[error("git {what} wrote more than {cap} bytes and was killed")]
    TooMuchOutput {
        /// The subcommand.
        what: &'static str,
        /// The cap in bytes.
        cap: u64,
    },
    /// The call ended with another code than 0.
    #[error("git {what} failed ({}): {stderr}", code.map_or("signal".to_owned(), |c| format!("code {c}")))]
    Failed {
        /// The subcommand.
        what: &'static str,
        /// The exit code; none after a signal.
        code: Option<i32>,
        /// The end of stderr, escaped and shortened.
        stderr: String,
    },
    /// Git answered with something that it never answers.
    #[error("git {what} answered in an unexpected way: {detail}")]
    Unexpected {
        /// The subcommand.
        what: &'static str,
        /// What was odd, escaped.
        detail: String,
    },
    /// A file operation of ours failed.
    #[error("{what} {}: {source}", path.display())]
    Io {
        /// What was tried, such as `could not create`.
        what: &'static str,
        /// The path.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// Input that was refused.
    #[error(transparent)]
    Input(#[from] InvalidInput),
}

impl GitError {
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }

    pub(crate) fn unexpected(what: &'static str, detail: &[u8]) -> Self {
        Self::Unexpected { what, detail: escaped(detail) }
    }

    /// Whether the disk is full, or a quota.
    pub fn is_disk(&self) -> bool {
        let full = [rustix::io::Errno::NOSPC, rustix::io::Errno::DQUOT];
        match self {
            Self::Io { source, .. } => {
                full.iter().any(|errno| source.raw_os_error() == Some(errno.raw_os_error()))
            }
            _ => self.says("No space left on device") || self.says("Disk quota exceeded"),
        }
    }

    /// Whether a `Failed` says this on its stderr. Git runs with `LC_ALL=C`.
    pub fn says(&self, text: &str) -> bool {
        matches!(self, Self::Failed { stderr, .. } if stderr.contains(text))
    }
}

/// Bytes from outside made fit for one line: escaped, and only the end kept when long, because
/// programs say last what mattered.
pub fn escaped(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim();
    let count = text.chars().count();
    let mut out = String::new();
    if count > SHOWN {
        out.push('…');
    }
    for c in text.chars().skip(count.saturating_sub(SHOWN)) {
        if c == '\n' {
            out.push_str("; ");
        } else if is_invisible(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_bytes_are_escaped_and_shortened() {
        assert_eq!(escaped(b"a\x1b[2J\nb"), "a\\u{1b}[2J; b");
        assert!(escaped(&[b'x'; 9000]).chars().count() <= SHOWN + 1);
    }
}
