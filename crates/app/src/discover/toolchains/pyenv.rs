//! pyenv: its shims are shell scripts that look around in HOME, so the chosen versions
//! themselves are put on PATH.

use std::path::{Path, PathBuf};

use super::Collected;
use crate::environment::Environment;

/// The longest file with version names that is read, in bytes.
const FILE_MAX: u64 = 4096;

pub(super) fn look(collected: &mut Collected<'_>, top: &Path, folder: &Path) -> bool {
    let environment = collected.environment();
    let within = folder.ancestors().find(|parent| parent.ends_with(".pyenv"));
    let root = environment.path("PYENV_ROOT").or(within.map(Path::to_owned));
    let root = root.unwrap_or_else(|| environment.home().join(".pyenv"));
    if !folder.starts_with(&root) {
        return false;
    }
    if folder.ends_with("shims") && folder.parent() == Some(&root) {
        for version in versions(environment, &root, top) {
            collected.add("pyenv", &version, Some(Path::new("bin")), &[]);
        }
        return true;
    }
    // `bin` and the plugins hold pyenv itself, which nobody needs inside; a version on PATH is
    // an ordinary prefix.
    !folder.starts_with(root.join("versions"))
}

/// The folders of the chosen versions: by variable, by the repository's file, by the user's.
fn versions(environment: &Environment, root: &Path, top: &Path) -> Vec<PathBuf> {
    let chosen = environment
        .text("PYENV_VERSION")
        .map(|text| text.replace(':', "\n"))
        .or_else(|| read(&top.join(".python-version")))
        .or_else(|| read(&root.join("version")))
        .unwrap_or_default();
    let names = chosen.lines().map(str::trim).filter(|name| !name.is_empty());
    names.filter_map(|name| version(root, name)).collect()
}

fn read(path: &Path) -> Option<String> {
    let metadata = path.metadata().ok()?;
    (metadata.is_file() && metadata.len() <= FILE_MAX)
        .then(|| std::fs::read_to_string(path).ok())?
}

/// A version by its name, or the newest whose name begins so (`3.11`).
fn version(root: &Path, name: &str) -> Option<PathBuf> {
    if name == "system" || name.contains(['/', '\0']) || name.starts_with('.') {
        return None;
    }
    let folder = root.join("versions");
    let exact = folder.join(name);
    if exact.is_dir() {
        return Some(exact);
    }
    let begins = format!("{name}.");
    let mut alike: Vec<(Vec<u64>, PathBuf)> = std::fs::read_dir(&folder)
        .ok()?
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let numbers =
                name.split('.').map(|part| part.parse().ok()).collect::<Option<Vec<_>>>()?;
            name.starts_with(&begins).then(|| (numbers, entry.path()))
        })
        .collect();
    alike.sort();
    alike.pop().map(|(_, path)| path)
}
