//! The folders of a run, made while we may still do so, and what of the host it needs to see.
//!
//! Started as root, the runner becomes an ordinary user when it enters the place that sandboxes
//! start from. Whatever that user must be able to write is handed to it here.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use midwatch_sandbox::overlay::Written;
use midwatch_sandbox::prelude::SERVICE_UID;
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid};

use super::folder;
use super::harvest::Owner;

/// Environment variable by which an operator chooses another uid for root's sandboxes.
const UID_VARIABLE: &str = "MIDWATCH_UID";

/// A step that failed, in words for a report.
pub(super) type Failure = String;

/// Names a step in an error.
pub(super) fn at<'a, E: std::fmt::Display>(
    step: &'a str,
    path: &'a Path,
) -> impl Fn(E) -> Failure + 'a {
    move |error| format!("{step} {}: {error}", path.display())
}

/// What is made and noted before the sandbox's place is entered.
#[derive(Debug)]
pub(super) struct Ground {
    /// The run's folder.
    pub(super) folder: PathBuf,
    /// Whoever sandboxes are to the kernel.
    pub(super) owner: Owner,
    /// Whether the folders have to be handed over.
    root: bool,
    /// Paths of the host that policies will name.
    pub(super) expose: Vec<PathBuf>,
}

/// A writable layer: its upper folder and the kernel's scratch beside it, in a folder of its
/// own, because both have to be on one mount. `copy` is used where there are no overlays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layer {
    folder: PathBuf,
    written: Written,
}

impl Layer {
    /// A layer kept in this folder: an agent's work, what a cache is made of.
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, written: Written::Kept }
    }

    /// A layer that goes with its run, whatever is in it.
    pub(super) fn thrown_away(folder: PathBuf) -> Self {
        Self { folder, written: Written::ThrownAway }
    }

    /// What becomes of what is written to it.
    pub(super) fn written(&self) -> Written {
        self.written
    }

    /// The folder that holds it all.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Takes what is written.
    pub(super) fn upper(&self) -> PathBuf {
        self.folder.join("upper")
    }

    /// The kernel's.
    pub(super) fn work(&self) -> PathBuf {
        self.folder.join("work")
    }

    /// All of it, where there are no overlays.
    pub(super) fn copy(&self) -> PathBuf {
        self.folder.join("copy")
    }
}

impl Ground {
    /// Takes a run's folder, which exists.
    pub(super) fn take(folder: &Path) -> Result<Self, Failure> {
        let root = rustix::process::geteuid().is_root();
        let owner = if root {
            let uid = service_uid()?;
            Owner { uid, gid: uid }
        } else {
            Owner {
                uid: rustix::process::geteuid().as_raw(),
                gid: rustix::process::getegid().as_raw(),
            }
        };
        let ground =
            Self { folder: folder.to_owned(), owner, root, expose: vec![folder.to_owned()] };
        ground.hand_over(folder)?;
        Ok(ground)
    }

    /// A folder of the run's own, new and empty.
    pub(super) fn fresh(&self, name: &str) -> Result<PathBuf, Failure> {
        let path = self.folder.join(name);
        folder::remove_tree(&path).map_err(at("removing", &path))?;
        self.make(&path)?;
        Ok(path)
    }

    /// A folder that belongs to whoever sandboxes are; made with its parents where it is
    /// missing.
    pub(super) fn make(&self, path: &Path) -> Result<(), Failure> {
        let parent = path.parent().unwrap_or(path);
        if !parent.exists() {
            let made = fs::DirBuilder::new().recursive(true).mode(0o755).create(parent);
            made.map_err(at("making", parent))?;
            self.hand_over(parent)?;
        }
        match fs::DirBuilder::new().mode(0o755).create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(at("making", path)(error));
            }
            Ok(()) | Err(_) => {}
        }
        self.hand_over(path)
    }

    /// A new file in a folder of ours, readable by everybody.
    pub(super) fn put(&self, path: &Path, bytes: &[u8]) -> Result<(), Failure> {
        fs::write(path, bytes).map_err(at("writing", path))?;
        if self.root {
            std::os::unix::fs::lchown(path, Some(self.owner.uid), Some(self.owner.gid))
                .map_err(at("handing over", path))?;
        }
        Ok(())
    }

    /// A layer's folders, with what an earlier run left in its upper one.
    pub(super) fn layer(&mut self, layer: &Layer) -> Result<(), Failure> {
        self.make(layer.folder())?;
        self.make(&layer.upper())?;
        // It was the root of a mount, and an agent that took its permissions away could be
        // neither saved nor gone on with.
        for root in [layer.upper(), layer.copy()] {
            if root.exists() {
                fs::set_permissions(&root, fs::Permissions::from_mode(0o755))
                    .map_err(at("opening", &root))?;
            }
        }
        midwatch_sandbox::overlay::clear_work(&layer.work())
            .map_err(at("clearing", layer.folder()))?;
        self.make(&layer.work())?;
        self.show(layer.folder());
        Ok(())
    }

    /// A path of the host that a policy will name. What lies in the run's folder is shown with
    /// it.
    pub(super) fn show(&mut self, path: &Path) {
        if !self.expose.iter().any(|shown| path.starts_with(shown)) {
            self.expose.push(path.to_owned());
        }
    }

    /// The folder that a result will appear in by rename: it has to be writable then.
    pub(super) fn show_parent(&mut self, path: &Path) -> Result<PathBuf, Failure> {
        let parent = path.parent().ok_or_else(|| format!("{} has no folder", path.display()))?;
        self.make(parent)?;
        self.show(parent);
        Ok(parent.to_owned())
    }

    /// Gives a folder to the service user. Links and other people's folders stay what they are.
    fn hand_over(&self, path: &Path) -> Result<(), Failure> {
        if !self.root {
            return Ok(());
        }
        let fd = folder::open(path).map_err(at("opening", path))?;
        let stat = rustix::fs::fstat(&fd).map_err(at("looking at", path))?;
        if stat.st_uid == self.owner.uid {
            return Ok(());
        }
        if stat.st_uid != 0 {
            return Err(format!(
                "{} belongs to uid {}, not to {}",
                path.display(),
                stat.st_uid,
                self.owner.uid
            ));
        }
        let (uid, gid) = (Uid::from_raw(self.owner.uid), Gid::from_raw(self.owner.gid));
        rustix::fs::fchown(&fd, Some(uid), Some(gid)).map_err(at("handing over", path))
    }
}

/// Who root's sandboxes run as.
pub(super) fn service_uid() -> Result<u32, Failure> {
    match std::env::var(UID_VARIABLE) {
        Err(_) => Ok(SERVICE_UID),
        Ok(text) => text
            .parse()
            .map_err(|_| format!("{UID_VARIABLE} '{}' is no uid", text.escape_default())),
    }
}

/// Hard-links the packs of a bare store into a new folder. They stay their owner's, and who
/// runs the sandbox cannot write to them when that is somebody else.
pub(super) fn link_packs(store: &Path, target: &Path) -> io::Result<()> {
    let packs = store.join("objects/pack");
    let device = fs::metadata(&packs)?.dev();
    let same_device = device == fs::metadata(target)?.dev();
    for entry in fs::read_dir(&packs)? {
        let entry = entry?;
        let name = entry.file_name();
        let kind = Path::new(&name).extension().and_then(|kind| kind.to_str());
        // Bitmaps and multi-pack indexes name packs that a later repack removes.
        if !matches!(kind, Some("pack" | "idx" | "rev")) || !entry.file_type()?.is_file() {
            continue;
        }
        let to = target.join(&name);
        if !same_device || fs::hard_link(entry.path(), &to).is_err() {
            fs::copy(entry.path(), &to)?;
        }
    }
    Ok(())
}

/// The run's folder by descriptor: the report is written through it, whatever we may still
/// enter by path.
#[derive(Debug)]
pub(super) struct Door(OwnedFd);

impl Door {
    /// Opens the folder.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(folder::open(path)?))
    }

    /// The same folder once more.
    pub(super) fn another(&self) -> io::Result<Self> {
        Ok(Self(self.0.try_clone()?))
    }

    /// Whether a name is there.
    pub(super) fn has(&self, name: &str) -> bool {
        rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    /// A new file, for us alone.
    pub(super) fn create(&self, name: &str) -> io::Result<fs::File> {
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        Ok(rustix::fs::openat(self.0.as_fd(), name, flags, Mode::RUSR | Mode::WUSR)?.into())
    }

    /// Puts one file in the place of another.
    pub(super) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.0, from, &self.0, to)?)
    }

    /// Removes a file.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.0, name, AtFlags::empty())?)
    }

    /// Writes a file that appears whole or not at all, and stays through a power loss.
    pub(super) fn write_whole(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let fresh = self.write_fresh(name, bytes)?;
        fresh.sync_all()?;
        self.rename(&new_name(name), name)?;
        Ok(rustix::fs::fsync(&self.0)?)
    }

    /// The same, but after a power loss the file may be empty. That it was written stays.
    pub(super) fn write_that(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.write_for_this_boot(name, bytes)?;
        Ok(rustix::fs::fsync(&self.0)?)
    }

    /// The same for what is of no use after a power loss: it may be empty then, or not there.
    pub(super) fn write_for_this_boot(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.write_fresh(name, bytes)?;
        self.rename(&new_name(name), name)
    }

    fn write_fresh(&self, name: &str, bytes: &[u8]) -> io::Result<fs::File> {
        let mut file = self.create(&new_name(name))?;
        io::Write::write_all(&mut file, bytes)?;
        Ok(file)
    }
}

/// A file's name until it is whole.
fn new_name(name: &str) -> String {
    format!("{name}.new")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let door = Door::open(folder.path()).unwrap();
        door.write_whole("report.json", b"one").unwrap();
        fs::write(folder.path().join("report.json.new"), b"half of an old attempt").unwrap();
        door.write_whole("report.json", b"two").unwrap();
        assert_eq!(fs::read(folder.path().join("report.json")).unwrap(), b"two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        door.write_that("report.json", b"three").unwrap();
        door.write_for_this_boot("report.json", b"4").unwrap();
        assert_eq!(fs::read(folder.path().join("report.json")).unwrap(), b"4");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(door.has("report.json") && !door.has("stop"));
    }

    #[test]
    fn packs_are_linked_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let (store, target) = (place.path().join("store"), place.path().join("target"));
        fs::create_dir_all(store.join("objects/pack")).unwrap();
        fs::create_dir(&target).unwrap();
        for name in ["a.pack", "a.idx", "a.bitmap", "tmp_pack_x", "multi-pack-index"] {
            fs::write(store.join("objects/pack").join(name), name).unwrap();
        }
        link_packs(&store, &target).unwrap();
        assert_eq!(fs::read_dir(&target).unwrap().count(), 2);
        assert_eq!(fs::metadata(target.join("a.pack")).unwrap().nlink(), 2);
    }
}
