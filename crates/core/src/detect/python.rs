//! Python: pytest or unittest, pip, uv, poetry, pipenv.

use super::{Detected, Tree};

/// Requirement files in the root or in `requirements/`, in the order in which they are given
/// to pip.
const REQUIREMENTS: [&str; 12] = [
    "requirements.txt",
    "requirements-dev.txt",
    "requirements_dev.txt",
    "dev-requirements.txt",
    "requirements-test.txt",
    "requirements-tests.txt",
    "requirements_test.txt",
    "test-requirements.txt",
    "requirements/base.txt",
    "requirements/dev.txt",
    "requirements/test.txt",
    "requirements/tests.txt",
];

/// What else makes the root a Python project.
const MARKERS: [&str; 8] = [
    "pyproject.toml",
    "setup.py",
    "setup.cfg",
    "tox.ini",
    "pytest.ini",
    ".pytest.ini",
    "Pipfile",
    "manage.py",
];

/// What makes it a project of another language.
const FOREIGN: [&str; 7] = [
    "Cargo.toml",
    "go.mod",
    "package.json",
    "pom.xml",
    "build.gradle",
    "build.gradle.kts",
    "CMakeLists.txt",
];

/// Test files that are opened to see what they import.
const OPENED: usize = 20;

/// Names of optional dependencies that hold what tests need.
const TEST_EXTRAS: [&str; 5] = ["test", "tests", "testing", "dev", "develop"];

/// `-m`, because it also puts the root on the module path.
const PYTEST: &str = "python3 -m pytest";

pub(super) fn check(tree: &Tree<'_>) -> Option<Detected> {
    let (runner, why) = runner(tree)?;
    let command = match runner {
        Runner::Pytest => PYTEST,
        Runner::Django => "python3 manage.py test",
        Runner::Unittest => "python3 -m unittest discover",
        Runner::UnittestIn(folder) => {
            return Some(Detected::new(&format!("python3 -m unittest discover -s {folder}"), why));
        }
    };
    Some(Detected::new(command, why))
}

pub(super) fn setup(tree: &Tree<'_>) -> Option<Detected> {
    let pyproject = tree.text("pyproject.toml").unwrap_or_default();
    let extras = extras(&pyproject);
    let found = if tree.has("uv.lock") {
        let mut command = String::from("uv sync --frozen");
        for extra in &extras {
            command.push_str(" --extra ");
            command.push_str(extra);
        }
        // The interpreter may be one that uv fetched.
        Detected::new(&command, "uv.lock")
            .keeping(&[".local/share/uv/python"])
            .with_offline_env("UV_OFFLINE", "1")
    } else if tree.has("poetry.lock") {
        Detected::new("poetry install --no-interaction", "poetry.lock")
            .with_env("POETRY_VIRTUALENVS_IN_PROJECT", "true")
    } else if tree.has("Pipfile.lock") {
        Detected::new("pipenv sync --dev", "Pipfile.lock").with_env("PIPENV_VENV_IN_PROJECT", "1")
    } else {
        pip(tree, &pyproject, &extras)?
    };
    Some(found.with_path(".venv/bin").with_offline_env("PIP_NO_INDEX", "1"))
}

/// A virtual environment: what the requirement files name, the project itself where its
/// dependencies or its `src` folder ask for that, and pytest where tests need it and nothing
/// names it.
fn pip(tree: &Tree<'_>, pyproject: &str, extras: &[&str]) -> Option<Detected> {
    let requirements: Vec<&str> = REQUIREMENTS.into_iter().filter(|file| tree.has(file)).collect();
    let mut arguments: Vec<String> = requirements.iter().map(|file| format!("-r {file}")).collect();
    let mut why: Vec<&str> = requirements.clone();
    let installable = has_header(pyproject, "[project]")
        || has_header(pyproject, "[build-system]")
        || tree.has("setup.py");
    let src = tree
        .files
        .range("src/".to_owned()..)
        .take_while(|file| file.starts_with("src/"))
        .any(|file| file.rsplit_once('.').is_some_and(|(_, kind)| kind == "py"));
    if installable && (src || (requirements.is_empty() && depends(tree, pyproject, extras))) {
        arguments.push(match extras {
            [] => "-e .".to_owned(),
            some => format!("-e '.[{}]'", some.join(",")),
        });
        why.push(if pyproject.is_empty() { "setup.py" } else { "pyproject.toml" });
    }
    if matches!(runner(tree), Some((Runner::Pytest, _))) && !names_pytest(tree, &requirements) {
        arguments.push("pytest".to_owned());
        why.push("tests for pytest");
    }
    if arguments.is_empty() {
        return None;
    }
    let command = format!(
        "python3 -m venv .venv && .venv/bin/pip install --disable-pip-version-check {}",
        arguments.join(" ")
    );
    Some(Detected::new(&command, why.join(", ")))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Runner {
    Pytest,
    Django,
    Unittest,
    /// Tests in a folder that is no package, so that the root does not lead there.
    UnittestIn(&'static str),
}

fn runner(tree: &Tree<'_>) -> Option<(Runner, String)> {
    let configured = [
        ("pytest.ini", ""),
        (".pytest.ini", ""),
        ("pyproject.toml", "[tool.pytest"),
        ("setup.cfg", "[tool:pytest]"),
        ("tox.ini", "[pytest]"),
    ];
    let tests = test_files(tree);
    let first = tests.first()?;
    for (file, section) in configured {
        if tree.has(file) && tree.text(file).unwrap_or_default().contains(section) {
            return Some((Runner::Pytest, format!("{file} configures pytest")));
        }
    }
    if let Some(file) = tree.first(&["conftest.py", "tests/conftest.py", "test/conftest.py"]) {
        return Some((Runner::Pytest, file.to_owned()));
    }
    let sources: Vec<String> =
        tests.iter().take(OPENED).filter_map(|file| tree.text(file)).collect();
    let imports = |module: &str| {
        sources.iter().flat_map(|source| source.lines()).any(|line| {
            let mut words = line.split([' ', '.', ',']).filter(|word| !word.is_empty());
            matches!(words.next(), Some("import" | "from")) && words.next() == Some(module)
        })
    };
    if imports("pytest") {
        return Some((Runner::Pytest, "tests import pytest".to_owned()));
    }
    if tree.has("manage.py") {
        return Some((Runner::Django, "manage.py".to_owned()));
    }
    let requirements: Vec<&str> = REQUIREMENTS.into_iter().filter(|file| tree.has(file)).collect();
    if names_pytest(tree, &requirements) {
        return Some((Runner::Pytest, "pytest is among the dependencies".to_owned()));
    }
    if !imports("unittest") {
        // Functions alone are pytest's style; without any this is a script of another kind.
        let functions = sources.iter().any(|source| source.contains("def test_"));
        return functions.then(|| (Runner::Pytest, format!("{first} without unittest")));
    }
    // unittest looks for `test*.py` below packages only.
    let runner = match ["tests", "test"].into_iter().find(|folder| {
        first.starts_with(&format!("{folder}/")) && !tree.has(&format!("{folder}/__init__.py"))
    }) {
        Some(folder) => Runner::UnittestIn(folder),
        None => Runner::Unittest,
    };
    Some((runner, "tests import unittest".to_owned()))
}

/// Test files: anywhere where the root is a Python project; in the root, `test` and `tests`
/// where it is no project at all. In one of another language they are scripts of its tests.
/// Those outside of the two folders come first, then by name.
fn test_files<'a>(tree: &Tree<'a>) -> Vec<&'a str> {
    let project = tree.first(&MARKERS).or_else(|| tree.first(&REQUIREMENTS)).is_some();
    let foreign = tree.first(&FOREIGN).is_some();
    let mut found: Vec<&str> = tree
        .files
        .iter()
        .map(String::as_str)
        .filter(|path| {
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
            let Some(stem) = name.strip_suffix(".py") else {
                return false;
            };
            let near = !foreign
                && (["", "test", "tests"].contains(&folder) || folder.starts_with("tests/"));
            (stem.starts_with("test_") || stem.ends_with("_test") || stem == "tests" && project)
                && (near || project)
                && !folder.split('/').any(|part| part == "node_modules" || part == "testdata")
        })
        .collect();
    found.sort_by_key(|path| path.starts_with("test/") || path.starts_with("tests/"));
    found
}

/// pytest, or a plugin of it, is named where dependencies are declared.
fn names_pytest(tree: &Tree<'_>, requirements: &[&str]) -> bool {
    let declared = ["pyproject.toml", "setup.cfg", "setup.py", "Pipfile"];
    requirements.iter().copied().chain(declared).any(|file| {
        let text = tree.text(file).unwrap_or_default();
        text.lines().map(str::trim_start).filter(|line| !line.starts_with(['#', '['])).any(|line| {
            line.split(|c: char| !(c.is_ascii_alphanumeric() || "-_".contains(c)))
                .any(|word| word == "pytest" || word.starts_with("pytest-"))
        })
    })
}

/// Whether installing the project itself brings anything.
fn depends(tree: &Tree<'_>, pyproject: &str, extras: &[&str]) -> bool {
    let listed = pyproject.lines().map(str::trim).any(|line| {
        line.strip_prefix("dependencies").is_some_and(|rest| {
            let rest = rest.trim_start();
            rest.starts_with('=') && rest.trim_start_matches('=').trim() != "[]"
        })
    });
    let old = ["setup.py", "setup.cfg"]
        .into_iter()
        .any(|file| tree.text(file).unwrap_or_default().contains("install_requires"));
    let dynamic = pyproject
        .lines()
        .any(|line| line.trim_start().starts_with("dynamic") && line.contains("\"dependencies\""));
    listed
        || old
        || dynamic
        || !extras.is_empty()
        || has_header(pyproject, "[tool.poetry.dependencies]")
}

/// Optional dependencies that tests need, of `[project.optional-dependencies]`.
fn extras(pyproject: &str) -> Vec<&'static str> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in pyproject.lines().map(str::trim) {
        if line.starts_with('[') && !line.starts_with("[[") && line.ends_with(']') {
            inside = line == "[project.optional-dependencies]";
        } else if inside && let Some((key, _)) = line.split_once('=') {
            let key = key.trim().trim_matches('"');
            if let Some(extra) = TEST_EXTRAS.iter().find(|extra| **extra == key) {
                found.push(*extra);
            }
        }
    }
    found
}

fn has_header(toml: &str, header: &str) -> bool {
    toml.lines().any(|line| line.trim() == header)
}
