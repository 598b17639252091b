//! YAML as a tree with places, within bounds: no aliases, no tags, no deep nesting.

use std::collections::BTreeMap;

use midwatch_core::input::{InvalidInput, shown};
use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, Span};

use super::Fault;

/// The deepest nesting. No kind of ours needs ten.
const DEPTH_MAX: usize = 64;
/// The most values of a file.
const NODES_MAX: usize = 100_000;
/// The most objects of a file.
const DOCUMENTS_MAX: usize = 1000;

/// A place in a text, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// A value and where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) at: Mark,
    pub(super) tree: Tree,
}

/// A value whose type the reader has yet to choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tree {
    /// Without quotes: a number, a truth value, nothing, or text.
    Plain(String),
    /// In quotes, or a block: text.
    Text(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in its order, each key with its place.
    Map(Vec<(String, Mark, Node)>),
}

impl Node {
    /// Nothing at all: an empty document or value, `~`, `null`.
    pub(super) fn is_null(&self) -> bool {
        match &self.tree {
            Tree::Plain(text) => matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"),
            Tree::Text(_) | Tree::List(_) | Tree::Map(_) => false,
        }
    }
}

/// Every document that is not empty.
pub(super) fn read(file: &str, text: &str) -> Result<Vec<Node>, Fault> {
    let mut reader = Reader { file, parser: Parser::new_from_str(text), nodes: 0 };
    let mut documents = Vec::new();
    loop {
        let (event, span) = reader.next()?;
        match event {
            Event::StreamEnd => return Ok(documents),
            Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
            event => {
                let node = reader.node(event, span, 0)?;
                if node.is_null() {
                    continue;
                }
                if documents.len() == DOCUMENTS_MAX {
                    let rule = format!("has over {DOCUMENTS_MAX} objects");
                    return Err(reader.bad(node.at, "the file", "", &rule, "split it"));
                }
                documents.push(node);
            }
        }
    }
}

struct Reader<'a> {
    file: &'a str,
    parser: Parser<'a, serde_saphyr::granit_parser::StrInput<'a>>,
    nodes: usize,
}

impl<'a> Reader<'a> {
    fn bad(&self, at: Mark, field: &str, value: &str, rule: &str, fix: &str) -> Fault {
        Fault::new(self.file, at, InvalidInput::new(field, value, rule, fix))
    }

    /// The next event that is no comment.
    fn next(&mut self) -> Result<(Event<'a>, Span), Fault> {
        loop {
            match self.parser.next_event() {
                Some(Ok((Event::Comment(..), _))) => {}
                Some(Ok(next)) => return Ok(next),
                Some(Err(error)) => {
                    let marker = error.marker();
                    let at = Mark { line: marker.line(), column: marker.col() + 1 };
                    let said = shown_long(&error.info());
                    let rule = format!("is no YAML: {said}");
                    return Err(self.bad(at, "the file", "", &rule, "mend it there"));
                }
                None => {
                    let at = Mark { line: 1, column: 1 };
                    return Err(self.bad(at, "the file", "", "ends too early", "complete it"));
                }
            }
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Fault> {
        let at = mark(span);
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            let rule = format!("has over {NODES_MAX} values");
            return Err(self.bad(at, "the file", "", &rule, "split it"));
        }
        if depth > DEPTH_MAX {
            let rule = format!("is nested deeper than {DEPTH_MAX}");
            return Err(self.bad(at, "the value", "", &rule, "no kind needs that"));
        }
        let tree = match event {
            Event::Scalar(text, style, _, tag) => {
                self.untagged(at, tag.is_some())?;
                match style {
                    ScalarStyle::Plain => Tree::Plain(text.into_owned()),
                    _ => Tree::Text(text.into_owned()),
                }
            }
            Event::SequenceStart(_, _, tag) => {
                self.untagged(at, tag.is_some())?;
                self.list(depth)?
            }
            Event::MappingStart(_, _, tag) => {
                self.untagged(at, tag.is_some())?;
                self.map(depth)?
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                let rule = "is an alias, which is not read here";
                return Err(self.bad(at, "the value", "", rule, "write the value out"));
            }
            _ => {
                return Err(self.bad(at, "the file", "", "is no YAML here", "mend it there"));
            }
        };
        Ok(Node { at, tree })
    }

    fn untagged(&self, at: Mark, tagged: bool) -> Result<(), Fault> {
        if tagged {
            let rule = "has a YAML tag, which is not read here";
            return Err(self.bad(at, "the value", "", rule, "take the tag away"));
        }
        Ok(())
    }

    fn list(&mut self, depth: usize) -> Result<Tree, Fault> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Tree::List(items)),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Tree, Fault> {
        let mut entries = Vec::new();
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        loop {
            let (event, span) = match self.next()? {
                (Event::MappingEnd, _) => return Ok(Tree::Map(entries)),
                next => next,
            };
            let key = self.node(event, span, depth + 1)?;
            let (Tree::Plain(name) | Tree::Text(name)) = key.tree else {
                let rule = "is a list or a mapping in the place of a key";
                return Err(self.bad(key.at, "the key", "", rule, "give the field a name"));
            };
            if let Some(first) = seen.insert(name.clone(), key.at.line) {
                let rule = format!("is a duplicate: line {first} and line {}", key.at.line);
                return Err(self.bad(key.at, "the key", &name, &rule, "keep one of them"));
            }
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            entries.push((name, key.at, value));
        }
    }
}

fn mark(span: Span) -> Mark {
    Mark { line: span.start.line(), column: span.start.col() + 1 }
}

/// A sentence of the parser, which may repeat text of the file.
fn shown_long(text: &str) -> String {
    text.split_whitespace().map(shown).collect::<Vec<_>>().join(" ").chars().take(200).collect()
}
