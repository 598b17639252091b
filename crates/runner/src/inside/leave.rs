//! Writing what the outside reads: whole by rename, or a line appended.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use midwatch_api::report::OUTPUTS_FILE;
use serde::Serialize;

use crate::inside_order::left;

/// A phase that the outside may show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    SelfTest,
    Command,
    Commit,
    Bundle,
}

impl Phase {
    const fn as_str(self) -> &'static str {
        match self {
            Self::SelfTest => "selfTest",
            Self::Command => "command",
            Self::Commit => "commit",
            Self::Bundle => "bundle",
        }
    }
}

/// Leaves a value as JSON at `out/name`; readers see all of it or nothing.
pub(super) fn json(out: &Path, name: &str, value: &impl Serialize) -> io::Result<()> {
    whole(out, name, &serde_json::to_vec(value)?)
}

/// Leaves bytes at `out/name` by rename.
pub(super) fn whole(out: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary = out.join(format!(".{name}.new"));
    remove(&temporary)?;
    let mut file = fresh(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&temporary, out.join(name))
}

/// A new file, 0600, never through a link that somebody left there.
pub(super) fn fresh(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Makes `out` writable again after hostile code, which is dead: no permissions, and folders,
/// pipes and links where our files go, would cost the night's work.
pub(super) fn reclaim(out: &Path) {
    enterable(out);
    for entry in std::fs::read_dir(out).into_iter().flatten().flatten() {
        // An odd file of the agent's own outputs is its own fault, and told outside.
        let ours = entry.file_name() != OUTPUTS_FILE;
        if ours && entry.file_type().is_ok_and(|kind| !kind.is_file()) {
            let _in_the_way_still = remove(&entry.path());
        }
    }
}

/// Gives the root of a mount back to us. It cannot be a link: it is mounted on.
pub(super) fn enterable(root: &Path) {
    let _found_by_whoever_enters =
        std::fs::set_permissions(root, std::fs::Permissions::from_mode(0o755));
}

/// Removes a file or a folder; nothing there is fine.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    let gone = match path.symlink_metadata() {
        Ok(meta) if meta.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(error) => Err(error),
    };
    match gone {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Tells a phase. A line that cannot be written is lost: it only informs.
pub(super) fn phase(out: &Path, phase: Phase) {
    line(out, &format!("{{\"phase\":\"{}\"}}\n", phase.as_str()));
}

/// Tells a checkpoint, counted from 1.
pub(super) fn checkpoint(out: &Path, number: u32) {
    line(out, &format!("{{\"checkpoint\":{number}}}\n"));
}

fn line(out: &Path, text: &str) {
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        // A FIFO that the agent put there must not hold us.
        .custom_flags(i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default())
        .open(out.join(left::PROGRESS));
    if let Ok(mut file) = file {
        let _lost = file.write_all(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_left_in_the_way_is_replaced_and_not_followed() {
        let out = tempfile::tempdir().unwrap();
        let victim = out.path().join("victim");
        std::fs::write(&victim, "keep").unwrap();
        std::os::unix::fs::symlink(&victim, out.path().join(".claim.json.new")).unwrap();
        std::os::unix::fs::symlink(&victim, out.path().join("claim.json")).unwrap();
        json(out.path(), "claim.json", &1).unwrap();
        assert_eq!(std::fs::read(out.path().join("claim.json")).unwrap(), b"1");
        assert_eq!(std::fs::read(victim).unwrap(), b"keep");
    }

    #[test]
    fn lines_are_appended() {
        let out = tempfile::tempdir().unwrap();
        phase(out.path(), Phase::SelfTest);
        checkpoint(out.path(), 2);
        let text = std::fs::read_to_string(out.path().join(left::PROGRESS)).unwrap();
        assert_eq!(text, "{\"phase\":\"selfTest\"}\n{\"checkpoint\":2}\n");
    }
}
