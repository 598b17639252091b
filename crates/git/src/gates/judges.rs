//! The files that check commands run: scripts by name, what an interpreter is given, modules,
//! and what those scripts, make recipes and package scripts run in turn. Who edits one of them
//! edits the judge, whatever the file is called.
//!
//! This reads shell as a careful person skims it. A file that it overlooks counts as code under
//! test; one too many costs an approval.

use std::collections::BTreeSet;

/// How deep scripts that run scripts are followed.
const DEPTH: usize = 8;
/// The most files, targets and scripts that are looked at.
const SEEN: usize = 1000;

/// Files that say what `make` and `just` do.
const RECIPES: [&str; 5] = ["GNUmakefile", "makefile", "Makefile", "justfile", ".justfile"];

/// Something that a command runs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Runs {
    /// A file, by its path from the root.
    File(String),
    /// A target of `make` or `just`; none for the first.
    Target(Option<String>),
    /// A script of `package.json`.
    Script(String),
}

/// Paths that the commands run, were they files. `read` gives a file of the base.
pub(super) fn files<E>(
    commands: &[String],
    mut read: impl FnMut(&str) -> Result<Option<Vec<u8>>, E>,
) -> Result<BTreeSet<String>, E> {
    let mut seen = BTreeSet::new();
    let mut open: Vec<(String, usize)> = commands.iter().map(|c| (c.clone(), 0)).collect();
    while let Some((text, depth)) = open.pop() {
        for runs in run_by(&text) {
            if !seen.insert(runs.clone()) || depth >= DEPTH || seen.len() >= SEEN {
                continue;
            }
            let mut text = |path: &str| -> Result<Option<String>, E> {
                Ok(read(path)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
            };
            match runs {
                Runs::File(path) => {
                    if let Some(text) = text(&path)?.filter(|text| is_shell(&path, text)) {
                        open.push((text, depth + 1));
                    }
                }
                Runs::Target(target) => {
                    for name in RECIPES {
                        if let Some(text) = text(name)? {
                            open.push((recipes(&text, target.as_deref()), depth + 1));
                        }
                    }
                }
                Runs::Script(name) => {
                    if let Some(text) = text("package.json")? {
                        open.push((scripts(&text, &name), depth + 1));
                    }
                }
            }
        }
    }
    let file = |runs| match runs {
        Runs::File(path) => Some(path),
        Runs::Target(_) | Runs::Script(_) => None,
    };
    Ok(seen.into_iter().filter_map(file).collect())
}

/// The recipe of a target, and `make` of what it needs first.
fn recipes(text: &str, target: Option<&str>) -> String {
    let mut commands = String::new();
    let mut chosen = false;
    let mut any = false;
    for line in text.lines() {
        if line.starts_with(['\t', ' ']) {
            if chosen {
                commands.push_str(line.trim_start_matches(['\t', ' ', '@', '-', '+']));
                commands.push('\n');
            }
        } else if let Some((names, needs)) = line.split_once(':')
            && !line.starts_with(['#', '.'])
            && !needs.starts_with('=')
        {
            let mut names = names.split_whitespace();
            chosen = target.map_or(!any, |target| names.any(|name| name == target));
            any = true;
            if chosen {
                // In a line of its own each: a target is the first word after `make`.
                for need in needs.split_whitespace() {
                    commands.push_str(&["make ", need, "\n"].concat());
                }
            }
        }
    }
    commands
}

/// A script of `package.json`, with those that go before and after it.
fn scripts(text: &str, name: &str) -> String {
    let value: Option<serde_json::Value> = serde_json::from_str(text).ok();
    let all = value.as_ref().and_then(|value| value.get("scripts")?.as_object());
    let names = [format!("pre{name}"), name.to_owned(), format!("post{name}")];
    let texts = names.iter().filter_map(|name| all?.get(name)?.as_str());
    texts.collect::<Vec<_>>().join("\n")
}

/// Only these are read as shell: by their first line, or by their name.
fn is_shell(path: &str, text: &str) -> bool {
    let first = text.lines().next().unwrap_or_default();
    let by_name = std::path::Path::new(path)
        .extension()
        .is_some_and(|e| e == "sh" || e == "bash" || e == "bats");
    by_name || (first.starts_with("#!") && first.trim_end().ends_with("sh"))
}

/// Words that stand before a command.
const BEFORE: [&str; 26] = [
    "if", "then", "else", "elif", "do", "while", "until", "!", "{", "time", "exec", "env", "nice",
    "command", "xvfb-run", "npx", "uv", "poetry", "pipenv", "run", "timeout", "nohup", "stdbuf",
    "setsid", "xargs", "sudo",
];

/// Programs that run the file they are given.
const INTERPRETERS: [&str; 17] = [
    "sh", "bash", "dash", "zsh", "ksh", "python", "pypy", "node", "nodejs", "deno", "bun", "ruby",
    "perl", "php", "source", ".", "tsx",
];

/// `$(PYTHON) x` as `python x`: a variable that names a program is named after it.
fn with_variables(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("$(") {
        plain.push_str(&rest[..at]);
        let after = &rest[at + 2..];
        let length = after.bytes().take_while(|b| b.is_ascii_uppercase() || *b == b'_').count();
        if length > 0 && after[length..].starts_with(')') {
            plain.push_str(&after[..length].to_lowercase());
            rest = &after[length + 1..];
        } else {
            plain.push_str("$(");
            rest = after;
        }
    }
    plain.push_str(rest);
    plain
}

/// What the commands of a text run.
fn run_by(text: &str) -> Vec<Runs> {
    let mut found = Vec::new();
    let mut folder = String::new();
    for command in with_variables(text).split(['\n', ';', '&', '|', '(', ')', '`']) {
        let words: Vec<String> = command
            .split([' ', '\t', '\r', '"', '\'', '<', '>'])
            .map(|word| word.trim_start_matches(['$', '{']).trim_end_matches('}').to_owned())
            .filter(|word| !word.is_empty())
            .collect();
        let mut words = words.iter().map(String::as_str).skip_while(|word| {
            // With their own options and numbers: `timeout -k 5 60`.
            let aside = word.starts_with(|c: char| c == '-' || c.is_ascii_digit());
            aside || BEFORE.contains(word) || word.contains('=')
        });
        let Some(program) = words.next() else { continue };
        let rest: Vec<&str> = words.collect();
        if program == "cd" {
            folder = rest.first().map_or_else(String::new, |to| join(&folder, to));
            continue;
        }
        let file = |path: &str| Runs::File(join(&folder, path));
        if ["make", "gmake", "just"].contains(&program) {
            found.extend(rest.iter().skip_while(|word| **word != "-f").nth(1).map(|f| file(f)));
            let targets = rest.iter().filter(|word| !word.starts_with('-') && !word.contains('='));
            let before = found.len();
            found.extend(targets.map(|target| Runs::Target(Some((*target).to_owned()))));
            if found.len() == before {
                found.push(Runs::Target(None));
            }
            continue;
        }
        if ["npm", "pnpm", "yarn", "bun"].contains(&program) {
            let names = rest.iter().filter(|word| !word.starts_with('-') && **word != "run");
            found.extend(names.take(1).map(|name| match *name {
                "t" | "tst" => Runs::Script("test".to_owned()),
                name => Runs::Script(name.to_owned()),
            }));
        }
        let name = program.rsplit('/').next().unwrap_or(program).to_lowercase();
        let plain = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
        if program.contains('/') && !program.starts_with('/') {
            found.push(file(program));
        }
        if INTERPRETERS.contains(&plain) || INTERPRETERS.contains(&name.as_str()) {
            found.extend(given(&rest, &folder));
        }
    }
    found
}

/// The file that an interpreter is given, as it may be called.
fn given(words: &[&str], folder: &str) -> Vec<Runs> {
    let named = |name: &str, ends: &[&str]| -> Vec<Runs> {
        ends.iter().map(|end| Runs::File(join(folder, &[name, end].concat()))).collect()
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "-m" => {
                let module = words.next().map(|m| m.replace('.', "/")).unwrap_or_default();
                return named(&module, &[".py", "/__main__.py", "/__init__.py"]);
            }
            // The text of a program: its words are looked at as commands of their own.
            "-c" | "-e" | "-p" => return run_by(&words.copied().collect::<Vec<_>>().join(" ")),
            "run" => {}
            option if option.starts_with('-') => {}
            file => {
                return named(file, &["", ".js", ".cjs", ".mjs", "/index.js", "/__main__.py"]);
            }
        }
    }
    Vec::new()
}

/// A path from the root without `.`; what leaves the root is nobody's file.
fn join(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(command: &str, base: &[(&str, &str)]) -> Vec<String> {
        let read = |path: &str| -> Result<Option<Vec<u8>>, ()> {
            let file = base.iter().find(|(name, _)| *name == path);
            Ok(file.map(|(_, text)| text.as_bytes().to_vec()))
        };
        files(&[command.to_owned()], read).unwrap().into_iter().collect()
    }

    #[test]
    fn scripts_are_found_where_commands_name_them() {
        for (command, script) in [
            ("./check.sh", "check.sh"),
            ("sh check", "check"),
            ("bash -eu ci/check.sh --all", "ci/check.sh"),
            ("A=1 CI=true ./scripts/test", "scripts/test"),
            ("cd web && node ./run.js", "web/run.js"),
            ("node test/run", "test/run.js"),
            ("sh -c 'set -e; ./inner.sh'", "inner.sh"),
            ("if [ -x .venv/bin/python ]; then .venv/bin/python -m pytest; fi", ".venv/bin/python"),
            ("python3 -m unittest discover", "unittest.py"),
            ("python3.11 -m tools.check", "tools/check.py"),
            ("true; . ./env.sh", "env.sh"),
            ("timeout -k 5 60 ./slow.sh", "slow.sh"),
            ("env -i CI=1 sh quiet", "quiet"),
            ("make -f ci.make test", "ci.make"),
            ("./gradlew test", "gradlew"),
            ("python3 manage.py test", "manage.py"),
        ] {
            assert!(named(command, &[]).iter().any(|path| path == script), "{command}");
        }
        for command in ["make test", "cargo test", "/usr/bin/true", "gcc -o t a.c && ls src/x"] {
            assert_eq!(named(command, &[]), Vec::<String>::new(), "{command}");
        }
    }

    #[test]
    fn what_scripts_run_is_followed_and_nothing_beside_it() {
        let base = [
            (
                "Makefile",
                "X := 1\nall: t\nt: pre a.c\n\t@sh scripts/check\n\t$(PYTHON) all.py\n\tcc a.c\n\
                 pre:\n\t$(MAKE) -s deep\ndeep:\n\tnpm t\nrun:\n\tpython3 app.py\n",
            ),
            ("scripts/check", "#!/bin/sh\n./scripts/more\n"),
            ("scripts/more", "#!/usr/bin/env bash\nsh scripts/check\nperl last.pl\n"),
            (
                "package.json",
                "{\"scripts\":{\"test\":\"node spec.js\",\"start\":\"node index.js\"}}",
            ),
        ];
        for command in ["make t", "make", "make -s t X=2"] {
            let found = named(command, &base);
            for path in ["scripts/check", "scripts/more", "last.pl", "all.py", "spec.js"] {
                assert!(found.iter().any(|file| file == path), "{path}: {found:?}");
            }
            for path in ["a.c", "index.js", "app.py"] {
                assert!(!found.iter().any(|file| file == path), "{path}: {found:?}");
            }
        }
        assert_eq!(named("cargo test", &base), Vec::<String>::new());
    }
}
