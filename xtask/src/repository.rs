//! The files of the checkout, as the rules see them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Folders that hold nothing of ours: build output, git's own store, caches.
const SKIPPED_FOLDERS: [&str; 4] = [".git", "target", ".cache", "node_modules"];

/// Text files by path, relative to the root and written with `/`.
#[derive(Debug, Default)]
pub struct Repository {
    files: BTreeMap<String, String>,
}

impl Repository {
    /// The root of the checkout that this crate was built from.
    pub fn root() -> PathBuf {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        here.parent().unwrap_or(here).to_path_buf()
    }

    /// Reads every text file below `root`; files that are not UTF-8 are left out, and so are
    /// files that end with `.new` (snapshots nobody has accepted yet).
    pub fn read(root: &Path) -> Result<Self> {
        let mut files = BTreeMap::new();
        let mut folders = vec![root.to_path_buf()];
        while let Some(folder) = folders.pop() {
            let entries = std::fs::read_dir(&folder)
                .with_context(|| format!("reading the folder {}", folder.display()))?;
            for entry in entries {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy().into_owned();
                let kind = entry.file_type()?;
                if kind.is_dir() && !SKIPPED_FOLDERS.contains(&name.as_str()) {
                    folders.push(entry.path());
                } else if kind.is_file() && !has_extension(&name, "new") {
                    // A file may vanish between listing and reading while somebody is editing.
                    let Ok(bytes) = std::fs::read(entry.path()) else {
                        continue;
                    };
                    let Ok(text) = String::from_utf8(bytes) else {
                        continue;
                    };
                    let path = entry.path();
                    let path = path.strip_prefix(root).unwrap_or(&path);
                    files.insert(path.to_string_lossy().replace('\\', "/"), text);
                }
            }
        }
        Ok(Self { files })
    }

    /// A repository made of the given files, for the tests of a rule.
    pub fn of(files: &[(&str, &str)]) -> Self {
        let own = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
        Self { files: files.iter().map(own).collect() }
    }

    /// Every file, sorted by path.
    pub fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// The files below a folder; `folder` ends with `/`.
    pub fn below<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.files().filter(move |(path, _)| path.starts_with(folder))
    }

    /// The Rust files.
    pub fn rust_files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files().filter(|(path, _)| has_extension(path, "rs"))
    }

    /// One file's text.
    pub fn file(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Whether a file or folder of this path is there.
    pub fn has(&self, path: &str) -> bool {
        self.files.contains_key(path)
            || self.below(&format!("{}/", path.trim_end_matches('/'))).next().is_some()
    }

    /// The folders of the crates: each `crates/<room>` and `xtask` that has a manifest.
    pub fn crate_folders(&self) -> Vec<&str> {
        let folder = |path: &'_ str| path.strip_suffix("/Cargo.toml").map(str::len);
        self.files().filter_map(|(path, _)| folder(path).map(|length| &path[..length])).collect()
    }
}

/// Whether a path ends with this extension, in this case.
pub fn has_extension(path: &str, extension: &str) -> bool {
    Path::new(path).extension().is_some_and(|found| found == extension)
}

/// Splits a Rust file into its code and its test module at the foot, which may be empty.
pub fn split_tests(text: &str) -> (&str, &str) {
    let Some(start) = text.rfind("\n#[cfg(test)]\n").map(|at| at + 1) else {
        return (text, "");
    };
    let opens_module = text[start..]
        .lines()
        .find(|line| !line.starts_with("#[") && !line.starts_with("//"))
        .is_some_and(|line| line.starts_with("mod ") && line.ends_with('{'));
    if opens_module { text.split_at(start) } else { (text, "") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_test_module_at_the_foot_is_split_off() {
        let (code, tests) = split_tests("fn a() {}\n\n#[cfg(test)]\nmod tests {\n}\n");
        assert_eq!((code, tests), ("fn a() {}\n\n", "#[cfg(test)]\nmod tests {\n}\n"));
        for whole in ["fn a() {}\n", "a\n#[cfg(test)]\nmod tests;\nfn b() {}\n"] {
            assert_eq!(split_tests(whole), (whole, ""));
        }
    }

    #[test]
    fn reading_skips_build_output_and_bytes_that_are_no_text() {
        let folder = tempfile::tempdir().unwrap();
        for (path, bytes) in [
            ("crates/core/Cargo.toml", &b"x"[..]),
            ("target/debug/a.rs", b"x"),
            ("logo.png", b"\xff\xfe"),
            ("a.snap.new", b"x"),
        ] {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        let repository = Repository::read(folder.path()).unwrap();
        assert_eq!(repository.files().collect::<Vec<_>>(), [("crates/core/Cargo.toml", "x")]);
        assert_eq!(repository.crate_folders(), ["crates/core"]);
        assert!(repository.has("crates/core") && !repository.has("crates/co"));
    }
}
