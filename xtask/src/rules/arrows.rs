//! Who may name whom. The table is the architecture; the manifests have to agree with it.

use crate::repository::Repository;
use crate::rules::Finding;
use crate::rules::manifests;

/// A crate of the workspace and the other rooms that it may name.
pub struct Room {
    /// The folder's name.
    pub name: &'static str,
    /// The rooms it may name outside tests.
    pub may_name: &'static [&'static str],
}

impl Room {
    /// Where it stands.
    pub fn folder(&self) -> String {
        if self.name == "xtask" { "xtask".to_owned() } else { format!("crates/{}", self.name) }
    }

    /// The package's name.
    pub fn package(&self) -> String {
        if self.name == "xtask" { "xtask".to_owned() } else { format!("midwatch-{}", self.name) }
    }
}

const fn room(name: &'static str, may_name: &'static [&'static str]) -> Room {
    Room { name, may_name }
}

/// The rooms of the house, from the innermost outwards.
pub const ROOMS: &[Room] = &[
    room("core", &[]),
    room("api", &["core"]),
    room("agents", &["core"]),
    room("sandbox", &["core"]),
    room("git", &["core"]),
    room("forge", &["core"]),
    room("publish", &["core", "git", "forge"]),
    room("broker", &["core"]),
    room("notify", &["core"]),
    room("engine", &["core"]),
    room("runner", &["core", "api", "agents", "sandbox", "git"]),
    room("local", &["core", "api", "engine"]),
    room("k8s", &["core", "api", "engine"]),
    room("web", &["core", "api", "engine", "forge"]),
    room("rehearsal", &[]),
    room(
        "app",
        &[
            "core",
            "api",
            "broker",
            "publish",
            "notify",
            "runner",
            "local",
            "k8s",
            "web",
            "rehearsal",
        ],
    ),
    room("testkit", &["core", "rehearsal"]),
    room("xtask", &["core", "api"]),
];

/// External packages that only some rooms may name: they are heavy, or they hold secrets.
/// `testkit` and `dev-dependencies` are free of these fences.
const FENCES: &[(&str, &[&str])] = &[
    ("axum", &["web"]),
    ("clap", &["app"]),
    ("hyper-rustls", &["broker", "forge", "notify"]),
    ("k8s-openapi", &["k8s"]),
    ("kube", &["k8s"]),
    ("landlock", &["sandbox"]),
    ("reqwest", &["forge", "notify"]),
    ("rusqlite", &["local"]),
    ("rustls", &["broker", "forge", "notify"]),
    ("seccompiler", &["sandbox"]),
    // git is handed a credential for one fetch or push and keeps none.
    ("secrecy", &["app", "broker", "forge", "git", "notify", "publish"]),
    ("tokio", &["app", "broker", "engine", "forge", "k8s", "local", "notify", "publish", "web"]),
];

/// The only external packages that `core` may name outside tests.
const CORE_MAY_NAME: [&str; 1] = ["thiserror"];

fn room_of(package: &str) -> Option<&'static Room> {
    ROOMS.iter().find(|room| room.package() == package)
}

/// A room names only the rooms that the table lets it name; `testkit` only for tests.
pub fn between_rooms(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for manifest in manifests::all(repository).0 {
        let Some(room) = ROOMS.iter().find(|room| room.name == manifest.room) else {
            continue;
        };
        for dependency in manifest.dependencies() {
            let Some(named) = room_of(&dependency.package) else {
                continue;
            };
            let allowed = if named.name == "testkit" {
                dependency.section == "dev-dependencies"
            } else {
                room.may_name.contains(&named.name)
            };
            if !allowed {
                let what = format!("{} may not name {}", room.name, named.name);
                findings.push(Finding::about(&manifest.path, what));
            }
        }
    }
    findings
}

/// Heavy and secret-bearing packages stay behind their fences, and `core` stays bare.
pub fn fenced_dependencies(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for manifest in manifests::all(repository).0 {
        for dependency in manifest.dependencies() {
            let package = dependency.package.as_str();
            let exempt = manifest.room == "testkit" || dependency.section == "dev-dependencies";
            if exempt || room_of(package).is_some() {
                continue;
            }
            let fence = FENCES.iter().find(|(fenced, _)| *fenced == package);
            let fenced_off = fence.is_some_and(|(_, rooms)| !rooms.contains(&manifest.room));
            if fenced_off || manifest.room == "core" && !CORE_MAY_NAME.contains(&package) {
                let what = format!("{} may not depend on {package}", manifest.room);
                findings.push(Finding::about(&manifest.path, what));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_room(room: &str, manifest: &str) -> Repository {
        Repository::of(&[(&format!("crates/{room}/Cargo.toml"), manifest)])
    }

    #[test]
    fn arrows_against_the_table_are_found_wherever_they_stand() {
        for (room, manifest) in [
            ("core", "[dependencies]\nmidwatch-api.workspace = true\n"),
            ("engine", "[dependencies]\nmidwatch-local.workspace = true\n"),
            ("local", "[build-dependencies]\nmidwatch-web.workspace = true\n"),
            ("web", "[dev-dependencies]\nmidwatch-broker.workspace = true\n"),
            ("git", "[target.'cfg(unix)'.dependencies]\nmidwatch-publish.workspace = true\n"),
            (
                "runner",
                "[dependencies]\nx = { package = \"midwatch-broker\", path = \"../broker\" }\n",
            ),
            ("runner", "[dependencies]\nmidwatch-testkit.workspace = true\n"),
        ] {
            assert_eq!(between_rooms(&in_room(room, manifest)).len(), 1, "{room}: {manifest}");
        }
    }

    #[test]
    fn arrows_of_the_table_and_testkit_for_tests_are_fine() {
        let fine = in_room(
            "runner",
            "[dependencies]\nmidwatch-git.workspace = true\n[dev-dependencies]\nmidwatch-testkit.workspace = true\n",
        );
        assert_eq!(between_rooms(&fine), []);
    }

    #[test]
    fn the_table_has_no_circle() {
        // Every room names only rooms that stand above it, so no chain can come back.
        for (place, room) in ROOMS.iter().enumerate() {
            for named in room.may_name {
                let above = ROOMS[..place].iter().any(|other| other.name == *named);
                assert!(above, "{} names {named}, which does not stand above it", room.name);
            }
        }
    }

    #[test]
    fn a_core_that_gains_a_dependency_is_refused() {
        let bad =
            in_room("core", "[dependencies]\nserde.workspace = true\ntokio.workspace = true\n");
        assert_eq!(fenced_dependencies(&bad).len(), 2);
        let fine = in_room(
            "core",
            "[dependencies]\nthiserror.workspace = true\n[dev-dependencies]\nproptest.workspace = true\n",
        );
        assert_eq!(fenced_dependencies(&fine), []);
    }

    #[test]
    fn fences_hold() {
        for (room, package) in [("web", "rusqlite"), ("runner", "tokio"), ("local", "secrecy")] {
            let manifest = format!("[dependencies]\n{package}.workspace = true\n");
            assert_eq!(fenced_dependencies(&in_room(room, &manifest)).len(), 1, "{room} {package}");
        }
        let own = in_room("local", "[dependencies]\nrusqlite.workspace = true\n");
        assert_eq!(fenced_dependencies(&own), []);
    }
}
