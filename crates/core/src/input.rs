//! What is said about input that cannot be taken.

use std::fmt;

/// The longest part of a refused value that is repeated in the error, in characters.
const SHOWN: usize = 60;

/// Input that was refused: the field, the value (shortened, escaped), the rule and the fix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidInput {
    /// The field, flag or object path, such as `spec.goal` or `--branch`.
    pub field: String,
    /// The value, escaped and shortened; empty where it must not be repeated.
    pub value: String,
    /// What the value breaks.
    pub rule: String,
    /// What to do instead.
    pub fix: String,
}

impl InvalidInput {
    /// Refuses a value, repeating it shortened and with its control characters escaped.
    pub fn new(field: &str, value: &str, rule: &str, fix: &str) -> Self {
        Self { field: field.into(), value: shown(value), rule: rule.into(), fix: fix.into() }
    }

    /// Refuses a value that may hold a secret and so is never repeated.
    pub fn unshown(field: &str, rule: &str, fix: &str) -> Self {
        Self { field: field.into(), value: String::new(), rule: rule.into(), fix: fix.into() }
    }

    /// The same refusal about another field, for a value that was parsed on behalf of it.
    #[must_use]
    pub fn of(mut self, field: &str) -> Self {
        field.clone_into(&mut self.field);
        self
    }
}

impl fmt::Display for InvalidInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.value.is_empty() {
            write!(f, "{} {}; {}", self.field, self.rule, self.fix)
        } else {
            write!(f, "{} '{}' {}; {}", self.field, self.value, self.rule, self.fix)
        }
    }
}

impl std::error::Error for InvalidInput {}

/// Text from outside made fit for one line of a terminal or log: escaped and shortened. A
/// backslash is doubled, so that what was escaped is told from what was written so.
pub fn shown(value: &str) -> String {
    escaped(value, |c| is_invisible(c) || c == '\\')
}

/// The same of what is kept and read again, such as a name: a backslash in it stays one.
pub fn one_line(value: &str) -> String {
    escaped(value, is_invisible)
}

fn escaped(value: &str, is_escaped: impl Fn(char) -> bool) -> String {
    let mut out = String::new();
    for (count, c) in value.chars().enumerate() {
        if count == SHOWN {
            out.push('…');
            break;
        }
        if is_escaped(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// Control, bidirectional and zero-width characters: what can mislead a reader of a terminal.
pub fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}'
            | '\u{feff}' | '\u{061c}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_values_are_escaped_and_shortened() {
        let error = InvalidInput::new("name", "a\x1b[31m\u{202e}b", "is odd", "mend it");
        assert_eq!(error.to_string(), "name 'a\\u{1b}[31m\\u{202e}b' is odd; mend it");
        assert!(shown(&"x".repeat(1000)).chars().count() <= SHOWN + 1);
    }
}
