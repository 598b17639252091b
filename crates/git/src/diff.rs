//! Differences as text, by plumbing on the mirror: no attribute, text conversion or external
//! program of anybody.

use midwatch_core::id::CommitId;

use crate::command::Call;
use crate::error::GitError;
use crate::mirror::Mirror;

/// The longest patch that is given out, in bytes.
const PATCH_CAP: u64 = 64 << 20;

fn call(mirror: &Mirror) -> Call {
    mirror.git().at(&mirror.work(), "diff-tree").args([
        "-r",
        "--no-ext-diff",
        "--no-textconv",
        "--no-color",
        "--find-renames",
        "--submodule=short",
    ])
}

/// One line: `2 files changed, 3 insertions(+)`; empty when nothing differs.
pub fn summary(mirror: &Mirror, base: &CommitId, commit: &CommitId) -> Result<String, GitError> {
    let text = call(mirror).args(["--shortstat", base.as_str(), commit.as_str()]).text()?;
    Ok(text.trim().to_owned())
}

/// A line per file with its counts, and the summary. Paths are quoted by git where they are odd.
pub fn stat(mirror: &Mirror, base: &CommitId, commit: &CommitId) -> Result<String, GitError> {
    call(mirror).args(["--stat=100", base.as_str(), commit.as_str()]).text()
}

/// The patch. Bytes of a sandbox: escape them before a terminal sees them.
pub fn patch(mirror: &Mirror, base: &CommitId, commit: &CommitId) -> Result<Vec<u8>, GitError> {
    call(mirror).args(["-p", base.as_str(), commit.as_str()]).cap(PATCH_CAP).run()
}

/// The patch as `git apply` takes it, with binary files in it.
pub fn raw(mirror: &Mirror, base: &CommitId, commit: &CommitId) -> Result<Vec<u8>, GitError> {
    let wanted = ["-p", "--binary", "--full-index", base.as_str(), commit.as_str()];
    call(mirror).args(wanted).cap(PATCH_CAP).run()
}
