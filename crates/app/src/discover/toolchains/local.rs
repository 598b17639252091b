//! `~/.local`: programs of PATH and what they are links to. All else there, keyrings among it,
//! stays outside.

use std::path::{Path, PathBuf};

use super::{Collected, links_out};

pub(super) fn look(collected: &mut Collected<'_>, folder: &Path) -> bool {
    let local = collected.environment().home().join(".local");
    let go = collected.environment().path("GOPATH");
    let go = go.unwrap_or_else(|| collected.environment().home().join("go")).join("bin");
    if folder == go {
        collected.add("go-bin", folder, Some(Path::new("")), &[]);
        return true;
    }
    if folder != local.join("bin") {
        return false;
    }
    collected.add("local-bin", folder, Some(Path::new("")), &[]);
    for target in links_out(folder) {
        if let Some(package) = package(&local, &target) {
            collected.add("local", &package, None, &[]);
        }
    }
    // Programs of `pip install --user` find their modules by this.
    let lib = local.join("lib");
    if has_python(&lib) {
        collected.add("local-python", &lib, None, &[("PYTHONUSERBASE", "{}/..".to_owned())]);
    }
    true
}

fn has_python(lib: &Path) -> bool {
    std::fs::read_dir(lib).is_ok_and(|entries| {
        entries.flatten().any(|entry| entry.path().join("site-packages").is_dir())
    })
}

/// The package that a link's target belongs to: `share/uv/tools/NAME`, `pipx/venvs/NAME`,
/// `share/NAME`, `lib/node_modules`, else its own folder.
fn package(local: &Path, target: &Path) -> Option<PathBuf> {
    let modules = target.ancestors().filter(|folder| folder.ends_with("node_modules")).last();
    if let Some(modules) = modules {
        return Some(modules.to_owned());
    }
    let Ok(within) = target.strip_prefix(local) else {
        return target.parent().map(Path::to_owned);
    };
    let parts: Vec<_> = within.iter().collect();
    let words: Vec<&str> = parts.iter().filter_map(|part| part.to_str()).collect();
    let depth = match words.as_slice() {
        ["share", "uv", "tools" | "python", ..] | ["share", "pipx", "venvs", ..] => 4,
        ["pipx", "venvs", ..] => 3,
        ["share" | "opt", _, ..] => 2,
        _ => return target.parent().map(Path::to_owned),
    };
    (parts.len() > depth).then(|| local.join(parts[..depth].iter().collect::<PathBuf>()))
}
