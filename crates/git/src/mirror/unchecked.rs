//! Packs that came from the user's own repository quickly, and are checked later.
//!
//! Unpacking and hashing a large base costs more than everything else between an order and its
//! agent, so git's packer writes straight from the user's packs, and what it wrote is checked,
//! object by object, before the first import stands on it. Until then only sandboxes see it.

use std::path::PathBuf;

use super::{Mirror, set_mode, strict_but_for_the_past};
use crate::command::{Call, LONG};
use crate::error::GitError;
use crate::scratch::Scratch;

impl Mirror {
    fn unchecked_dir(&self) -> PathBuf {
        self.root.join("unchecked")
    }

    /// Lets a `pack-objects` call write its packs into `upstream`, each marked as unchecked
    /// before it can be seen there.
    pub(super) fn take_unchecked(&self, pack: Call) -> Result<(), GitError> {
        let scratch = Scratch::in_dir(&self.scratch_dir())?;
        pack.arg(scratch.path().join("pack")).run()?;
        let marks = self.unchecked_dir();
        std::fs::create_dir_all(&marks).map_err(GitError::io("could not create", &marks))?;
        let entries = std::fs::read_dir(scratch.path());
        let entries = entries.map_err(GitError::io("could not read", scratch.path()))?;
        let mut made = Vec::new();
        for entry in entries {
            made.push(entry.map_err(GitError::io("could not read", scratch.path()))?.path());
        }
        // The index last: a pack counts from the moment that its index is there.
        made.sort_by_key(|path| path.extension().is_some_and(|extension| extension == "idx"));
        for path in made {
            let Some(name) = path.file_name() else { continue };
            if path.extension().is_some_and(|extension| extension == "pack") {
                let mark = marks.join(name);
                std::fs::write(&mark, "").map_err(GitError::io("could not write", &mark))?;
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
        let marks = self.unchecked_dir();
        let entries = match std::fs::read_dir(&marks) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(GitError::io("could not read", &marks)(error)),
        };
        for entry in entries {
            let mark = entry.map_err(GitError::io("could not read", &marks))?;
            let pack = self.upstream().join("objects/pack").join(mark.file_name());
            // A mark without a pack was left by a crash between the two.
            if pack.exists() {
                self.git
                    .at(&self.upstream(), "index-pack")
                    .args(["--verify", &strict_but_for_the_past()])
                    .arg(&pack)
                    .timeout(LONG)
                    .run()?;
            }
            let path = mark.path();
            std::fs::remove_file(&path).map_err(GitError::io("could not remove", &path))?;
        }
        Ok(())
    }
}
