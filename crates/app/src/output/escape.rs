//! Makes text from outside fit for a terminal: what could move the cursor, change colours, hide
//! or turn text around is shown as an escape instead.

use midwatch_core::input::is_invisible;

/// One line; a line break in it is shown, too.
pub(crate) fn line(text: &str) -> String {
    escape(text, false)
}

/// Several lines.
pub(crate) fn text(text: &str) -> String {
    escape(text, true)
}

/// One line of at most so many characters.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    let first = text.lines().next().unwrap_or_default();
    let shown = line(first);
    if shown.chars().count() <= most && text.lines().nth(1).is_none() {
        return shown;
    }
    shown.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// A line of JSON, where such characters stand in strings only: the same value in other letters.
pub(crate) fn json(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    for c in line.chars() {
        if is_invisible(c) {
            let mut units = [0; 2];
            let units = c.encode_utf16(&mut units).iter();
            out.extend(units.map(|unit| format!("\\u{unit:04x}")));
        } else {
            out.push(c);
        }
    }
    out
}

fn escape(text: &str, lines: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' if lines => out.push('\n'),
            '\t' => out.push('\t'),
            c if is_invisible(c) => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_keeps_its_value() {
        let value = serde_json::json!({"a": "x\u{202e}y\u{e0041}z\u{9b}\u{1b}"});
        let shown = json(&value.to_string());
        assert!(!shown.chars().any(is_invisible), "{shown:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }

    #[test]
    fn nothing_that_moves_a_terminal_gets_through() {
        let hostile = "a\x1b]52;c;aGk=\x07b\r\u{9b}31m\u{202e}c\nd";
        let shown = text(hostile);
        assert!(shown.chars().all(|c| c == '\n' || !is_invisible(c)), "{shown:?}");
        assert_eq!(line("a\nb"), "a\\nb");
        assert_eq!(shortened("first\nsecond", 40), "first…");
        assert_eq!(shortened("abcdef", 4), "abc…");
    }
}
