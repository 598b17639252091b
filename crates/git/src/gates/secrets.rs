//! Looks for secrets in data: those we know, in every form that they are easily given, and
//! tokens of common shapes. A net and not the wall: the sandbox never held a real secret.

use aho_corasick::AhoCorasick;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use secrecy::{ExposeSecret, SecretString};

use super::{Rule, shapes};
use crate::hex::hex;

/// The shortest secret, in letters and digits, that is looked for: shorter ones are everywhere.
const SHORTEST: usize = 8;

/// The length of the pieces that a long secret is also looked for in.
const PIECE: usize = 16;

/// A secret by name, such as `ANTHROPIC_API_KEY`.
#[derive(Debug, Clone)]
pub struct KnownSecret {
    /// What findings call it.
    pub name: String,
    /// Its value.
    pub value: SecretString,
}

/// Searches data for secrets, and knows the commands that check the work.
pub struct Scanner {
    known: Option<AhoCorasick>,
    /// The name behind each pattern.
    names: Vec<String>,
    shapes: Option<AhoCorasick>,
    checks: Vec<String>,
}

impl std::fmt::Debug for Scanner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The automaton holds the secrets.
        f.debug_struct("Scanner").field("names", &self.names).finish_non_exhaustive()
    }
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hit {
    pub(super) rule: Rule,
    pub(super) detail: String,
}

impl Scanner {
    /// A scanner for these secrets and for common shapes. Secrets of fewer than 8 letters and
    /// digits are not looked for.
    pub fn new(secrets: &[KnownSecret]) -> Self {
        let mut patterns: Vec<Vec<u8>> = Vec::new();
        let mut names = Vec::new();
        for secret in secrets {
            for form in forms(secret.value.expose_secret().trim().as_bytes()) {
                patterns.push(form);
                names.push(secret.name.clone());
            }
        }
        let known = (!patterns.is_empty()).then(|| AhoCorasick::new(&patterns).ok()).flatten();
        Self { known, names, shapes: shapes::automaton(), checks: Vec::new() }
    }

    /// With the commands that check the work: a change of what they run is looked for, too.
    #[must_use]
    pub fn with_checks(mut self, commands: &[String]) -> Self {
        self.checks = commands.to_vec();
        self
    }

    pub(super) fn checks(&self) -> &[String] {
        &self.checks
    }

    /// Whether it can be relied on. It cannot when a table of patterns could not be built.
    pub fn is_whole(&self) -> bool {
        self.shapes.is_some() && (self.known.is_some() || self.names.is_empty())
    }

    /// Searches data; tokens of a common shape that `before` held already are left out.
    pub(super) fn scan(&self, data: &[u8], before: Option<&[u8]>) -> Vec<Hit> {
        let mut hits: Vec<Hit> = Vec::new();
        if let Some(known) = &self.known {
            // One pass over letters and digits alone also finds what was cut up by quotes, line
            // breaks or zero bytes.
            for found in known.find_overlapping_iter_checked(&plain(data)) {
                let detail = self.names[found].clone();
                hits.push(Hit { rule: Rule::KnownSecret, detail });
            }
        }
        if let Some(automaton) = &self.shapes {
            for (name, line) in shapes::find(automaton, data, before) {
                hits.push(Hit { rule: Rule::SecretShape, detail: format!("{name}, line {line}") });
            }
        }
        hits.sort_by(|a, b| (a.rule, &a.detail).cmp(&(b.rule, &b.detail)));
        hits.dedup();
        hits
    }
}

/// Which patterns are found, each once.
trait FindIndexes {
    fn find_overlapping_iter_checked(&self, data: &[u8]) -> Vec<usize>;
}

impl FindIndexes for AhoCorasick {
    fn find_overlapping_iter_checked(&self, data: &[u8]) -> Vec<usize> {
        let mut found: Vec<usize> =
            self.find_overlapping_iter(data).map(|m| m.pattern().as_usize()).collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}

fn plain(data: &[u8]) -> Vec<u8> {
    data.iter().copied().filter(u8::is_ascii_alphanumeric).collect()
}

/// A secret in each of its forms, letters and digits only.
fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let bare = plain(secret);
    if bare.len() < SHORTEST {
        return Vec::new();
    }
    let mut forms = vec![bare.clone()];
    forms.push(bare.iter().rev().copied().collect());
    let hexed = hex(secret);
    forms.push(hexed.to_uppercase().into_bytes());
    forms.push(hexed.into_bytes());
    let escaped = |upper: bool| -> Vec<u8> {
        let text: String = secret
            .iter()
            .map(|b| match b {
                b if b.is_ascii_alphanumeric() || b"-._~".contains(b) => char::from(*b).to_string(),
                b if upper => format!("%{b:02X}"),
                b => format!("%{b:02x}"),
            })
            .collect();
        plain(text.as_bytes())
    };
    forms.push(escaped(true));
    forms.push(escaped(false));
    for offset in 0..3 {
        let encoded = base64_inside(secret, offset);
        forms.push(plain(encoded.as_bytes()));
    }
    // A key whose beginning was cut off, or that was cut up. Dotted tokens begin alike, so
    // their pieces would be found in strangers.
    if bare.len() >= 2 * PIECE && !secret.contains(&b'.') {
        forms.extend(bare.chunks_exact(PIECE).skip(1).map(<[u8]>::to_vec));
    }
    forms.retain(|form| form.len() >= SHORTEST);
    forms.sort();
    forms.dedup();
    forms
}

/// The part of a base64 text that a secret alone decides, when `offset` bytes stand before it in
/// its group of three.
fn base64_inside(secret: &[u8], offset: usize) -> String {
    let mut bytes = vec![0; offset];
    bytes.extend_from_slice(secret);
    let encoded = STANDARD_NO_PAD.encode(&bytes);
    let first = (offset * 8).div_ceil(6);
    let last = bytes.len() * 8 / 6;
    encoded.get(first..last).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};

    const SECRET: &str = "sk-ant-api03-Zx9/Qw+7TbLmN2vKcR4YpEsUaHdGfJ1o";

    fn found(data: &[u8]) -> bool {
        let known = KnownSecret { name: "KEY".into(), value: SECRET.into() };
        let with = Scanner::new(&[known]);
        assert!(with.is_whole());
        let hit = |scanner: &Scanner| {
            scanner.scan(data, None).iter().any(|h| h.rule == Rule::KnownSecret)
        };
        // The control: who does not know the secret does not find it.
        assert!(!hit(&Scanner::new(&[])));
        hit(&with)
    }

    #[test]
    fn a_known_secret_is_found_in_each_of_its_forms() {
        let reversed: String = SECRET.chars().rev().collect();
        let hex = hex(SECRET.as_bytes());
        let utf16: Vec<u8> = SECRET.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let wrapped = STANDARD.encode(format!("x{SECRET}{}", "y".repeat(80)));
        let wrapped = wrapped.as_bytes().chunks(20).collect::<Vec<_>>().join(&b'\n');
        for data in [
            format!("key = \"{SECRET}\"").into_bytes(),
            reversed.into_bytes(),
            hex.to_uppercase().into_bytes(),
            hex.into_bytes(),
            SECRET.replace('/', "%2F").replace('+', "%2B").into_bytes(),
            SECRET.replace('/', "%2f").replace('+', "%2b").into_bytes(),
            STANDARD.encode(SECRET).into_bytes(),
            STANDARD.encode(format!("a{SECRET}b")).into_bytes(),
            URL_SAFE.encode(format!("ab{SECRET}")).into_bytes(),
            wrapped,
            utf16,
            format!("\"{}\" +\n  \"{}\"", &SECRET[..20], &SECRET[20..]).into_bytes(),
            SECRET.as_bytes()[13..].to_vec(),
        ] {
            assert!(found(&data), "{}", data.escape_ascii());
        }
        assert!(!found(b"nothing of that kind, sk-ant-api03-placeholder"));
    }

    #[test]
    fn a_scanner_shows_no_secret() {
        let known = KnownSecret { name: "KEY".into(), value: SECRET.into() };
        assert!(
            !format!("{:?} {known:?}", Scanner::new(std::slice::from_ref(&known))).contains("Zx9")
        );
    }

    #[test]
    fn short_secrets_are_left_out() {
        let short = KnownSecret { name: "PIN".into(), value: "1234".into() };
        assert!(Scanner::new(&[short]).scan(b"1234", None).is_empty());
    }
}
