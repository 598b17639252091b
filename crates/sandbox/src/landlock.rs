//! The second wall: path rules of the kernel that the command cannot shed, and that hold even
//! where a mount was made writable by mistake.

use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};
use thiserror::Error;

/// The newest that we know. Older kernels enforce what they have.
const NEWEST: ABI = ABI::V6;

/// Why the wall could not be built.
#[derive(Debug, Error)]
pub enum LandlockError {
    /// The rules were not accepted.
    #[error("Landlock: {0}")]
    Ruleset(#[from] RulesetError),
    /// The kernel has none.
    #[error("Landlock is not in this kernel, or not switched on (lsm=landlock,...)")]
    Missing,
}

/// Rules that are made but not yet put on.
#[derive(Debug)]
pub struct Wall(RulesetCreated);

/// The ABI number of this kernel; 0 where Landlock is missing or switched off.
pub fn kernel_abi() -> u32 {
    const VERSION: libc::c_uint = 1;
    #[expect(unsafe_code, reason = "no wrapper tells the number")]
    // SAFETY: with this flag the kernel takes a null pointer and size 0, and only answers.
    let abi = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<libc::c_void>(),
            0_usize,
            VERSION,
        )
    };
    u32::try_from(abi).unwrap_or(0)
}

/// Prepares: `readable` may be read and executed, `writable` everything; paths that are missing
/// are left out. From ABI 6 on no abstract socket and no process outside can be reached either.
pub fn prepare(
    writable: &[impl AsRef<Path>],
    readable: &[impl AsRef<Path>],
) -> Result<Wall, LandlockError> {
    if kernel_abi() == 0 {
        return Err(LandlockError::Missing);
    }
    let all = AccessFs::from_all(NEWEST);
    let read = AccessFs::from_read(NEWEST);
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)?
        .scope(Scope::from_all(NEWEST))?
        .create()?;
    for path in readable {
        if let Ok(fd) = PathFd::new(path) {
            rules = rules.add_rule(PathBeneath::new(fd, read))?;
        }
    }
    for path in writable {
        let Ok(fd) = PathFd::new(path) else { continue };
        // Rights of folders on a single file are refused.
        let rights = if path.as_ref().is_dir() { all } else { all & AccessFs::from_file(NEWEST) };
        rules = rules.add_rule(PathBeneath::new(fd, rights))?;
    }
    Ok(Wall(rules))
}

impl Wall {
    /// Puts the calling thread, and what it starts, behind the wall for good. Sets
    /// `no_new_privs`.
    pub fn enclose(self) -> Result<(), LandlockError> {
        match self.0.restrict_self()?.ruleset {
            RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Ok(()),
            RulesetStatus::NotEnforced => Err(LandlockError::Missing),
        }
    }
}

/// [`prepare`] and [`Wall::enclose`].
pub fn restrict(
    writable: &[impl AsRef<Path>],
    readable: &[impl AsRef<Path>],
) -> Result<(), LandlockError> {
    prepare(writable, readable)?.enclose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_can_be_prepared_where_the_kernel_has_it() {
        let prepared = prepare(&["/tmp"], &["/"]);
        assert_eq!(prepared.is_ok(), kernel_abi() > 0);
    }
}
