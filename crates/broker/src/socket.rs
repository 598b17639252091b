//! The listening sockets of a run.

use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener as StdListener;
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

/// The longest path that fits into a socket address, the final zero aside.
const SOCKET_PATH_MAX: usize = 107;

/// Others may pass through the folder to a name they know, not list or change it. The sockets
/// themselves are open to all: the run's uid (61999 when the server is root) is neither their
/// owner nor in a group of ours, who reaches the folder is decided by the run folder above it
/// and the sandbox's mounts, and the gateway asks for the run token besides.
const FOLDER_MODE: u32 = 0o711;
const SOCKET_MODE: u32 = 0o666;

/// Makes the folder of a run's sockets unless it is there.
pub(crate) fn make_folder(folder: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().mode(FOLDER_MODE).create(folder) {
        Ok(()) => fs::set_permissions(folder, fs::Permissions::from_mode(FOLDER_MODE)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if fs::symlink_metadata(folder)?.is_dir() {
                Ok(())
            } else {
                Err(io::Error::new(io::ErrorKind::NotADirectory, "it is not a folder"))
            }
        }
        Err(error) => Err(error),
    }
}

/// Listens at a name in the folder, in the place of a socket that an earlier server left.
pub(crate) fn listen(folder: &Path, name: &str) -> io::Result<UnixListener> {
    let path = folder.join(name);
    remove(&path)?;
    // A long path does not fit into the address: then by way of the open folder.
    let opened = fs::File::open(folder)?;
    let address = if path.as_os_str().len() > SOCKET_PATH_MAX {
        PathBuf::from(format!("/proc/self/fd/{}/{name}", opened.as_raw_fd()))
    } else {
        path.clone()
    };
    let listener = StdListener::bind(address)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(SOCKET_MODE))?;
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}

/// Removes a socket, and nothing but a socket.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => fs::remove_file(path),
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            format!("{} is there and is no socket", path.display()),
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
