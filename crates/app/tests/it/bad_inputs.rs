//! The table of bad inputs: each row is refused by its exit code and a sentence that names field,
//! value, rule and fix, on the terminal and in the result line, and leaves nothing behind.
//!
//! A row's number is the requirement's; several values of one kind share it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use serde_json::Value;

use crate::house::{House, RESULT_KEYS, misleads, wait};

mod files;
mod flags;
mod places;

/// Wrong usage or input.
const USAGE: i32 = 2;
/// This machine or repository cannot.
const CANNOT: i32 = 6;

/// One bad input.
struct Row {
    number: u8,
    /// Words after `midwatch run`.
    words: Vec<OsString>,
    /// What standard input holds.
    stdin: Vec<u8>,
    /// Variables beside the user's.
    variables: Vec<(&'static str, OsString)>,
    /// Where it is run; the repository, when not said.
    folder: Option<PathBuf>,
    code: i32,
    /// Field, value as shown, rule and fix.
    says: Vec<String>,
    /// What must not be repeated.
    hides: Option<&'static str>,
}

impl Row {
    fn new(number: u8, words: &[&str], says: &[&str]) -> Self {
        Self {
            number,
            words: words.iter().map(Into::into).collect(),
            stdin: vec![],
            variables: vec![],
            folder: None,
            code: USAGE,
            says: says.iter().map(|word| (*word).to_owned()).collect(),
            hides: None,
        }
    }

    fn cannot(mut self) -> Self {
        self.code = CANNOT;
        self
    }

    fn within(mut self, folder: PathBuf) -> Self {
        self.folder = Some(folder);
        self
    }

    fn with(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    fn reading(mut self, stdin: impl Into<Vec<u8>>) -> Self {
        self.stdin = stdin.into();
        self
    }

    fn hiding(mut self, secret: &'static str) -> Self {
        self.hides = Some(secret);
        self
    }
}

/// Whoever gives them.
struct Place {
    house: House,
    repository: PathBuf,
    /// A profile with which nothing else is missing.
    profile: String,
}

impl Place {
    fn new() -> Self {
        let house = House::new();
        let package = r#"{"scripts":{"test":"node --test"}}"#;
        let repository = house.repository("repo", &[("package.json", package)]);
        let profile = house.scripted(", egress: none").to_str().unwrap().to_owned();
        Self { house, repository, profile }
    }

    /// A row about a flag of a run that is fine otherwise.
    fn flag(&self, number: u8, words: &[&str], says: &[&str]) -> Row {
        let first = ["mend it", "--profile", &self.profile];
        Row::new(number, &[&first[..], words].concat(), says)
    }

    fn run(&self, row: &Row, json: bool) -> Output {
        let folder = row.folder.as_deref().unwrap_or(&self.repository);
        let mut command = self.house.command(env!("CARGO_BIN_EXE_midwatch"), folder);
        command.arg("run").args(&row.words);
        for (name, value) in &row.variables {
            command.env(name, value);
        }
        if json {
            command.args(["--output", "json"]);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A program that refuses early reads nothing: then the pipe is closed.
        let _ = std::io::Write::write_all(&mut stdin, &row.stdin);
        drop(stdin);
        wait(child)
    }

    /// What is wrong with the answer to a row; empty when it is clear.
    fn faults(&self, row: &Row) -> Vec<String> {
        let before = files(&self.repository);
        let mut faults = Vec::new();
        let (plain, json) = (self.run(row, false), self.run(row, true));
        let said = String::from_utf8_lossy(&plain.stderr).into_owned();
        for (what, output) in [("plain", &plain), ("json", &json)] {
            if output.status.code() != Some(row.code) {
                faults.push(format!("{what} exit {:?}, not {}", output.status.code(), row.code));
            }
        }
        if !plain.stdout.is_empty() {
            faults.push(format!("stdout holds {:?}", String::from_utf8_lossy(&plain.stdout)));
        }
        let words = row.says.iter().filter(|word| !said.contains(word.as_str()));
        faults.extend(words.map(|word| format!("'{word}' is not said")));
        let told = String::from_utf8_lossy(&json.stdout).into_owned();
        if said.contains(misleads) || told.contains(misleads) {
            faults.push("something is not escaped".into());
        }
        if row.hides.is_some_and(|secret| said.contains(secret) || told.contains(secret)) {
            faults.push("a secret is repeated".into());
        }
        faults.extend(line_faults(&told));
        if files(&self.repository) != before {
            faults.push("the repository was changed".into());
        }
        // The names of registries are kept there, in a folder with nothing else in it.
        for name in ["server.sock", "server.start", "midwatch.db", "runs", "mirrors"] {
            let path = self.house.state().join(name);
            let empty = std::fs::read_dir(&path).is_ok_and(|mut entries| entries.next().is_none());
            if path.exists() && !empty {
                faults.push(format!("the state folder has {name}"));
            }
        }
        if !faults.is_empty() {
            faults.push(said);
        }
        faults
    }
}

/// Every line is JSON, and the last one a whole result of no task.
fn line_faults(told: &str) -> Vec<String> {
    let lines: Result<Vec<Value>, _> = told.lines().map(serde_json::from_str).collect();
    let Ok(lines) = lines else { return vec![format!("not JSON: {told}")] };
    let Some(result) = lines.last() else { return vec!["no result line".into()] };
    let missing = RESULT_KEYS.iter().filter(|key| result.get(**key).is_none());
    let mut faults: Vec<String> = missing.map(|key| format!("no {key} in the result")).collect();
    if result["type"] != "result" || !result["state"].is_null() || result["verified"] != false {
        faults.push(format!("no refusal: {result}"));
    }
    faults
}

/// Every file of a repository, its git folder too, with its bytes.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            } else {
                let bytes = std::fs::read(&path).unwrap_or_default();
                found.insert(path, bytes);
            }
        }
    }
    found
}

#[test]
fn every_bad_input_gets_a_clear_error_and_leaves_nothing() {
    let place = Place::new();
    let tables: [fn(&Place) -> Vec<Row>; 6] = [
        flags::names_and_branches,
        flags::goals,
        flags::limits_and_modes,
        files::profiles_and_pipelines,
        places::logins_and_state,
        places::origins,
    ];
    let (mut tried, mut unclear) = (0, Vec::new());
    let mut tell = |row: &Row, faults: Vec<String>| {
        tried += 1;
        if !faults.is_empty() {
            unclear.push(format!("row {} {:?}: {}", row.number, row.words, faults.join("; ")));
        }
    };
    for table in tables {
        for row in table(&place) {
            tell(&row, place.faults(&row));
        }
    }
    for (origin, row) in places::with_origin(&place) {
        place.house.git(&place.repository, &["config", "remote.origin.url", &origin]);
        tell(&row, place.faults(&row));
    }
    place.house.git(&place.repository, &["config", "--unset", "remote.origin.url"]);
    for (text, row) in files::of_the_base(&place) {
        std::fs::write(place.repository.join("midwatch.yaml"), text).unwrap();
        place.house.commit(&place.repository, "settings");
        tell(&row, place.faults(&row));
    }
    println!("bad inputs tried {tried} / clear errors {}", tried - unclear.len());
    assert!(unclear.is_empty(), "{}", unclear.join("\n\n"));
    midwatch_testkit::counts::are_told(&format!("bad inputs of commands tried {tried}"));
}

/// The control: with good values the same words make a task, so it is the values that were
/// refused and nothing else.
#[test]
fn the_same_words_with_good_values_are_taken() {
    let place = Place::new();
    let text = "checks: [{run: test -e package.json}]\n";
    std::fs::write(place.repository.join("midwatch.yaml"), text).unwrap();
    place.house.commit(&place.repository, "settings");
    let goal = "do: append package.json  ";
    let words = [
        "--name=foo-bar",
        "--branch=fix/it",
        "--base=HEAD",
        "--timeout=30m",
        "--egress=none",
        "--accept-missing=landlock",
    ];
    let told = place.house.run(&place.repository, goal, &words);
    told.is_done();
    let branches = place.house.git(&place.repository, &["branch", "--list", "fix/*"]);
    assert_eq!(branches.trim(), "fix/it");
}

/// A word of a command line that is not UTF-8.
fn raw(bytes: &[u8]) -> OsString {
    std::ffi::OsStr::from_bytes(bytes).to_owned()
}
