//! Pipes, sockets and devices in a workspace. No commit can hold one, and git waits for ever where
//! it finds a pipe in the place of a file that it reads: `.gitignore`, or anything in `.git`.

use std::path::Path;

/// Removes them, wherever they lie. Whoever calls this is alone with the workspace. A folder that
/// cannot be read is left: git cannot read it either.
pub(super) fn remove_all(workspace: &Path) {
    let mut folders = vec![workspace.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            // The entry's own kind: a link is never followed.
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                folders.push(entry.path());
            } else if !(kind.is_file() || kind.is_symlink()) {
                let _what_stays_is_met_by_git = std::fs::remove_file(entry.path());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    #[test]
    fn pipes_and_sockets_go_and_everything_else_stays() {
        let place = tempfile::tempdir().unwrap();
        let at = |path: &str| place.path().join(path);
        std::fs::create_dir_all(at(".git/refs")).unwrap();
        std::fs::write(at("file"), "x").unwrap();
        std::os::unix::fs::symlink("pipe", at("link")).unwrap();
        for pipe in ["pipe", ".gitignore", ".git/refs/x"] {
            mknodat(CWD, at(pipe), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        }
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        remove_all(place.path());
        for gone in ["pipe", ".gitignore", ".git/refs/x", "socket"] {
            assert!(at(gone).symlink_metadata().is_err(), "{gone}");
        }
        assert!(at("file").exists() && at("link").is_symlink() && at(".git/refs").is_dir());
    }
}
