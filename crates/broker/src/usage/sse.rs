//! Server-sent events, read line by line without keeping a line.

use super::Found;
use super::json::JsonScan;

/// The field that carries the documents.
const DATA: &[u8] = b"data:";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// So many bytes of `data:` were seen at the start of the line.
    Start(usize),
    /// In the value of a data line.
    Data,
    /// In any other line.
    Other,
}

/// The reader. One event holds one document.
#[derive(Debug)]
pub(super) struct SseScan {
    line: Line,
    json: JsonScan,
}

impl Default for SseScan {
    fn default() -> Self {
        Self { line: Line::Start(0), json: JsonScan::default() }
    }
}

impl SseScan {
    /// Reads on.
    pub(super) fn feed(&mut self, mut bytes: &[u8], found: &mut Found) {
        while let Some((&byte, rest)) = bytes.split_first() {
            let ends = matches!(byte, b'\n' | b'\r');
            match self.line {
                Line::Start(0) if ends => self.json.restart(),
                Line::Start(_) if ends => self.line = Line::Start(0),
                Line::Start(seen) if DATA[seen] == byte => {
                    self.line =
                        if seen + 1 == DATA.len() { Line::Data } else { Line::Start(seen + 1) };
                }
                Line::Start(_) => self.line = Line::Other,
                Line::Data | Line::Other => {
                    let end = bytes.iter().position(|b| matches!(b, b'\n' | b'\r'));
                    let value = &bytes[..end.unwrap_or(bytes.len())];
                    if self.line == Line::Data {
                        self.json.feed(value, found);
                    }
                    bytes = &bytes[value.len()..];
                    if end.is_some() {
                        if self.line == Line::Data {
                            // The line's end is white space to the document: it ends a number.
                            self.json.feed(b"\n", found);
                        }
                        self.line = Line::Start(0);
                        bytes = &bytes[1..];
                    }
                    continue;
                }
            }
            bytes = rest;
        }
    }
}
