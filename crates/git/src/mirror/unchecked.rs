//! Packs that came from the user's own repository quickly, and are checked later.
//!
//! Unpacking and hashing a large base costs more than everything else between an order and its
//! agent, so git's packer writes straight from the user's packs, and what it wrote is checked,
//! object by object, before the first import stands on it. Until then only sandboxes see it.
//!
//! Nor does anybody wait for the disk. A pack's mark names the boot in which it was written, and
//! is there before the pack is: one of another boot may be cut off, and is checked before it is
//! used at all, or fetched again.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::fetch::BASES;
use super::{Mirror, set_mode, strict_but_for_the_past};
use crate::command::{Call, LONG};
use crate::error::GitError;
use crate::inspect::{Checkout, alternate};
use crate::refs;
use crate::scratch::Scratch;

impl Mirror {
    fn unchecked_dir(&self) -> PathBuf {
        self.root.join("unchecked")
    }

    /// Lets a `pack-objects` call in the user's repository write its packs into `upstream`, each
    /// marked as unchecked before it can be seen there.
    pub(super) fn take_unchecked(&self, from: &Checkout, pack: Call) -> Result<(), GitError> {
        let scratch = Scratch::in_dir(&self.scratch_dir())?;
        // Git makes a pack beside its objects and renames it from there. With theirs that would
        // leave files in the user's repository, and fail where it is on another file system.
        let (objects, packs) = (scratch.path().join("objects"), scratch.path().join("packs"));
        for folder in [&objects.join("info"), &objects.join("pack"), &packs] {
            std::fs::create_dir_all(folder).map_err(GitError::io("could not create", folder))?;
        }
        let alternates = objects.join("info/alternates");
        std::fs::write(&alternates, alternate(&from.common_dir().join("objects")))
            .map_err(GitError::io("could not write", &alternates))?;
        pack.config("core.fsync", "none")
            .env("GIT_OBJECT_DIRECTORY", &objects)
            .arg(packs.join("pack"))
            .run()?;
        let boot = boot_id()?;
        let marks = self.unchecked_dir();
        std::fs::create_dir_all(&marks).map_err(GitError::io("could not create", &marks))?;
        let entries = std::fs::read_dir(&packs);
        let entries = entries.map_err(GitError::io("could not read", &packs))?;
        let mut made = Vec::new();
        for entry in entries {
            made.push(entry.map_err(GitError::io("could not read", &packs))?.path());
        }
        // The index last: a pack counts from the moment that its index is there.
        made.sort_by_key(|path| path.extension().is_some_and(|extension| extension == "idx"));
        for path in made {
            let Some(name) = path.file_name() else { continue };
            if path.extension().is_some_and(|extension| extension == "pack") {
                let mark = marks.join(name);
                std::fs::write(&mark, &boot).map_err(GitError::io("could not write", &mark))?;
            }
            set_mode(&path, 0o444)?;
            let to = self.upstream().join("objects/pack").join(name);
            std::fs::rename(&path, &to).map_err(GitError::io("could not create", &to))?;
        }
        Ok(())
    }

    /// Checks every object of the packs that were not checked yet. An error names what is wrong
    /// with the user's repository.
    pub fn check_fetched(&self) -> Result<(), GitError> {
        for (name, _) in self.unchecked()? {
            self.check(&name)?;
        }
        Ok(())
    }

    /// Checks the packs that another boot left unchecked. One that is not whole goes, with each
    /// base that is not whole without it.
    pub(super) fn distrust_other_boots(&self) -> Result<(), GitError> {
        let of_another = |unchecked: Vec<(PathBuf, String)>, boot: &str| {
            let marks = unchecked.into_iter().filter(|(_, of)| of != boot);
            marks.map(|(name, _)| name).collect::<Vec<_>>()
        };
        let boot = boot_id()?;
        if of_another(self.unchecked()?, &boot).is_empty() {
            return Ok(());
        }
        let _locked = self.lock()?;
        let mut dropped = false;
        for name in of_another(self.unchecked()?, &boot) {
            if self.check(&name).is_err() {
                for kind in ["idx", "rev", "pack"] {
                    remove(&self.pack(&name).with_extension(kind))?;
                }
                remove(&self.unchecked_dir().join(&name))?;
                dropped = true;
            }
        }
        if dropped { self.forget_broken_bases() } else { Ok(()) }
    }

    /// Forgets the bases that something is missing of: they are fetched again.
    pub(super) fn forget_broken_bases(&self) -> Result<(), GitError> {
        let upstream = self.upstream();
        // Names alone: a ref whose object is gone would end a listing that looks at it.
        let named = self.git.at(&upstream, "for-each-ref").arg("--format=%(refname)").arg(BASES);
        for name in named.text()?.lines() {
            let walk = self.git.at(&upstream, "rev-list").args(["--objects", "--quiet", name]);
            if walk.timeout(LONG).finish()?.code != Some(0) {
                refs::remove(&self.git, &upstream, name)?;
            }
        }
        Ok(())
    }

    /// Names of the packs that were not checked yet, and the boots in which they were written.
    fn unchecked(&self) -> Result<Vec<(PathBuf, String)>, GitError> {
        let marks = self.unchecked_dir();
        let entries = match std::fs::read_dir(&marks) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(vec![]),
            Err(error) => return Err(GitError::io("could not read", &marks)(error)),
        };
        let mut found = Vec::new();
        for entry in entries {
            let mark = entry.map_err(GitError::io("could not read", &marks))?;
            // One that is gone was checked by another just now.
            if let Ok(boot) = std::fs::read_to_string(mark.path()) {
                found.push((mark.file_name().into(), boot));
            }
        }
        Ok(found)
    }

    fn pack(&self, name: &Path) -> PathBuf {
        self.upstream().join("objects/pack").join(name)
    }

    /// Checks a pack, brings it to the disk and takes its mark away.
    fn check(&self, name: &Path) -> Result<(), GitError> {
        let pack = self.pack(name);
        // A mark without a pack was left by a crash between the two.
        if pack.exists() {
            self.git
                .at(&self.upstream(), "index-pack")
                .args(["--verify", &strict_but_for_the_past()])
                .arg(&pack)
                .timeout(LONG)
                .run()?;
            for kind in ["pack", "idx", "rev"] {
                sync(&pack.with_extension(kind))?;
            }
            sync(&self.upstream().join("objects/pack"))?;
        }
        remove(&self.unchecked_dir().join(name))
    }
}

fn boot_id() -> Result<String, GitError> {
    let path = Path::new("/proc/sys/kernel/random/boot_id");
    std::fs::read_to_string(path).map_err(GitError::io("could not read", path))
}

/// Brings a file or folder to the disk; none is no error.
fn sync(path: &Path) -> Result<(), GitError> {
    match File::open(path).and_then(|file| file.sync_all()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(GitError::io("could not bring to the disk", path)(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn remove(path: &Path) -> Result<(), GitError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(GitError::io("could not remove", path)(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
