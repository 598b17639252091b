//! How the name of a file is written for people: one line, never to be mistaken for two names or
//! for another one, and read back as the same bytes. Names are bytes, and agents give them.

use crate::input::is_invisible;

/// Characters of a name that are written at most.
const MOST: usize = 300;

/// A name as it is where it holds plain characters only; else in quotes, with escapes. One that is
/// too long is cut, which `…` behind the quotes says.
pub fn shown(path: &[u8]) -> String {
    let mut written: Vec<String> = Vec::new();
    for chunk in path.utf8_chunks() {
        written.extend(chunk.valid().chars().map(character));
        written.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    let mut room = MOST;
    let fits = |one: &&String| {
        let fits = one.chars().count() <= room;
        room = if fits { room - one.chars().count() } else { 0 };
        fits
    };
    let kept: String = written.iter().take_while(fits).map(String::as_str).collect();
    match std::str::from_utf8(path) {
        Ok(plain) if kept == plain && is_plain(plain) => kept,
        _ if written.iter().map(String::len).sum::<usize>() > kept.len() => format!("\"{kept}\"…"),
        _ => format!("\"{kept}\""),
    }
}

/// The bytes of a name that was written by [`shown`]; none where they cannot be known.
pub fn read(shown: &str) -> Option<Vec<u8>> {
    if is_plain(shown) {
        return Some(shown.as_bytes().to_vec());
    }
    let mut rest = shown.strip_prefix('"')?.strip_suffix('"')?;
    let mut path = Vec::with_capacity(rest.len());
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '\\' => rest = escape(rest, &mut path)?,
            '"' => return None,
            c => path.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Some(path)
}

/// Nothing in it ends a name in a list or a sentence, hides, or stands for something else.
fn is_plain(text: &str) -> bool {
    let odd = |c: char| {
        must_be_escaped(c)
            || c.is_whitespace()
            || matches!(c, '\'' | '`' | ',' | ';' | '…' | '\u{fffd}')
    };
    !text.is_empty() && !text.contains(odd)
}

fn must_be_escaped(c: char) -> bool {
    matches!(c, '"' | '\\') || is_invisible(c) || (c.is_whitespace() && c != ' ')
}

fn character(c: char) -> String {
    match c {
        c if must_be_escaped(c) => c.escape_default().collect(),
        c => c.to_string(),
    }
}

/// Takes what follows a backslash; returns what is behind it.
fn escape<'t>(text: &'t str, path: &mut Vec<u8>) -> Option<&'t str> {
    let kind = text.chars().next()?;
    let rest = &text[kind.len_utf8()..];
    match kind {
        '"' | '\\' => path.push(u8::try_from(kind).ok()?),
        'n' => path.push(b'\n'),
        'r' => path.push(b'\r'),
        't' => path.push(b'\t'),
        'x' => {
            path.push(u8::from_str_radix(rest.get(..2)?, 16).ok()?);
            return rest.get(2..);
        }
        'u' => {
            let (number, rest) = rest.strip_prefix('{')?.split_once('}')?;
            let c = char::from_u32(u32::from_str_radix(number, 16).ok()?)?;
            path.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            return Some(rest);
        }
        _ => return None,
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Names that were shown like another one, or like two.
    const HOSTILE: &[&[u8]] = &[
        b"a",
        b"a\nb",
        b"a; b",
        b"a\\nb",
        b"a\\\nb",
        b"a b",
        b"a\tb",
        b"a, b",
        b"a (3 MiB), b",
        b"\"a\"",
        b"a\"",
        b"a\n",
        b" a",
        b"a\r",
        b"\x1b[31ma",
        b"\x1b[2Ja",
        b"a\xff",
        b"a\\xff",
        b"a\xef\xbf\xbd",
        "a\u{202e}b".as_bytes(),
        "a\u{2028}b".as_bytes(),
        "a…".as_bytes(),
        b"",
        b"dir/\n/core",
        b"it's",
    ];

    #[test]
    fn a_name_is_one_line_that_stands_for_it_alone() {
        let all: BTreeSet<String> = HOSTILE.iter().map(|path| shown(path)).collect();
        assert_eq!(all.len(), HOSTILE.len(), "{all:?}");
        for path in HOSTILE {
            let told = shown(path);
            assert!(!told.chars().any(|c| is_invisible(c) || c == '\u{2028}'), "{told:?}");
            assert_eq!(read(&told).as_deref(), Some(*path), "{told}");
            let quoted = told.starts_with('"') && told.ends_with('"');
            assert!(quoted || !told.contains([' ', ',', ';']), "{told}");
        }
        assert_eq!(shown(b"a\nb"), "\"a\\nb\"");
        assert_eq!(shown(b"a\xff \x1b"), "\"a\\xff \\u{1b}\"");
    }

    #[test]
    fn plain_names_stay_as_they_are() {
        for plain in ["src/lib.rs", "a-b_c.d", "größe/日本", "[id].tsx", "a(1)", "@x/~y$z"] {
            assert_eq!(shown(plain.as_bytes()), plain);
            assert_eq!(read(plain).as_deref(), Some(plain.as_bytes()));
        }
    }

    #[test]
    fn what_is_cut_says_so_and_stands_for_no_name() {
        for path in [vec![b'x'; 5000], vec![b'\n'; 5000], "é\u{1b}".repeat(900).into_bytes()] {
            let told = shown(&path);
            assert!(told.ends_with("\"…") && told.chars().count() <= MOST + 3, "{told}");
            assert_eq!(read(&told), None);
        }
        assert_eq!(read(&shown(&[b'x'; MOST])), Some(vec![b'x'; MOST]));
        for broken in [
            "",
            "\"",
            "\"a",
            "a\"",
            "\"\\\"",
            "\"\\x\"",
            "\"\\u{d800}\"",
            "\"a\"b\"",
            "a b",
            "\"\\xé\"",
        ] {
            assert_eq!(read(broken), None, "{broken}");
        }
    }
}
