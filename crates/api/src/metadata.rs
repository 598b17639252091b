//! The rules of names, labels and annotations: those of Kubernetes, so that a file that is taken
//! here is taken in a cluster, too.

use midwatch_core::id::TaskName;
use midwatch_core::input::InvalidInput;

use crate::object::Metadata;

/// The longest value of a label, and the longest name in a key, in characters.
const LABEL_MAX: usize = 63;
/// The longest prefix of a key, in characters.
const PREFIX_MAX: usize = 253;
/// All annotations of an object together, keys and values, in bytes.
pub const ANNOTATIONS_MAX: usize = 256 << 10;
/// The prefix of what we write ourselves.
const OURS: &str = "midwatch.dev";

/// Checks name, labels and annotations.
pub fn check(metadata: &Metadata) -> Result<(), InvalidInput> {
    let Metadata { name, labels, annotations } = metadata;
    TaskName::parse(name).map_err(|error| error.of("metadata.name"))?;
    for (key, value) in labels {
        check_key("metadata.labels", key)?;
        check_value(key, value)?;
    }
    let mut bytes = 0;
    for (key, value) in annotations {
        check_key("metadata.annotations", key)?;
        bytes += key.len() + value.len();
    }
    if bytes > ANNOTATIONS_MAX {
        let rule = format!("have {bytes} bytes together, {ANNOTATIONS_MAX} at most");
        let fix = "put long texts into a file of the repository";
        return Err(InvalidInput::new("metadata.annotations", "", &rule, fix));
    }
    Ok(())
}

fn check_key(field: &str, key: &str) -> Result<(), InvalidInput> {
    let bad = |rule: &str, fix: &str| Err(InvalidInput::new(field, key, rule, fix));
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    if name.contains('/') {
        return bad("has a key with more than one '/'", "write prefix/name or name");
    }
    let length = name.chars().count();
    if length > LABEL_MAX {
        let rule = format!("has a key of {length} characters, {LABEL_MAX} at most");
        return bad(&rule, "shorten it");
    }
    if !is_label_text(name) {
        return bad(
            "has a key that is no name",
            "use letters, digits, '-', '_' and '.', with a letter or digit at both ends",
        );
    }
    let Some(prefix) = prefix else { return Ok(()) };
    if prefix.len() > PREFIX_MAX || !is_domain(prefix) {
        return bad("has a key whose prefix is no domain", "for example example.com/team");
    }
    if prefix == OURS || prefix.ends_with(&format!(".{OURS}")) {
        return bad(&format!("has a key with the reserved prefix {OURS}"), "use one of your own");
    }
    Ok(())
}

fn check_value(key: &str, value: &str) -> Result<(), InvalidInput> {
    let field = format!("metadata.labels.{key}");
    let length = value.chars().count();
    if length > LABEL_MAX {
        let rule = format!("has {length} characters, {LABEL_MAX} at most");
        return Err(InvalidInput::new(&field, value, &rule, "put it into an annotation"));
    }
    if !value.is_empty() && !is_label_text(value) {
        return Err(InvalidInput::new(
            &field,
            value,
            "is no value of a label",
            "use letters, digits, '-', '_' and '.', with a letter or digit at both ends",
        ));
    }
    Ok(())
}

fn is_label_text(text: &str) -> bool {
    let ends = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
    let inner = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    ends(text.bytes().next()) && ends(text.bytes().last()) && text.bytes().all(inner)
}

fn is_domain(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let part = |part: &str| {
        (1..=LABEL_MAX).contains(&part.len())
            && part.bytes().all(inner)
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    text.split('.').all(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_label(key: &str, value: &str) -> Metadata {
        let labels = [(key.to_owned(), value.to_owned())].into();
        Metadata { name: "n".into(), labels, ..Metadata::default() }
    }

    #[test]
    fn labels_follow_the_rules_of_clusters() {
        for (key, value) in [("team", "a"), ("example.com/team", ""), ("a_b.c", "V1.2-x")] {
            assert_eq!(check(&with_label(key, value)), Ok(()), "{key}={value}");
        }
        let long = "x".repeat(64);
        for (key, value, word) in [
            ("x/y/z", "a", "more than one '/'"),
            ("", "a", "no name"),
            ("-a", "a", "no name"),
            ("A.com/x", "a", "no domain"),
            ("midwatch.dev/task", "a", "reserved"),
            ("x.midwatch.dev/task", "a", "reserved"),
            (long.as_str(), "a", "64 characters"),
            ("a", long.as_str(), "64 characters"),
            ("a", "b c", "no value"),
            ("a", "\u{202e}x", "no value"),
        ] {
            let error = check(&with_label(key, value)).unwrap_err().to_string();
            assert!(error.contains(word), "{key}={value}: {error}");
        }
    }

    #[test]
    fn annotations_are_bounded_together() {
        let annotations = |bytes: usize| Metadata {
            name: "n".into(),
            annotations: [("a".to_owned(), "x".repeat(bytes))].into(),
            ..Metadata::default()
        };
        assert_eq!(check(&annotations(ANNOTATIONS_MAX - 1)), Ok(()));
        let error = check(&annotations(ANNOTATIONS_MAX)).unwrap_err().to_string();
        assert!(error.contains("262145"), "{error}");
    }
}
