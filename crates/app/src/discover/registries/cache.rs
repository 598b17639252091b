//! Remembers what the clients said, for a day, as long as nothing that they read has changed.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use midwatch_local::folder::{StateFolder, key_of, write_private};
use serde::{Deserialize, Serialize};

use super::Clients;
use crate::environment::Environment;

/// How long an answer counts: a system-wide file that is not looked at below may change.
const KEPT: Duration = Duration::from_hours(24);

/// Beginnings of variables that clients read.
const VARIABLES: [&str; 11] = [
    "npm_config_",
    "NPM_CONFIG_",
    "PIP_",
    "UV_",
    "GO",
    "CARGO_",
    "PYENV_",
    "PATH",
    "MAVEN_",
    "HTTPS_PROXY",
    "https_proxy",
];

/// Files that they read, below HOME or absolute.
const FILES: [&str; 13] = [
    ".npmrc",
    ".config/pip/pip.conf",
    ".pip/pip.conf",
    "/etc/pip.conf",
    ".config/go/env",
    ".cargo/config.toml",
    ".cargo/config",
    ".cargo/registry/index",
    ".m2/settings.xml",
    ".pyenv/version",
    "/etc/npmrc",
    "/etc/maven/settings.xml",
    ".config/uv/uv.toml",
];

#[derive(Serialize, Deserialize)]
struct Kept {
    fingerprint: String,
    clients: Clients,
}

fn path(environment: &Environment) -> PathBuf {
    environment.state_folder().join("registries.json")
}

/// Changes with everything that decides the answers. A digest: variables may hold passwords.
pub(super) fn fingerprint(environment: &Environment) -> String {
    let mut parts = vec![env!("CARGO_PKG_VERSION").to_owned()];
    for begin in VARIABLES {
        for (name, value) in environment.beginning_with(begin) {
            parts.push(format!("{name}={value}"));
        }
    }
    for file in FILES {
        let path = environment.home().join(file);
        let seen = path.metadata().map(|metadata| (metadata.len(), metadata.modified().ok()));
        parts.push(format!("{}: {:?}", path.display(), seen.ok()));
    }
    for program in ["npm", "python3", "go", "cargo", "mvn"] {
        parts.push(format!("{program}: {:?}", environment.find(program)));
    }
    key_of(&parts.join("\n"))
}

pub(super) fn read(environment: &Environment, fingerprint: &str) -> Option<Clients> {
    let path = path(environment);
    let age = path.metadata().ok()?.modified().ok()?;
    if SystemTime::now().duration_since(age).ok()? > KEPT {
        return None;
    }
    let kept: Kept = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    (kept.fingerprint == fingerprint).then_some(kept.clients)
}

pub(super) fn write(environment: &Environment, fingerprint: &str, clients: &Clients) {
    let path = path(environment);
    let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
    let kept = Kept { fingerprint: fingerprint.to_owned(), clients: clients.clone() };
    let Ok(bytes) = serde_json::to_vec(&kept) else {
        return;
    };
    // Only a shortcut: where it cannot be written the clients are asked again.
    if StateFolder::new(folder).make().is_ok() {
        let _ = write_private(&path, &bytes);
    }
}
