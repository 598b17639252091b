//! Which paths need an approval and which are only told. Matching ignores case, because some
//! file systems do.

/// Folders at any depth whose whole content runs, or steers what runs, outside a sandbox.
const HARD_FOLDERS: [&str; 20] = [
    ".github/workflows",
    ".github/actions",
    ".gitea",
    ".forgejo",
    ".gitlab",
    ".circleci",
    ".buildkite",
    ".woodpecker",
    ".husky",
    ".githooks",
    ".devcontainer",
    ".vscode",
    ".idea",
    ".claude",
    ".codex",
    ".cursor",
    ".gemini",
    ".qwen",
    ".opencode",
    ".midwatch",
];

/// File names at any depth.
const HARD_NAMES: [&str; 44] = [
    // Who must review, and continuous integration.
    "codeowners",
    ".gitlab-ci.yml",
    "jenkinsfile",
    ".travis.yml",
    ".drone.yml",
    ".drone.star",
    ".woodpecker.yml",
    "azure-pipelines.yml",
    "bitbucket-pipelines.yml",
    "appveyor.yml",
    ".appveyor.yml",
    ".cirrus.yml",
    "dependabot.yml",
    "renovate.json",
    // What editors and shells run by themselves.
    ".envrc",
    ".devcontainer.json",
    ".pre-commit-config.yaml",
    "lefthook.yml",
    ".lefthook.yml",
    // Instructions to agents.
    "agents.md",
    "claude.md",
    "claude.local.md",
    "gemini.md",
    "qwen.md",
    ".mcp.json",
    "opencode.json",
    ".cursorrules",
    ".windsurfrules",
    ".clinerules",
    "copilot-instructions.md",
    ".aider.conf.yml",
    ".aiderignore",
    // Git's own.
    ".gitmodules",
    ".gitattributes",
    ".lfsconfig",
    // Where packages come from.
    ".npmrc",
    ".yarnrc",
    ".yarnrc.yml",
    ".pnpmfile.cjs",
    "pip.conf",
    ".pypirc",
    ".netrc",
    // Ours.
    "midwatch.yaml",
    "midwatch.yml",
];

/// Names of a folder and a file in it.
const HARD_PAIRS: [&str; 3] = [".cargo/config", ".cargo/config.toml", ".pip/pip.conf"];

/// Lock files: they decide what `setup` installs.
const LOCK_NAMES: [&str; 17] = [
    "cargo.lock",
    "package-lock.json",
    "npm-shrinkwrap.json",
    "pnpm-lock.yaml",
    "yarn.lock",
    "bun.lock",
    "bun.lockb",
    "poetry.lock",
    "uv.lock",
    "pdm.lock",
    "pipfile.lock",
    "go.sum",
    "gemfile.lock",
    "composer.lock",
    "gradle.lockfile",
    "packages.lock.json",
    "mix.lock",
];

/// Manifests of dependencies.
const MANIFEST_NAMES: [&str; 21] = [
    "cargo.toml",
    "package.json",
    "pnpm-workspace.yaml",
    "pyproject.toml",
    "setup.py",
    "setup.cfg",
    "pipfile",
    "go.mod",
    "go.work",
    "pom.xml",
    "build.gradle",
    "build.gradle.kts",
    "settings.gradle",
    "settings.gradle.kts",
    "gemfile",
    "composer.json",
    "mix.exs",
    "rust-toolchain",
    "rust-toolchain.toml",
    "gradle-wrapper.properties",
    ".tool-versions",
];

fn lower(path: &[u8]) -> String {
    String::from_utf8_lossy(path).to_lowercase()
}

fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The rule that a protected path falls under.
pub(super) fn hard_rule(path: &[u8]) -> Option<&'static str> {
    let path = lower(path);
    let slashed = format!("/{path}");
    if let Some(folder) =
        HARD_FOLDERS.iter().find(|folder| slashed.contains(&format!("/{folder}/")))
    {
        return Some(folder);
    }
    if let Some(pair) = HARD_PAIRS.iter().find(|pair| slashed.ends_with(&format!("/{pair}"))) {
        return Some(pair);
    }
    HARD_NAMES.iter().find(|name| **name == name_of(&path)).copied()
}

/// Whether a path is told in the evidence: manifests and lock files.
pub(super) fn is_soft(path: &[u8]) -> bool {
    let path = lower(path);
    let name = name_of(&path);
    let requirements = name.starts_with("requirements")
        && std::path::Path::new(name).extension().is_some_and(|e| e == "txt" || e == "in");
    LOCK_NAMES.contains(&name) || MANIFEST_NAMES.contains(&name) || requirements
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protected_paths_are_known_in_any_case_and_depth() {
        for path in [
            ".github/workflows/ci.yml",
            ".GitHub/Workflows/x",
            "CODEOWNERS",
            "docs/CODEOWNERS",
            ".gitlab-ci.yml",
            ".circleci/config.yml",
            "Jenkinsfile",
            ".husky/pre-commit",
            ".devcontainer/devcontainer.json",
            ".vscode/tasks.json",
            ".idea/workspace.xml",
            "AGENTS.md",
            "sub/CLAUDE.md",
            ".claude/settings.json",
            "a/.claude/x",
            ".mcp.json",
            ".gitmodules",
            "sub/.gitattributes",
            ".npmrc",
            ".yarnrc",
            ".cargo/config.toml",
            "sub/.cargo/config",
            "pip.conf",
            "midwatch.yaml",
            ".pre-commit-config.yaml",
        ] {
            assert!(hard_rule(path.as_bytes()).is_some(), "{path}");
        }
        for path in
            ["src/main.rs", "github/workflows/x", "my-claude.md", "cargo/config.toml", ".gitignore"]
        {
            assert!(hard_rule(path.as_bytes()).is_none(), "{path}");
        }
    }

    #[test]
    fn manifests_and_lock_files_are_told() {
        for path in ["package.json", "a/Cargo.lock", "requirements-dev.txt", "go.mod"] {
            assert!(is_soft(path.as_bytes()), "{path}");
        }
        assert!(is_soft(b"web/package-lock.json") && !is_soft(b"src/lib.rs"));
    }
}
