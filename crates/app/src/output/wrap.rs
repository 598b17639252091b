//! Text in the width of a terminal, down to a phone's.

/// The width where nothing says another.
const USUAL: usize = 80;
/// Nothing is wrapped narrower than this.
const NARROWEST: usize = 20;
/// Lines longer than this are hard to read on any terminal.
const WIDEST: usize = 100;

/// How many columns there are: what `COLUMNS` says, else what the terminal says.
pub(crate) fn columns(variable: Option<&str>) -> usize {
    let said = variable.and_then(|text| text.trim().parse().ok());
    let seen = || {
        rustix::termios::tcgetwinsize(std::io::stdout()).ok().map(|size| usize::from(size.ws_col))
    };
    said.or_else(seen).filter(|columns| *columns > 0).unwrap_or(USUAL).clamp(NARROWEST, WIDEST)
}

/// Words in lines of at most `columns`, the first one behind `first` and all others behind as
/// many blanks. A word that is longer than a line keeps whole: it is something to copy.
pub(crate) fn wrap(first: &str, text: &str, columns: usize) -> Vec<String> {
    let indent = first.chars().count();
    let mut lines = Vec::new();
    let mut line = first.to_owned();
    let mut empty = true;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let width = line.chars().count() + usize::from(!empty) + word.chars().count();
        if !empty && width > columns {
            lines.push(std::mem::replace(&mut line, " ".repeat(indent)));
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_whole_and_lines_within_the_width() {
        let text = "the quick brown fox jumps over midwatch/a-very-long-branch-name-1a2b and on";
        assert_eq!(
            wrap("  ", text, 24),
            [
                "  the quick brown fox",
                "  jumps over",
                "  midwatch/a-very-long-branch-name-1a2b",
                "  and on"
            ]
        );
        assert_eq!(wrap("- ", "", 24), ["- "]);
        assert_eq!(wrap("", "a  b", 24), ["a b"]);
    }

    #[test]
    fn the_width_is_what_is_said_within_reason() {
        assert_eq!(columns(Some("40")), 40);
        assert_eq!(columns(Some("7")), NARROWEST);
        assert_eq!(columns(Some("500")), WIDEST);
    }
}
