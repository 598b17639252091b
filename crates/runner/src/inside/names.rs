//! How a name is written into an ignore file, and as one part of another name.

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

/// One component that every ref format takes: letters, digits, `_`, `-` and single inner dots.
pub(super) fn sanitised(name: &str) -> String {
    let mut plain = String::new();
    for character in name.chars().take(100) {
        let dot = character == '.' && !plain.is_empty() && !plain.ends_with('.');
        let kept = character.is_ascii_alphanumeric() || matches!(character, '_' | '-') || dot;
        plain.push(if kept { character } else { '-' });
    }
    let plain = plain.trim_end_matches('.');
    let plain = plain.strip_suffix(".lock").unwrap_or(plain);
    if plain.is_empty() { "unnamed".to_owned() } else { plain.to_owned() }
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
    fn names_become_one_harmless_component() {
        assert_eq!(sanitised("feature/login"), "feature-login");
        assert_eq!(sanitised("a..b.lock"), "a.-b");
        assert_eq!(sanitised(".hidden"), "-hidden");
        assert_eq!(sanitised("x\u{202e}\n y"), "x---y");
        assert_eq!(sanitised(""), "unnamed");
    }
}
