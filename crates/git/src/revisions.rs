//! Lists of ids as git reads them on stdin: one per line, `^` before what the reader has.

use std::fmt::Display;

use crate::command::Input;

/// What `pack-objects --revs` is to pack.
#[derive(Debug, Default)]
pub(crate) struct Revisions(String);

impl Revisions {
    pub(crate) fn wanted<T: Display>(ids: impl IntoIterator<Item = T>) -> Self {
        Self(lines("", ids))
    }

    pub(crate) fn without<T: Display>(mut self, ids: impl IntoIterator<Item = T>) -> Self {
        self.0.push_str(&lines("^", ids));
        self
    }

    pub(crate) fn input(self) -> Input {
        Input::Bytes(self.0.into_bytes())
    }
}

/// Each id on a line of its own, after a prefix.
pub(crate) fn lines<T: Display>(prefix: &str, ids: impl IntoIterator<Item = T>) -> String {
    let mut text = String::new();
    for id in ids {
        text.push_str(prefix);
        text.push_str(&id.to_string());
        text.push('\n');
    }
    text
}
