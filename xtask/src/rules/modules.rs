//! Names of source files, and files that no module names.

use crate::repository::Repository;
use crate::rules::Finding;

/// Names that say nothing about what is inside.
const CATCH_ALL: [&str; 8] =
    ["utils", "util", "helpers", "helper", "common", "manager", "misc", "mod"];

/// A file or folder of source is called after what it holds; `foo.rs` stands beside `foo/`.
pub fn file_names(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, _) in repository.rust_files() {
        let stem = path.strip_suffix(".rs").unwrap_or(path);
        if let Some(bad) = stem.split('/').find(|part| CATCH_ALL.contains(part)) {
            findings.push(Finding::about(path, format!("may not be called `{bad}`")));
        }
    }
    findings
}

/// Every file below `src` and `tests` is part of a target: cargo says nothing about a file that
/// no `mod` names, and a forgotten test is always green.
pub fn no_orphan(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, _) in repository.rust_files() {
        let Some((folder, place)) = place_in_crate(repository, path) else {
            continue;
        };
        let Some((parents, module)) = parents_of(place) else {
            continue;
        };
        let named = parents.iter().any(|parent| {
            let text = repository.file(&format!("{folder}/{parent}"));
            text.is_some_and(|text| declares(text, module))
        });
        if !named {
            let what = format!("no `mod {module};` in {}", parents.join(" or "));
            findings.push(Finding::about(path, what));
        }
    }
    findings
}

/// The crate's folder and the path inside it, for files below `src/` and `tests/`.
fn place_in_crate<'a>(repository: &'a Repository, path: &'a str) -> Option<(&'a str, &'a str)> {
    let folder = repository
        .crate_folders()
        .into_iter()
        .find(|folder| path.strip_prefix(*folder).is_some_and(|rest| rest.starts_with('/')))?;
    let place = &path[folder.len() + 1..];
    let in_target = place.starts_with("src/") || place.starts_with("tests/");
    (in_target && !place.contains("/fixtures/")).then_some((folder, place))
}

/// The files that could declare the module at `place`, and its name. None for the root of a target.
fn parents_of(place: &str) -> Option<(Vec<String>, &str)> {
    let (folder, file) = place.rsplit_once('/')?;
    let module = file.strip_suffix(".rs")?;
    match (folder, module) {
        ("src" | "tests/it", "main") | ("src", "lib") | ("src/bin" | "tests", _) => None,
        ("src", _) => Some((vec!["src/lib.rs".into(), "src/main.rs".into()], module)),
        ("tests/it", _) => Some((vec!["tests/it/main.rs".into()], module)),
        _ => Some((vec![format!("{folder}.rs")], module)),
    }
}

fn declares(text: &str, module: &str) -> bool {
    let declaration = format!("mod {module};");
    text.lines().any(|line| {
        let line = line.trim_start();
        line == declaration
            || line.strip_suffix(&declaration).is_some_and(|before| before.starts_with("pub"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_say_nothing_are_found() {
        let repository = Repository::of(&[
            ("crates/git/src/utils.rs", ""),
            ("crates/git/src/mirror/mod.rs", ""),
            ("crates/git/tests/it/common/repo.rs", ""),
            ("crates/git/src/mirror.rs", ""),
            ("docs/common.md", ""),
        ]);
        assert_eq!(file_names(&repository).len(), 3);
    }

    #[test]
    fn files_that_no_module_names_are_found() {
        let repository = Repository::of(&[
            ("crates/git/Cargo.toml", ""),
            ("crates/git/src/lib.rs", "pub mod mirror;\nmod gates;\n"),
            ("crates/git/src/mirror.rs", "pub(crate) mod fetch;\n// mod lost;\n"),
            ("crates/git/src/gates.rs", ""),
            ("crates/git/src/mirror/fetch.rs", ""),
            ("crates/git/src/mirror/lost.rs", ""),
            ("crates/git/src/bin/tool.rs", ""),
            ("crates/git/tests/it/main.rs", "mod hostile;\n"),
            ("crates/git/tests/it/hostile.rs", ""),
            ("crates/git/tests/it/forgotten.rs", ""),
            ("crates/git/src/fixtures/sample/src/any.rs", ""),
        ]);
        let found: Vec<_> =
            no_orphan(&repository).into_iter().map(|finding| finding.path).collect();
        assert_eq!(found, ["crates/git/src/mirror/lost.rs", "crates/git/tests/it/forgotten.rs"]);
    }
}
