//! Files that say which dependencies a setup installs.

use std::collections::BTreeSet;

use super::Tree;

/// Lock files, and the manifests and settings that count where a lock is missing or loose.
const NAMES: [&str; 52] = [
    // Rust
    "Cargo.lock",
    "Cargo.toml",
    "rust-toolchain",
    "rust-toolchain.toml",
    // Go
    "go.mod",
    "go.sum",
    "go.work",
    "go.work.sum",
    // Node
    ".npmrc",
    ".pnpmfile.cjs",
    ".yarnrc",
    ".yarnrc.yml",
    "bun.lock",
    "bun.lockb",
    "lerna.json",
    "npm-shrinkwrap.json",
    "package-lock.json",
    "package.json",
    "pnpm-lock.yaml",
    "pnpm-workspace.yaml",
    "yarn.lock",
    // Python
    "Pipfile",
    "Pipfile.lock",
    "constraints.txt",
    "environment.yml",
    "pdm.lock",
    "poetry.lock",
    "pylock.toml",
    "pyproject.toml",
    "setup.cfg",
    "setup.py",
    "uv.lock",
    // The JVM
    "build.gradle",
    "build.gradle.kts",
    "buildscript-gradle.lockfile",
    "gradle-wrapper.properties",
    "gradle.lockfile",
    "gradle.properties",
    "libs.versions.toml",
    "maven-wrapper.properties",
    "maven.config",
    "pom.xml",
    "settings.gradle",
    "settings.gradle.kts",
    "verification-metadata.xml",
    // Others, for setups that a user names
    "Gemfile",
    "Gemfile.lock",
    "composer.json",
    "composer.lock",
    "deno.lock",
    "mix.exs",
    "mix.lock",
];

/// Whether a path names a file that belongs to the key of a deps layer, wherever it lies.
/// Installed packages bring manifests of their own; those do not count.
pub fn is_lock_file(path: &str) -> bool {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    if folder.split('/').any(|part| part == "node_modules" || part == ".venv") {
        return false;
    }
    NAMES.contains(&name) || is_requirements(folder, name) || is_cargo_config(folder, name)
}

/// The lock files of a commit, nested ones too, sorted.
pub fn lock_files(tree: &Tree<'_>) -> BTreeSet<String> {
    tree.files.iter().filter(|path| is_lock_file(path)).cloned().collect()
}

/// `requirements*.txt`, `dev-requirements.txt`, `requirements/*.txt`, and the `.in` files of
/// pip-tools.
fn is_requirements(folder: &str, name: &str) -> bool {
    let Some((stem, "txt" | "in")) = name.rsplit_once('.') else {
        return false;
    };
    stem.contains("requirements") || folder.rsplit('/').next() == Some("requirements")
}

fn is_cargo_config(folder: &str, name: &str) -> bool {
    folder.rsplit('/').next() == Some(".cargo") && (name == "config.toml" || name == "config")
}
