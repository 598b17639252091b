//! Finds secrets in bytes, in the forms that they are easily given.

use std::collections::{BTreeMap, BTreeSet};

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// What is looked for.
pub(super) struct Search {
    automaton: AhoCorasick,
    /// The secret behind each pattern.
    names: Vec<&'static str>,
}

impl Search {
    pub(super) fn new(secrets: &BTreeMap<&'static str, String>) -> Self {
        let (mut patterns, mut names) = (Vec::new(), Vec::new());
        for (name, secret) in secrets {
            for form in forms(secret) {
                patterns.push(form);
                names.push(*name);
            }
        }
        Self { automaton: AhoCorasick::new(patterns).unwrap(), names }
    }

    /// The names of the secrets in these bytes, each once.
    pub(super) fn named(&self, bytes: &[u8]) -> impl Iterator<Item = &'static str> + use<> {
        let found = self.automaton.find_overlapping_iter(bytes);
        found.map(|hit| self.names[hit.pattern()]).collect::<BTreeSet<_>>().into_iter()
    }
}

/// Lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(u32::from(digit), 16)).collect()
}

fn forms(secret: &str) -> BTreeSet<Vec<u8>> {
    let bytes = secret.as_bytes();
    let hex = hex(bytes);
    let encoded: String = secret
        .chars()
        .map(|c| match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' | '~' => c.to_string(),
            c => format!("%{:02X}", u32::from(c)),
        })
        .collect();
    let reversed: String = secret.chars().rev().collect();
    let mut forms = BTreeSet::from([
        secret.to_owned(),
        hex.to_uppercase(),
        hex,
        encoded.to_lowercase(),
        encoded,
        reversed,
        STANDARD.encode(bytes),
    ]);
    // Inside longer text base64 begins at any of three places; its ends depend on neighbours.
    for lead in 0..3 {
        let padded = [&b"\0\0"[..lead], bytes].concat();
        for code in [STANDARD_NO_PAD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)] {
            let own = if lead == 0 { 0 } else { 4 };
            forms.insert(code[own..code.len() - 4].to_owned());
        }
    }
    forms.into_iter().map(String::into_bytes).collect()
}

#[test]
fn every_form_is_found_and_nothing_else() {
    let secret = "0123456789abcdef/+xyz=";
    let search = Search::new(&BTreeMap::from([("it", secret.to_owned())]));
    let told = |text: String| search.named(text.as_bytes()).collect::<Vec<_>>() == ["it"];
    assert!(told(format!("x{secret}y")) && told(secret.chars().rev().collect()));
    assert!(told("0123456789abcdef%2F%2Bxyz%3D".into()));
    for lead in ["", "a", "ab", "abc"] {
        for code in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            assert!(told(code.encode(format!("{lead}{secret} and more"))), "{lead}");
        }
    }
    let hex = hex(secret.as_bytes());
    assert!(told(hex.to_uppercase()) && told(hex));
    assert!(!told("0123456789abcde".into()));
}
