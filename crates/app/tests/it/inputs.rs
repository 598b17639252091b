//! Bad input: each gets its sentence, its exit code and its result line, and leaves nothing
//! behind: no task, no server, no branch.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

use crate::house::{House, Told, told, wait};

const PACKAGE: &str = r#"{"scripts":{"test":"node --test"}}"#;

/// Every key of a result line.
const KEYS: [&str; 15] = [
    "type",
    "version",
    "task",
    "state",
    "reason",
    "hint",
    "verified",
    "branch",
    "commit",
    "base",
    "checks",
    "rescueRef",
    "transcript",
    "usage",
    "detail",
];

/// A refusal as scripts see it.
#[track_caller]
fn refused(told: &Told, code: i32, word: &str, case: &str) {
    let line = &told.result;
    assert_eq!(told.code, Some(code), "{case}: {line}\n{}", told.stderr);
    for key in KEYS {
        assert!(line.get(key).is_some(), "{case}: no {key} in {line}");
    }
    let detail = line["detail"].as_str().unwrap_or_default();
    assert!(detail.contains(word) || told.stderr.contains(word), "{case}: no '{word}': {detail}");
    assert!(line["state"].is_null() && line["type"] == "result", "{case}: {line}");
    let said = format!("{}{}", told.stderr, detail);
    assert!(!said.contains(['\x1b', '\u{202e}', '\u{200b}']), "{case}: unescaped: {said:?}");
}

struct Place {
    house: House,
    repository: PathBuf,
}

impl Place {
    fn new() -> Self {
        let house = House::new();
        let repository = house.repository("repo", &[("package.json", PACKAGE)]);
        Self { house, repository }
    }

    fn run(&self, arguments: &[&str]) -> Told {
        self.house.midwatch(&self.repository, &[&["run"], arguments].concat())
    }

    /// With the scripted agent, so that nothing else is missing.
    fn ready(&self, arguments: &[&str]) -> Told {
        let profile = self.house.scripted(", egress: none");
        let first = ["mend it", "--profile", profile.to_str().unwrap()];
        self.run(&[&first, arguments].concat())
    }

    fn nothing_is_left(&self) {
        assert!(!self.house.state().join("server.sock").exists(), "a server was started");
        assert!(!self.house.state().join("midwatch.db").exists(), "something was stored");
        assert_eq!(self.house.git(&self.repository, &["branch", "--list", "midwatch/*"]), "");
    }
}

#[test]
fn flags() {
    let place = Place::new();
    for (arguments, word) in [
        (&["x", "--timeout", "0"][..], "30m"),
        (&["x", "--timeout=-1"], "30m"),
        (&["x", "--timeout", "1ns"], "30m"),
        (&["x", "--timeout", "1000000000000h"], "24h"),
        (&["x", "--timeout", "NaN"], "30m"),
        (&["x", "--egress", "*"], "registries"),
        (&["x", "--egress", "*.com"], "registries"),
        (&["x", "--egress", "open"], "registries"),
        (&["x", "--pipeline", "chnage"], "did you mean change"),
        (&["x", "--pipeline", "/nowhere.yaml"], "cannot be read"),
        (&["x", "--agent", "cladue-code"], "did you mean claude-code"),
        (&["x", "--agent", "../../etc/passwd"], "cannot be read"),
        (&["x", "--profile", "nobody"], "is unknown"),
        (&["x", "--accept-missing", "bubblewrap"], "landlock"),
        (&["x", "--accept-missing", "everything"], "landlock"),
        (&["x", "--model", "--help"], "--model"),
        (&["x", "--gaol", "y"], "--gaol"),
        (&["x", "y"], "unexpected"),
        (&["x", "--no-check", "--push"], "--push"),
        (&["x", "--no-check", "--check", "true"], "--check"),
        (&["x", "--check", " "], "--check"),
        (&["x", "--include-dirty", "--push"], "--push"),
        (&["x", "--include-dirty", "--base", "HEAD"], "--base"),
        (&["x", "--output", "yaml"], "yaml"),
    ] {
        let told = place.run(arguments);
        refused(&told, 2, word, &format!("{arguments:?}"));
    }
    let told = place.house.midwatch(&place.repository, &["rnu", "x"]);
    refused(&told, 2, "rnu", "an unknown command");
    place.nothing_is_left();
}

#[test]
fn names_and_branches() {
    let place = Place::new();
    let long = "x".repeat(64);
    let name = |name: &str| place.run(&["x", &format!("--name={name}")]);
    for bad in ["", &long, "Foo_Bar", "-x", "x-", "..", "a/b", "a.b", "nаme", "a\u{202e}b"] {
        refused(&name(bad), 2, "--name", bad);
    }
    assert!(name(&long).stderr.contains("63"), "the rule is said");
    assert!(name("Foo_Bar").stderr.contains("foo-bar"), "another name is offered");
    place.house.git(&place.repository, &["branch", "taken"]);
    let long = "b".repeat(300);
    let branch = |branch: &str| place.ready(&[&format!("--branch={branch}")]);
    for bad in [
        "--upload-pack=x",
        "-f",
        "a..b",
        "x.lock",
        "@{-1}",
        "a b",
        "a~1",
        "refs/heads/x",
        "HEAD",
        "$(id)",
        "a;id",
        "`id`",
        &long,
        "main",
        "taken",
        "taken/more",
        "",
        "a\u{202e}b",
    ] {
        refused(&branch(bad), 2, "branch", bad);
    }
    let base = |base: &str| place.ready(&[&format!("--base={base}")]);
    for bad in ["deadbee", "-f", "--all", "", "nobody", "HEAD:package.json", "a\u{1b}b"] {
        refused(&base(bad), 2, "--base", bad);
    }
    place.nothing_is_left();
}

#[test]
fn goals() {
    let place = Place::new();
    let file = |name: &str, bytes: &[u8]| {
        let path = place.house.folder("goals").join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    for (path, word) in [
        (file("empty", b""), "required"),
        (file("blank", b" \n\t"), "required"),
        (file("nul", b"a\0b"), "byte 1"),
        (file("odd", b"ab\xff"), "byte 2"),
        (file("large", &vec![b'x'; 10 << 20]), "262144"),
        ("/nowhere".into(), "cannot be read"),
        ("/dev".into(), "cannot be read"),
        // The null device stands for a closed standard input.
        ("-".into(), "required"),
    ] {
        refused(&place.run(&["--goal-file", &path]), 2, word, &path);
    }
    refused(&place.run(&[]), 2, "required", "no goal at all");
    refused(&place.run(&[""]), 2, "required", "an empty goal");
    refused(&place.run(&["x", "--goal-file", "y"]), 2, "one of the two", "both");
    let program = env!("CARGO_BIN_EXE_midwatch");
    let mut command = place.house.command(program, &place.repository);
    command.arg("run").arg(OsStr::from_bytes(b"abc\xff")).args(["--output", "json"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    refused(&told(wait(child)), 2, "byte 3", "an argument that is not UTF-8");
    place.nothing_is_left();
}

#[test]
fn files_of_the_base_and_of_the_user() {
    let place = Place::new();
    let bomb = {
        let levels = (1..12)
            .map(|n| format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(",")));
        format!("a0: &a0 [x]\n{}checks: *a11\n", levels.collect::<String>())
    };
    let deep = format!("checks: {}{}", "[".repeat(2000), "]".repeat(2000));
    for (text, word) in [
        ("cheks: []\n", "cheks"),
        ("setup: [1]\n", "setup"),
        ("setup: a\nsetup: b\n", "midwatch.yaml"),
        ("checks: [{run: no, runn: x}]\n", "runn"),
        ("checks: soon\n", "midwatch.yaml"),
        ("kind: Pod\napiVersion: v1\nmetadata: {name: x}\nspec: {}\n", "apiVersion"),
        (&bomb, "midwatch.yaml"),
        (&deep, "midwatch.yaml"),
    ] {
        std::fs::write(place.repository.join("midwatch.yaml"), text).unwrap();
        place.house.commit(&place.repository, "settings");
        let case: String = text.chars().take(40).collect();
        refused(&place.ready(&[]), 2, word, &case);
    }
    std::fs::remove_file(place.repository.join("midwatch.yaml")).unwrap();
    place.house.commit(&place.repository, "no settings");
    for (spec, word) in [
        ("{agnet: x}", "agnet"),
        ("{agent: custom}", "custom.argv"),
        ("{limits: {wallSeconds: soon}}", "wallSeconds"),
        ("{limits: {memoryMib: 0}}", "memoryMib"),
        ("{credential: {kind: Secret}}", "AnthropicKey"),
        ("{toolchains: [{name: all, folder: /}]}", "folder"),
    ] {
        let profile = place.house.profile("bad", spec);
        let told = place.run(&["x", "--profile", profile.to_str().unwrap()]);
        // The folder of a toolchain is looked at last, after a login was looked for.
        let code = if spec.contains("toolchains") { told.code.unwrap() } else { 2 };
        refused(&told, code, if code == 2 { word } else { "logged in" }, spec);
    }
    place.nothing_is_left();
}

#[test]
fn machines_and_repositories_that_cannot() {
    let place = Place::new();
    let house = &place.house;
    refused(&place.run(&["x"]), 6, "logged in", "nobody is logged in");
    let missing = house.profile("missing", "{agent: custom, custom: {argv: [no-such-agent]}}");
    let missing = missing.to_str().unwrap();
    refused(&place.run(&["x", "--profile", missing]), 6, "no-such-agent", "an absent agent");
    let script = house.folder("agent").join("text");
    std::fs::write(&script, "no program").unwrap();
    let spec = format!("{{agent: custom, program: {}, custom: {{argv: [x]}}}}", script.display());
    let text = house.profile("text", &spec);
    let text = text.to_str().unwrap();
    refused(&place.run(&["x", "--profile", text]), 6, "executed", "an agent that is no program");
    refused(&place.ready(&["--push"]), 6, "origin", "nothing to push to");

    let profile = house.scripted(", egress: none");
    let profile = profile.to_str().unwrap();
    let elsewhere = |folder: &Path| {
        house.midwatch(folder, &["run", "x", "--profile", profile, "--check", "true"])
    };
    refused(&elsewhere(&house.folder("plain")), 6, "not in a git repository", "no repository");
    let empty = house.folder("empty");
    house.git(&empty, &["init", "-q"]);
    refused(&elsewhere(&empty), 6, "no commit yet", "an empty repository");
    let lfs = house.repository("lfs", &[(".gitattributes", "*.bin filter=lfs diff=lfs\n")]);
    refused(&elsewhere(&lfs), 6, "LFS", "LFS");
    let commit = house.git(&lfs, &["rev-parse", "HEAD"]);
    let modules = house.repository("modules", &[("a", "b")]);
    let entry = format!("160000,{commit},sub");
    house.git(&modules, &["update-index", "--add", "--cacheinfo", &entry]);
    let who = ["-c", "user.name=u", "-c", "user.email=u@localhost"];
    house.git(&modules, &[&who[..], &["commit", "-q", "-m", "sub"]].concat());
    refused(&elsewhere(&modules), 6, "submodules", "submodules");
    place.nothing_is_left();
}

#[test]
fn questions_about_nobody_end_with_2_and_odd_characters_are_shown_escaped() {
    let place = Place::new();
    for verb in [
        "get", "describe", "explain", "wait", "logs", "diff", "open", "approve", "resume",
        "cancel", "retry", "reject",
    ] {
        let told = place.house.midwatch(&place.repository, &[verb, "nobody"]);
        refused(&told, 2, "nobody", verb);
        assert_eq!(told.result["task"], "nobody");
        let told = place.house.midwatch(&place.repository, &[verb, "../server?x"]);
        refused(&told, 2, "name", verb);
    }
    let goal = "do: append package.json  \nsay \u{1b}]52;c;aGk=\u{7} \u{202e}";
    let told = place.house.run(&place.repository, goal, &["--check", "true"]);
    let program = env!("CARGO_BIN_EXE_midwatch");
    for verb in ["get", "describe", "logs"] {
        let mut command = place.house.command(program, &place.repository);
        let output = command.args([verb, told.task()]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(!text.contains(['\u{1b}', '\u{202e}', '\u{7}']), "{verb}: {text:?}");
    }
    let line: &Value = &place.house.midwatch(&place.repository, &["get", told.task()]).lines[0];
    assert_eq!(line["goal"].as_str(), Some(goal), "stored as it is");
}
