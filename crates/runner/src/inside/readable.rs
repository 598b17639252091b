//! Gives ourselves back what a mode took: a file without `r`, a folder without `rx`.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The most entries that are looked at.
const ENTRIES_MAX: usize = 1_000_000;

/// Adds the owner's `r` to files and `rwx` to folders below `tree`, but for `.git` and for the
/// excluded top-level paths. git records neither bit. What is not ours stays as it is.
pub(super) fn make_readable(tree: &Path, exclude: &[String]) {
    let mut waiting = Vec::new();
    let mut seen = 0;
    // A link is not followed: what it leads to is nobody's business here.
    if let Ok(meta) = tree.symlink_metadata()
        && meta.is_dir()
    {
        give(tree, &meta);
        waiting.push(tree.to_owned());
    }
    while let Some(folder) = waiting.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries.flatten() {
            seen += 1;
            if seen > ENTRIES_MAX {
                return;
            }
            let name = entry.file_name();
            let at_top = folder == tree;
            let skip =
                name == ".git" || (at_top && exclude.iter().any(|path| name == path.as_str()));
            let Ok(meta) = entry.path().symlink_metadata() else {
                continue;
            };
            if skip || meta.is_symlink() {
                continue;
            }
            give(&entry.path(), &meta);
            if meta.is_dir() {
                waiting.push(entry.path());
            }
        }
    }
}

fn give(path: &Path, meta: &fs::Metadata) {
    let need = if meta.is_dir() { 0o700 } else { 0o400 };
    let mode = meta.permissions().mode();
    if mode & need != need {
        let _not_ours = fs::set_permissions(path, Permissions::from_mode(mode | need));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owner_bits_come_back_and_links_and_git_are_left_alone() {
        let top = tempfile::tempdir().unwrap();
        let at = |name: &str| top.path().join(name);
        fs::create_dir_all(at("closed/in")).unwrap();
        fs::create_dir(at(".git")).unwrap();
        for name in ["closed/in/file", ".git/secret"] {
            fs::write(at(name), "x").unwrap();
            fs::set_permissions(at(name), Permissions::from_mode(0o000)).unwrap();
        }
        std::os::unix::fs::symlink(at(".git/secret"), at("link")).unwrap();
        fs::set_permissions(at("closed"), Permissions::from_mode(0o500)).unwrap();
        make_readable(top.path(), &[]);
        let mode = |name: &str| at(name).metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode("closed/in/file"), 0o400);
        assert_eq!(mode("closed"), 0o700);
        assert_eq!(mode(".git/secret"), 0o000);
    }
}
