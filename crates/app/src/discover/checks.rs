//! How a base is set up and checked: by flag, by its own `midwatch.yaml`, or detected. Read from
//! the base commit, never from the worktree, and said aloud.

use std::collections::{BTreeMap, BTreeSet};

use midwatch_api::object::MAX_FILE_BYTES;
use midwatch_api::repository::{FILE, RepositorySpec, read_file};
use midwatch_api::task::SetupRef;
use midwatch_core::detect::{self, Detected, Tree};

use super::repository::Repository;
use super::{Finding, Wanted};
use crate::problem::Problem;

/// The largest file that detection reads, in bytes.
const DETECT_MAX: u64 = 1 << 20;

/// Checks and setup of a task.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Checks {
    /// The commands that judge.
    pub(crate) commands: Vec<String>,
    /// Where they come from.
    pub(crate) from: String,
    /// How dependencies are installed.
    pub(crate) setup: Option<SetupRef>,
    /// Folders of the workspace before PATH.
    pub(crate) path: Vec<String>,
    /// Variables of everything.
    pub(crate) env: BTreeMap<String, String>,
    /// Variables of checks.
    pub(crate) check_env: BTreeMap<String, String>,
}

impl Checks {
    /// Of a pipeline that answers: nothing is changed, so there is nothing to judge or install for.
    pub(super) fn of_an_answer() -> Self {
        Self { from: "an answer changes nothing".to_owned(), ..Self::default() }
    }

    pub(super) fn findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        if let Some(setup) = &self.setup {
            findings.push(Finding::new("setup", format!("{} ({})", setup.command, setup.from)));
        }
        for command in &self.commands {
            findings.push(Finding::new("check", format!("{command} ({})", self.from)));
        }
        if self.commands.is_empty() {
            let why = match self.from.as_str() {
                "" => "none, by --no-check: the result will be unverified".to_owned(),
                why => format!("none: {why}"),
            };
            findings.push(Finding::new("check", why));
        }
        findings
    }
}

/// Finds them in a base.
pub(super) fn find(repository: &Repository, wanted: &Wanted) -> Result<Checks, Problem> {
    let names = repository.files()?;
    let written = if names.contains(FILE) {
        let text = repository.read(FILE, MAX_FILE_BYTES as u64)?;
        let text = text.ok_or_else(|| {
            Problem::usage(FILE, "", "is no text of at most 1 MiB", "mend it in the base commit")
        })?;
        read_file(&text).map_err(|error| {
            let rule = format!("cannot be used ({error})");
            Problem::usage("the base's file", FILE, &rule, "mend it, and commit")
        })?
    } else {
        RepositorySpec::default()
    };
    let read = |path: &str| repository.read(path, DETECT_MAX).ok().flatten();
    let tree = Tree { files: &names, read: &read };
    decide(&tree, written, wanted)
}

/// Those that somebody said: of a repository on a server nothing is read beforehand.
pub(super) fn said(wanted: &Wanted) -> Result<Checks, Problem> {
    if wanted.checks.is_empty() && !wanted.no_check {
        return Err(Problem::usage(
            "spec.checks",
            "",
            "are needed: a repository on a server is not read before the task is taken",
            "name the commands here, or in an AgentRepository with that url",
        ));
    }
    let none = BTreeSet::new();
    let tree = Tree { files: &none, read: &|_| None };
    decide(&tree, RepositorySpec::default(), wanted)
}

/// Puts flags, file and detection together.
fn decide(tree: &Tree<'_>, written: RepositorySpec, wanted: &Wanted) -> Result<Checks, Problem> {
    let RepositorySpec { setup, checks } = written;
    let mut found = Checks::default();
    let setups = detect::joined(&detect::setups(tree));
    if let Some(setups) = &setups {
        // What runs after a setup needs its surroundings, whoever named the command.
        found.path.clone_from(&setups.path);
        found.env.extend(setups.env.iter().cloned());
        found.check_env.extend(setups.offline_env.iter().cloned());
    }
    let named = match (&wanted.setup, setup) {
        (Some(said), _) => {
            let from = wanted.given.from.clone().unwrap_or_else(|| "--setup".to_owned());
            Some((said.clone(), from))
        }
        (None, Some(command)) => Some((command, FILE.to_owned())),
        (None, None) => setups.as_ref().map(|setups| (setups.command.clone(), setups.why.clone())),
    };
    found.setup = named.filter(|(command, _)| !command.trim().is_empty()).map(|(command, from)| {
        let keep = setups.iter().flat_map(|setups| &setups.keep_home);
        SetupRef { command, from, keep_home: keep.map(Into::into).collect() }
    });
    if wanted.no_check {
        return Ok(found);
    }
    if !wanted.checks.is_empty() {
        found.commands.clone_from(&wanted.checks);
        found.from = wanted.given.from.clone().unwrap_or_else(|| "--check".into());
    } else if !checks.is_empty() {
        found.commands = checks.into_iter().map(|check| check.run).collect();
        found.from = FILE.into();
    }
    let detected = detect::checks(tree);
    // A command of the user's own needs what the detected one would: `.venv/bin`, `CI=true`.
    for Detected { path, env, offline_env, .. } in &detected {
        found.path.extend(path.iter().cloned());
        found.check_env.extend(env.iter().cloned());
        found.check_env.extend(offline_env.iter().cloned());
    }
    found.path = unique(found.path);
    if found.commands.is_empty() {
        let reasons: Vec<&str> = detected.iter().map(|check| check.why.as_str()).collect();
        found.from = format!("detected: {}", reasons.join(", "));
        // Checks have no network.
        found.commands = detected
            .iter()
            .map(|check| check.offline_command.clone().unwrap_or_else(|| check.command.clone()))
            .collect();
    }
    if found.commands.is_empty() {
        return Err(none(tree));
    }
    Ok(found)
}

fn unique(names: Vec<String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for name in names {
        if !kept.contains(&name) {
            kept.push(name);
        }
    }
    kept
}

/// No check: what could be used.
fn none(tree: &Tree<'_>) -> Problem {
    const HINTS: [(&str, &str); 8] = [
        ("package.json", "npm run build"),
        ("Makefile", "make"),
        ("tsconfig.json", "npx tsc --noEmit"),
        ("Cargo.toml", "cargo check"),
        ("go.mod", "go build ./..."),
        ("pyproject.toml", "python3 -m pytest"),
        ("requirements.txt", "python3 -m compileall ."),
        ("Dockerfile", "a command that builds"),
    ];
    let could: Vec<&str> = HINTS
        .iter()
        .filter(|(file, _)| tree.files.contains(*file))
        .map(|(_, hint)| *hint)
        .collect();
    let example = if could.is_empty() { "sh -n script.sh".to_owned() } else { could.join(", ") };
    Problem::usage(
        "--check",
        "",
        "is needed: no check is configured or was found",
        &format!("pass --check CMD (for example: {example}), write {FILE}, or say --no-check"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discover::tests::wanted;

    fn of(files: &[(&str, &str)], written: &str, wanted: &Wanted) -> Result<Checks, Problem> {
        let names: BTreeSet<String> = files.iter().map(|(name, _)| (*name).to_owned()).collect();
        let read = |path: &str| {
            files.iter().find(|(name, _)| *name == path).map(|(_, text)| (*text).to_owned())
        };
        let tree = Tree { files: &names, read: &read };
        decide(&tree, read_file(written).unwrap(), wanted)
    }

    const PACKAGE: (&str, &str) =
        ("package.json", r#"{"scripts":{"test":"node --test"},"dependencies":{"x":"1"}}"#);

    #[test]
    fn flags_go_before_the_file_and_the_file_before_detection() {
        let written = "setup: ./setup\nchecks: [{run: ./check}]";
        let flags =
            Wanted { checks: vec!["c1".into(), "c2".into()], setup: Some("s".into()), ..wanted() };
        let found = of(&[PACKAGE], written, &flags).unwrap();
        assert_eq!((found.commands.len(), found.from.as_str()), (2, "--check"));
        assert_eq!(found.setup.unwrap().command, "s");
        let found = of(&[PACKAGE], written, &wanted()).unwrap();
        assert_eq!(
            (found.commands, found.setup.unwrap().from),
            (vec!["./check".to_owned()], FILE.to_owned())
        );
        let found = of(&[PACKAGE], "{}", &wanted()).unwrap();
        assert_eq!(found.commands, ["npm test"]);
        assert!(
            found.setup.unwrap().command.starts_with("npm install")
                && found.from.starts_with("detected")
        );
        let none = Wanted { setup: Some(String::new()), ..wanted() };
        assert_eq!(of(&[PACKAGE], "{}", &none).unwrap().setup, None);
    }

    #[test]
    fn no_check_at_all_says_what_could_be_used() {
        let problem = of(&[("Makefile", "all:\n\ttrue\n")], "{}", &wanted()).unwrap_err();
        assert!(problem.exit == 2 && problem.message.contains("make"), "{problem:?}");
        let found = of(&[], "{}", &Wanted { no_check: true, ..wanted() }).unwrap();
        assert_eq!(found.commands, [""; 0]);
    }
}
