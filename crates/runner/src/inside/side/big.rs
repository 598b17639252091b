//! New files that are too big for a commit of ours. They are left out, and told.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use midwatch_core::landing::FILE_BYTES;

use super::Side;
use crate::inside::foreign::Foreign;
use crate::inside::git::GitError;

/// The same where the commit that the work stands on is gone: a new file cannot be told from one
/// of the repository then, which to leave out is to delete. Only what would cost the whole bundle
/// is, a core dump or a disk image. 256 MiB.
const HUGE: u64 = 256 << 20;

impl Side {
    /// Whether a file is new and beyond what the import's gate lets through: a build's output that
    /// nobody ignored would only take all the other work down with it. What the agent committed
    /// itself is in its commits, and the gate's matter.
    pub(super) fn is_too_big(&self, path: &Path) -> bool {
        let most = if self.stands_on.is_some() { FILE_BYTES } else { HUGE };
        let meta = self.git.tree().join(path).symlink_metadata();
        meta.is_ok_and(|meta| meta.is_file() && meta.len() > most) && !self.is_committed(path)
    }

    fn is_committed(&self, path: &Path) -> bool {
        self.stands_on.as_ref().is_some_and(|commit| {
            let mut object = OsString::from(format!("{commit}:"));
            object.push(path);
            self.git.is([OsStr::new("cat-file"), OsStr::new("-e"), &object])
        })
    }

    /// Takes those out of the index that the agent staged and did not commit.
    pub(super) fn unstage_big(&mut self, foreign: &Foreign) -> Result<(), GitError> {
        let Some(commit) = &self.stands_on else { return Ok(()) };
        let args = ["diff-index", "--cached", "--no-renames", "--diff-filter=A", "--name-only"];
        // Half a history is committed as it is: then the gate says what it has to.
        let Ok(listed) = self.git.call(args.into_iter().chain(["-z", commit, "--"])).output()
        else {
            return Ok(());
        };
        let staged = listed.split(|byte| *byte == 0).filter(|path| !path.is_empty());
        let staged = staged.map(|path| Path::new(OsStr::from_bytes(path)));
        let big: Vec<PathBuf> =
            staged.filter(|path| self.is_too_big(path)).map(Path::to_owned).collect();
        if big.is_empty() {
            return Ok(());
        }
        let mut paths = Vec::new();
        for path in &big {
            paths.extend_from_slice(path.as_os_str().as_bytes());
            paths.push(0);
        }
        let args = ["update-index", "--force-remove", "-z", "--stdin"];
        self.git.call(args).stdin(&paths).output()?;
        self.leave_out(big, foreign)
    }
}
