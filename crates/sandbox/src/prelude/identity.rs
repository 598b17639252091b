//! Becoming the service user, with nothing of root's left.

use std::ffi::CStr;

use rustix::process::{Gid, Uid};
use rustix::thread::{CapabilitySet, CapabilitySets};

use super::{PreludeError, step};

/// Who root's sandboxes run as. High, below the range of systemd's dynamic users (61184 to
/// 65519 is theirs, which is why a passwd entry is looked for first), and no entry is needed.
pub const SERVICE_UID: u32 = 61999;

/// Refuses a uid that is somebody's, by the machine's own user database.
pub fn check_service_uid(uid: u32) -> Result<(), PreludeError> {
    if uid == 0 || uid >= u32::MAX - 1 || uid == 65534 {
        return Err(PreludeError::UidUnusable(uid));
    }
    #[expect(unsafe_code, reason = "the user database has no wrapper")]
    // SAFETY: called by a process with one thread; the entry is copied before the next call.
    let name = unsafe {
        let entry = libc::getpwuid(uid);
        (!entry.is_null()).then(|| CStr::from_ptr((*entry).pw_name).to_string_lossy().into_owned())
    };
    match name {
        Some(name) => Err(PreludeError::UidTaken { uid, name }),
        None => Ok(()),
    }
}

/// From root to `uid`, for good: no capability, none to be had again, no group but its own.
pub(crate) fn become_user(uid: u32) -> Result<(), PreludeError> {
    for number in 0..64 {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        match rustix::thread::remove_capability_from_bounding_set(capability) {
            Ok(()) => {}
            // Past the last that this kernel knows.
            Err(rustix::io::Errno::INVAL) => break,
            Err(error) => return Err(step("emptying the bounding set")(error)),
        }
    }
    rustix::thread::clear_ambient_capability_set().map_err(step("ambient capabilities"))?;
    rustix::thread::set_thread_groups(&[]).map_err(step("setgroups"))?;
    let gid = Gid::from_raw(uid);
    rustix::thread::set_thread_res_gid(gid, gid, gid).map_err(step("setresgid"))?;
    let uid = Uid::from_raw(uid);
    rustix::thread::set_thread_res_uid(uid, uid, uid).map_err(step("setresuid"))?;
    let none = CapabilitySet::empty();
    let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
    rustix::thread::set_capabilities(None, sets).map_err(step("capset"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebodys_uid_is_refused() {
        assert!(matches!(check_service_uid(0), Err(PreludeError::UidUnusable(0))));
        assert!(matches!(check_service_uid(1), Err(PreludeError::UidTaken { uid: 1, .. })));
        assert!(check_service_uid(61_997).is_ok());
    }
}
