//! When a base may be used: which one is whole after the machine has lost its power.
//!
//! A base is a cache, so nobody waits for the disk when one is made. Until it is known to be
//! there, it counts only as long as the machine that made it goes on: the text of its mark names
//! that boot. Once it is on the disk, a file beside the base says the same text.

use std::path::{Path, PathBuf};

/// The mark, below a base. Written by the runner that made it, before the base was in its place.
pub const MADE_FILE: &str = ".git/midwatch-made";

/// What a runner writes into the mark: no other base, made before or after in the same place,
/// has the same text.
pub fn made_text(boot_id: &str, run: &str, epoch: u32, pid: u32) -> String {
    format!("{} {run}-{epoch} {pid}\n", boot_id.trim())
}

/// The file beside a base that repeats its mark when the base is on the disk.
pub fn durable_file(base: &Path) -> PathBuf {
    let mut name = base.file_name().unwrap_or_default().to_owned();
    name.push(".durable");
    base.with_file_name(name)
}

/// Whether a base with this mark is whole. `durable` is what the file beside it says.
pub fn is_whole(made: &str, durable: Option<&str>, boot_id: &str) -> bool {
    // A file that lost its data in a power loss is empty, or cut off.
    made.ends_with('\n') && (durable == Some(made) || boot_of(made) == boot_id.trim())
}

fn boot_of(made: &str) -> &str {
    made.split(' ').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_is_whole_in_its_own_boot_or_when_it_is_on_the_disk() {
        let made = made_text("boot-1\n", "t-checkout-1", 1, 7);
        let other = made_text("boot-1", "t-checkout-1", 1, 8);
        assert!(is_whole(&made, None, "boot-1\n"));
        assert!(!is_whole(&made, None, "boot-2"));
        assert!(is_whole(&made, Some(&made), "boot-2"));
        assert!(!is_whole(&made, Some(&other), "boot-2"), "of a base that was there before");
    }

    #[test]
    fn what_a_power_loss_leaves_of_a_mark_counts_for_nothing() {
        let made = made_text("boot-1", "t-checkout-1", 1, 7);
        for end in 0..made.len() {
            let left = &made[..end];
            assert!(!is_whole(left, Some(left), "boot-1"), "{left:?}");
        }
        assert!(!is_whole("", Some(""), ""));
    }
}
