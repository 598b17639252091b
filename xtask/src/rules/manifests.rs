//! Which crates there are, and what every manifest has in common.

use crate::repository::Repository;
use crate::rules::Finding;
use crate::rules::arrows::ROOMS;

/// The sections of a manifest that name dependencies.
pub const DEPENDENCY_SECTIONS: [&str; 3] =
    ["dependencies", "build-dependencies", "dev-dependencies"];

/// A manifest that was read.
pub struct Manifest<'a> {
    /// Its path.
    pub path: String,
    /// The room: the folder's name.
    pub room: &'a str,
    /// The parsed table.
    pub table: toml::Table,
}

/// One named dependency.
pub struct Dependency {
    /// The package's name (the key, or `package` where it is renamed).
    pub package: String,
    /// Which of [`DEPENDENCY_SECTIONS`] names it.
    pub section: &'static str,
    /// Whether the version comes from the workspace.
    pub from_workspace: bool,
}

impl Manifest<'_> {
    /// Every dependency, those for one platform too.
    pub fn dependencies(&self) -> Vec<Dependency> {
        let platforms = self.table.get("target").and_then(toml::Value::as_table);
        let tables = platforms.into_iter().flat_map(toml::Table::values);
        let tables = tables.filter_map(toml::Value::as_table).chain([&self.table]);
        let mut found = Vec::new();
        for table in tables {
            for section in DEPENDENCY_SECTIONS {
                let named = table.get(section).and_then(toml::Value::as_table);
                for (key, value) in named.into_iter().flatten() {
                    let package = value.get("package").and_then(toml::Value::as_str);
                    let workspace = value.get("workspace").and_then(toml::Value::as_bool);
                    found.push(Dependency {
                        package: package.unwrap_or(key).to_owned(),
                        section,
                        from_workspace: workspace == Some(true),
                    });
                }
            }
        }
        found
    }
}

/// Every manifest below the root; one that is not TOML is a finding.
pub fn all(repository: &Repository) -> (Vec<Manifest<'_>>, Vec<Finding>) {
    let (mut manifests, mut findings) = (Vec::new(), Vec::new());
    for folder in repository.crate_folders() {
        let path = format!("{folder}/Cargo.toml");
        match repository.file(&path).unwrap_or_default().parse::<toml::Table>() {
            Ok(table) => {
                let room = folder.rsplit('/').next().unwrap_or(folder);
                manifests.push(Manifest { path, room, table });
            }
            Err(error) => findings.push(Finding::about(&path, error.to_string())),
        }
    }
    (manifests, findings)
}

/// A crate is a room of the house, in its place and under its name.
pub fn only_known_rooms(repository: &Repository) -> Vec<Finding> {
    let (manifests, mut findings) = all(repository);
    for manifest in manifests {
        let Manifest { path, room, table } = manifest;
        let Some(known) = ROOMS.iter().find(|known| known.name == room) else {
            findings.push(Finding::about(&path, "is no room of the house: see xtask's table"));
            continue;
        };
        if path != format!("{}/Cargo.toml", known.folder()) {
            findings.push(Finding::about(&path, format!("belongs into {}", known.folder())));
        }
        let name = table.get("package").and_then(|package| package.get("name"));
        if name.and_then(toml::Value::as_str) != Some(&known.package()) {
            findings.push(Finding::about(&path, format!("must be called {}", known.package())));
        }
    }
    findings
}

/// Versions and lints stand once, in the root manifest.
pub fn follow_the_workspace(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for manifest in all(repository).0 {
        let lints = manifest.table.get("lints").and_then(|lints| lints.get("workspace"));
        if lints.and_then(toml::Value::as_bool) != Some(true) {
            findings.push(Finding::about(&manifest.path, "lacks `[lints] workspace = true`"));
        }
        for dependency in manifest.dependencies() {
            if !dependency.from_workspace {
                let what = format!(
                    "gives `{}` a version of its own: name it in [workspace.dependencies]",
                    dependency.package
                );
                findings.push(Finding::about(&manifest.path, what));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whats(findings: &[Finding]) -> String {
        findings.iter().map(Finding::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn an_unknown_room_a_wrong_place_and_a_wrong_name_are_found() {
        let good = "[package]\nname = \"midwatch-core\"\n[lints]\nworkspace = true\n";
        let fine = Repository::of(&[("crates/core/Cargo.toml", good)]);
        assert_eq!(only_known_rooms(&fine), []);
        let bad = Repository::of(&[
            ("crates/attic/Cargo.toml", "[package]\nname = \"midwatch-attic\"\n"),
            ("crates/git/Cargo.toml", "[package]\nname = \"git\"\n"),
            ("crates/broken/Cargo.toml", "[package\n"),
            ("tools/core/Cargo.toml", good),
        ]);
        let found = whats(&only_known_rooms(&bad));
        for expected in [
            "crates/attic/Cargo.toml: is no room",
            "crates/git/Cargo.toml: must be called midwatch-git",
            "crates/broken/Cargo.toml: TOML parse error",
            "tools/core/Cargo.toml: belongs into crates/core",
        ] {
            assert!(found.contains(expected), "{expected} is not in\n{found}");
        }
    }

    #[test]
    fn a_version_of_its_own_and_missing_lints_are_found() {
        let bad = Repository::of(&[(
            "crates/git/Cargo.toml",
            "[dependencies]\nserde.workspace = true\n[target.'cfg(unix)'.dev-dependencies]\nrand = \"1\"\n",
        )]);
        let found = whats(&follow_the_workspace(&bad));
        assert!(found.contains("`rand`") && found.contains("lints"), "{found}");
        assert!(!found.contains("serde"), "{found}");
    }
}
