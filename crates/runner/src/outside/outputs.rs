//! The typed outputs of an agent: all of them within their bounds, or none.

use std::path::Path;

use midwatch_api::report::{OUTPUTS_FILE, Output};
use midwatch_core::input::is_invisible;
use serde_json::error::Category;

use super::escape;
use super::left::{self, LeftError};

/// Bytes of the whole file: every output at its largest fits several times.
const FILE_BYTES: u64 = 1 << 20;
/// Outputs of one run.
const OUTPUTS: usize = 32;
/// Bytes of a plan.
const PLAN_BYTES: usize = 64 << 10;
/// Characters of a change's title.
const TITLE_CHARACTERS: usize = 200;
/// Bytes of a change's text.
const BODY_BYTES: usize = 16 << 10;
/// Comments of a verdict.
const COMMENTS: usize = 50;
/// Bytes of a comment, a reason or a goal.
const TEXT_BYTES: usize = 4 << 10;
/// Characters of a question's id.
const ID_CHARACTERS: usize = 40;
/// Choices of a question.
const CHOICES: usize = 10;
/// Characters of a choice.
const CHOICE_CHARACTERS: usize = 200;

/// Reads the file. `Err` says why the whole of it is refused; no file means no outputs.
pub(super) fn read(out: &Path) -> Result<Vec<Output>, String> {
    let text = match left::read_text(out, OUTPUTS_FILE, FILE_BYTES) {
        Ok(text) => text,
        Err(LeftError::Missing) => return Ok(Vec::new()),
        Err(error) => return Err(format!("{OUTPUTS_FILE}: {error}")),
    };
    let mut outputs = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let output = serde_json::from_str::<Output>(line)
            .map_err(|error| unread(&error))
            .and_then(|output| within_bounds(&output).map(|()| output))
            .map_err(|why| {
                format!("{OUTPUTS_FILE}, line {}: {}", index + 1, escape::line(why.as_bytes(), 200))
            })?;
        if outputs.len() == OUTPUTS {
            return Err(format!("{OUTPUTS_FILE}: more than {OUTPUTS} outputs"));
        }
        outputs.push(output);
    }
    Ok(outputs)
}

/// What is wrong with a line, without the parser's own place in it: each is read alone.
fn unread(error: &serde_json::Error) -> String {
    match error.classify() {
        Category::Data => {
            let said = error.to_string();
            said.rsplit_once(" at line ").map_or(said.clone(), |(said, _)| said.to_owned())
        }
        Category::Syntax | Category::Eof | Category::Io => {
            format!("it is no JSON, from character {} on: one object a line", error.column())
        }
    }
}

fn within_bounds(output: &Output) -> Result<(), String> {
    match output {
        Output::Plan { text } => bytes("text", text, PLAN_BYTES),
        Output::PullRequestText { title, body } => {
            if title.chars().count() > TITLE_CHARACTERS || title.contains(['\n', '\r']) {
                return Err(format!(
                    "title is not one line of at most {TITLE_CHARACTERS} characters"
                ));
            }
            bytes("body", body, BODY_BYTES)
        }
        Output::Verdict { verdict: _, comments } => {
            if comments.len() > COMMENTS {
                return Err(format!("more than {COMMENTS} comments"));
            }
            comments.iter().try_for_each(|comment| bytes("comments", comment, TEXT_BYTES))
        }
        Output::NoChange { why } | Output::Blocked { why } => bytes("why", why, TEXT_BYTES),
        Output::FollowUpTask { goal } => bytes("goal", goal, TEXT_BYTES),
        Output::Question { id, text, choices } => question(id, text, choices),
    }
}

/// Ids and choices are typed by people: they are short, and of one line.
fn question(id: &str, text: &str, choices: &[String]) -> Result<(), String> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if !(1..=ID_CHARACTERS).contains(&id.len()) || !id.bytes().all(plain) {
        return Err(format!("id is not 1 to {ID_CHARACTERS} of a-z, 0-9 and -"));
    }
    if choices.len() > CHOICES {
        return Err(format!("more than {CHOICES} choices"));
    }
    let odd = |choice: &String| {
        let long = choice.chars().count() > CHOICE_CHARACTERS;
        long || choice.trim().is_empty() || choice.chars().any(is_invisible)
    };
    if choices.iter().any(odd) {
        let rule = format!("a choice is not one line of at most {CHOICE_CHARACTERS} characters");
        return Err(rule);
    }
    bytes("text", text, TEXT_BYTES)
}

fn bytes(field: &str, text: &str, most: usize) -> Result<(), String> {
    if text.len() > most {
        return Err(format!("{field} has {} bytes, {most} are allowed", text.len()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn outputs(text: &str) -> Result<Vec<Output>, String> {
        let out = tempfile::tempdir().unwrap();
        fs::write(out.path().join(OUTPUTS_FILE), text).unwrap();
        read(out.path())
    }

    #[test]
    fn good_outputs_are_read_and_no_file_is_none() {
        let read_back = outputs(
            "{\"type\":\"question\",\"id\":\"q-1\",\"text\":\"x\",\"choices\":[\"a\"]}\n\
             {\"type\":\"noChange\",\"why\":\"it is done\"}\n\n{\"type\":\"verdict\",\"verdict\":\"approve\"}\n",
        );
        assert_eq!(read_back.unwrap().len(), 3);
        let out = tempfile::tempdir().unwrap();
        assert_eq!(read(out.path()), Ok(Vec::new()));
    }

    #[test]
    fn one_bad_line_refuses_all() {
        let good = "{\"type\":\"noChange\",\"why\":\"x\"}\n";
        let long = "y".repeat(TEXT_BYTES + 1);
        for bad in [
            "{\"type\":\"merge\",\"why\":\"x\"}".to_owned(),
            "{\"type\":\"noChange\",\"why\":\"x\",\"push\":true}".to_owned(),
            "{\"type\":\"noChange\"}".to_owned(),
            format!("{{\"type\":\"blocked\",\"why\":\"{long}\"}}"),
            "{\"type\":\"pullRequestText\",\"title\":\"a\\nb\",\"body\":\"\"}".to_owned(),
            format!(
                "{{\"type\":\"verdict\",\"verdict\":\"approve\",\"comments\":[{}]}}",
                vec!["\"c\""; 51].join(",")
            ),
            "{\"type\":\"question\",\"id\":\"Q 1\",\"text\":\"x\"}".to_owned(),
            "{\"type\":\"question\",\"id\":\"q\",\"text\":\"x\",\"choices\":[\"a\\nb\"]}"
                .to_owned(),
            "not json".to_owned(),
            "{\"type\":\"\\u001b[2J\"}".to_owned(),
        ] {
            let why = outputs(&format!("{good}{bad}\n")).unwrap_err();
            assert!(why.contains("line 2") && !why.contains('\x1b'), "{why}");
            assert!(!why.contains("at line 1"), "a place of the parser's own: {why}");
        }
        assert!(outputs(&good.repeat(33)).unwrap_err().contains("more than 32"));
        assert!(outputs(&" ".repeat(1 << 21)).is_err());
    }
}
