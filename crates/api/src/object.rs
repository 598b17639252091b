//! The envelope that every object has, in a file, over HTTP and in a cluster.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Group and version of every kind.
pub const API_VERSION: &str = "midwatch.dev/v1alpha1";

/// The longest file of objects, in bytes.
pub const MAX_FILE_BYTES: usize = 1 << 20;

/// `metadata` as far as it concerns us.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// A DNS-1123 label.
    pub name: String,
    /// For people and queries: keys and values by the rules of Kubernetes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Notes of any text, at most 256 KiB together.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// An object of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Object<S> {
    /// [`API_VERSION`].
    pub api_version: String,
    /// The kind's name.
    pub kind: String,
    /// The name.
    pub metadata: Metadata,
    /// What is wanted.
    pub spec: S,
}

/// As much of a file as says what it is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    api_version: Option<String>,
    kind: Option<String>,
}

/// YAML that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// It is larger than [`MAX_FILE_BYTES`].
    #[error("{file} has {bytes} bytes, {MAX_FILE_BYTES} at most; split it")]
    TooLarge {
        /// The file.
        file: String,
        /// Its size.
        bytes: usize,
    },
    /// It is no YAML of ours; the text names line, column, field and rule.
    #[error("{file}: {detail}")]
    Malformed {
        /// The file.
        file: String,
        /// What the reader says, shortened.
        detail: String,
    },
    /// Another kind or version than expected.
    #[error("{file}: {field} is '{value}', expected '{expected}'")]
    Unexpected {
        /// The file.
        file: String,
        /// `kind`, `apiVersion` or `metadata.name`.
        field: &'static str,
        /// What stands there.
        value: String,
        /// What should.
        expected: String,
    },
}

/// Reads YAML of a known shape; unknown fields, duplicate keys, deep nesting and alias bombs
/// are refused by the reader.
pub fn read_yaml<T: for<'de> Deserialize<'de>>(file: &str, text: &str) -> Result<T, ReadError> {
    if text.len() > MAX_FILE_BYTES {
        return Err(ReadError::TooLarge { file: file.into(), bytes: text.len() });
    }
    serde_saphyr::from_str(text).map_err(|error| {
        let detail: String = plain(&error.to_string()).chars().take(400).collect();
        ReadError::Malformed { file: file.into(), detail }
    })
}

/// Reads one object of a known kind.
pub fn read_object<S: for<'de> Deserialize<'de>>(
    file: &str,
    kind: &str,
    text: &str,
) -> Result<Object<S>, ReadError> {
    let expect = |field, value: &str, expected: &str| {
        if value == expected {
            Ok(())
        } else {
            Err(ReadError::Unexpected {
                file: file.into(),
                field,
                value: midwatch_core::input::shown(value),
                expected: expected.into(),
            })
        }
    };
    // Another kind's fields are no news to somebody who gave the wrong file; where the head itself
    // cannot be read, the whole says why.
    if let Ok(Head { api_version, kind: found }) = read_yaml(file, text) {
        expect("kind", found.as_deref().unwrap_or(kind), kind)?;
        expect("apiVersion", api_version.as_deref().unwrap_or(API_VERSION), API_VERSION)?;
    }
    let object: Object<S> = read_yaml(file, text)?;
    let name = &object.metadata.name;
    if midwatch_core::id::TaskName::parse(name).is_err() {
        let rule = "lower-case ASCII letters, digits and '-', at most 63";
        expect("metadata.name", name, rule)?;
    }
    crate::metadata::check(&object.metadata)
        .map_err(|error| ReadError::Malformed { file: file.into(), detail: error.to_string() })?;
    Ok(object)
}

/// The reader's sentences, without advice for programmers.
fn plain(text: &str) -> String {
    const WORDS: [(&str, &str); 5] = [
        (", set DuplicateKeyPolicy in Options if acceptable", ""),
        ("; use from_str_multiple or from_str_multiple_with_options", ""),
        ("invalid u64", "a whole number is expected"),
        ("invalid u32", "a whole number is expected"),
        ("error: line", "line"),
    ];
    WORDS.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}
