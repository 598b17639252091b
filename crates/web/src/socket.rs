//! The socket itself: 0600, and the peer's uid asked of the kernel, since a mode can be changed
//! and a folder opened.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Pid;
use tokio::net::{UnixListener, UnixStream};

/// The longest path that fits a socket's address on Linux, with its final NUL.
const PATH_MAX: usize = 107;
/// Between two tries after the system had no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The system said no.
    #[error("the control socket {}: {error}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
}

/// The path by which a socket is reached, whatever its length: a long one does not fit into an
/// address, and is named by way of its open folder, which lives as long as what is returned.
///
/// # Errors
/// The folder cannot be opened.
pub fn address_of(path: &Path) -> io::Result<(PathBuf, Option<File>)> {
    if path.as_os_str().len() <= PATH_MAX {
        return Ok((path.to_owned(), None));
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let folder = File::open(parent)?;
    let short = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name);
    Ok((short, Some(folder)))
}

/// Who is at the other end, by the kernel's word: the uid, and the process, which has no number
/// here where it is in a pid namespace that this one does not see.
///
/// # Errors
/// The kernel does not say.
pub fn peer_of(stream: &UnixStream) -> io::Result<(u32, Option<Pid>)> {
    // Not by rustix, whose pid cannot be the 0 that the kernel then writes.
    let peer = stream.peer_cred()?;
    Ok((peer.uid(), peer.pid().and_then(Pid::from_raw)))
}

/// Who is at the other end, by the kernel's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Peer(u32);

impl Peer {
    pub(crate) const fn uid(self) -> u32 {
        self.0
    }
}

/// A listening control socket. Only its owner and root are let in.
#[derive(Debug)]
pub struct ControlSocket {
    listener: UnixListener,
    us: u32,
}

impl ControlSocket {
    /// Listens. A socket file that is left over is replaced: whoever calls this holds the lock
    /// of the state folder, so nobody listens there.
    pub fn listen(path: &Path) -> Result<Self, SocketError> {
        let failed = |error| SocketError::Io { path: path.to_owned(), error };
        // Made under another name and renamed, so that nobody ever meets it with another mode.
        let new = path.with_extension("new");
        match std::fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            Ok(()) | Err(_) => {}
        }
        let (address, _folder) = address_of(&new).map_err(failed)?;
        let listener = UnixListener::bind(address).map_err(failed)?;
        std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
        std::fs::rename(&new, path).map_err(failed)?;
        Ok(Self { listener, us: rustix::process::geteuid().as_raw() })
    }

    /// Takes the socket file away: who comes now starts a server of their own.
    pub fn remove(path: &Path) {
        if let Err(error) = std::fs::remove_file(path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "the control socket is left behind");
        }
    }

    /// The next one who may come in.
    pub(crate) async fn accept(&mut self) -> (UnixStream, Peer) {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    if let Some(peer) = self.let_in(&stream) {
                        return (stream, peer);
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "the control socket could not accept");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn let_in(&self, stream: &UnixStream) -> Option<Peer> {
        match peer_of(stream) {
            Ok((uid, _)) => {
                let known = uid == self.us || uid == 0;
                if !known {
                    tracing::warn!(uid, "somebody else was turned away");
                }
                known.then_some(Peer(uid))
            }
            Err(error) => {
                tracing::warn!(%error, "a peer that cannot be named was turned away");
                None
            }
        }
    }
}
