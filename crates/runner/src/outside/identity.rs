//! Who this runner is, so that a server that comes back can find it again.

use std::{fs, io, process};

use midwatch_api::report::{IDENTITY_FILE, RunnerIdentity};

use super::ground::Door;

/// Reads this process's identity from `/proc` and writes it into the run's folder.
pub(super) fn write(door: &Door) -> io::Result<()> {
    let identity = RunnerIdentity {
        pid: i32::try_from(process::id()).map_err(io::Error::other)?,
        start_time: start_time(&fs::read_to_string("/proc/self/stat")?)
            .ok_or_else(|| io::Error::other("/proc/self/stat has no start time"))?,
        boot_id: boot_id()?,
    };
    let bytes = serde_json::to_vec_pretty(&identity).map_err(io::Error::other)?;
    // After a power loss nobody looks for this process; only that there was one counts.
    door.write_that(IDENTITY_FILE, &bytes)
}

/// The name of this boot.
pub(super) fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// Field 22 of a `stat` line. Field 2 is the program's name in parentheses and may itself hold
/// spaces and parentheses, so counting begins after the last `)` (proc(5)).
fn start_time(stat: &str) -> Option<u64> {
    let after_name = stat.rsplit_once(')')?.1;
    after_name.split_ascii_whitespace().nth(22 - 3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_time_is_found_behind_an_odd_name() {
        let stat = "7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20 21";
        assert_eq!(start_time(stat), Some(4242));
        assert_eq!(start_time("7 (x"), None);
    }
}
