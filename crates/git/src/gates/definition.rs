//! Whether a change touches what defines a check: the scripts and the settings of test runners,
//! not the code that is tested. A file that cannot be read counts as changed.

/// How a file defines checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Any change of it counts.
    Whole,
    /// `package.json`: scripts and the runners' own sections.
    PackageJson,
    /// `pyproject.toml`: sections of test tools.
    PyProject,
    /// `Cargo.toml`: test targets and what is a member.
    CargoToml,
    /// `setup.cfg`: sections of test tools.
    SetupCfg,
    /// `pom.xml` without its dependencies.
    Pom,
    /// A gradle script without its dependencies.
    Gradle,
}

const WHOLE: [&str; 57] = [
    "makefile",
    "gnumakefile",
    "justfile",
    ".justfile",
    "taskfile.yml",
    "taskfile.yaml",
    "pytest.ini",
    ".pytest.ini",
    "tox.ini",
    "noxfile.py",
    ".coveragerc",
    "midwatch.yaml",
    "midwatch.yml",
    "nextest.toml",
    "go.work",
    "gradle.properties",
    "maven.config",
    "jvm.config",
    "phpunit.xml",
    ".rspec",
    "rakefile",
    "lerna.json",
    "nx.json",
    "turbo.json",
    "bunfig.toml",
    "deno.json",
    "deno.jsonc",
    "jasmine.json",
    ".taprc",
    ".nycrc",
    ".bazelrc",
    ".babelrc",
    ".swcrc",
    // Code of pytest's own making: every hook of a run may stand in it.
    "conftest.py",
    // Python takes these before all else, or before what it is told to run.
    "sitecustomize.py",
    "usercustomize.py",
    // Which tool runs; rustup takes a folder of the repository for a toolchain.
    "rust-toolchain",
    "rust-toolchain.toml",
    ".tool-versions",
    "mise.toml",
    ".mise.toml",
    ".python-version",
    ".ruby-version",
    ".node-version",
    ".nvmrc",
    ".java-version",
    ".sdkmanrc",
    "gradlew",
    "gradlew.bat",
    "mvnw",
    "mvnw.cmd",
    "gradle-wrapper.jar",
    "gradle-wrapper.properties",
    "maven-wrapper.properties",
    "ctestcustom.cmake",
    "package.json5",
    "package.yaml",
];

/// Folders, at any depth, of installed tools and of what tools keep of earlier builds: whoever
/// commits there answers for the tool, unseen by those who read sources.
const FOLDERS: [&str; 13] = [
    "node_modules",
    ".venv",
    "venv",
    "site-packages",
    "__pycache__",
    ".tox",
    ".nox",
    ".eggs",
    ".mvn",
    ".gradle",
    "buildsrc",
    // Of cargo's target folder, wherever that is.
    ".fingerprint",
    ".yarn",
];

/// Kinds of files that stand for sources which nobody compiled again.
const BUILT: [&str; 5] = ["pyc", "pyo", "pyd", "pth", "class"];

/// Modules that a file or folder of the same name in the root puts itself before.
const MODULES: [&str; 9] =
    ["unittest", "pytest", "_pytest", "pluggy", "nose", "nose2", "doctest", "coverage", "runpy"];

/// Beginnings of names such as `jest.config.ts`.
const CONFIGS: [&str; 14] = [
    "jest.config.",
    "vitest.config.",
    "vitest.workspace.",
    "vite.config.",
    "karma.conf.",
    "playwright.config.",
    "cypress.config.",
    ".mocharc",
    "ava.config.",
    "wdio.conf.",
    "babel.config.",
    "jest.setup.",
    "vitest.setup.",
    "setuptests.",
];

pub(super) fn kind(path: &[u8]) -> Option<Kind> {
    let path = String::from_utf8_lossy(path).to_lowercase();
    let name = path.rsplit('/').next().unwrap_or_default();
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    let mut folders = path.split('/').rev().skip(1);
    let first = path.split(['/', '.']).next().unwrap_or_default();
    // What a vendored dependency is, only the root can say: elsewhere it is a word like others.
    let judges = folders.any(|folder| FOLDERS.contains(&folder))
        || BUILT.contains(&extension)
        || MODULES.contains(&first)
        || path.starts_with("vendor/");
    if judges {
        return Some(Kind::Whole);
    }
    match name {
        "package.json" => Some(Kind::PackageJson),
        "pyproject.toml" => Some(Kind::PyProject),
        "cargo.toml" => Some(Kind::CargoToml),
        "setup.cfg" => Some(Kind::SetupCfg),
        "pom.xml" => Some(Kind::Pom),
        "build.gradle" | "build.gradle.kts" | "settings.gradle" | "settings.gradle.kts" => {
            Some(Kind::Gradle)
        }
        _ if extension == "gradle" || name.ends_with(".gradle.kts") => Some(Kind::Gradle),
        _ if extension == "mk"
            || WHOLE.contains(&name)
            || CONFIGS.iter().any(|c| name.starts_with(c)) =>
        {
            Some(Kind::Whole)
        }
        _ => None,
    }
}

/// Whether what defines checks differs between two contents; `None` is a file that is not there.
pub(super) fn changed(kind: Kind, old: Option<&[u8]>, new: Option<&[u8]>) -> bool {
    let text = |bytes: Option<&[u8]>| bytes.map(|b| String::from_utf8_lossy(b).into_owned());
    let (old, new) = (text(old), text(new));
    let differs = |part: fn(&str) -> Option<String>| {
        // A missing file defines nothing, like an empty one.
        let of = |text: &Option<String>| match text {
            None => Some(part("").unwrap_or_default()),
            Some(text) => part(text),
        };
        match (of(&old), of(&new)) {
            (Some(old), Some(new)) => old != new,
            (None, _) | (_, None) => true,
        }
    };
    match kind {
        Kind::Whole => old != new,
        Kind::PackageJson => differs(package_json),
        Kind::PyProject => differs(pyproject),
        Kind::CargoToml => differs(cargo_toml),
        Kind::SetupCfg => differs(|text| Some(setup_cfg(text))),
        Kind::Pom => differs(pom),
        Kind::Gradle => differs(gradle),
    }
}

fn package_json(text: &str) -> Option<String> {
    if text.trim().is_empty() {
        return Some(String::new());
    }
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    let sections = [
        "scripts",
        "jest",
        "vitest",
        "mocha",
        "ava",
        "nyc",
        "c8",
        "tap",
        "workspaces",
        "type",
        "babel",
        "wireit",
        "nx",
        "packageManager",
        "config",
    ];
    let parts: Vec<String> = sections
        .iter()
        .filter_map(|section| Some(format!("{section}={}", value.get(section)?)))
        .collect();
    Some(parts.join("\n"))
}

fn pyproject(text: &str) -> Option<String> {
    let value: toml::Table = text.parse().ok()?;
    let tools = ["pytest", "tox", "nox", "coverage", "poe", "pdm", "hatch", "taskipy", "unittest"];
    let tool = value.get("tool").and_then(toml::Value::as_table);
    let parts: Vec<String> =
        tools.into_iter().filter_map(|name| Some(format!("{name}={}", tool?.get(name)?))).collect();
    Some(parts.join("\n"))
}

fn cargo_toml(text: &str) -> Option<String> {
    let value: toml::Table = text.parse().ok()?;
    let at = |path: &[&str]| -> Option<&toml::Value> {
        let (first, rest) = path.split_first()?;
        rest.iter().try_fold(value.get(*first)?, |value, key| value.get(key))
    };
    let paths: [&[&str]; 13] = [
        &["test"],
        &["bin"],
        &["bench"],
        &["example"],
        &["lib", "path"],
        &["lib", "test"],
        &["lib", "harness"],
        &["lib", "doctest"],
        &["package", "autotests"],
        &["workspace", "members"],
        &["workspace", "exclude"],
        &["workspace", "default-members"],
        &["profile", "test"],
    ];
    let parts: Vec<String> =
        paths.iter().filter_map(|path| Some(format!("{path:?}={}", at(path)?))).collect();
    Some(parts.join("\n"))
}

fn setup_cfg(text: &str) -> String {
    let mut inside = false;
    let mut parts = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with('[') {
            let section = line.trim().trim_matches(['[', ']']).to_lowercase();
            inside = ["pytest", "tox", "coverage", "unittest", "aliases", "nose", "test"]
                .iter()
                .any(|tool| section.contains(tool));
        }
        if inside {
            parts.push_str(line);
            parts.push('\n');
        }
    }
    parts
}

fn pom(text: &str) -> Option<String> {
    without_blocks(text, "<dependencies>", "</dependencies>")
}

fn gradle(text: &str) -> Option<String> {
    let mut kept = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("dependencies") {
        let after = rest[at + "dependencies".len()..].trim_start();
        kept.push_str(&rest[..at]);
        if !after.starts_with('{') {
            kept.push_str("dependencies");
            rest = &rest[at + "dependencies".len()..];
            continue;
        }
        let mut depth = 0_usize;
        let end = after.char_indices().find_map(|(at, c)| {
            match c {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            (depth == 0).then_some(at)
        })?;
        rest = &after[end + 1..];
    }
    kept.push_str(rest);
    Some(kept)
}

fn without_blocks(text: &str, open: &str, close: &str) -> Option<String> {
    let mut kept = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(open) {
        kept.push_str(&rest[..at]);
        let after = &rest[at..];
        rest = &after[after.find(close)? + close.len()..];
    }
    kept.push_str(rest);
    Some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touched(path: &str, old: &str, new: &str) -> bool {
        let kind = kind(path.as_bytes()).expect(path);
        changed(kind, Some(old.as_bytes()), Some(new.as_bytes()))
    }

    #[test]
    fn scripts_and_runner_settings_define_a_check_and_dependencies_do_not() {
        let package = |scripts: &str, deps: &str| {
            format!(r#"{{"name":"x","scripts":{{"test":"{scripts}"}},"dependencies":{{{deps}}}}}"#)
        };
        let before = package("jest", "");
        assert!(touched("package.json", &before, &package("true", "")));
        assert!(!touched("package.json", &before, &package("jest", r#""a":"1""#)));
        assert!(touched("web/package.json", &before, "{ broken"));

        let py = "[project]\nname='x'\n[tool.pytest.ini_options]\naddopts='-q'\n";
        assert!(touched("pyproject.toml", py, &py.replace("-q", "--co")));
        assert!(touched("pyproject.toml", "tool.pytest = {a=1}", "tool.pytest = {a=2}"));
        assert!(!touched("pyproject.toml", py, &py.replace("'x'", "'y'")));

        let cargo = "[package]\nname='x'\n[dependencies]\na='1'\n";
        assert!(!touched("Cargo.toml", cargo, &cargo.replace("'1'", "'2'")));
        assert!(touched(
            "Cargo.toml",
            cargo,
            &format!("{cargo}[[test]]\nname='t'\nharness=false\n")
        ));
        assert!(touched("Cargo.toml", cargo, &cargo.replace("name", "autotests=false\nname")));

        let cfg = "[metadata]\nname=x\n[tool:pytest]\naddopts=-q\n";
        assert!(touched("setup.cfg", cfg, &cfg.replace("-q", "--co")));
        assert!(!touched("setup.cfg", cfg, &cfg.replace("name=x", "name=y")));

        let pom = "<p><dependencies><d>1</d></dependencies><build>a</build></p>";
        assert!(!touched("pom.xml", pom, &pom.replace('1', "2")));
        assert!(touched("pom.xml", pom, &pom.replace(">a<", "><skipTests>true</skipTests><")));

        let gradle = "dependencies { a { b } }\ntest { useJUnit() }\n";
        assert!(!touched("build.gradle", gradle, &gradle.replace('b', "c")));
        assert!(touched("build.gradle", gradle, &gradle.replace("useJUnit()", "enabled = false")));

        for path in
            ["Makefile", "sub/rules.mk", "pytest.ini", "tox.ini", "jest.config.ts", "midwatch.yaml"]
        {
            assert!(touched(path, "a", "b"), "{path}");
        }
        for path in ["src/main.rs", "src/vendor/x.py", "tests/unittest/x.py", "venv.py", "a/b.js"] {
            assert_eq!(kind(path.as_bytes()), None, "{path}");
        }
    }

    #[test]
    fn tools_and_what_they_built_are_no_sources() {
        for path in [
            "node_modules/.bin/jest",
            "web/node_modules/jest/index.js",
            ".venv/bin/python",
            "__pycache__/calc.cpython-311.pyc",
            "target/debug/.fingerprint/x/lib-x",
            "target/test-classes/T.class",
            "unittest/__main__.py",
            "pytest.py",
            "sitecustomize.py",
            "tests/conftest.py",
            "rust-toolchain.toml",
            "vendor/github.com/stretchr/testify/assert/assertions.go",
            "buildSrc/src/main/java/P.java",
            "gradlew",
        ] {
            assert_eq!(kind(path.as_bytes()), Some(Kind::Whole), "{path}");
        }
    }

    #[test]
    fn adding_a_manifest_without_checks_is_no_change_of_a_check() {
        assert!(!changed(Kind::CargoToml, None, Some(b"[package]\nname='x'\n")));
        assert!(changed(Kind::PackageJson, None, Some(br#"{"scripts":{"test":"true"}}"#)));
        assert!(changed(Kind::Whole, Some(b"test:\n"), None));
    }
}
