//! Text for a terminal of few columns: broken between words, a line of code wherever it must be.

/// Columns below which long lines are broken here. A terminal breaks them, too, but in the middle
/// of words and without the indentation that says what belongs together.
const LEAST: usize = 20;

/// Breaks every line between words; what goes on stands below the text of its first line. Lines
/// of list items go on below their text. Escaped text only: each character takes one column.
pub(crate) fn words(text: &str, columns: Option<usize>) -> String {
    let Some(columns) = columns.filter(|columns| *columns >= LEAST) else {
        return text.to_owned();
    };
    let broken = text.lines().map(|line| {
        let indent = indent_of(line).min(columns / 2);
        broken(line, columns, indent, true).join("\n")
    });
    broken.collect::<Vec<_>>().join("\n")
}

/// Breaks a line of code where the terminal ends; what goes on is marked by its indentation.
pub(crate) fn code(line: &str, columns: Option<usize>) -> Vec<String> {
    match columns.filter(|columns| *columns >= LEAST) {
        Some(columns) => broken(line, columns, 2, false),
        None => vec![line.to_owned()],
    }
}

/// Spaces and the mark of a list in front of a line's text.
fn indent_of(line: &str) -> usize {
    let text = line.trim_start_matches(' ');
    let spaces = line.len() - text.len();
    let mark = ["- ", "* ", "+ "].iter().find(|mark| text.starts_with(**mark));
    spaces + mark.map_or(0, |mark| mark.len())
}

fn broken(line: &str, columns: usize, indent: usize, between_words: bool) -> Vec<String> {
    let mut lines = Vec::new();
    let mut left: Vec<char> = line.chars().collect();
    let mut room = columns;
    while left.len() > room {
        let space = left[..=room].iter().rposition(|c| *c == ' ');
        // A word longer than half of a line is broken itself.
        let at = space.filter(|at| between_words && *at > room / 2).unwrap_or(room);
        let rest = left.split_off(at);
        let line: String = left.iter().collect();
        lines.push(if between_words { line.trim_end().to_owned() } else { line });
        let begin = if between_words { rest.iter().take_while(|c| **c == ' ').count() } else { 0 };
        left = rest[begin..].to_vec();
        room = columns - indent;
    }
    lines.push(left.into_iter().collect());
    let margin = " ".repeat(indent);
    let goes_on = lines.iter().skip(1).map(|line| format!("{margin}{line}"));
    lines.iter().take(1).cloned().chain(goes_on).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_whole_and_items_hang_together() {
        let text =
            "- a long item of a list that goes on and on\nshort\n\n  deep text, deeper than that";
        let shown = words(text, Some(24));
        assert_eq!(
            shown,
            "- a long item of a list\n  that goes on and on\nshort\n\n  deep text, deeper than\n  that"
        );
        assert!(shown.lines().all(|line| line.chars().count() <= 24));
        assert_eq!(words(text, None), text);
        let word = "x".repeat(100);
        assert!(words(&word, Some(40)).lines().all(|line| line.chars().count() <= 40));
    }

    #[test]
    fn code_loses_no_character() {
        let line = format!("+    let x = \"{}\";", "y ".repeat(60));
        let shown = code(&line, Some(40));
        assert!(shown.iter().all(|line| line.chars().count() <= 40), "{shown:?}");
        let whole: String = shown
            .iter()
            .enumerate()
            .map(|(n, part)| if n == 0 { part } else { &part[2..] })
            .collect();
        assert_eq!(whole.trim_end(), line.trim_end());
        assert_eq!(code("short", Some(40)), ["short"]);
    }
}
