//! A credential on its way to git: through a pipe that is read once, and no other way. It is
//! never in argv, environment, a URL or a file's content.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags};
use secrecy::{ExposeSecret, SecretString};

use crate::error::GitError;
use crate::scratch::Scratch;

/// What https asks for.
#[derive(Debug, Clone)]
pub struct Credential {
    /// The user's name; with forge tokens often `x-access-token` or `oauth2`.
    pub user: String,
    /// The password or token.
    pub password: SecretString,
}

/// A named pipe (0600, in a folder 0700) with the credential in its buffer, for the one call
/// that it was made for. Gone on drop, and what was not read with it.
#[derive(Debug)]
pub(crate) struct Helper {
    pipe: PathBuf,
    _open: File,
    _scratch: Scratch,
}

impl Helper {
    pub(crate) fn new(scratch: &Path, credential: &Credential) -> Result<Self, GitError> {
        let password = credential.password.expose_secret();
        // The protocol is lines: a newline inside would say something else to git.
        if [credential.user.as_str(), password].iter().any(|text| text.contains(['\n', '\r', '\0']))
        {
            return Err(GitError::unexpected("credential", b"a credential with a line break"));
        }
        let scratch = Scratch::in_dir(scratch)?;
        let pipe = scratch.path().join("c");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
            .map_err(|e| GitError::io("could not create", &pipe)(e.into()))?;
        // Read-write opens a pipe without waiting for the other end, and keeps the buffer.
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let open = rustix::fs::open(&pipe, flags, Mode::empty())
            .map_err(|e| GitError::io("could not open", &pipe)(e.into()))?;
        let mut open = File::from(open);
        let text =
            SecretString::from(format!("username={}\npassword={password}\n", credential.user));
        open.write_all(text.expose_secret().as_bytes())
            .map_err(GitError::io("could not write", &pipe))?;
        Ok(Self { pipe, _open: open, _scratch: scratch })
    }

    /// The value of `credential.<origin>.helper`. It answers `get` once; a second asking times
    /// out rather than hangs.
    pub(crate) fn setting(&self) -> String {
        let path = self.pipe.to_string_lossy().replace('\'', r"'\''");
        format!("!f() {{ test \"$1\" = get && timeout 5 head -n 2 '{path}'; }}; f")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_credential_can_be_read_once_and_is_nowhere_else() {
        let dir = Path::new("/tmp").join(format!("mw-cred-{}", std::process::id()));
        let credential = Credential { user: "u".into(), password: "s3cret-token".into() };
        let helper = Helper::new(&dir, &credential).unwrap();
        assert!(!helper.setting().contains("s3cret"));
        assert!(!format!("{helper:?} {credential:?}").contains("s3cret"));
        let script = helper.setting().replace("; f", "; f get");
        let read =
            || std::process::Command::new("sh").arg("-c").arg(&script[1..]).output().unwrap();
        assert_eq!(read().stdout, b"username=u\npassword=s3cret-token\n");
        let pipe = helper.pipe.clone();
        drop(helper);
        assert!(!pipe.exists());
        assert!(read().stdout.is_empty());
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_credential_with_a_line_break_is_refused() {
        let credential = Credential { user: "u".into(), password: "a\nhost=evil".into() };
        assert!(Helper::new(Path::new("/tmp"), &credential).is_err());
    }
}
