//! Node: npm, pnpm, yarn.

use super::json::Json;
use super::{Detected, Tree};

/// What `npm init` writes into every new package.
const STUB: &str = "no test specified";

pub(super) fn check(tree: &Tree<'_>) -> Option<Detected> {
    let package = package(tree)?;
    let script = package.get("scripts")?.get("test")?.as_str()?;
    if script.trim().is_empty() || script.contains(STUB) {
        return None;
    }
    let (manager, _) = manager(tree, &package);
    // vitest, jest and react-scripts watch files for ever unless this is set.
    Some(
        Detected::new(&format!("{} test", manager.name()), "package.json has a test script")
            .with_env("CI", "true"),
    )
}

pub(super) fn setup(tree: &Tree<'_>) -> Option<Detected> {
    let package = package(tree)?;
    let (manager, why) = manager(tree, &package);
    let locked = why.is_some();
    if !locked && !has_dependencies(&package) {
        return None;
    }
    let why = why.unwrap_or("package.json without a lock file");
    Some(match (manager, locked) {
        (Manager::Npm, true) => Detected::new("npm ci --no-audit --no-fund", why),
        // Without a lock file none is wanted in the change either.
        (Manager::Npm, false) => {
            Detected::new("npm install --no-audit --no-fund --no-package-lock", why)
        }
        (Manager::Pnpm, true) => Detected::new("pnpm install --frozen-lockfile", why)
            .keeping(&[".local/share/pnpm/store"]),
        (Manager::Pnpm, false) => {
            Detected::new("pnpm install --no-lockfile", why).keeping(&[".local/share/pnpm/store"])
        }
        (Manager::YarnClassic, true) => Detected::new("yarn install --frozen-lockfile", why),
        (Manager::YarnClassic, false) => Detected::new("yarn install --no-lockfile", why),
        // Plug'n'Play runs packages from the cache itself.
        (Manager::Yarn, _) => {
            Detected::new("yarn install --immutable", why).keeping(&[".yarn/berry/cache"])
        }
        (Manager::Bun, _) => Detected::new("bun install --frozen-lockfile", why),
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manager {
    Npm,
    Pnpm,
    YarnClassic,
    Yarn,
    Bun,
}

impl Manager {
    fn name(self) -> &'static str {
        match self {
            Self::Npm => "npm",
            Self::Pnpm => "pnpm",
            Self::YarnClassic | Self::Yarn => "yarn",
            Self::Bun => "bun run",
        }
    }
}

fn package(tree: &Tree<'_>) -> Option<Json> {
    let package = Json::parse(&tree.text("package.json")?)?;
    matches!(package, Json::Object(_)).then_some(package)
}

/// The manager and its lock file. `packageManager` decides where several lock files lie about.
fn manager(tree: &Tree<'_>, package: &Json) -> (Manager, Option<&'static str>) {
    const LOCKS: [(&str, &str); 6] = [
        ("pnpm", "pnpm-lock.yaml"),
        ("yarn", "yarn.lock"),
        ("npm", "package-lock.json"),
        ("npm", "npm-shrinkwrap.json"),
        ("bun", "bun.lock"),
        ("bun", "bun.lockb"),
    ];
    let declared = package
        .get("packageManager")
        .and_then(Json::as_str)
        .and_then(|text| text.split('@').next())
        .filter(|name| ["npm", "pnpm", "yarn", "bun"].contains(name));
    let lock = LOCKS
        .iter()
        .find(|(name, file)| tree.has(file) && declared.is_none_or(|declared| declared == *name));
    let name = declared.or(lock.map(|(name, _)| *name)).unwrap_or("npm");
    let manager = match name {
        "pnpm" => Manager::Pnpm,
        "bun" => Manager::Bun,
        "yarn" => {
            let lock = tree.text("yarn.lock");
            let classic =
                lock.map_or(!tree.has(".yarnrc.yml"), |text| !text.contains("__metadata:"));
            if classic { Manager::YarnClassic } else { Manager::Yarn }
        }
        _ => Manager::Npm,
    };
    (manager, lock.map(|(_, file)| *file))
}

fn has_dependencies(package: &Json) -> bool {
    package.get("workspaces").is_some()
        || ["dependencies", "devDependencies", "optionalDependencies"]
            .iter()
            .any(|key| package.get(key).is_some_and(|list| !list.members().is_empty()))
}
