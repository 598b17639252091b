//! Bytes from inside made fit for a terminal and a log.

use midwatch_core::input::is_invisible;

/// One line, at most `longest` characters, with what can mislead a terminal or a reader
/// written out. Colours (`ESC [ .. m`) are dropped: they are common and say nothing.
pub(super) fn line(bytes: &[u8], longest: usize) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut shown = String::new();
    let mut rest = text.trim_end_matches(['\r', '\n']);
    let mut count = 0;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = after_colour(rest) {
            rest = after;
            continue;
        }
        if count == longest {
            shown.push('…');
            break;
        }
        if c == '\t' {
            shown.push(' ');
        } else if is_invisible(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
        count += 1;
        rest = &rest[c.len_utf8()..];
    }
    shown
}

/// What follows a colour sequence, if the text begins with one.
fn after_colour(text: &str) -> Option<&str> {
    let body = text.strip_prefix("\x1b[")?;
    let end = body.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    body[end..].strip_prefix('m')
}

/// Text of several lines, at most `longest` bytes, with everything but line ends and tabs
/// that can mislead written out.
pub(super) fn text(text: &str, longest: usize) -> String {
    let mut shown = String::new();
    for c in text.chars() {
        if c != '\n' && c != '\t' && is_invisible(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
        if shown.len() >= longest {
            while shown.len() > longest {
                shown.pop();
            }
            shown.push('…');
            break;
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_cannot_move_the_cursor_or_turn_the_text_around() {
        assert_eq!(
            line(b"\x1b[31;1mred\x1b[0m \x1b]52;c;aGk=\x07\r\n", 80),
            "red \\u{1b}]52;c;aGk=\\u{7}"
        );
        assert_eq!(line("a\u{202e}b\tc".as_bytes(), 80), "a\\u{202e}b c");
        assert_eq!(line(&[b'x'; 500], 10), "xxxxxxxxxx…");
        assert_eq!(line(b"\xff\xfe", 10), "\u{fffd}\u{fffd}");
        assert_eq!(line(b"\x1b[3", 10), "\\u{1b}[3");
    }

    #[test]
    fn text_keeps_its_lines_and_its_limit() {
        assert_eq!(text("a\nb\x1b[2J", 100), "a\nb\\u{1b}[2J");
        assert!(text(&"é".repeat(100), 11).len() <= 11 + '…'.len_utf8());
    }
}
