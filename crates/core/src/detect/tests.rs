//! Small repositories and what is found in them.

use super::*;

/// Paths and texts.
type Files<'a> = &'a [(&'static str, &'static str)];

/// A tree of them.
struct Repository {
    files: BTreeSet<String>,
    texts: Vec<(&'static str, &'static str)>,
}

fn repository(texts: Files<'_>) -> Repository {
    Repository {
        files: texts.iter().map(|(path, _)| (*path).to_owned()).collect(),
        texts: texts.to_vec(),
    }
}

impl Repository {
    fn with<T>(&self, look: impl Fn(&Tree<'_>) -> T) -> T {
        let read = |path: &str| {
            let found = self.texts.iter().find(|(name, _)| *name == path);
            found.map(|(_, text)| (*text).to_owned())
        };
        look(&Tree { files: &self.files, read: &read })
    }

    fn checks(&self) -> Vec<String> {
        self.with(checks).into_iter().map(|found| found.command).collect()
    }

    fn setups(&self) -> Vec<String> {
        self.with(setups).into_iter().map(|found| found.command).collect()
    }
}

const VENV: &str = "python3 -m venv .venv && .venv/bin/pip install --disable-pip-version-check";

#[test]
fn nothing_is_found_in_nothing() {
    let empty = repository(&[("README.md", "make test"), ("sub/Cargo.toml", ""), ("a/go.mod", "")]);
    assert!(empty.checks().is_empty() && empty.setups().is_empty());
    assert_eq!(joined(&[]), None);
}

#[test]
fn cargo_tests_the_whole_workspace() {
    let single = repository(&[("Cargo.toml", "[package]\nname = \"a\"\n"), ("Cargo.lock", "")]);
    assert_eq!(single.checks(), ["cargo test --no-fail-fast"]);
    assert_eq!(single.setups(), ["cargo fetch --locked"]);
    let found = single.with(setups);
    assert_eq!(found[0].keep_home, [".cargo/registry", ".cargo/git"]);
    assert_eq!(found[0].offline_env, [("CARGO_NET_OFFLINE".into(), "true".into())]);
    let both = repository(&[("Cargo.toml", "[package]\nname = \"a\"\n[workspace]\n")]);
    assert_eq!(both.checks(), ["cargo test --workspace --no-fail-fast"]);
    assert_eq!(both.setups(), ["cargo fetch"]);
    let chosen =
        repository(&[("Cargo.toml", "[package]\n[workspace]\ndefault-members = [\".\"]\n")]);
    assert_eq!(chosen.checks(), ["cargo test --no-fail-fast"]);
}

#[test]
fn go_is_tested_with_counts() {
    let module = repository(&[("go.mod", "module m\n")]);
    assert_eq!(module.checks(), ["go test -v ./..."]);
    assert_eq!(
        module.setups(),
        ["go mod download && { go list -export -deps -test ./... >/dev/null 2>&1 || true; }"]
    );
    let vendored = repository(&[("go.mod", ""), ("vendor/modules.txt", "")]);
    assert!(vendored.setups().is_empty());
    let work = repository(&[(
        "go.work",
        "go 1.22\nuse (\n\t./a // first\n\t./b/c/\n\t./x;rm\n)\nuse ./d\nreplace x => ./y\n",
    )]);
    assert_eq!(work.checks(), ["go test -v ./a/... ./b/c/... ./d/..."]);
}

#[test]
fn node_takes_a_real_test_script_and_the_right_manager() {
    let stub = r#"{"scripts":{"test":"echo \"Error: no test specified\" && exit 1"}}"#;
    assert!(repository(&[("package.json", stub)]).checks().is_empty());
    for broken in ["", "[]", "{\"scripts\":1}", "{\"scripts\":{\"test\":\" \"}}", "{"] {
        assert!(repository(&[("package.json", broken)]).checks().is_empty());
    }
    let real = r#"{"scripts":{"test":"vitest"},"devDependencies":{"vitest":"1"}}"#;
    let table: [(Files<'_>, &str, &str); 7] = [
        (&[], "npm test", "npm install --no-audit --no-fund --no-package-lock"),
        (&[("package-lock.json", "")], "npm test", "npm ci --no-audit --no-fund"),
        (&[("npm-shrinkwrap.json", "")], "npm test", "npm ci --no-audit --no-fund"),
        (&[("pnpm-lock.yaml", "")], "pnpm test", "pnpm install --frozen-lockfile"),
        (&[("yarn.lock", "# yarn lockfile v1\n")], "yarn test", "yarn install --frozen-lockfile"),
        (&[("yarn.lock", "__metadata:\n  version: 8\n")], "yarn test", "yarn install --immutable"),
        (&[("bun.lock", "")], "bun run test", "bun install --frozen-lockfile"),
    ];
    for (locks, check, setup) in table {
        let mut files = vec![("package.json", real)];
        files.extend_from_slice(locks);
        let found = repository(&files);
        assert_eq!(found.checks(), [check]);
        assert_eq!(found.setups(), [setup]);
        assert_eq!(found.with(checks)[0].env, [("CI".to_owned(), "true".to_owned())]);
    }
    let declared = repository(&[
        ("package.json", r#"{"packageManager":"pnpm@9.1.0","scripts":{"test":"x"}}"#),
        ("package-lock.json", ""),
        ("pnpm-lock.yaml", ""),
    ]);
    assert_eq!(declared.setups(), ["pnpm install --frozen-lockfile"]);
    // Nothing to install.
    let bare = repository(&[("package.json", r#"{"scripts":{"test":"node --test"}}"#)]);
    assert_eq!(bare.checks(), ["npm test"]);
    assert!(bare.setups().is_empty());
}

#[test]
fn python_is_pytest_where_anything_says_so() {
    let table: [Files<'_>; 7] = [
        &[("pytest.ini", ""), ("test_a.py", "")],
        &[("pyproject.toml", "[tool.pytest.ini_options]\n"), ("tests/test_a.py", "")],
        &[("setup.cfg", "[tool:pytest]\n"), ("tests/test_a.py", "")],
        &[("tests/conftest.py", ""), ("tests/test_a.py", "import unittest")],
        &[("tests/test_a.py", "import os\nimport pytest\n")],
        &[("requirements.txt", "pytest==8\n"), ("pkg/test_a.py", "import unittest\n")],
        &[("test_a.py", "def test_x(): pass\n")],
    ];
    for files in table {
        assert_eq!(repository(files).checks(), ["python3 -m pytest"], "{files:?}");
    }
    // Configured, but there are no tests.
    assert!(repository(&[("pytest.ini", ""), ("a.py", "")]).checks().is_empty());
    // A script, not a test.
    assert!(repository(&[("test_a.py", "print(1)")]).checks().is_empty());
    // A Rust project that checks itself with a script.
    let rust = [("Cargo.toml", ""), ("tests/test_a.py", "import pytest")];
    assert_eq!(repository(&rust).checks(), ["cargo test --no-fail-fast"]);
    // Another language's fixtures.
    assert!(repository(&[("go.txt", ""), ("x/y/test_a.py", "import pytest")]).checks().is_empty());
}

#[test]
fn python_is_unittest_where_only_unittest_is_used() {
    let source = "from unittest import TestCase\n";
    let root = repository(&[("test_a.py", source)]);
    assert_eq!(root.checks(), ["python3 -m unittest discover"]);
    assert!(root.setups().is_empty());
    let package = repository(&[("tests/__init__.py", ""), ("tests/test_a.py", source)]);
    assert_eq!(package.checks(), ["python3 -m unittest discover"]);
    let folder = repository(&[("tests/test_a.py", source)]);
    assert_eq!(folder.checks(), ["python3 -m unittest discover -s tests"]);
    let django = repository(&[("manage.py", ""), ("shop/tests.py", "from django.test import X")]);
    assert_eq!(django.checks(), ["python3 manage.py test"]);
}

#[test]
fn python_setups_put_the_environment_first() {
    let pip = repository(&[
        ("requirements.txt", "flask\n"),
        ("requirements-dev.txt", "pytest\n"),
        ("tests/test_a.py", "import pytest"),
    ]);
    assert_eq!(pip.setups(), [format!("{VENV} -r requirements.txt -r requirements-dev.txt")]);
    assert_eq!(pip.with(setups)[0].path, [".venv/bin"]);
    assert_eq!(pip.with(setups)[0].offline_env, [("PIP_NO_INDEX".into(), "1".into())]);
    let unnamed = repository(&[("requirements.txt", "flask\n"), ("test_a.py", "import pytest")]);
    assert_eq!(unnamed.setups(), [format!("{VENV} -r requirements.txt pytest")]);
    let project = repository(&[(
        "pyproject.toml",
        "[project]\nname = \"a\"\ndependencies = [\n \"flask\",\n]\n[project.optional-dependencies]\ntest = [\"pytest\"]\ndocs = []\n",
    )]);
    assert_eq!(project.setups(), [format!("{VENV} -e '.[test]'")]);
    let bare = repository(&[("pyproject.toml", "[project]\nname = \"a\"\ndependencies = []\n")]);
    assert!(bare.setups().is_empty());
    let src = repository(&[
        ("pyproject.toml", "[project]\nname = \"a\"\n"),
        ("src/a/__init__.py", ""),
        ("tests/test_a.py", "import unittest"),
    ]);
    assert_eq!(src.setups(), [format!("{VENV} -e .")]);
    let locks = [
        ("uv.lock", "uv sync --frozen"),
        ("poetry.lock", "poetry install --no-interaction"),
        ("Pipfile.lock", "pipenv sync --dev"),
    ];
    for (lock, command) in locks {
        assert_eq!(repository(&[(lock, ""), ("pyproject.toml", "")]).setups(), [command]);
    }
}

#[test]
fn make_is_taken_where_nothing_else_is_found() {
    let makefile = ".PHONY: test\nall: build\ntest check: all\n\tcargo test\n";
    assert_eq!(repository(&[("Makefile", makefile)]).checks(), ["make test"]);
    assert_eq!(repository(&[("GNUmakefile", "check::\n")]).checks(), ["make check"]);
    for none in
        ["tests: x\n", "\ttest: x\n", "test := 1\n", "#test:\n", ".PHONY: test\n", "a: test\n", ""]
    {
        assert!(repository(&[("Makefile", none)]).checks().is_empty(), "{none}");
    }
    let rust = repository(&[("Makefile", makefile), ("Cargo.toml", "[package]\n")]);
    assert_eq!(rust.checks(), ["cargo test --no-fail-fast"]);
}

#[test]
fn the_jvm_uses_its_wrappers() {
    let maven = repository(&[("pom.xml", ""), ("mvnw", "")]);
    assert_eq!(maven.checks(), ["./mvnw -B -fae test"]);
    assert_eq!(maven.with(checks)[0].offline_command.as_deref(), Some("./mvnw -B -o -fae test"));
    assert_eq!(maven.with(setups)[0].keep_home, [".m2/repository", ".m2/wrapper"]);
    let gradle = repository(&[("build.gradle.kts", ""), ("gradlew", "")]);
    assert_eq!(gradle.checks(), ["./gradlew --no-daemon --continue --rerun-tasks test"]);
    assert!(gradle.setups()[0].starts_with("{ ./gradlew "));
}

#[test]
fn several_ecosystems_are_joined() {
    let both = repository(&[
        ("Cargo.toml", "[package]\n"),
        ("Cargo.lock", ""),
        ("package.json", r#"{"scripts":{"test":"jest"}}"#),
        ("package-lock.json", ""),
        ("pom.xml", ""),
    ]);
    assert_eq!(both.checks().len(), 3);
    let setup = joined(&both.with(setups)).unwrap();
    assert!(
        setup.command.starts_with("cargo fetch --locked && npm ci --no-audit --no-fund && mvn ")
    );
    assert_eq!(setup.why, "Cargo.lock, package-lock.json, pom.xml");
    assert_eq!(setup.keep_home.len(), 4);
    assert_eq!(setup.offline_command, None);
    let check = joined(&both.with(checks)).unwrap();
    assert!(check.offline_command.unwrap().ends_with("npm test && mvn -B -o -fae test"));
}

#[test]
fn lock_files_count_anywhere() {
    for path in [
        "Cargo.lock",
        "crates/a/Cargo.toml",
        ".cargo/config.toml",
        "web/package.json",
        "requirements.txt",
        "requirements-dev.txt",
        "requirements/prod.txt",
        "x/dev-requirements.in",
        "gradle/libs.versions.toml",
        "a/b/go.sum",
    ] {
        assert!(is_lock_file(path), "{path}");
    }
    for path in [
        "",
        "a.lock.md",
        "src/main.rs",
        "web/node_modules/x/package.json",
        "requirements/a.md",
        "config.toml",
    ] {
        assert!(!is_lock_file(path), "{path}");
    }
    let tree = repository(&[("a/Cargo.toml", ""), ("b.txt", ""), ("Cargo.lock", "")]);
    assert_eq!(
        tree.with(lock_files).into_iter().collect::<Vec<_>>(),
        ["Cargo.lock", "a/Cargo.toml"]
    );
}
