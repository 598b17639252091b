//! Whether a folder can be made where somebody wants a worktree: tried, because modes, mounts and
//! quotas all have a say.

use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use midwatch_api::control::Refusal;
use midwatch_core::input::shown;

use super::desk::refusal;
use crate::problem::exit;

/// Refuses a folder for a task's work that is there already, or cannot be made.
pub(super) fn check(folder: &Path, task: &str) -> Result<(), Refusal> {
    let refused = |why: String, hint: String| {
        let message = format!("{} {why}", shown(&folder.to_string_lossy()));
        Refusal { hint: Some(hint), ..refusal(exit::USAGE, message) }
    };
    if !folder.is_absolute() {
        let hint = format!("say it from the root: /home/me/{task}");
        return Err(refused(
            "is no absolute path, and a server has a folder of its own".into(),
            hint,
        ));
    }
    if folder.symlink_metadata().is_ok() {
        return Err(refused("is there already".into(), "give another folder".into()));
    }
    attempt(folder).map_err(|error| {
        let hint = format!("name one where you may write: `midwatch open {task} FOLDER`");
        refused(format!("cannot be made: {error}"), hint)
    })
}

/// Makes every part of a path that is not there yet, and takes them all away again. A part that
/// somebody else makes meanwhile, or puts something into, can be made.
fn attempt(folder: &Path) -> io::Result<()> {
    let missing: Vec<&Path> =
        folder.ancestors().take_while(|part| part.symlink_metadata().is_err()).collect();
    let mut made = Vec::new();
    let tried = missing.into_iter().rev().try_for_each(|part| match std::fs::create_dir(part) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && part != folder => Ok(()),
        done => done.map(|()| made.push(part)),
    });
    let removed = made.iter().rev().try_for_each(|part| match std::fs::remove_dir(part) {
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
        done => done,
    });
    tried.and(removed)
}

/// From the look at a folder until it is made: what one look takes away again, another would miss.
pub(super) fn alone() -> MutexGuard<'static, ()> {
    static OPENING: Mutex<()> = Mutex::new(());
    // Nothing is behind it that a panic could leave broken.
    OPENING.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_try_leaves_nothing_and_says_what_is_in_the_way() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("a/b/c");
        check(&folder, "t").unwrap();
        assert!(!place.path().join("a").exists());
        let long = place.path().join("a").join("x".repeat(300));
        let refused = check(&long, "t").unwrap_err();
        assert!(refused.message.contains("cannot be made"), "{}", refused.message);
        assert!(!place.path().join("a").exists());
        std::fs::write(place.path().join("a"), "").unwrap();
        let refused = check(&folder, "t").unwrap_err();
        assert_eq!(refused.exit, exit::USAGE);
        assert!(refused.message.contains("a/b/c cannot be made"), "{}", refused.message);
        assert!(check(place.path(), "t").unwrap_err().message.contains("there already"));
    }
}
