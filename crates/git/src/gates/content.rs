//! Rules about paths as bytes, symbolic links and invisible characters.

use super::Rule;

/// The names that DOS devices still take on some systems.
const RESERVED: [&str; 22] = [
    "con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8",
    "com9", "lpt1", "lpt2", "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
];

/// What is wrong with a path, whatever it holds.
pub(super) fn path_fault(path: &[u8]) -> Option<Rule> {
    let Ok(text) = std::str::from_utf8(path) else { return Some(Rule::PathBytes) };
    if text.chars().any(char::is_control) {
        return Some(Rule::PathBytes);
    }
    if text.split('/').any(is_git_look_alike) {
        return Some(Rule::GitLookAlike);
    }
    let odd = text.split('/').any(|part| matches!(part, "" | "." | ".."));
    (odd || text.chars().any(midwatch_core::input::is_invisible)).then_some(Rule::PathBytes)
}

/// Whether some file system takes a name for `.git`: another case, characters that HFS+ leaves
/// out, what NTFS leaves out at the end or after a colon, its short name.
fn is_git_look_alike(name: &str) -> bool {
    let seen: String = name
        .chars()
        .filter(|c| {
            !midwatch_core::input::is_invisible(*c) && !matches!(c, '\u{206a}'..='\u{206f}')
        })
        .flat_map(char::to_lowercase)
        .collect();
    let stem = seen.split([':', '\\']).next().unwrap_or_default();
    let stem = stem.trim_end_matches(['.', ' ']);
    stem == ".git" || stem == "git~1"
}

pub(super) fn is_reserved(path: &[u8]) -> bool {
    String::from_utf8_lossy(path).split('/').any(|part| {
        let stem = part.split('.').next().unwrap_or_default().to_ascii_lowercase();
        RESERVED.contains(&stem.as_str())
    })
}

/// Why a symbolic link at a path may not point where it does.
pub(super) fn link_fault(path: &[u8], target: &[u8]) -> Option<&'static str> {
    if target.is_empty() || target.contains(&0) {
        return Some("no target");
    }
    if target.starts_with(b"/") || target.contains(&b'\\') {
        return Some("absolute");
    }
    let depth = path.split(|b| *b == b'/').count() - 1;
    let mut ups = 0;
    let mut down = false;
    for part in target.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            // Only at the front: behind a name that is itself a link, `..` is somewhere else.
            b".." if down => return Some("`..` after a name"),
            b".." => ups += 1,
            name => {
                if std::str::from_utf8(name).map_or(true, is_git_look_alike) {
                    return Some("into a git directory");
                }
                down = true;
            }
        }
    }
    (ups > depth).then_some("leaves the tree")
}

/// The first line (from 1) with an invisible or direction-changing character that the text
/// before did not have. Ordinary control characters of text files are none.
pub(super) fn invisible_line(data: &[u8], before: Option<&[u8]>) -> Option<usize> {
    let hidden =
        |c: char| midwatch_core::input::is_invisible(c) && !c.is_control() && c != '\u{feff}';
    let text = std::str::from_utf8(data).ok()?;
    // A zero-width joiner lives in emoji and scripts; the ones that reorder text do not.
    let found = text.lines().position(|line| line.chars().any(|c| hidden(c) && c != '\u{200d}'))?;
    let was = before.and_then(|b| std::str::from_utf8(b).ok()).unwrap_or_default();
    let line = text.lines().nth(found).unwrap_or_default();
    (!was.contains(line)).then_some(found + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_mislead_are_refused() {
        for path in [
            ".git/config",
            "a/.GIT/x",
            ".gi\u{200c}t/x",
            ".git./x",
            ".git /x",
            "GIT~1/x",
            ".git::$INDEX_ALLOCATION/x",
            ".git\\x",
        ] {
            assert_eq!(path_fault(path.as_bytes()), Some(Rule::GitLookAlike), "{path:?}");
        }
        for path in ["a\nb", "a\x1b[2J", "../x", "a//b", "a\u{202e}b"] {
            assert_eq!(path_fault(path.as_bytes()), Some(Rule::PathBytes), "{path:?}");
        }
        assert_eq!(path_fault(b"a\xff"), Some(Rule::PathBytes));
        for path in [".gitignore", ".github/x", "src/git.rs", "größe", "日本"] {
            assert_eq!(path_fault(path.as_bytes()), None, "{path}");
        }
        assert!(is_reserved(b"src/aux.c") && is_reserved(b"CON") && !is_reserved(b"console.log"));
    }

    #[test]
    fn links_stay_in_the_tree() {
        for (path, target) in [
            ("a", "/etc/passwd"),
            ("a", "../x"),
            ("d/a", "../../x"),
            ("a", "d/../../x"),
            ("a", ".git/hooks"),
            ("d/a", "../.GIT/config"),
            ("a", ""),
            ("a", "c:\\x"),
            ("a", "d/.."),
        ] {
            assert!(link_fault(path.as_bytes(), target.as_bytes()).is_some(), "{path} -> {target}");
        }
        for (path, target) in [("a", "b"), ("d/a", "../b"), ("d/e/a", "../../b/c"), ("a", "./b")] {
            assert_eq!(link_fault(path.as_bytes(), target.as_bytes()), None, "{path} -> {target}");
        }
    }

    #[test]
    fn invisible_text_is_told_once_it_is_new() {
        let evil = "ok\nif admin {\u{202e} // }\n";
        assert_eq!(invisible_line(evil.as_bytes(), None), Some(2));
        assert_eq!(invisible_line(evil.as_bytes(), Some(evil.as_bytes())), None);
        assert_eq!(invisible_line("\u{feff}tabs\tand 👨\u{200d}👩".as_bytes(), None), None);
    }
}
