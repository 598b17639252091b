//! A small JSON reader for files and logs of strangers: bounded in depth, numbers and
//! literals are skipped over. Core knows no serde.

/// Deeper values than this are refused; `package.json` needs four levels.
const MAX_DEPTH: usize = 32;

/// A value. What nobody asks for is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Json {
    /// A string.
    Text(String),
    /// An object, in the order of the file.
    Object(Vec<(String, Json)>),
    /// An array, a number, `true`, `false` or `null`.
    Other,
}

impl Json {
    /// Reads one value and nothing behind it.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut reader = Reader { rest: text.strip_prefix('\u{feff}').unwrap_or(text) };
        let value = reader.value(0)?;
        reader.space();
        reader.rest.is_empty().then_some(value)
    }

    /// The last value of a key, as JavaScript takes it.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        let Self::Object(members) = self else {
            return None;
        };
        members.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The text of a string.
    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Object(_) | Self::Other => None,
        }
    }

    /// The members of an object.
    pub(crate) fn members(&self) -> &[(String, Self)] {
        match self {
            Self::Object(members) => members,
            Self::Text(_) | Self::Other => &[],
        }
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
    }

    fn take(&mut self, token: char) -> bool {
        self.space();
        let rest = self.rest.strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn value(&mut self, depth: usize) -> Option<Json> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.space();
        match self.rest.chars().next()? {
            '"' => self.string().map(Json::Text),
            '{' => self.object(depth),
            '[' => self.array(depth),
            _ => {
                let end = self
                    .rest
                    .find(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c)))
                    .unwrap_or(self.rest.len());
                self.rest = &self.rest[end..];
                (end > 0).then_some(Json::Other)
            }
        }
    }

    fn object(&mut self, depth: usize) -> Option<Json> {
        self.take('{');
        let mut members = Vec::new();
        if self.take('}') {
            return Some(Json::Object(members));
        }
        loop {
            self.space();
            let key = self.string()?;
            if !self.take(':') {
                return None;
            }
            members.push((key, self.value(depth + 1)?));
            if self.take('}') {
                return Some(Json::Object(members));
            }
            if !self.take(',') {
                return None;
            }
        }
    }

    fn array(&mut self, depth: usize) -> Option<Json> {
        self.take('[');
        if self.take(']') {
            return Some(Json::Other);
        }
        loop {
            self.value(depth + 1)?;
            if self.take(']') {
                return Some(Json::Other);
            }
            if !self.take(',') {
                return None;
            }
        }
    }

    fn string(&mut self) -> Option<String> {
        let mut chars = self.rest.strip_prefix('"')?.chars();
        let mut out = String::new();
        loop {
            match chars.next()? {
                '"' => break,
                '\\' => match chars.next()? {
                    'n' => out.push('\n'),
                    't' => out.push('\t'),
                    'r' => out.push('\r'),
                    'b' | 'f' => out.push(' '),
                    'u' => {
                        let digits: String = chars.by_ref().take(4).collect();
                        let code = u32::from_str_radix(&digits, 16).ok()?;
                        // Halves of a pair are of no use to anybody here.
                        out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                    }
                    c => out.push(c),
                },
                c => out.push(c),
            }
        }
        self.rest = chars.as_str();
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_strings_are_found() {
        let text = "\u{feff}{ \"a\": [1, {\"b\": null}], \"s\": {\"test\": \"x \\\"y\\\" \\u0041\"}, \"s2\": {} }\n";
        let json = Json::parse(text).unwrap();
        assert_eq!(json.get("s").and_then(|s| s.get("test")?.as_str()), Some("x \"y\" A"));
        assert_eq!(json.members().len(), 3);
        assert_eq!(json.get("a"), Some(&Json::Other));
    }

    #[test]
    fn broken_and_deep_text_is_refused() {
        let deep = "[".repeat(1_000_000);
        let deep_objects = "{\"a\":".repeat(100_000);
        for text in [
            "",
            "{",
            "{\"a\"}",
            "{\"a\":1,}",
            "\"\\u12",
            "\"\\uzzzz\"",
            "1 2",
            &deep,
            &deep_objects,
        ] {
            assert_eq!(Json::parse(text), None);
        }
    }
}
