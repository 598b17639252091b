//! How a path is written: into an ignore file, and for people.

/// A name that is told is shortened to so many characters: what is left in `out` stays small.
pub(super) const NAME_MAX: usize = 300;

/// A line of `info/exclude` that means exactly this path from the top.
pub(super) fn pattern(path: &[u8]) -> String {
    let mut line = String::from("/");
    for character in String::from_utf8_lossy(path).trim_matches('/').chars() {
        match character {
            '*' | '?' | '[' | '\\' | ' ' => {
                line.push('\\');
                line.push(character);
            }
            // No pattern can hold a newline or what is not UTF-8; one character stands for it.
            '\n' | '\r' | char::REPLACEMENT_CHARACTER => line.push('?'),
            other => line.push(other),
        }
    }
    line
}

/// A path for people: control characters escaped.
pub(crate) fn escaped(path: &[u8]) -> String {
    String::from_utf8_lossy(path)
        .chars()
        .take(NAME_MAX)
        .flat_map(|c| -> Vec<char> {
            if c.is_control() { c.escape_default().collect() } else { vec![c] }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_one_path() {
        assert_eq!(pattern(b"node_modules"), "/node_modules");
        assert_eq!(pattern(b"a b*[x]"), "/a\\ b\\*\\[x]");
        assert_eq!(pattern(b"new\nline"), "/new?line");
        assert_eq!(pattern(b"!x"), "/!x");
    }

    #[test]
    fn what_people_read_is_escaped_and_short() {
        assert_eq!(escaped(b"a\x1b[2J\nb"), "a\\u{1b}[2J\\nb");
        assert_eq!(escaped(&[b'x'; 5000]).len(), NAME_MAX);
    }
}
