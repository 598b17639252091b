//! Commit messages of a sandbox made fit to be published: plain text that mentions nobody,
//! closes no issue, skips no check and speaks for nobody else.

use midwatch_core::input::is_invisible;

/// The longest first line, in characters.
const SUBJECT: usize = 120;

/// The longest message, in characters.
const WHOLE: usize = 4000;

/// Trailers that say that somebody wrote, signed or approved.
const TRAILERS: [&str; 9] = [
    "co-authored-by:",
    "signed-off-by:",
    "reviewed-by:",
    "acked-by:",
    "approved-by:",
    "tested-by:",
    "reported-by:",
    "change-id:",
    "skip-checks:",
];

/// Words with which forges close issues.
const CLOSING: [&str; 9] =
    ["close", "closes", "closed", "fix", "fixes", "fixed", "resolve", "resolves", "resolved"];

/// Words in brackets with which forges skip checks.
const SKIPS: [&str; 6] = ["skip ci", "ci skip", "no ci", "skip actions", "actions skip", "skip-ci"];

/// A message made fit, or the fallback when nothing is left of it.
pub fn sanitised(raw: &[u8], fallback: &str) -> String {
    let text = String::from_utf8_lossy(raw);
    let text: String = text
        .replace("\r\n", "\n")
        .chars()
        .filter(|c| *c == '\n' || *c == '\t' || !is_invisible(*c))
        .collect();
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines().map(str::trim_end) {
        let lower = line.trim_start().to_lowercase();
        // A line of `---` cuts messages off where patches are sent by mail.
        if TRAILERS.iter().any(|trailer| lower.starts_with(trailer)) || lower == "---" {
            continue;
        }
        if !(line.is_empty() && lines.last().is_none_or(String::is_empty)) {
            lines.push(quiet(line));
        }
    }
    let Some(subject) = lines.first() else { return format!("{fallback}\n") };
    let mut message = shortened(subject, SUBJECT);
    for (index, line) in lines.iter().enumerate().skip(1) {
        if index == 1 && !line.is_empty() {
            message.push('\n');
        }
        message.push('\n');
        message.push_str(line);
    }
    format!("{}\n", shortened(message.trim_end(), WHOLE))
}

fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(most - 1).collect();
    short.push('…');
    short
}

/// One line without what forges act upon.
fn quiet(line: &str) -> String {
    let mut out = String::new();
    let chars: Vec<char> = line.chars().collect();
    for (at, c) in chars.iter().enumerate() {
        out.push(*c);
        let next = chars.get(at + 1).copied().unwrap_or(' ');
        let breaks = match c {
            '@' | '!' => next.is_alphanumeric() && (*c == '@' || next.is_ascii_digit()),
            '#' => next.is_ascii_digit(),
            _ => false,
        };
        if breaks {
            out.push(' ');
        }
    }
    let mut quiet = without_skips(&out);
    // `fixes https://forge/o/r/issues/1` closes too, and so does `fixes GH-1`.
    let words: Vec<&str> = quiet.split_whitespace().collect();
    let closes = words.windows(2).any(|pair| {
        let word = pair[0].trim_end_matches(':').to_lowercase();
        let to = pair[1].to_lowercase();
        CLOSING.contains(&word.as_str()) && (to.contains("://") || to.starts_with("gh-"))
    });
    if closes {
        quiet = quiet.replace("://", ": //").replace("GH-", "GH ").replace("gh-", "gh ");
    }
    quiet
}

fn without_skips(line: &str) -> String {
    let lower = line.to_lowercase();
    if lower.len() != line.len() || !SKIPS.iter().any(|skip| lower.contains(skip)) {
        return line.replace("***NO_CI***", "NO_CI");
    }
    line.replace(['[', ']'], " ").replace("***NO_CI***", "NO_CI")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(text: &str) -> String {
        sanitised(text.as_bytes(), "work")
    }

    #[test]
    fn good_messages_stay() {
        let good = "Fix the parser\n\nIt took a comma for a dot.\n\n- one\n- two\n";
        assert_eq!(clean(good), good);
    }

    #[test]
    fn what_forges_act_upon_is_made_plain() {
        assert_eq!(
            clean("hi @everyone, fixes #12 and o/r#3\n"),
            "hi @ everyone, fixes # 12 and o/r# 3\n"
        );
        assert_eq!(clean("Fixes: https://h/o/r/issues/1"), "Fixes: https: //h/o/r/issues/1\n");
        assert_eq!(clean("see https://h/x"), "see https://h/x\n");
        assert_eq!(clean("closes GH-7"), "closes GH 7\n");
        assert_eq!(clean("change [skip ci]"), "change  skip ci\n");
        assert_eq!(
            clean("a\n\nCo-Authored-By: Somebody <s@x>\nSigned-off-by: Boss <b@x>\n"),
            "a\n"
        );
        assert_eq!(clean("a\x1b[31m\u{202e}b\r\nc"), "a[31mb\n\nc\n");
    }

    #[test]
    fn empty_and_endless_messages_are_handled() {
        assert_eq!(clean(" \n\n"), "work\n");
        assert_eq!(sanitised(b"\xff\xfe", "work"), "\u{fffd}\u{fffd}\n");
        assert!(clean(&"x".repeat(100_000)).chars().count() <= SUBJECT + 1);
        assert!(clean(&"word\n".repeat(100_000)).chars().count() <= WHOLE + 1);
    }
}
