//! Bases: which may be used, and bringing them to the disk when nobody waits for it.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use midwatch_api::order::base::{MADE_FILE, durable_file, is_whole};
use rustix::fs::OFlags;

use crate::folder::{StateFolder, write_private};
use crate::machine;
use crate::sweep::folders_in;

/// The longest mark that is read.
const MARK_BYTES: u64 = 1 << 10;

/// Whether a base is there, and whole: not what a power loss left of it.
pub(crate) fn is_usable(base: &Path) -> bool {
    let boot = machine::boot_id().unwrap_or_default();
    mark_of(base).is_some_and(|made| is_whole(&made, durable_mark_of(base).as_deref(), &boot))
}

/// Every base, of whatever repository.
pub(crate) fn all(folder: &StateFolder) -> io::Result<Vec<PathBuf>> {
    let repositories = folders_in(&folder.root().join("bases"))?.into_iter();
    Ok(repositories.flat_map(|repository| folders_in(&repository).unwrap_or_default()).collect())
}

/// Removes what says of a base that it is on the disk, before the base goes.
pub(crate) fn forget(base: &Path) -> io::Result<()> {
    match fs::remove_file(durable_file(base)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Brings every base that is not yet known to be on the disk there, and says so beside it.
pub(crate) fn make_durable(folder: &StateFolder) -> io::Result<()> {
    let mut fresh: Vec<(PathBuf, String)> = Vec::new();
    for base in all(folder)? {
        // Others were not made here, or are being made.
        if let Some(made) = mark_of(&base).filter(|_| is_usable(&base))
            && durable_mark_of(&base).as_ref() != Some(&made)
        {
            fresh.push((base, made));
        }
    }
    if fresh.is_empty() {
        return Ok(());
    }
    rustix::fs::syncfs(File::open(folder.root().join("bases"))?)?;
    for (base, made) in fresh {
        // The text is of this very base: for one that has taken its place it counts for nothing.
        write_private(&durable_file(&base), made.as_bytes())?;
    }
    Ok(())
}

fn mark_of(base: &Path) -> Option<String> {
    read_mark(&base.join(MADE_FILE)).ok()
}

fn durable_mark_of(base: &Path) -> Option<String> {
    read_mark(&durable_file(base)).ok()
}

fn read_mark(path: &Path) -> io::Result<String> {
    let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).unwrap_or_default();
    let file = fs::OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let mut text = String::new();
    file.take(MARK_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use midwatch_api::order::base::made_text;

    #[test]
    fn a_base_of_an_earlier_boot_counts_only_when_it_was_on_the_disk() {
        let place = tempfile::tempdir().unwrap();
        let folder = StateFolder::new(place.path().join("state"));
        folder.make().unwrap();
        let base = |commit: &str, boot: &str| {
            let path = folder.base("repository", commit);
            fs::create_dir_all(path.join(".git")).unwrap();
            fs::write(path.join(MADE_FILE), made_text(boot, "t-checkout-1", 1, 7)).unwrap();
            path
        };
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        let (now, earlier) = (base("a", &boot), base("b", "another"));
        assert!(is_usable(&now) && !is_usable(&earlier));

        make_durable(&folder).unwrap();
        assert!(!durable_file(&earlier).exists(), "what may be half a base is never confirmed");
        let made = fs::read_to_string(durable_file(&now)).unwrap();
        assert!(is_whole(&made, Some(&made), "a later boot"));

        // What a power loss leaves of one that was not on the disk.
        let lost = base("c", &boot);
        fs::write(lost.join(MADE_FILE), "").unwrap();
        assert!(!is_usable(&lost));
        assert!(!is_usable(&folder.base("repository", "none")));
    }
}
