//! The operator's CA bundle as Java reads it. No version of Java takes PEM for a trust store, and
//! `keytool` imports one certificate at a time: so this writes its own old format, which every
//! version still reads.
//!
//! The layout is that of `sun.security.provider.JavaKeyStore`: magic, version, count, entries of
//! trusted certificates, and a SHA-1 over a password, a salt of words and all before it. The
//! password is no secret: what is in the store is public, and everybody uses this one.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

/// The password that Java's own trust store has.
pub(super) const PASSWORD: &str = "changeit";

const MAGIC: u32 = 0xfeed_feed;
const VERSION: u32 = 2;
/// The tag of an entry that is a trusted certificate.
const TRUSTED: u32 = 2;
/// What goes into the digest after the password.
const SALT: &[u8] = b"Mighty Aphrodite";

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// A trust store with every certificate of a PEM bundle that can be read.
pub(super) fn of_pem(pem: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(pem);
    let mut count: u32 = 0;
    let mut entries = Vec::new();
    for certificate in text.split(BEGIN).skip(1).filter_map(certificate) {
        let Ok(length) = u32::try_from(certificate.len()) else { continue };
        entries.extend_from_slice(&TRUSTED.to_be_bytes());
        word(&mut entries, &format!("ca{count}"));
        // When it was added, which nobody asks for.
        entries.extend_from_slice(&0_u64.to_be_bytes());
        word(&mut entries, "X.509");
        entries.extend_from_slice(&length.to_be_bytes());
        entries.extend_from_slice(&certificate);
        count += 1;
    }
    let mut store = Vec::with_capacity(12 + entries.len() + 20);
    for number in [MAGIC, VERSION, count] {
        store.extend_from_slice(&number.to_be_bytes());
    }
    store.append(&mut entries);
    let mut digest = Sha1::new();
    for unit in PASSWORD.encode_utf16() {
        digest.update(unit.to_be_bytes());
    }
    digest.update(SALT);
    digest.update(&store);
    store.extend_from_slice(&digest.finalize());
    store
}

/// The bytes of a certificate: what stands before its end, when that is one ASN.1 sequence.
fn certificate(part: &str) -> Option<Vec<u8>> {
    let (body, _) = part.split_once(END)?;
    let body: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let der = STANDARD.decode(body).ok()?;
    let [0x30, 0x82, high, low, rest @ ..] = &der[..] else { return None };
    (usize::from(u16::from_be_bytes([*high, *low])) == rest.len()).then_some(der)
}

/// Text as Java's `writeUTF` has it; ours is ASCII and short.
fn word(out: &mut Vec<u8>, text: &str) {
    let length = u16::try_from(text.len()).unwrap_or(0);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// The bundle of this machine.
    const SYSTEM: &str = "/etc/ssl/certs/ca-certificates.crt";

    #[test]
    fn what_is_no_certificate_is_left_out() {
        let der = [&[0x30, 0x82, 0x01, 0x00][..], &[7; 256]].concat();
        let good = format!("text before\n{BEGIN}\n{}\n{END}\nand after", STANDARD.encode(&der));
        let store = of_pem(good.as_bytes());
        assert_eq!(store[..12], [0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2, 0, 0, 0, 1]);
        assert!(store.windows(der.len()).any(|window| window == der));
        let short = STANDARD.encode(&der[..9]);
        for bad in ["", BEGIN, &format!("{BEGIN}\nAAAA\n{END}"), &format!("{BEGIN}{short}{END}")] {
            assert_eq!(of_pem(bad.as_bytes())[8..12], [0; 4], "{bad}");
        }
    }

    #[test]
    fn java_reads_every_certificate_and_checks_the_digest() {
        let Ok(pem) = std::fs::read(SYSTEM) else {
            return said("there is no bundle on this machine");
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.jks");
        let list = |store: &[u8]| {
            std::fs::write(&path, store).unwrap();
            let mut command = Command::new("keytool");
            command.args(["-list", "-storetype", "JKS", "-storepass", PASSWORD, "-keystore"]);
            command.arg(&path).output()
        };
        let store = of_pem(&pem);
        let Ok(output) = list(&store) else {
            return said("there is no keytool on this machine");
        };
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let count = String::from_utf8_lossy(&pem).matches(BEGIN).count();
        assert_eq!(text.matches("trustedCertEntry").count(), count, "{text}");
        // The control: a store that was changed is refused.
        let mut changed = store;
        let last = changed.len() - 1;
        changed[last] ^= 1;
        assert!(!list(&changed).unwrap().status.success());
    }

    fn said(why: &str) {
        eprintln!("NOT RUN: a trust store read by Java: {why}");
    }
}
