//! Reading of untrusted JSON: absent and of another type are the same.

use midwatch_core::agent::Digest;
use serde_json::{Map, Value};

/// An object from a line. `serde_json` stops at a depth of 128, so a bomb is an error here.
pub(crate) fn object(line: &[u8]) -> Option<Map<String, Value>> {
    serde_json::from_slice(line).ok()
}

/// The text of a field.
pub(crate) fn text<'a>(object: &'a Map<String, Value>, field: &str) -> Option<&'a str> {
    object.get(field)?.as_str()
}

/// A count, 0 when absent.
pub(crate) fn count(value: &Value, field: &str) -> u64 {
    value.get(field).and_then(Value::as_u64).unwrap_or(0)
}

/// The mark of a value. Keys are sorted on reading, so their order makes no difference.
pub(crate) fn digest(value: &Value) -> Digest {
    Digest::of(value.to_string().as_bytes())
}

/// The mark of some fields of an object; absent ones are null.
pub(crate) fn digest_of(object: &Value, fields: &[&str]) -> Digest {
    digest(&fields.iter().map(|field| object[*field].clone()).collect::<Vec<_>>().into())
}

/// Money in millionths of a dollar; only what is finite and not negative.
pub(crate) fn micros(value: &Value) -> Option<u64> {
    let dollars = value.as_f64().filter(|dollars| (0.0..1e9).contains(dollars))?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range was checked: at most 1e15"
    )]
    Some((dollars * 1e6).round() as u64)
}
