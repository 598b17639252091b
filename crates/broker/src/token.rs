//! The run token: what an agent shows in the place of a credential.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::SecretString;
use sha2::Sha256;
use zeroize::Zeroizing;

/// Bytes of a key and of a token: 256 bit.
const SIZE: usize = 32;

/// The block of SHA-256 in bytes. HMAC pads a shorter key to it with zeros.
const BLOCK: usize = 64;

/// The key that every run token is derived from. One per state folder; whoever starts the server
/// keeps it, so that a run that outlives the server keeps its token.
pub struct ServerKey(Zeroizing<[u8; SIZE]>);

impl ServerKey {
    /// Takes 32 random bytes.
    pub fn new(bytes: [u8; SIZE]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    fn mac(&self, run: &str) -> Hmac<Sha256> {
        let mut block = Zeroizing::new([0; BLOCK]);
        block[..SIZE].copy_from_slice(&*self.0);
        let mut mac = Hmac::<Sha256>::new(&(*block).into());
        mac.update(run.as_bytes());
        mac
    }

    /// The token of a run: HMAC-SHA256 of its name, as 64 lower-case hex digits.
    pub(crate) fn token(&self, run: &str) -> SecretString {
        let bytes = self.mac(run).finalize().into_bytes();
        let mut hex = String::with_capacity(2 * SIZE);
        for byte in bytes {
            hex.push(char::from(DIGITS[usize::from(byte >> 4)]));
            hex.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
        SecretString::from(hex)
    }

    /// Whether the bytes are the run's token. The comparison takes the same time for every wrong
    /// token of the right form.
    pub(crate) fn is_token_of(&self, run: &str, shown: &[u8]) -> bool {
        from_hex(shown).is_some_and(|bytes| self.mac(run).verify_slice(&bytes).is_ok())
    }
}

impl std::fmt::Debug for ServerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServerKey")
    }
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

fn from_hex(text: &[u8]) -> Option<[u8; SIZE]> {
    if text.len() != 2 * SIZE {
        return None;
    }
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; SIZE];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_token_is_256_bit_of_hex_and_belongs_to_one_run_and_one_key() {
        let key = ServerKey::new([7; SIZE]);
        let token = key.token("t-implement-1");
        let text = token.expose_secret();
        assert_eq!(text.len(), 64);
        assert!(key.is_token_of("t-implement-1", text.as_bytes()));
        assert!(!key.is_token_of("t-implement-2", text.as_bytes()));
        assert!(!ServerKey::new([8; SIZE]).is_token_of("t-implement-1", text.as_bytes()));
        for wrong in ["", "x", &text[1..], &text.to_uppercase(), &"0".repeat(64)] {
            assert!(!key.is_token_of("t-implement-1", wrong.as_bytes()), "{wrong}");
        }
    }

    #[test]
    fn the_derivation_is_plain_hmac_sha256() {
        // Made with: printf run | openssl dgst -sha256 -mac HMAC -macopt hexkey:0707..07
        let token = ServerKey::new([7; SIZE]).token("run");
        assert_eq!(token.expose_secret(), EXPECTED);
    }

    const EXPECTED: &str = "8452a10f252a467fb630891f5576da3f3792690a8364e8793878969672ba3fc7";
}
