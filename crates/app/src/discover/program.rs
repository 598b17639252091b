//! The agent's program: where it is, and the folder that it needs to be seen in a sandbox.

use std::path::{Path, PathBuf};

use midwatch_api::order::Toolchain;
use midwatch_api::order::inside::TOOLCHAINS;
use midwatch_core::agent::AgentKind;

use super::Finding;
use super::agent::Chosen;
use crate::environment::{Environment, is_executable};
use crate::problem::Problem;

/// Where programs are that every sandbox sees.
pub(super) const SYSTEM: [&str; 6] = ["/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc"];

/// A program that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Program {
    /// How it was named.
    pub(crate) found: PathBuf,
    /// Its real path.
    pub(crate) real: PathBuf,
    /// The folder that holds all of it, when that is not the system's.
    pub(crate) folder: Option<PathBuf>,
}

impl Program {
    pub(super) fn finding(&self, chosen: &Chosen, model: Option<&str>) -> Finding {
        let model = model.map(|model| format!(", model {model}")).unwrap_or_default();
        Finding::new("agent", format!("{}{model}, {}", chosen.name, self.found.display()))
    }
}

/// Where the program is seen in a sandbox: below the longest toolchain that holds it, by the
/// rule that [`Toolchain::name`] states; the system's own where they are.
pub(super) fn inside(program: &Program, toolchains: &[Toolchain]) -> PathBuf {
    let holders = toolchains.iter().filter(|t| program.real.starts_with(&t.folder));
    let holder = holders.max_by_key(|t| t.folder.components().count());
    let seen = holder.and_then(|t| {
        let base = Path::new(TOOLCHAINS).join(&t.name).join(t.folder.file_name()?);
        Some(base.join(program.real.strip_prefix(&t.folder).ok()?))
    });
    seen.unwrap_or_else(|| program.found.clone())
}

/// Finds it: as the profile says, on PATH, or where installers put it.
pub(crate) fn find(environment: &Environment, chosen: &Chosen) -> Result<Program, Problem> {
    let (name, install) = usual(chosen.kind());
    let first = chosen.spec.custom.as_ref().and_then(|custom| custom.argv.first());
    let name = chosen.spec.program.as_deref().or(first.map(String::as_str)).unwrap_or(name);
    let found = locate(environment, name).ok_or_else(|| {
        let name = midwatch_core::input::shown(name);
        Problem::cannot(
            format!("the agent {} is not here: no program '{name}'", chosen.name),
            install,
        )
    })?;
    if !is_executable(&found) {
        let shown = found.display();
        return Err(Problem::cannot(
            format!("{shown} is no program that can be executed"),
            install,
        ));
    }
    let real = found.canonicalize().map_err(|error| {
        Problem::cannot(format!("{} cannot be resolved: {error}", found.display()), install)
    })?;
    let folder = folder_of(environment, &real)?;
    Ok(Program { found, real, folder })
}

/// The program's own name, and how it is installed.
const fn usual(kind: AgentKind) -> (&'static str, &'static str) {
    match kind {
        AgentKind::ClaudeCode => ("claude", "install it: npm install -g @anthropic-ai/claude-code"),
        AgentKind::Codex => ("codex", "install it: npm install -g @openai/codex"),
        AgentKind::OpenCode => ("opencode", "install it: npm install -g opencode-ai"),
        AgentKind::GeminiCli => ("gemini", "install it: npm install -g @google/gemini-cli"),
        AgentKind::Aider => ("aider", "install it: pipx install aider-chat"),
        AgentKind::QwenCode => ("qwen", "install it: npm install -g @qwen-code/qwen-code"),
        AgentKind::Custom => ("", "correct custom.argv or program in the profile"),
    }
}

fn locate(environment: &Environment, name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        let path = environment.folder().join(name);
        return path.exists().then_some(path);
    }
    let home = environment.home();
    let cache = environment.path("MIDWATCH_CACHE").unwrap_or_else(|| home.join(".cache/midwatch"));
    let prefix =
        environment.path("npm_config_prefix").or_else(|| environment.path("NPM_CONFIG_PREFIX"));
    let usual = [
        prefix.map(|prefix| prefix.join("bin")),
        Some(home.join(".npm-global/bin")),
        Some(home.join(".local/bin")),
        // Claude Code's own installer of earlier versions.
        Some(home.join(".claude/local")),
        // opencode's own installer.
        Some(home.join(".opencode/bin")),
        // What `make demo` and the tests install.
        Some(cache.join("agents/node_modules/.bin")),
        Some(cache.join("agents/aider/bin")),
    ];
    environment.find(name).or_else(|| {
        usual.into_iter().flatten().map(|folder| folder.join(name)).find(|path| is_executable(path))
    })
}

/// The outermost `node_modules` of a package, else the program's own folder.
fn folder_of(environment: &Environment, real: &Path) -> Result<Option<PathBuf>, Problem> {
    if SYSTEM.iter().any(|system| real.starts_with(system)) {
        return Ok(None);
    }
    let modules = real.ancestors().filter(|folder| folder.ends_with("node_modules")).last();
    // A virtual environment is one, whichever of its programs is meant.
    let environment_of = real.ancestors().find(|folder| folder.join("pyvenv.cfg").is_file());
    let folder = modules.or(environment_of).or(real.parent()).unwrap_or(Path::new("/"));
    if folder == Path::new("/") || environment.home().starts_with(folder) {
        return Err(Problem::cannot(
            format!(
                "{} lies in {}, all of which the agent would see",
                real.display(),
                folder.display()
            ),
            "move it into a folder of its own",
        ));
    }
    Ok(Some(folder.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use midwatch_api::profile::ProfileSpec;

    use super::*;
    use crate::environment::tests::environment;

    fn program(path: &Path) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn a_package_is_seen_whole_and_a_home_never() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        let bin = home.join("n/bin");
        let real = home.join("n/lib/node_modules/@anthropic-ai/claude-code/cli.js");
        program(&real);
        std::fs::create_dir_all(&bin).unwrap();
        std::os::unix::fs::symlink(&real, bin.join("claude")).unwrap();
        let environment = environment(&home, &[("PATH", bin.to_str().unwrap())]);
        let chosen = |program: Option<&str>| Chosen {
            name: "claude-code".into(),
            spec: ProfileSpec { program: program.map(Into::into), ..ProfileSpec::default() },
        };
        let found = find(&environment, &chosen(None)).unwrap();
        assert_eq!((found.real, found.folder), (real, Some(home.join("n/lib/node_modules"))));
        program(&home.join("claude"));
        let problem = find(&environment, &chosen(Some("./claude"))).unwrap_err();
        assert!(problem.exit == 6 && problem.message.contains("would see"), "{problem:?}");
        std::fs::write(home.join("text"), "").unwrap();
        for (name, word) in [("./text", "executed"), ("nothing", "not here"), ("./no", "not here")]
        {
            let problem = find(&environment, &chosen(Some(name))).unwrap_err();
            assert!(problem.exit == 6 && problem.message.contains(word), "{problem:?}");
        }
    }
}
