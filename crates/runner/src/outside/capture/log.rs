//! One stream's log: what came first in a file, what comes beyond the cap in its tail.

use std::fs::File;
use std::io::{self, Write as _};

use super::tail::Tail;
use crate::outside::ground::Door;

/// Bytes of an unfinished line that are kept for the report's tail.
const PENDING_BYTES: usize = 4 << 10;

/// A stream's files.
#[derive(Debug)]
pub(super) struct Log {
    door: Door,
    stream: &'static str,
    head: File,
    tail: Option<Tail>,
    pending: Vec<u8>,
}

impl Log {
    /// Makes the file of the head, with the stream's own name.
    pub(super) fn create(door: &Door, stream: &'static str) -> io::Result<Self> {
        let (head, door) = (door.create(stream)?, door.another()?);
        Ok(Self { door, stream, head, tail: None, pending: Vec::new() })
    }

    /// Takes bytes, of which so many belong to the head.
    pub(super) fn take(&mut self, bytes: &[u8], head: usize) -> io::Result<()> {
        let (head, beyond) = bytes.split_at(head);
        let written = self.head.write_all(head);
        if beyond.is_empty() {
            return written;
        }
        let tail = match &mut self.tail {
            Some(tail) => tail,
            None => self.tail.insert(Tail::begin(&self.door, self.stream)?),
        };
        tail.take(beyond).and(written)
    }

    /// The lines that these bytes end.
    pub(super) fn lines(&mut self, bytes: &[u8], mut line: impl FnMut(&[u8])) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = PENDING_BYTES.saturating_sub(self.pending.len());
            self.pending.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") {
                line(&self.pending);
                self.pending.clear();
            }
        }
    }

    /// What came after the last line's end.
    pub(super) fn unfinished(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.pending)
    }

    /// Puts the tail behind the head. Answers how many bytes are left out between them.
    pub(super) fn finish(&mut self) -> u64 {
        let left_out = self.tail.take().map_or(0, |tail| tail.finish(&mut self.head));
        let _ = self.head.sync_all();
        left_out
    }
}
