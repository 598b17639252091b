//! The socket itself: 0600, and the peer's uid asked of the kernel, since a mode can be changed
//! and a folder opened.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::serve::Listener;
use rustix::net::sockopt::socket_peercred;
use tokio::net::{UnixListener, UnixStream};

use crate::desk::Desk;
use crate::records::Records;
use crate::routes::router;

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

/// A listening control socket. Only its owner and root are let in.
#[derive(Debug)]
pub struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
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
        Ok(Self { listener, path: path.to_owned(), us: rustix::process::geteuid().as_raw() })
    }

    /// Takes the socket file away: who comes now starts a server of their own.
    pub fn remove(path: &Path) {
        if let Err(error) = std::fs::remove_file(path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "the control socket is left behind");
        }
    }

    fn is_let_in(&self, stream: &UnixStream) -> bool {
        match socket_peercred(stream) {
            Ok(peer) => {
                let uid = peer.uid.as_raw();
                let known = uid == self.us || uid == 0;
                if !known {
                    tracing::warn!(uid, "somebody else was turned away");
                }
                known
            }
            Err(error) => {
                tracing::warn!(%error, "a peer that cannot be named was turned away");
                false
            }
        }
    }
}

impl Listener for ControlSocket {
    type Io = UnixStream;
    type Addr = PathBuf;

    async fn accept(&mut self) -> (UnixStream, PathBuf) {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) if self.is_let_in(&stream) => return (stream, self.path.clone()),
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "the control socket could not accept");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<PathBuf> {
        Ok(self.path.clone())
    }
}

/// Serves a desk until `end`; connections under way are finished.
pub async fn serve<D: Desk + Records>(
    socket: ControlSocket,
    desk: Arc<D>,
    end: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    axum::serve(socket, router(desk)).with_graceful_shutdown(end).await
}
