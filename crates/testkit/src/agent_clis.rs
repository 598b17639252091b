//! The pinned agent CLIs, where `tools/agents/install.sh` puts them.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// A CLI that is driven for real in tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cli {
    /// `claude`.
    ClaudeCode,
    /// `codex`.
    Codex,
}

impl Cli {
    /// Every CLI.
    pub const ALL: [Self; 2] = [Self::ClaudeCode, Self::Codex];

    /// The name of its adapter.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClaudeCode => "claude-code",
            Self::Codex => "codex",
        }
    }

    /// Its package in the registry.
    pub const fn package(self) -> &'static str {
        match self {
            Self::ClaudeCode => "@anthropic-ai/claude-code",
            Self::Codex => "@openai/codex",
        }
    }

    /// Its program in `node_modules/.bin`.
    pub const fn program(self) -> &'static str {
        match self {
            Self::ClaudeCode => "claude",
            Self::Codex => "codex",
        }
    }

    /// The version in `tools/agents/package.json`.
    ///
    /// # Panics
    /// The file lacks it, or it is no exact version.
    pub fn pinned(self) -> String {
        let manifest = json(&pins_folder().join("package.json"));
        let version = manifest["dependencies"][self.package()].as_str().unwrap_or_default();
        assert!(
            !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit() || b == b'.'),
            "{} is not pinned to one version: {version:?}",
            self.package()
        );
        version.to_owned()
    }

    /// The `node_modules` that holds the pinned version, links resolved.
    ///
    /// # Errors
    /// Why it is not there, for `NOT RUN: ...`.
    pub fn modules(self) -> Result<PathBuf, String> {
        let modules = cache().join("node_modules");
        let modules = modules.canonicalize().map_err(|_| {
            format!("no agents in {}: run tools/agents/install.sh", modules.display())
        })?;
        let manifest = json(&modules.join(self.package()).join("package.json"));
        let (found, pinned) = (manifest["version"].as_str().unwrap_or("none"), self.pinned());
        if found != pinned {
            return Err(format!(
                "{} is pinned to {pinned} and {found} is installed: run tools/agents/install.sh",
                self.as_str()
            ));
        }
        Ok(modules)
    }
}

/// `$MIDWATCH_CACHE/agents`, else `~/.cache/midwatch/agents`.
pub fn cache() -> PathBuf {
    let cache = std::env::var_os("MIDWATCH_CACHE").map_or_else(
        || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache/midwatch"),
        PathBuf::from,
    );
    cache.join("agents")
}

/// `tools/agents`.
pub fn pins_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/agents")
}

fn json(path: &Path) -> Value {
    std::fs::read(path)
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_are_exact_and_the_lock_agrees_and_names_no_host() {
        let lock = json(&pins_folder().join("package-lock.json"));
        for cli in Cli::ALL {
            let locked = &lock["packages"][format!("node_modules/{}", cli.package())];
            assert_eq!(locked["version"].as_str(), Some(cli.pinned().as_str()));
            assert!(locked["integrity"].is_string());
        }
        let text = lock.to_string();
        assert!(!text.contains("resolved") && !text.contains("://"));
    }
}
