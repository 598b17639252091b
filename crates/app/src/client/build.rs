//! Which build this is: client and server of one state folder should be the same.

use std::io::Read as _;

use sha2::{Digest as _, Sha256};

use crate::problem::Problem;

/// Version and a digest of the executable.
pub(crate) fn build() -> Result<String, Problem> {
    let failed = |error: std::io::Error| {
        Problem::internal(format!("this program cannot read itself: {error}"))
    };
    let mut file = std::fs::File::open("/proc/self/exe").map_err(failed)?;
    let mut digest = Sha256::new();
    let mut piece = vec![0; 1 << 20];
    loop {
        match file.read(&mut piece).map_err(failed)? {
            0 => break,
            count => digest.update(&piece[..count]),
        }
    }
    let digest = midwatch_local::folder::hex(&digest.finalize()[..6]);
    Ok(format!("{}-{digest}", env!("CARGO_PKG_VERSION")))
}
