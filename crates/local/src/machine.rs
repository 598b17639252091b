//! The machine: which boot this is, and what it has left, bytes on the disk of the state folder and
//! memory.

use std::path::Path;

use midwatch_core::admit::Observed;
use rustix::fs::statvfs;

/// What is left now, on the disk of a state folder. What cannot be read is not known, and limits
/// nothing.
pub fn observed(root: &Path) -> Observed {
    let memory = std::fs::read_to_string("/proc/meminfo").ok();
    Observed { free_disk: free_disk(root), free_memory: memory.as_deref().and_then(available) }
}

/// The name of this boot. `runner` and `git` read it for themselves: what all three rooms may name
/// does no IO.
pub(crate) fn boot_id() -> std::io::Result<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(text.trim().to_owned())
}

/// Bytes that an ordinary user may still write.
pub(crate) fn free_disk(path: &Path) -> Option<u64> {
    let disk = statvfs(path).ok()?;
    // Root may write to blocks that are kept from others; its runs may not.
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Bytes that can be had without swapping, from the text of `/proc/meminfo`.
fn available(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib.saturating_mul(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_the_kernels_words() {
        let text = "MemTotal:       24567890 kB\nMemAvailable:   1024 kB\n";
        assert_eq!(available(text), Some(1 << 20));
        assert_eq!(available("MemFree: 5 kB\n"), None);
        assert!(observed(Path::new("/tmp")).free_memory.is_some());
        assert!(free_disk(Path::new("/tmp")).is_some_and(|free| free > 0));
        assert_eq!(free_disk(Path::new("/no such folder")), None);
    }
}
