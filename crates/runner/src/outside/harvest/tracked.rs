//! Which names are the commit's own.

use std::ffi::CStr;
use std::io;
use std::os::fd::OwnedFd;

use crate::outside::folder;

/// What the commit has at a name.
pub(super) enum Tracked {
    No,
    Folder(Vec<Option<OwnedFd>>),
    Other,
}

/// What the trees have at a name. Folders of several trees are one; anything else in any of
/// them makes the name the commit's own.
pub(super) fn state(tracked: &[Option<OwnedFd>], name: &CStr) -> Tracked {
    let mut found = Tracked::No;
    for (index, tree) in tracked.iter().enumerate() {
        let Some(tree) = tree else { continue };
        // Not to be read is not to be absent: then it counts as the commit's.
        match folder::stat_in(tree, name) {
            Ok(stat) if folder::is_folder(&stat) => {
                let Ok(inner) = folder::open_any(tree, name) else {
                    return Tracked::Other;
                };
                if let Tracked::No = found {
                    found = Tracked::Folder(tracked.iter().map(|_| None).collect());
                }
                if let Tracked::Folder(below) = &mut found {
                    below[index] = Some(inner);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Ok(_) | Err(_) => return Tracked::Other,
        }
    }
    found
}

/// `.git` in every spelling that some file system takes for it.
pub(super) fn is_git(name: &CStr) -> bool {
    let name = name.to_bytes();
    name.eq_ignore_ascii_case(b".git") || name.eq_ignore_ascii_case(b"git~1")
}
