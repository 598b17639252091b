//! The end of an agent's last message: what it said when it left nothing else.

/// The longest end that is kept, in characters: a question with its choices.
const MOST: usize = 600;

/// The end of a message in one line. A second line would look like ours.
pub(crate) fn last(message: &str) -> String {
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let from = line.chars().count().saturating_sub(MOST);
    if from == 0 {
        return line;
    }
    ['…'].into_iter().chain(line.chars().skip(from + 1)).collect()
}

/// Whether the last sentence of a message is a question, by its mark. What may stand behind a mark
/// does not hide it: quotes, brackets, emphasis.
pub(crate) fn asks(message: &str) -> bool {
    let behind = |c: char| {
        c.is_whitespace() || matches!(c, '"' | '\'' | '”' | '’' | '»' | ')' | ']' | '*' | '_' | '`')
    };
    message.trim_end_matches(behind).ends_with(['?', '？', '؟'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_one_short_line() {
        assert_eq!(last(" Which?\n\nok:  approved\u{2028}x "), "Which? ok: approved x");
        let long = last(&"é".repeat(2_000));
        assert!(long.starts_with('…') && long.chars().count() == MOST, "{long}");
        assert_eq!(last(&"y".repeat(MOST)), "y".repeat(MOST));
        assert_eq!(last(" \n"), "");
    }

    #[test]
    fn only_a_question_at_the_end_asks() {
        for asked in [
            "Which store?",
            "I can do two things.\n**Which one?**\n",
            "(File or table?)",
            "哪一个？",
        ] {
            assert!(asks(asked), "{asked}");
        }
        for said in ["", "Which? I took the file.", "Is it done? Yes.", "url?x=1", "?!", "Done."] {
            assert!(!asks(said), "{said}");
        }
    }
}
