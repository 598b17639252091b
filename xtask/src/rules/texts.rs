//! What stands in files of any kind: paths, links, the changelog.

use crate::repository::{Repository, has_extension, split_tests};
use crate::rules::Finding;

/// Beginnings of paths that exist on somebody's machine only.
const MACHINE_PATHS: [&str; 3] =
    [concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("/Us", "ers/")];

/// Words that make such a path acceptable from here to the next empty line: the path is what is
/// tested or explained.
const MEANT: &str = "path meant:";

/// No file names a path of the machine that it was written on. In a test, the superuser's home is
/// an example like any other.
pub fn no_machine_path(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in repository.files() {
        let all_tests = path.contains("/tests/") || path.ends_with("/tests.rs");
        let code = if all_tests { "" } else { split_tests(text).0 };
        let tests_begin = code.lines().count();
        let mut meant = false;
        for (number, line) in text.lines().enumerate() {
            meant = line.contains(MEANT) || meant && !line.trim().is_empty();
            if !meant {
                for machine_path in MACHINE_PATHS {
                    let example = machine_path == MACHINE_PATHS[0] && number >= tests_begin;
                    if !example && names_path(line, machine_path) {
                        let what =
                            format!("names {machine_path}: say `{MEANT} why`, or take it out");
                        findings.push(Finding::at(path, number + 1, what));
                    }
                }
            }
        }
    }
    findings
}

/// Whether `path` stands in a line as the beginning of an absolute path. Hidden folders of a home
/// (`.rustup`) are the same on every machine and do not count.
fn names_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let hidden = line[at + path.len()..].starts_with('.');
        !hidden && before.is_none_or(|c| !(c.is_alphanumeric() || "_-.})]>*/".contains(c)))
    })
}

/// A link in a page leads to a file of this repository, or to another site.
pub fn links_lead_somewhere(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in repository.files().filter(|(path, _)| has_extension(path, "md")) {
        for (number, line) in text.lines().enumerate() {
            for target in link_targets(line) {
                let file = target.split('#').next().unwrap_or_default();
                let elsewhere = file.contains("://") || file.starts_with("mailto:");
                if file.is_empty() || elsewhere {
                    continue;
                }
                if resolve(path, file).is_none_or(|resolved| !repository.has(&resolved)) {
                    let what = format!("links to {file}, which is not in the repository");
                    findings.push(Finding::at(path, number + 1, what));
                }
            }
        }
    }
    findings
}

fn link_targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

/// A relative link as a path from the root; none when it leaves the repository.
fn resolve(from: &str, link: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// The newest version in the changelog is the workspace's.
pub fn changelog_names_the_version(repository: &Repository) -> Vec<Finding> {
    let changelog = repository.file("CHANGELOG.md").unwrap_or_default();
    let newest = changelog
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .filter_map(|heading| heading.split_whitespace().next())
        .map(|word| word.trim_matches(['[', ']']))
        .find(|word| !word.eq_ignore_ascii_case("unreleased"));
    let version = workspace_version(repository);
    if version.is_some() && newest == version.as_deref() {
        return Vec::new();
    }
    let what = format!(
        "the newest version is {}, the workspace's is {}",
        newest.unwrap_or("missing"),
        version.as_deref().unwrap_or("missing")
    );
    vec![Finding::about("CHANGELOG.md", what)]
}

fn workspace_version(repository: &Repository) -> Option<String> {
    let manifest = repository.file("Cargo.toml")?.parse::<toml::Table>().ok()?;
    let version = manifest.get("workspace")?.get("package")?.get("version")?;
    version.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_one_machine_is_found_unless_it_is_meant() {
        let root = MACHINE_PATHS[0];
        let work = MACHINE_PATHS[1];
        for (line, expected) in [
            (format!("see {root}notes"), 1),
            (format!("bind {root}.rustup"), 0),
            (format!("let path = \"{work}main\";"), 1),
            (format!("cat {root}keys // path meant: the attack reads it"), 0),
            (format!("// path meant: an example\nlet a = 1;\ncat {root}keys"), 0),
            (format!("// path meant: an example\n\ncat {root}keys"), 1),
            (format!("a\n#[cfg(test)]\nmod tests {{\n\"{root}x\" \"{work}x\"\n}}\n"), 1),
            (format!("target{root}x and {{home}}{work}x and $HOME{work}"), 0),
            ("the agent works in /workspace/src".to_owned(), 0),
        ] {
            let repository = Repository::of(&[("a.txt", &line)]);
            assert_eq!(no_machine_path(&repository).len(), expected, "{line}");
        }
    }

    #[test]
    fn a_link_to_nowhere_or_outside_is_found() {
        let page = "[a](GLOSSARY.md#task) [b](../README.md) [c](https://example.org/x) [d](#here)\n\
                    [gone](gone.md)\n[outside](../../notes.md) [folder](../crates/core)\n";
        let repository = Repository::of(&[
            ("docs/PAGE.md", page),
            ("docs/GLOSSARY.md", ""),
            ("README.md", ""),
            ("crates/core/Cargo.toml", ""),
        ]);
        let lines: Vec<_> =
            links_lead_somewhere(&repository).into_iter().map(|finding| finding.line).collect();
        assert_eq!(lines, [2, 3]);
    }

    #[test]
    fn a_changelog_that_lags_behind_is_found() {
        let manifest = "[workspace.package]\nversion = \"0.2.0\"\n";
        for (changelog, expected) in [
            ("# Changelog\n\n## [0.2.0] - 2026-12-01\n", 0),
            ("# Changelog\n\n## Unreleased\n\n## 0.2.0\n", 0),
            ("# Changelog\n\n## [0.1.0]\n", 1),
            ("# Changelog\n", 1),
        ] {
            let repository =
                Repository::of(&[("Cargo.toml", manifest), ("CHANGELOG.md", changelog)]);
            assert_eq!(changelog_names_the_version(&repository).len(), expected, "{changelog}");
        }
    }
}
