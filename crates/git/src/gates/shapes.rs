//! Tokens of well-known shapes: a fixed beginning and enough random characters after it.

use aho_corasick::AhoCorasick;

struct Shape {
    prefix: &'static str,
    name: &'static str,
    /// The fewest characters after the prefix.
    tail: usize,
    /// Characters beside letters and digits.
    also: &'static [u8],
}

const fn shape(
    prefix: &'static str,
    name: &'static str,
    tail: usize,
    also: &'static [u8],
) -> Shape {
    Shape { prefix, name, tail, also }
}

/// As their issuers document them.
const SHAPES: [Shape; 26] = [
    shape("ghp_", "GitHub token", 36, b""),
    shape("gho_", "GitHub token", 36, b""),
    shape("ghu_", "GitHub token", 36, b""),
    shape("ghs_", "GitHub token", 36, b""),
    shape("ghr_", "GitHub token", 36, b""),
    shape("github_pat_", "GitHub token", 59, b"_"),
    shape("glpat-", "GitLab token", 20, b"-_"),
    shape("sk-ant-", "Anthropic key", 40, b"-_"),
    shape("sk-proj-", "OpenAI key", 40, b"-_"),
    shape("sk-svcacct-", "OpenAI key", 40, b"-_"),
    shape("sk-", "API key", 40, b""),
    shape("sk_live_", "Stripe key", 24, b""),
    shape("rk_live_", "Stripe key", 24, b""),
    shape("xoxb-", "Slack token", 24, b"-"),
    shape("xoxp-", "Slack token", 24, b"-"),
    shape("xapp-", "Slack token", 24, b"-"),
    shape("AKIA", "AWS key id", 16, b""),
    shape("ASIA", "AWS key id", 16, b""),
    shape("AIza", "Google key", 35, b"-_"),
    shape("ya29.", "Google token", 50, b"-_"),
    shape("npm_", "npm token", 36, b""),
    shape("pypi-AgEIcHlwaS5vcmc", "PyPI token", 50, b"-_"),
    shape("hf_", "Hugging Face token", 34, b""),
    shape("dckr_pat_", "Docker token", 27, b"-_"),
    shape("AGE-SECRET-KEY-1", "age key", 58, b""),
    shape("PRIVATE KEY-----", "private key", 64, b"+/=\r\n\\\"' "),
];

pub(super) fn automaton() -> Option<AhoCorasick> {
    AhoCorasick::new(SHAPES.iter().map(|shape| shape.prefix)).ok()
}

/// Names and lines (from 1) of tokens that `before` did not hold.
pub(super) fn find(
    automaton: &AhoCorasick,
    data: &[u8],
    before: Option<&[u8]>,
) -> Vec<(&'static str, usize)> {
    let mut found = Vec::new();
    for hit in automaton.find_overlapping_iter(data) {
        let shape = &SHAPES[hit.pattern().as_usize()];
        let glued = hit.start() > 0 && data[hit.start() - 1].is_ascii_alphanumeric();
        let rest = &data[hit.end()..];
        let length = rest
            .iter()
            .take(4096)
            .take_while(|b| b.is_ascii_alphanumeric() || shape.also.contains(b))
            .count();
        if glued || length < shape.tail || is_placeholder(&rest[..length]) {
            continue;
        }
        let token = &data[hit.start()..hit.end() + length];
        if before.is_some_and(|before| before.windows(token.len()).any(|part| part == token)) {
            continue;
        }
        let line = data[..hit.start()].split(|b| *b == b'\n').count();
        found.push((shape.name, line));
    }
    found.dedup();
    found
}

/// What stands in documents in the place of a token.
fn is_placeholder(tail: &[u8]) -> bool {
    let mut distinct: Vec<u8> = tail.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    let text = String::from_utf8_lossy(tail).to_ascii_lowercase();
    distinct.len() < 8 || text.contains("example") || text.contains("placeholder")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(data: &str, before: Option<&str>) -> Vec<&'static str> {
        let automaton = automaton().unwrap();
        let found = find(&automaton, data.as_bytes(), before.map(str::as_bytes));
        found.into_iter().map(|(name, _)| name).collect()
    }

    /// Put together at run time, so that this file holds none.
    fn token(prefix: &str, length: usize) -> String {
        let tail: String = "aB3dE5gH7jK9mN1pQ2sT4vW6yZ8".chars().cycle().take(length).collect();
        format!("{prefix}{tail}")
    }

    #[test]
    fn every_shape_is_found_and_its_placeholder_is_not() {
        for shape in &SHAPES {
            let text = format!("x = '{}'\n", token(shape.prefix, shape.tail));
            assert!(names(&text, None).contains(&shape.name), "{text}");
            assert!(names(&text, Some(&text)).is_empty(), "it stood there before: {text}");
            let dull = format!("{}{}", shape.prefix, "x".repeat(shape.tail));
            assert!(names(&dull, None).is_empty(), "{dull}");
        }
        assert!(names("task-force and sk-short", None).is_empty());
        assert!(names(&format!("AKIA{}", "IOSFODNN7EXAMPLE"), None).is_empty());
    }
}
