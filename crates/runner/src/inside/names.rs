//! How a path is written into an ignore file.

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
}
