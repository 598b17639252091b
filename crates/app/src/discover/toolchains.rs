//! Toolchains outside the system folders: what PATH names, as folders that a sandbox may see.
//!
//! A folder below HOME is taken whole only where it is known to be a toolchain's: beside a `bin`
//! there may be anything. Never HOME itself, never a folder that holds it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use midwatch_api::order::Toolchain;
use midwatch_api::profile::ToolchainSpec;

use super::Finding;
use super::program::{Program, SYSTEM};
use crate::environment::Environment;
use crate::problem::Problem;

mod java;
mod local;
mod prefix;
mod pyenv;
mod rust;

/// Toolchains being collected: no folder twice, names apart, the order of PATH kept.
pub(crate) struct Collected<'a> {
    environment: &'a Environment,
    toolchains: Vec<Toolchain>,
}

impl Collected<'_> {
    pub(super) fn environment(&self) -> &Environment {
        self.environment
    }

    /// Whether a folder may be shown to a sandbox.
    fn may_be_seen(&self, folder: &Path) -> bool {
        folder.is_absolute()
            && folder.parent().is_some()
            && !self.environment.home().starts_with(folder)
            && !self.environment.state_folder().starts_with(folder)
            && folder.file_name().is_some()
    }

    /// Adds a folder, with one of its own folders for PATH. One that lies in another that was
    /// taken already only adds its part of PATH there.
    pub(super) fn add(
        &mut self,
        name: &str,
        folder: &Path,
        path: Option<&Path>,
        env: &[(&str, String)],
    ) {
        let Ok(folder) = folder.canonicalize() else {
            return;
        };
        if !folder.is_dir() || !self.may_be_seen(&folder) {
            return;
        }
        let variables = env.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        if let Some(taken) = self.toolchains.iter_mut().find(|t| folder.starts_with(&t.folder)) {
            let within = folder.strip_prefix(&taken.folder).unwrap_or(Path::new(""));
            if let Some(path) = path {
                // Joined with nothing it would end in a slash.
                let path =
                    if path == Path::new("") { within.to_owned() } else { within.join(path) };
                if !taken.path.contains(&path) {
                    taken.path.push(path);
                }
            }
            if within == Path::new("") {
                taken.env.extend(variables);
            }
            return;
        }
        let toolchain = Toolchain {
            name: free(&self.toolchains, name),
            folder,
            path: path.map(Path::to_owned).into_iter().collect(),
            env: variables.collect(),
        };
        self.toolchains.push(toolchain);
    }
}

fn free(toolchains: &[Toolchain], name: &str) -> String {
    let taken = |name: &str| toolchains.iter().any(|t| t.name == name);
    if !taken(name) {
        return name.to_owned();
    }
    // One more than there are is always free.
    (2..=toolchains.len() + 2)
        .map(|n| format!("{name}-{n}"))
        .find(|name| !taken(name))
        .unwrap_or_default()
}

/// What the program of another agent needs, beside what is there: each folder is shown once, and
/// no two at one place.
pub(super) fn join(all: &mut Vec<Toolchain>, more: Vec<Toolchain>) {
    for one in more {
        if let Some(same) = all.iter_mut().find(|taken| taken.folder == one.folder) {
            for path in one.path {
                if !same.path.contains(&path) {
                    same.path.push(path);
                }
            }
            for (name, value) in one.env {
                same.env.entry(name).or_insert(value);
            }
        } else {
            let name = free(all, &one.name);
            all.push(Toolchain { name, ..one });
        }
    }
}

/// Everything that PATH names, the program's folder, and what the profile adds.
pub(crate) fn find(
    environment: &Environment,
    top: &Path,
    declared: &[ToolchainSpec],
    program: &Program,
) -> Result<Vec<Toolchain>, Problem> {
    let mut collected = Collected { environment, toolchains: Vec::new() };
    for spec in declared {
        declare(&mut collected, spec)?;
    }
    for folder in environment.search_path() {
        look(&mut collected, top, &folder);
    }
    java::from_variable(&mut collected);
    if let Some(folder) = &program.folder {
        // Last on PATH, and so no other program of that folder stands before the user's own. A
        // declared command may name its program in one word.
        let holder = program.real.parent().and_then(|parent| parent.strip_prefix(folder).ok());
        if folder.join("pyvenv.cfg").is_file() {
            python_agent(&mut collected, folder, holder);
        } else {
            collected.add("agent", folder, holder, &[]);
        }
    }
    Ok(collected.toolchains)
}

/// An agent in a virtual environment, which names its interpreter and itself by paths that a
/// sandbox does not have: its adapter is told both by variables.
fn python_agent(collected: &mut Collected<'_>, folder: &Path, holder: Option<&Path>) {
    let libraries = std::fs::read_dir(folder.join("lib")).into_iter().flatten().flatten();
    let mut names = libraries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let library = names.find(|name| name.starts_with("python3")).unwrap_or_default();
    let site = ("MIDWATCH_AIDER_SITE", format!("{{}}/lib/{library}/site-packages"));
    let Ok(python) = folder.join("bin/python").canonicalize() else {
        return collected.add("agent", folder, holder, &[site]);
    };
    let named = |path: String| ("MIDWATCH_AIDER_PYTHON", path);
    if SYSTEM.iter().any(|system| python.starts_with(system)) {
        let interpreter = named(python.to_string_lossy().into_owned());
        return collected.add("agent", folder, holder, &[site, interpreter]);
    }
    collected.add("agent", folder, holder, &[site]);
    let base = python.parent().and_then(Path::parent);
    if let (Some(base), Some(name)) = (base, python.file_name()) {
        let interpreter = named(format!("{{}}/bin/{}", name.to_string_lossy()));
        collected.add("agent-python", base, None, &[interpreter]);
    }
}

fn declare(collected: &mut Collected<'_>, spec: &ToolchainSpec) -> Result<(), Problem> {
    let ToolchainSpec { name, folder, path, env } = spec;
    let shown = folder.to_string_lossy();
    let real = folder.canonicalize().ok().filter(|real| real.is_dir() && folder.is_absolute());
    let Some(real) = real else {
        return Err(Problem::usage(
            "spec.toolchains.folder",
            &shown,
            "is no absolute path of a folder",
            "correct the profile",
        ));
    };
    let plain = |c: u8| c.is_ascii_alphanumeric() || b"._-".contains(&c);
    if name.is_empty() || name.starts_with('.') || !name.bytes().all(plain) {
        return Err(Problem::usage(
            "spec.toolchains.name",
            name,
            "is not plain",
            "use letters, digits, '.', '_', '-'",
        ));
    }
    if !collected.may_be_seen(&real) {
        return Err(Problem::usage(
            "spec.toolchains.folder",
            &shown,
            "would show your home to the agent",
            "name a folder of its own",
        ));
    }
    let name = free(&collected.toolchains, name);
    let toolchain = Toolchain { name, folder: real, path: path.clone(), env: env.clone() };
    collected.toolchains.push(toolchain);
    Ok(())
}

/// One folder of PATH.
fn look(collected: &mut Collected<'_>, top: &Path, folder: &Path) {
    let Ok(real) = folder.canonicalize() else {
        return;
    };
    // What is installed in the checkout belongs to the workspace, which has its own.
    if !real.is_dir() || real.starts_with(top) {
        return;
    }
    // The system's own are seen anyway, but a folder such as /usr/local/go/bin is on nobody's PATH.
    let usual = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin"];
    let is_usual = usual.iter().any(|usual| {
        real == Path::new(usual) || Path::new(usual).canonicalize().is_ok_and(|usual| usual == real)
    });
    if is_usual {
        return;
    }
    let _ = rust::look(collected, folder)
        || pyenv::look(collected, top, folder)
        || local::look(collected, folder)
        || prefix::look(collected, &real)
        || other(collected, &real);
}

/// A folder of programs of which nothing more is known: it alone. A place with only links into
/// the system holds nothing new.
fn other(collected: &mut Collected<'_>, real: &Path) -> bool {
    if SYSTEM.iter().any(|system| real.starts_with(system)) {
        let (Some(parent), Some(name)) = (real.parent(), real.file_name()) else {
            return false;
        };
        // /usr/local/NAME/bin; not /usr/games, whose parent is all of /usr.
        if parent.components().count() > 3 {
            let label = label(parent);
            collected.add(&label, parent, Some(Path::new(name)), &[]);
        }
        return true;
    }
    collected.add(&label(real), real, Some(Path::new("")), &[]);
    true
}

/// A plain name for a folder.
pub(super) fn label(folder: &Path) -> String {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let named = if name == "bin" || name == "sbin" {
        folder.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned()
    } else {
        name.into_owned()
    };
    let plain: String =
        named.chars().filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).take(40).collect();
    if plain.is_empty() { "tools".to_owned() } else { plain }
}

/// Real paths of the links of a folder, for those that lead out of it.
pub(super) fn links_out(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return vec![];
    };
    let mut out: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_symlink()))
        .filter_map(|entry| entry.path().canonicalize().ok())
        .filter(|real| !real.starts_with(folder))
        .filter(|real| !SYSTEM.iter().any(|system| real.starts_with(system)))
        .collect();
    out.sort();
    out
}

/// What is said of them: names and folders, one line.
pub(super) fn findings(toolchains: &[Toolchain]) -> Vec<Finding> {
    if toolchains.is_empty() {
        return vec![];
    }
    let named: BTreeMap<&str, String> =
        toolchains.iter().map(|t| (t.name.as_str(), t.folder.display().to_string())).collect();
    let text: Vec<String> = named.iter().map(|(name, folder)| format!("{name} {folder}")).collect();
    vec![Finding::new("toolchains", text.join(", "))]
}

#[cfg(test)]
mod tests;
