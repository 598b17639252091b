//! Bytes cut into lines with bounded memory, whatever the other side sends.

/// The longest line that is looked at. A tool's result of ordinary size fits; a longer line
/// stays in the raw log and is [`Line::TooLong`] here.
pub const LINE_LIMIT: usize = 1024 * 1024;

/// One line, without its line feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// All of it.
    Whole(Vec<u8>),
    /// It was longer than the limit, by so many bytes in all, and is dropped.
    TooLong(u64),
}

/// Collects bytes until a line feed.
#[derive(Debug)]
pub struct Lines {
    pending: Vec<u8>,
    limit: usize,
    /// Bytes of a line that is too long.
    dropping: Option<u64>,
}

impl Default for Lines {
    fn default() -> Self {
        Self::new(LINE_LIMIT)
    }
}

impl Lines {
    /// Lines of up to `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { pending: Vec::new(), limit, dropping: None }
    }

    /// Takes what was read, gives the lines that it completed. Empty lines are left out.
    pub fn push(&mut self, mut bytes: &[u8]) -> Vec<Line> {
        let mut lines = Vec::new();
        while let Some(at) = bytes.iter().position(|byte| *byte == b'\n') {
            self.keep(&bytes[..at]);
            lines.extend(self.take());
            bytes = &bytes[at + 1..];
        }
        self.keep(bytes);
        lines
    }

    /// The last line, when the stream ended without a line feed.
    pub fn finish(&mut self) -> Option<Line> {
        self.take()
    }

    fn keep(&mut self, part: &[u8]) {
        if let Some(dropped) = &mut self.dropping {
            *dropped += part.len() as u64;
            return;
        }
        if self.pending.len() + part.len() > self.limit {
            self.dropping = Some((self.pending.len() + part.len()) as u64);
            self.pending = Vec::new();
            return;
        }
        self.pending.extend_from_slice(part);
    }

    fn take(&mut self) -> Option<Line> {
        if let Some(dropped) = self.dropping.take() {
            return Some(Line::TooLong(dropped));
        }
        let mut line = std::mem::take(&mut self.pending);
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        (!line.is_empty()).then_some(Line::Whole(line))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn long_lines_are_dropped_and_the_next_one_is_whole() {
        let mut lines = Lines::new(4);
        assert_eq!(lines.push(b"ab"), []);
        assert_eq!(
            lines.push(b"cd\r\nabcde\n\nx\n"),
            [Line::TooLong(5), Line::TooLong(5), Line::Whole(b"x".to_vec())]
        );
        assert_eq!(lines.push(b"abcdefgh"), []);
        assert_eq!((lines.pending.capacity(), lines.finish()), (0, Some(Line::TooLong(8))));
        assert_eq!(lines.finish(), None);
    }

    proptest! {
        #[test]
        fn where_the_bytes_are_cut_makes_no_difference(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..200),
            cuts in proptest::collection::vec(1_usize..20, 0..40),
        ) {
            let mut whole = Lines::new(16);
            let mut expected = whole.push(&bytes);
            expected.extend(whole.finish());
            let mut parts = Lines::new(16);
            let mut seen = Vec::new();
            let mut rest = bytes.as_slice();
            for cut in cuts {
                let (part, tail) = rest.split_at(cut.min(rest.len()));
                seen.extend(parts.push(part));
                prop_assert!(parts.pending.len() <= 16);
                rest = tail;
            }
            seen.extend(parts.push(rest));
            seen.extend(parts.finish());
            prop_assert_eq!(seen, expected);
        }
    }
}
