//! Logs, differences and lists on the terminal of a phone: 40 columns, nothing cut but tool calls.

use std::path::Path;
use std::process::Stdio;

use crate::house::terminal::terminal;
use crate::house::{House, wait};

const COLUMNS: u16 = 40;

/// What a command shows on a terminal of 40 columns, without colours.
fn on_phone(house: &House, repository: &Path, words: &[&str]) -> (String, bool) {
    let (ours, theirs) = terminal(COLUMNS);
    let mut command = house.command(env!("CARGO_BIN_EXE_midwatch"), repository);
    command.env("TERM", "xterm").args(words).stdin(Stdio::null()).stderr(Stdio::piped());
    let child = command.stdout(theirs).spawn().unwrap();
    // The command holds the only other end: then reading ends with it.
    drop(command);
    let shown = ours.read();
    let output = wait(child);
    let shown = shown.join().unwrap().replace('\r', "");
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    let colour = shown.contains('\x1b');
    let mut plain = String::new();
    let mut inside = false;
    for c in shown.chars() {
        match c {
            '\x1b' => inside = true,
            'm' if inside => inside = false,
            _ if inside => {}
            c => plain.push(c),
        }
    }
    (plain, colour)
}

#[test]
fn nothing_is_wider_than_a_phone_and_nothing_is_lost() {
    let house = House::new();
    let repository = house.repository("repo", &[("notes.txt", "a note\n")]);
    let long = "word ".repeat(40);
    let goal = format!("do: say {long}\ndo: append notes.txt {long}\ndo: warn {long}");
    let told = house.run(&repository, &goal, &["--check", "true", "--name", "a-task"]);
    told.is_done();
    for words in [&["get"][..], &["logs", "a-task"], &["diff", "a-task"]] {
        let (shown, colour) = on_phone(&house, &repository, words);
        assert!(colour, "{words:?}: a terminal gets colours: {shown}");
        let widest = shown.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= COLUMNS.into(), "{words:?}: {widest} columns:\n{shown}");
        if words[0] != "get" {
            // Code goes on two columns in.
            let count = shown.replace("\n  ", "").matches("word").count();
            assert!(count >= 40, "{words:?}: {count} of 40 words in:\n{shown}");
        }
    }
    // Piped, lines are whole and without colours.
    let program = env!("CARGO_BIN_EXE_midwatch");
    for words in [&["logs", "a-task"][..], &["diff", "a-task"]] {
        let output = house.command(program, &repository).args(words).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(!text.contains('\x1b'), "{words:?}: {text:?}");
        assert!(text.contains(long.trim_end()), "{words:?}: {text}");
    }
}
