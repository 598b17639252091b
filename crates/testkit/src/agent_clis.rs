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
    /// `opencode`.
    OpenCode,
    /// `gemini`.
    GeminiCli,
    /// `qwen`.
    QwenCode,
    /// `aider`.
    Aider,
}

impl Cli {
    /// Every CLI.
    pub const ALL: [Self; 6] = [
        Self::ClaudeCode,
        Self::Codex,
        Self::OpenCode,
        Self::GeminiCli,
        Self::QwenCode,
        Self::Aider,
    ];

    /// The name of its adapter.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClaudeCode => "claude-code",
            Self::Codex => "codex",
            Self::OpenCode => "opencode",
            Self::GeminiCli => "gemini-cli",
            Self::QwenCode => "qwen-code",
            Self::Aider => "aider",
        }
    }

    /// Its package in the registry.
    pub const fn package(self) -> &'static str {
        match self {
            Self::ClaudeCode => "@anthropic-ai/claude-code",
            Self::Codex => "@openai/codex",
            Self::OpenCode => "opencode-ai",
            Self::GeminiCli => "@google/gemini-cli",
            Self::QwenCode => "@qwen-code/qwen-code",
            Self::Aider => "aider-chat",
        }
    }

    /// Its program in [`Cli::programs`].
    pub const fn program(self) -> &'static str {
        match self {
            Self::ClaudeCode => "claude",
            Self::Codex => "codex",
            Self::OpenCode => "opencode",
            Self::GeminiCli => "gemini",
            Self::QwenCode => "qwen",
            Self::Aider => "aider",
        }
    }

    /// Where its program is in [`Cli::modules`].
    pub const fn programs(self) -> &'static str {
        match self {
            Self::ClaudeCode | Self::Codex | Self::OpenCode | Self::GeminiCli | Self::QwenCode => {
                ".bin"
            }
            Self::Aider => "bin",
        }
    }

    /// Whether it goes on after SIGTERM, as the recordings show.
    pub const fn outlives_term(self) -> bool {
        match self {
            Self::ClaudeCode | Self::Codex | Self::OpenCode | Self::Aider => false,
            Self::GeminiCli | Self::QwenCode => true,
        }
    }

    /// The version in `tools/agents/package.json`, of aider in `tools/agents/aider.txt`.
    ///
    /// # Panics
    /// The file lacks it, or it is no exact version.
    pub fn pinned(self) -> String {
        let manifest = json(&pins_folder().join("package.json"));
        if self == Self::Aider {
            let pins = std::fs::read_to_string(pins_folder().join("aider.txt")).unwrap_or_default();
            let pin = pins.lines().find_map(|line| line.strip_prefix("aider-chat=="));
            return pin.map_or_else(|| panic!("aider is not pinned: {pins}"), str::to_owned);
        }
        let pin = |set: &str| manifest[set][self.package()].as_str().unwrap_or_default().to_owned();
        // What the demo does not need is a development dependency.
        let version = Some(pin("dependencies")).filter(|pin| !pin.is_empty());
        let version = version.unwrap_or_else(|| pin("devDependencies"));
        assert!(
            !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit() || b == b'.'),
            "{} is not pinned to one version: {version:?}",
            self.package()
        );
        version
    }

    /// The `node_modules` that holds the pinned version, of aider its virtual environment; links
    /// resolved.
    ///
    /// # Errors
    /// Why it is not there, for `NOT RUN: ...`.
    pub fn modules(self) -> Result<PathBuf, String> {
        if self == Self::Aider {
            return aider(&self.pinned());
        }
        let modules = agents().join("node_modules");
        let modules = modules.canonicalize().map_err(|_| {
            format!("no agents in {}: run tools/agents/install.sh --all", modules.display())
        })?;
        let manifest = json(&modules.join(self.package()).join("package.json"));
        let (found, pinned) = (manifest["version"].as_str().unwrap_or("none"), self.pinned());
        if found != pinned {
            return Err(format!(
                "{} is pinned to {pinned} and {found} is installed: run tools/agents/install.sh --all",
                self.as_str()
            ));
        }
        Ok(modules)
    }
}

/// The virtual environment with a version of aider.
fn aider(pinned: &str) -> Result<PathBuf, String> {
    let place = agents().join("aider");
    let place = place
        .canonicalize()
        .map_err(|_| format!("no aider in {}: run tools/agents/aider.sh", place.display()))?;
    let folders = std::fs::read_dir(place.join("lib")).map_err(|error| error.to_string())?;
    let name = format!("site-packages/aider_chat-{pinned}.dist-info");
    let found = folders.flatten().any(|folder| folder.path().join(&name).is_dir());
    if found && place.join("complete").exists() {
        Ok(place)
    } else {
        Err(format!("aider {pinned} is not in {}: run tools/agents/aider.sh", place.display()))
    }
}

/// `$MIDWATCH_CACHE`, else `~/.cache/midwatch`: what tests have made once and keep.
pub fn cache() -> PathBuf {
    std::env::var_os("MIDWATCH_CACHE").map_or_else(
        || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache/midwatch"),
        PathBuf::from,
    )
}

fn agents() -> PathBuf {
    cache().join("agents")
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
        for cli in Cli::ALL.into_iter().filter(|cli| *cli != Cli::Aider) {
            let locked = &lock["packages"][format!("node_modules/{}", cli.package())];
            assert_eq!(locked["version"].as_str(), Some(cli.pinned().as_str()));
            assert!(locked["integrity"].is_string());
        }
        assert!(!Cli::Aider.pinned().is_empty());
        let text = lock.to_string();
        assert!(!text.contains("resolved") && !text.contains("://"));
    }
}
