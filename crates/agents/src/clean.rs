//! Hostile text made fit to show: bounded, without control characters, and without the marks
//! that turn the direction of text.

/// The longest summary of a call or a result, in bytes.
const LINE_BYTES: usize = 300;
/// The longest text of one event, in bytes.
const TEXT_BYTES: usize = 32 * 1024;

/// One line: white space folded, controls replaced, shortened.
pub(crate) fn line(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(LINE_BYTES));
    for c in text.trim().chars() {
        let c = if c.is_whitespace() { ' ' } else { shown(c) };
        if c == ' ' && out.ends_with(' ') {
            continue;
        }
        if out.len() + c.len_utf8() > LINE_BYTES {
            out.push('…');
            break;
        }
        out.push(c);
    }
    out
}

/// Several lines: as [`line`], but line feeds and tabs stay.
pub(crate) fn text(text: &str) -> String {
    bounded(text, TEXT_BYTES)
}

/// As [`text`], up to `limit` bytes.
pub(crate) fn bounded(text: &str, limit: usize) -> String {
    let mut out = String::with_capacity(text.len().min(limit));
    for c in text.chars() {
        let c = if matches!(c, '\n' | '\t') { c } else { shown(c) };
        if out.len() + c.len_utf8() > limit {
            out.push('…');
            break;
        }
        out.push(c);
    }
    out
}

/// The end of some output in a line: it says more than the start.
pub(crate) fn last_line(text: &str) -> String {
    line(text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default())
}

/// Adds a line to a text of which only the end counts, up to `limit` bytes.
pub(crate) fn push_line(text: &mut String, line: &str, limit: usize) {
    text.push_str(line);
    text.push('\n');
    let excess = text.len().saturating_sub(limit);
    if excess > 0 {
        // A half more than needed, so that not every line moves all of the text.
        let start = (excess + limit / 2..text.len())
            .find(|at| text.is_char_boundary(*at))
            .unwrap_or(text.len());
        text.drain(..start);
    }
}

fn shown(c: char) -> char {
    let turns =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if c.is_control() || turns { '\u{fffd}' } else { c }
}

/// Whether an id can stand in an argv and in a file name: what both CLIs make are UUIDs.
pub(crate) fn is_session_id(id: &str) -> bool {
    (1..=128).contains(&id.len())
        && !id.starts_with(['-', '.'])
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// The last lines of stderr, bounded whatever the CLI prints.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    lines: std::collections::VecDeque<String>,
}

impl Tail {
    const LINES: usize = 20;

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let cleaned = line(&String::from_utf8_lossy(&bytes[..bytes.len().min(4 * LINE_BYTES)]));
        if cleaned.is_empty() {
            return;
        }
        if self.lines.len() == Self::LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(cleaned);
    }

    /// The newest line that holds `part`.
    pub(crate) fn find(&self, part: &str) -> Option<&str> {
        self.lines.iter().rev().find(|line| line.contains(part)).map(String::as_str)
    }

    pub(crate) fn last(&self) -> Option<&str> {
        self.lines.back().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_has_no_controls_and_an_end() {
        assert_eq!(line("a\u{1b}[31mb\n\n c\u{202e}"), "a\u{fffd}[31mb c\u{fffd}");
        assert_eq!(text("a\n\tb\0"), "a\n\tb\u{fffd}");
        assert!(line(&"é".repeat(9999)).len() <= LINE_BYTES + 3);
        assert!(text(&"é".repeat(99_999)).len() <= TEXT_BYTES + 3);
    }

    #[test]
    fn a_session_id_is_no_option_and_no_path() {
        assert!(is_session_id("11111111-2222-4333-8444-555555555555"));
        for bad in ["", "-x", "../x", ".", "a b", "a/b", "ü"] {
            assert!(!is_session_id(bad), "{bad}");
        }
    }
}
