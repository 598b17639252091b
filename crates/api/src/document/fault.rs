//! What is wrong with a file, and where.

use std::fmt;

use midwatch_core::input::{InvalidInput, shown};

use super::tree::{Mark, Node, Tree};

/// What is wrong with a file of objects: the place, then field, value, rule and fix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file, as it was named.
    pub file: String,
    /// Line and column, counted from 1; none is the file as a whole.
    pub place: Option<(usize, usize)>,
    /// What is wrong.
    pub what: Box<InvalidInput>,
}

impl Fault {
    /// A fault of a whole file.
    pub fn of_file(file: &str, what: InvalidInput) -> Self {
        Self { file: file.to_owned(), place: None, what: Box::new(what) }
    }

    pub(super) fn new(file: &str, at: Mark, what: InvalidInput) -> Self {
        Self { file: file.to_owned(), place: Some((at.line, at.column)), what: Box::new(what) }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = shown(&self.file);
        match self.place {
            Some((line, column)) => write!(f, "{file}:{line}:{column}: {}", self.what),
            None => write!(f, "{file}: {}", self.what),
        }
    }
}

impl std::error::Error for Fault {}

/// The place of the field that a refusal names, as deep as the text goes.
pub(super) fn at(file: &str, node: &Node, what: InvalidInput) -> Fault {
    let mut mark = node.at;
    let mut node = node;
    for step in steps(&what.field) {
        let next = match (&node.tree, step) {
            (Tree::Map(entries), Step::Key(key)) => {
                entries.iter().find(|(name, ..)| name == key).map(|(_, _, value)| value)
            }
            (Tree::List(items), Step::Index(index)) => items.get(index),
            (Tree::Map(_) | Tree::List(_) | Tree::Plain(_) | Tree::Text(_), _) => None,
        };
        let Some(next) = next else { break };
        (mark, node) = (next.at, next);
    }
    Fault::new(file, mark, what)
}

enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

/// `spec.checks[1].run` as steps.
fn steps(field: &str) -> impl Iterator<Item = Step<'_>> {
    field.split('.').flat_map(|part| {
        let (name, rest) = part.split_once('[').unwrap_or((part, ""));
        let indexes = rest.split('[').filter_map(|text| text.trim_end_matches(']').parse().ok());
        [Step::Key(name)].into_iter().chain(indexes.map(Step::Index).collect::<Vec<_>>())
    })
}
