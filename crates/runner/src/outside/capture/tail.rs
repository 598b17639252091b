//! The end of a stream that is longer than its cap: its newest bytes, in two small files that
//! take turns.
//!
//! ```text
//! stdout.log     the head
//! stdout.1.log   how many bytes are left out here
//! stdout.2.log   up to TAIL_BYTES, full
//! stdout.3.log   up to TAIL_BYTES, the newest
//! ```
//!
//! To whoever reads the stream they are its next segments: its end can be read while the run
//! goes on, and is there after its runner was killed. When the run is over, the newest bytes of
//! both go behind the head.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;

use midwatch_api::segment::segment_name;

use crate::outside::ground::Door;

/// Bytes of each stream's end that are kept beyond the cap. Summaries of test runners stand at
/// the end.
pub(super) const TAIL_BYTES: usize = 256 << 10;

/// Which of the stream's files says how much is left out.
const LEFT_OUT: u32 = 1;
/// Which holds the part before the newest.
const OLDER: u32 = 2;
/// Which is written to.
const NEWER: u32 = 3;

/// What came beyond the cap.
#[derive(Debug)]
pub(super) struct Tail {
    door: Door,
    stream: &'static str,
    /// Its number only grows, so it is written over.
    left_out: File,
    older: Option<File>,
    newer: File,
    /// Bytes in the newest file.
    filled: usize,
    /// Bytes that came, kept or not.
    came: u64,
}

impl Tail {
    /// Begins the end of a stream whose head is full.
    pub(super) fn begin(door: &Door, stream: &'static str) -> io::Result<Self> {
        let file = |number| door.create(&segment_name(stream, number));
        let (left_out, newer) = (file(LEFT_OUT)?, file(NEWER)?);
        let door = door.another()?;
        Ok(Self { door, stream, left_out, older: None, newer, filled: 0, came: 0 })
    }

    /// Takes the stream's next bytes.
    pub(super) fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.filled == TAIL_BYTES {
                self.turn()?;
            }
            let (now, later) = rest.split_at(rest.len().min(TAIL_BYTES - self.filled));
            self.newer.write_all(now)?;
            self.filled += now.len();
            self.came += now.len() as u64;
            rest = later;
        }
        Ok(())
    }

    /// The newest part becomes the older one, and what that one held is left out.
    fn turn(&mut self) -> io::Result<()> {
        let name = |number| segment_name(self.stream, number);
        if self.older.is_some() {
            let left_out = marker(self.came - TAIL_BYTES as u64);
            self.left_out.write_all_at(left_out.as_bytes(), 0)?;
            // Not by the renaming: what takes another file's place is brought to the disk by some
            // file systems, and all of a flood with it.
            self.door.remove(&name(OLDER))?;
        }
        self.door.rename(&name(NEWER), &name(OLDER))?;
        let fresh = self.door.create(&name(NEWER))?;
        self.older = Some(std::mem::replace(&mut self.newer, fresh));
        self.filled = 0;
        Ok(())
    }

    /// Puts the newest bytes behind the head, and how many are left out before them. Answers
    /// that number. Best effort: a full disk at the end changes nothing in the verdict, and what
    /// is in the small files stays there.
    pub(super) fn finish(mut self, head: &mut File) -> u64 {
        let mut kept = Vec::new();
        for part in self.older.iter_mut().chain([&mut self.newer]) {
            let _ = part.seek(SeekFrom::Start(0)).and_then(|_| part.read_to_end(&mut kept));
        }
        let kept = &kept[kept.len().saturating_sub(TAIL_BYTES)..];
        let left_out = self.came.saturating_sub(kept.len() as u64);
        let mut put = || {
            if left_out > 0 {
                head.write_all(marker(left_out).as_bytes())?;
            }
            head.write_all(kept)?;
            head.sync_all()
        };
        if put().is_ok() {
            for number in [LEFT_OUT, OLDER, NEWER] {
                let _ = self.door.remove(&segment_name(self.stream, number));
            }
        }
        left_out
    }
}

fn marker(left_out: u64) -> String {
    format!("\n[midwatch: {left_out} bytes dropped here]\n")
}
