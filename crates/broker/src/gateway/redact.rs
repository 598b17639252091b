//! Takes the real credential out of what comes back, however it is cut into pieces.

use hyper::body::Bytes;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

/// No real credential is shorter; a shorter text, such as the `none` that some local servers are
/// given, is no secret and would spoil ordinary answers.
const SECRET_MIN: usize = 8;

/// Replaces a secret by as many asterisks, so that lengths stay true. At the end of a piece it
/// holds back only bytes that may begin the secret.
pub(super) struct Redactor {
    secret: Zeroizing<Vec<u8>>,
    /// For each length of a match, the length of the longest shorter match that its end begins
    /// (Knuth, Morris, Pratt).
    shorter: Vec<usize>,
    /// How many bytes of the secret the held-back bytes are.
    matched: usize,
}

impl Redactor {
    /// Looks for this secret.
    pub(super) fn new(secret: &SecretString) -> Self {
        let secret = secret.expose_secret().as_bytes();
        let secret =
            Zeroizing::new(if secret.len() < SECRET_MIN { vec![] } else { secret.to_vec() });
        let mut shorter = vec![0; secret.len()];
        let mut length = 0;
        for at in 1..secret.len() {
            while length > 0 && secret[at] != secret[length] {
                length = shorter[length - 1];
            }
            length += usize::from(secret[at] == secret[length]);
            shorter[at] = length;
        }
        Self { secret, shorter, matched: 0 }
    }

    /// Takes a piece, returns what may go on.
    pub(super) fn feed(&mut self, piece: Bytes) -> Bytes {
        if self.secret.is_empty() {
            return piece;
        }
        let (start, mut matched, mut found) = (self.matched, self.matched, false);
        for &byte in &piece {
            matched = self.longer(matched, byte);
            if matched == self.secret.len() {
                found = true;
                break;
            }
        }
        if start == 0 && !found {
            // What every ordinary piece comes to: nothing is copied.
            self.matched = matched;
            return piece.slice(..piece.len() - matched);
        }
        self.rewrite(&piece)
    }

    /// How many bytes are held back.
    pub(super) fn held(&self) -> usize {
        self.matched
    }

    /// What is held back when nothing more comes: the secret cannot be completed any more.
    pub(super) fn finish(&mut self) -> Bytes {
        let held = Bytes::copy_from_slice(&self.secret[..self.matched]);
        self.matched = 0;
        held
    }

    /// A copy with the secret replaced, or `None` when it is not there.
    pub(super) fn clean_copy(&self, text: &[u8]) -> Option<Vec<u8>> {
        if self.secret.is_empty() || !text.windows(self.secret.len()).any(|w| w == *self.secret) {
            return None;
        }
        let mut fresh =
            Self { secret: self.secret.clone(), shorter: self.shorter.clone(), matched: 0 };
        let mut clean = fresh.rewrite(text).to_vec();
        clean.extend_from_slice(&fresh.finish());
        Some(clean)
    }

    /// The length of the match after one more byte.
    fn longer(&self, mut matched: usize, byte: u8) -> usize {
        while matched > 0 && self.secret[matched] != byte {
            matched = self.shorter[matched - 1];
        }
        matched + usize::from(self.secret[matched] == byte)
    }

    fn rewrite(&mut self, piece: &[u8]) -> Bytes {
        let mut out = Vec::with_capacity(piece.len() + self.matched);
        for &byte in piece {
            let before = self.matched;
            self.matched = self.longer(before, byte);
            // Bytes that can no longer begin the secret go on: they are known, being its start.
            let freed = before + 1 - self.matched;
            let known = freed.min(before);
            out.extend_from_slice(&self.secret[..known]);
            if freed > before {
                out.push(byte);
            }
            if self.matched == self.secret.len() {
                out.resize(out.len() + self.secret.len(), b'*');
                self.matched = 0;
            }
        }
        out.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(secret: &str, text: &str, step: usize) -> String {
        let mut redactor = Redactor::new(&SecretString::from(secret));
        let mut out = Vec::new();
        for piece in text.as_bytes().chunks(step) {
            out.extend_from_slice(&redactor.feed(Bytes::copy_from_slice(piece)));
        }
        out.extend_from_slice(&redactor.finish());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_secret_is_found_however_it_is_cut() {
        let secret = "abababac-abababac";
        let text = format!("x{secret}y abab{secret}{secret} abababac-abababa ababababac-abababac!");
        let clean = text.replace(secret, &"*".repeat(secret.len()));
        assert!(clean.contains("abababac-abababa "));
        for step in 1..=text.len() {
            assert_eq!(run(secret, &text, step), clean, "{step}");
        }
    }

    #[test]
    fn other_text_is_untouched_and_only_a_beginning_is_held_back() {
        let mut redactor = Redactor::new(&SecretString::from("sk-ant-secret"));
        assert_eq!(redactor.feed("data: sk-ant".into()), "data: ");
        assert_eq!(redactor.feed("hropic\n\n".into()), "sk-anthropic\n\n");
        assert_eq!(redactor.feed("s".into()), "");
        assert_eq!(redactor.finish(), "s");
        assert_eq!(run("none", "none of it", 3), "none of it");
    }
}
