//! What the inside says it left out of every commit, looked for in the workspace: only what is
//! there keeps a workspace, and its size is one that we saw.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use midwatch_api::report::{LeftOut, MORE};
use midwatch_core::path;

use super::disk::open_below;
use super::folder;

/// The most that is told.
const TOLD: usize = 50;
/// Names that are looked at: more than any limit on inodes lets a run make.
const LOOKED_AT: usize = 5_000_000;

/// Those of the claimed paths that lie in one of the layers' folders. Nothing is followed.
pub(super) fn seen(layers: &[PathBuf], claimed: &[String]) -> Vec<LeftOut> {
    let mut claimed: BTreeSet<&str> = claimed.iter().map(String::as_str).collect();
    let mut found = Vec::new();
    let mut names = LOOKED_AT;
    for layer in layers {
        let mut open = vec![PathBuf::new()];
        while let Some(path) = open.pop() {
            if claimed.is_empty() || found.len() > TOLD {
                return bounded(found);
            }
            if names == 0 {
                return with_more(found);
            }
            let looked = look(layer, &path, &mut open, |path, bytes| {
                names = names.saturating_sub(1);
                let path = path::shown(path);
                if claimed.remove(path.as_str()) {
                    found.push(LeftOut { path, bytes });
                }
            });
            if looked.is_err_and(|error| may_hold(&error)) {
                return with_more(found);
            }
        }
    }
    bounded(found)
}

/// Whether somebody may find there what we did not. What cannot be entered holds nothing that
/// anybody could take from it, and what went meanwhile nothing at all.
fn may_hold(error: &io::Error) -> bool {
    !matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::PermissionDenied
    )
}

fn bounded(found: Vec<LeftOut>) -> Vec<LeftOut> {
    if found.len() > TOLD { with_more(found) } else { found }
}

/// Whoever takes all that is told must not lose what is not.
fn with_more(mut found: Vec<LeftOut>) -> Vec<LeftOut> {
    found.truncate(TOLD);
    found.push(LeftOut { path: MORE.to_owned(), bytes: 0 });
    found
}

/// Tells every name in a folder with its length, and which folders are in it.
fn look(
    layer: &Path,
    path: &Path,
    open: &mut Vec<PathBuf>,
    mut tell: impl FnMut(&[u8], u64),
) -> io::Result<()> {
    let opened = open_below(layer, path)?;
    for name in folder::names(&opened)? {
        let stat = match folder::stat_in(&opened, &name) {
            Ok(stat) => stat,
            Err(error) if may_hold(&error) => return Err(error),
            Err(_) => continue,
        };
        let below = path.join(OsStr::from_bytes(name.to_bytes()));
        let is_folder = folder::is_folder(&stat);
        let bytes = if is_folder { 0 } else { u64::try_from(stat.st_size).unwrap_or(0) };
        tell(below.as_os_str().as_bytes(), bytes);
        if is_folder {
            open.push(below);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_claimed_and_there_is_told_with_its_size() {
        let place = tempfile::tempdir().unwrap();
        let layer = place.path().join("upper");
        std::fs::create_dir_all(layer.join("a/odd\n")).unwrap();
        std::fs::write(layer.join("a/odd\n/core"), [1; 7]).unwrap();
        std::fs::write(layer.join("other"), [1; 9]).unwrap();
        std::fs::write(place.path().join("secret"), [1; 9]).unwrap();
        std::os::unix::fs::symlink(place.path(), layer.join("way-out")).unwrap();
        let claimed = ["\"a/odd\\n/core\"", "gone", "way-out/secret", "../secret"];
        let found = seen(&[place.path().join("copy"), layer.clone()], &claimed.map(str::to_owned));
        assert_eq!(found, [LeftOut { path: "\"a/odd\\n/core\"".into(), bytes: 7 }]);
        assert_eq!(seen(&[layer], &["a".to_owned()])[0].bytes, 0, "a folder");
    }

    #[test]
    fn where_more_is_there_than_is_told_that_is_said() {
        let place = tempfile::tempdir().unwrap();
        let name = |number: usize| format!("core-{number}");
        let claimed: Vec<String> = (0..=TOLD).map(name).collect();
        for name in &claimed[..TOLD] {
            std::fs::create_dir(place.path().join(name)).unwrap();
        }
        let layers = [place.path().to_owned()];
        let found = seen(&layers, &claimed);
        assert!(found.len() == TOLD && found.iter().all(|file| file.path != MORE), "the control");
        std::fs::create_dir(place.path().join(&claimed[TOLD])).unwrap();
        let found = seen(&layers, &[&claimed[..], &["another".to_owned()]].concat());
        assert_eq!(found.len(), TOLD + 1);
        assert_eq!(found[TOLD].path, MORE);
        assert_eq!(path::read(MORE), None, "no path is written like that");
    }

    /// Each was told as `core`, as two names, or as one with another character in it: whoever
    /// looked for it then took it for gone.
    #[test]
    fn a_hostile_name_is_told_so_that_it_is_found_again() {
        let place = tempfile::tempdir().unwrap();
        for name in ["core\n", "\x1b[31mcore", "a; b", "a, b", "a\tb", " a ", "a\\nb", "a\"b"] {
            let layer = place.path().join("upper");
            std::fs::create_dir(&layer).unwrap();
            std::fs::write(layer.join(name), [1; 7]).unwrap();
            std::fs::write(layer.join("other"), [1; 7]).unwrap();
            let claimed = path::shown(name.as_bytes());
            let found = seen(std::slice::from_ref(&layer), std::slice::from_ref(&claimed));
            assert_eq!(found, [LeftOut { path: claimed, bytes: 7 }]);
            assert_eq!(path::read(&found[0].path).unwrap(), name.as_bytes());
            std::fs::remove_dir_all(layer).unwrap();
        }
    }
}
