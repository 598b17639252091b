//! Questions about nobody, unknown commands, and odd characters of a goal: the bad inputs of
//! `run` have a table of their own.

use serde_json::Value;

use crate::house::{House, RESULT_KEYS, Told};

/// A refusal as scripts see it.
#[track_caller]
fn refused(told: &Told, code: i32, word: &str, case: &str) {
    let line = &told.result;
    assert_eq!(told.code, Some(code), "{case}: {line}\n{}", told.stderr);
    for key in RESULT_KEYS {
        assert!(line.get(key).is_some(), "{case}: no {key} in {line}");
    }
    let detail = line["detail"].as_str().unwrap_or_default();
    assert!(detail.contains(word) || told.stderr.contains(word), "{case}: no '{word}': {detail}");
    assert!(line["state"].is_null() && line["type"] == "result", "{case}: {line}");
    let said = format!("{}{}", told.stderr, detail);
    assert!(!said.contains(['\x1b', '\u{202e}', '\u{200b}']), "{case}: unescaped: {said:?}");
}

#[test]
fn an_unknown_command_is_told_as_such() {
    let house = House::new();
    let told = house.midwatch(&house.folder("anywhere"), &["rnu", "x"]);
    refused(&told, 2, "rnu", "an unknown command");
    assert!(!told.stderr.contains("runner"), "what is not for people is not offered");
    assert!(!house.state().exists(), "nothing was made");
}

#[test]
fn questions_about_nobody_end_with_2_and_odd_characters_are_shown_escaped() {
    let house = House::new();
    let repository = house.repository("repo", &[("package.json", "{}")]);
    for verb in [
        "get", "describe", "explain", "wait", "logs", "diff", "open", "approve", "resume",
        "cancel", "retry", "reject",
    ] {
        let told = house.midwatch(&repository, &[verb, "nobody"]);
        refused(&told, 2, "nobody", verb);
        assert_eq!(told.result["task"], "nobody");
        let told = house.midwatch(&repository, &[verb, "../server?x"]);
        refused(&told, 2, "name", verb);
    }
    let goal = "do: append package.json  \nsay \u{1b}]52;c;aGk=\u{7} \u{202e}";
    let told = house.run(&repository, goal, &["--check", "true"]);
    let program = env!("CARGO_BIN_EXE_midwatch");
    for verb in ["get", "describe", "logs"] {
        let mut command = house.command(program, &repository);
        let output = command.args([verb, told.task()]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(!text.contains(['\u{1b}', '\u{202e}', '\u{7}']), "{verb}: {text:?}");
    }
    let line: &Value = &house.midwatch(&repository, &["get", told.task()]).lines[0];
    assert_eq!(line["goal"].as_str(), Some(goal), "stored as it is");
}
