//! Files of objects: several in one file, each read whole or refused with its place.
//!
//! ```text
//! text ─► tree: nodes with line and column, bounded ─► typed: one kind's fields ─► rules ─► AnyObject
//! ```
//!
//! The reader is our own and not the one for single files, because every fault has to name its
//! line, column and field, also when a rule of ours finds it long after the text was read.

mod fault;
mod tree;
mod typed;

use std::collections::BTreeMap;

use midwatch_core::input::InvalidInput;
use serde::Deserialize;

pub use fault::Fault;
use tree::{Node, Tree};

use crate::agent_task::AgentTaskSpec;
use crate::kind::{AnyObject, Kind};
use crate::nearest::nearest;
use crate::object::{API_VERSION, MAX_FILE_BYTES, Metadata, Object};
use crate::pipeline::PipelineSpec;
use crate::profile::ProfileSpec;
use crate::repository::AgentRepositorySpec;

/// An object, and where its fields stand.
#[derive(Debug, Clone)]
pub struct Document {
    /// The object. Every rule that needs nothing but the object holds.
    pub object: AnyObject,
    file: String,
    node: Node,
}

impl Document {
    /// A fault of this object that was found later, at the place of the field that it names.
    pub fn fault(&self, what: InvalidInput) -> Fault {
        fault::at(&self.file, &self.node, what)
    }

    /// Where it stands: `file:line`.
    pub fn place(&self) -> String {
        format!("{}:{}", self.file, self.node.at.line)
    }
}

/// Reads every object of a file. All that is wrong is told, one fault for each object.
pub fn read(file: &str, bytes: &[u8]) -> Result<Vec<Document>, Vec<Fault>> {
    let whole = |rule: String, fix: &str| {
        vec![Fault::of_file(file, InvalidInput::new("the file", "", &rule, fix))]
    };
    if bytes.len() > MAX_FILE_BYTES {
        let rule = format!("has {} bytes, {MAX_FILE_BYTES} (1 MiB) at most", bytes.len());
        return Err(whole(rule, "split it"));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        whole(format!("is not UTF-8 at byte {}", error.valid_up_to()), "save it as UTF-8")
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (mut documents, mut faults) = (Vec::new(), Vec::new());
    for node in tree::read(file, text).map_err(|fault| vec![fault])? {
        match object(&node) {
            Ok(object) => documents.push(Document { object, file: file.to_owned(), node }),
            Err(what) => faults.push(what.into_fault(file, &node)),
        }
    }
    if faults.is_empty() { Ok(documents) } else { Err(faults) }
}

/// Refuses two objects of one kind and name, wherever they stand.
pub fn unique(documents: &[Document]) -> Result<(), Vec<Fault>> {
    let mut seen: BTreeMap<(Kind, &str), &Document> = BTreeMap::new();
    let mut faults = Vec::new();
    for document in documents {
        let key = (document.object.kind(), document.object.name());
        if let Some(first) = seen.insert(key, document) {
            let rule = format!("stands twice: {} is also at {}", key.0, first.place());
            let what = InvalidInput::new("metadata.name", key.1, &rule, "take one of them away");
            faults.push(document.fault(what));
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

/// An object as YAML that [`read`] takes again.
pub fn write(object: &serde_json::Value) -> Result<String, String> {
    serde_saphyr::to_string(object).map_err(|error| error.to_string())
}

/// What any object has, before its kind is known.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    api_version: String,
    kind: String,
}

/// An object with a `status`, as `get -o yaml` prints it. What a file says there is not read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Whole<S> {
    api_version: String,
    kind: String,
    metadata: Metadata,
    spec: S,
    #[serde(default, rename = "status")]
    _status: Option<serde::de::IgnoredAny>,
}

fn object(node: &Node) -> Result<AnyObject, typed::Misfit> {
    if !matches!(node.tree, Tree::Map(_)) {
        let what = InvalidInput::new(
            "the document",
            "",
            "is no object",
            "begin with apiVersion, kind, metadata and spec",
        );
        return Err(what.into());
    }
    let Head { api_version, kind } = typed::read(node)?;
    if api_version != API_VERSION {
        let fix = format!("write {API_VERSION}");
        return Err(InvalidInput::new("apiVersion", &api_version, "is unknown", &fix).into());
    }
    let Some(kind) = Kind::parse(&kind) else {
        let known: Vec<&str> = Kind::ALL.map(Kind::as_str).into();
        let meant = nearest(&kind, known.iter().copied());
        let meant = meant.map(|name| format!("did you mean '{name}'? ")).unwrap_or_default();
        let fix = format!("{meant}known: {}", known.join(", "));
        return Err(InvalidInput::new("kind", &kind, "is unknown", &fix).into());
    };
    let object = match kind {
        Kind::Task => AnyObject::Task(of::<AgentTaskSpec>(node)?),
        Kind::Profile => AnyObject::Profile(of::<ProfileSpec>(node)?),
        Kind::Pipeline => AnyObject::Pipeline(of::<PipelineSpec>(node)?),
        Kind::Repository => AnyObject::Repository(of::<AgentRepositorySpec>(node)?),
    };
    object.check()?;
    Ok(object)
}

fn of<S: for<'de> Deserialize<'de>>(node: &Node) -> Result<Object<S>, typed::Misfit> {
    let Whole { api_version, kind, metadata, spec, _status } = typed::read(node)?;
    Ok(Object { api_version, kind, metadata, spec })
}

#[cfg(test)]
mod tests;
