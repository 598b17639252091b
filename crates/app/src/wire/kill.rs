//! Kills a runner at once; its sandbox dies with it. Only the very process that wrote its
//! identity into the run's folder is ever sent a signal.

use std::io;
use std::path::Path;

use midwatch_api::report::{IDENTITY_FILE, RunnerIdentity};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Kills the runner of a folder. False when there is none any more.
pub(super) fn runner(folder: &Path) -> io::Result<bool> {
    let bytes = match std::fs::read(folder.join(IDENTITY_FILE)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let identity: RunnerIdentity = serde_json::from_slice(&bytes)?;
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    let Some(pid) = Pid::from_raw(identity.pid).filter(|_| boot.trim() == identity.boot_id) else {
        return Ok(false);
    };
    let Ok(descriptor) = pidfd_open(pid, PidfdFlags::empty()) else {
        return Ok(false);
    };
    // Read after the descriptor is open: what it means cannot change any more.
    if start_time(identity.pid) != Some(identity.start_time) {
        return Ok(false);
    }
    pidfd_send_signal(&descriptor, Signal::KILL)?;
    Ok(true)
}

/// Field 22 of `/proc/<pid>/stat`; the name in field 2 may hold anything.
fn start_time(pid: i32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    text.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_process_of_the_identity_is_killed() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!runner(folder.path()).unwrap());
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        let write = |start_time| {
            let identity = RunnerIdentity { pid, start_time, boot_id: boot.trim().to_owned() };
            let bytes = serde_json::to_vec(&identity).unwrap();
            std::fs::write(folder.path().join(IDENTITY_FILE), bytes).unwrap();
        };
        write(1);
        assert!(!runner(folder.path()).unwrap(), "another process had this pid");
        assert!(child.try_wait().unwrap().is_none());
        write(start_time(pid).unwrap());
        assert!(runner(folder.path()).unwrap());
        assert!(child.wait().unwrap().code().is_none());
    }
}
