//! Files that are made from the code, committed, and compared with the code by a test.

use std::path::Path;

use anyhow::{Context, Result};

use crate::repository::Repository;

pub mod openapi;
pub mod reasons;
pub mod schemas;

/// The folder that holds nothing but generated files and what the binary prints about itself.
pub const REFERENCE: &str = "docs/reference/";

/// The command line's reference. It is printed by the built binary (`midwatch reference`), and so
/// compared in the binary's own tests: making it here would need the whole workspace.
pub const CLI_REFERENCE: &str = "docs/reference/cli.md";

/// A file as it should be.
#[derive(Debug, PartialEq, Eq)]
pub struct Generated {
    /// Where, relative to the root.
    pub path: String,
    /// The whole text.
    pub text: String,
}

/// Every generated file, except [`CLI_REFERENCE`].
pub fn all(repository: &Repository) -> Result<Vec<Generated>> {
    let mut files = vec![reasons::page(repository)?];
    files.extend(schemas::files()?);
    files.push(openapi::file()?);
    Ok(files)
}

/// What differs between the generated files and those in the repository, by path.
pub fn drift(repository: &Repository) -> Result<Vec<String>> {
    let files = all(repository)?;
    let mut drifted = Vec::new();
    for file in &files {
        match repository.file(&file.path) {
            Some(text) if text == file.text => {}
            Some(_) => drifted.push(format!("{} is out of date", file.path)),
            None => drifted.push(format!("{} is missing", file.path)),
        }
    }
    for (path, _) in repository.below(REFERENCE) {
        if path != CLI_REFERENCE && !files.iter().any(|file| file.path == path) {
            drifted.push(format!("{path} is made by nothing any more"));
        }
    }
    Ok(drifted)
}

/// Writes every generated file and removes what is made by nothing; returns what changed.
pub fn write(root: &Path) -> Result<Vec<String>> {
    let repository = Repository::read(root)?;
    let changed = drift(&repository)?;
    let files = all(&repository)?;
    for (path, _) in repository.below(REFERENCE) {
        if path != CLI_REFERENCE && !files.iter().any(|file| file.path == path) {
            std::fs::remove_file(root.join(path)).with_context(|| format!("removing {path}"))?;
        }
    }
    for file in files {
        let path = root.join(&file.path);
        let folder = path.parent().unwrap_or(root);
        std::fs::create_dir_all(folder)
            .with_context(|| format!("making the folder {}", folder.display()))?;
        std::fs::write(&path, &file.text).with_context(|| format!("writing {}", file.path))?;
    }
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_a_missing_and_a_left_over_file_are_drift() {
        let sources = reasons::SOURCES.map(|path| {
            let text = std::fs::read_to_string(Repository::root().join(path)).unwrap();
            (path, text)
        });
        let [(holds, hold), (fails, fail)] = &sources;
        let repository = Repository::of(&[
            (holds, hold),
            (fails, fail),
            (reasons::PAGE, "old"),
            (CLI_REFERENCE, "printed by the binary"),
            ("docs/reference/left-over.md", ""),
        ]);
        let drifted = drift(&repository).unwrap().join("\n");
        assert!(drifted.contains("reasons.md is out of date"), "{drifted}");
        assert!(drifted.contains("output.json is missing"), "{drifted}");
        assert!(drifted.contains("left-over.md is made by nothing"), "{drifted}");
        assert!(!drifted.contains("cli.md"), "{drifted}");
    }

    #[test]
    fn what_was_written_has_no_drift() {
        let folder = tempfile::tempdir().unwrap();
        for path in reasons::SOURCES {
            let source = folder.path().join(path);
            std::fs::create_dir_all(source.parent().unwrap()).unwrap();
            std::fs::copy(Repository::root().join(path), source).unwrap();
        }
        assert!(!write(folder.path()).unwrap().is_empty());
        assert_eq!(write(folder.path()).unwrap(), Vec::<String>::new());
    }
}
