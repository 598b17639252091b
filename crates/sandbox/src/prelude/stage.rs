//! A tmpfs that only our mount namespace sees: places to mount on, and our own executable.

use std::fs::File;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::mount::MountFlags;

use super::PreludeError;

/// Only a cap: it holds empty folders, and in the worst case a copy of our executable.
const SIZE: &str = "256m";

/// What is staged where.
#[derive(Debug)]
pub(crate) struct Stage {
    root: PathBuf,
    moved: Vec<(PathBuf, PathBuf)>,
    places: usize,
}

impl Stage {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), moved: Vec::new(), places: 0 }
    }

    /// Mounts the tmpfs; `owner` where that is not the caller.
    pub(super) fn cover(&self, owner: Option<u32>) -> Result<(), PreludeError> {
        let options = match owner {
            Some(owner) => format!("size={SIZE},mode=0711,uid={owner},gid={owner}"),
            None => format!("size={SIZE},mode=0711"),
        };
        let options = std::ffi::CString::new(options).unwrap_or_default();
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        rustix::mount::mount("midwatch", &self.root, "tmpfs", flags, options.as_c_str())
            .map_err(|error| fault(&self.root, error.into()))
    }

    /// Shows a path that the service uid could not reach. One that is missing is left out: the
    /// mount that needs it will say so.
    pub(super) fn expose(&mut self, path: &Path) -> Result<(), PreludeError> {
        let Ok(meta) = std::fs::metadata(path) else {
            return Ok(());
        };
        let place = self.place(meta.is_dir())?;
        rustix::mount::mount_bind_recursive(path, &place)
            .map_err(|error| fault(path, error.into()))?;
        self.moved.push((path.to_owned(), place));
        Ok(())
    }

    /// Stages the executable that runs now, even when another has taken its name meanwhile.
    pub(super) fn add_exe(&self) -> Result<(), PreludeError> {
        let place = self.exe();
        let running = Path::new("/proc/self/exe");
        let stage = || -> io::Result<()> {
            File::create(&place)?;
            let name = std::fs::read_link(running)?;
            if rustix::mount::mount_bind(&name, &place).is_ok() {
                let (wanted, found) = (std::fs::metadata(running)?, std::fs::metadata(&place)?);
                if (wanted.dev(), wanted.ino()) == (found.dev(), found.ino()) {
                    return Ok(());
                }
                rustix::mount::unmount(&place, rustix::mount::UnmountFlags::DETACH)?;
            }
            io::copy(&mut File::open(running)?, &mut File::create(&place)?)?;
            std::fs::set_permissions(&place, std::fs::Permissions::from_mode(0o555))
        };
        stage().map_err(|error| fault(running, error))
    }

    /// Our executable.
    pub(crate) fn exe(&self) -> PathBuf {
        self.root.join("midwatch")
    }

    /// A new empty file or folder to mount on.
    pub(crate) fn place(&mut self, folder: bool) -> Result<PathBuf, PreludeError> {
        let place = self.root.join(self.places.to_string());
        self.places += 1;
        let made =
            if folder { std::fs::create_dir(&place) } else { File::create(&place).map(|_| ()) };
        made.map_err(|error| fault(&place, error))?;
        Ok(place)
    }

    /// Where a host path is now.
    pub(crate) fn resolve(&self, path: &Path) -> PathBuf {
        let deepest = self
            .moved
            .iter()
            .filter_map(|(from, to)| path.strip_prefix(from).ok().map(|rest| (from, to, rest)))
            .max_by_key(|(from, ..)| from.components().count());
        match deepest {
            // Joining nothing would add a slash, and a file with a slash is none.
            Some((_, to, rest)) if rest.as_os_str().is_empty() => to.clone(),
            Some((_, to, rest)) => to.join(rest),
            None => path.to_owned(),
        }
    }
}

fn fault(path: &Path, error: io::Error) -> PreludeError {
    PreludeError::Stage { path: path.to_owned(), error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_staged_folder_counts() {
        let mut stage = Stage::new(Path::new("/s"));
        assert_eq!(stage.resolve(Path::new("/root/x")), Path::new("/root/x"));
        stage.moved.push(("/root".into(), "/s/0".into()));
        stage.moved.push(("/root/a".into(), "/s/1".into()));
        assert_eq!(stage.resolve(Path::new("/root/x")), Path::new("/s/0/x"));
        assert_eq!(stage.resolve(Path::new("/root/a/b")), Path::new("/s/1/b"));
        assert_eq!(stage.resolve(Path::new("/root/a")), Path::new("/s/1"));
        assert_eq!(stage.resolve(Path::new("/rootless")), Path::new("/rootless"));
    }
}
