//! What the sandbox prints, in files that have an end.
//!
//! The head is written as it comes. Beyond the cap only the newest bytes are kept, in files that
//! take turns, and put behind a marker when the run is over. Reading goes on for ever, so that
//! nothing inside ever blocks on us and nothing here grows.

use std::collections::VecDeque;
use std::io;

use midwatch_api::report::{STDERR_FILE, STDOUT_FILE};

use super::escape;
use super::ground::Door;

mod log;
mod tail;

use log::Log;

/// Lines in a report's tail.
const TAIL_LINES: usize = 40;
/// Characters of one such line.
const LINE_CHARACTERS: usize = 500;
/// Lines that make up a detail.
const WORDS: usize = 4;
/// How much more than the cap may be printed before the run is ended, as the order's
/// documentation says.
const FLOOD_FACTOR: u64 = 16;

/// One of the two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Both streams' files and the lines for the report.
#[derive(Debug)]
pub(super) struct Capture {
    stdout: Log,
    stderr: Log,
    head_left: u64,
    flood_at: u64,
    seen: u64,
    lines: LastLines,
    write_error: Option<io::ErrorKind>,
}

impl Capture {
    /// Makes the two log files in the run's folder; `cap` is for both together.
    pub(super) fn create(door: &Door, cap: u64) -> io::Result<Self> {
        Ok(Self {
            stdout: Log::create(door, STDOUT_FILE)?,
            stderr: Log::create(door, STDERR_FILE)?,
            head_left: cap,
            flood_at: cap.saturating_mul(FLOOD_FACTOR),
            seen: 0,
            lines: LastLines::default(),
            write_error: None,
        })
    }

    /// Takes bytes of one stream. `for_tail` says whether its lines belong in the report's
    /// tail: an agent's JSON lines do not, its events' texts do.
    pub(super) fn take(&mut self, stream: Stream, bytes: &[u8], for_tail: bool) {
        self.seen = self.seen.saturating_add(bytes.len() as u64);
        let log = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        let head = usize::try_from(self.head_left).unwrap_or(usize::MAX).min(bytes.len());
        self.head_left -= head as u64;
        if let Err(error) = log.take(bytes, head) {
            self.write_error.get_or_insert(error.kind());
        }
        if for_tail {
            log.lines(bytes, |line| self.lines.push(line));
        }
    }

    /// Adds a line to the report's tail that no stream held as such.
    pub(super) fn note(&mut self, text: &str) {
        for line in text.lines() {
            self.lines.push(line.as_bytes());
        }
    }

    /// The newest lines in one, for a detail.
    pub(super) fn last_words(&self) -> String {
        let from = self.lines.0.len().saturating_sub(WORDS);
        self.lines.0.range(from..).map(String::as_str).collect::<Vec<_>>().join("; ")
    }

    /// Whether so much came that the run has to end.
    pub(super) fn is_flood(&self) -> bool {
        self.seen > self.flood_at
    }

    /// Whether the disk took what it was given.
    pub(super) fn write_error(&self) -> Option<io::ErrorKind> {
        self.write_error
    }

    /// Puts the tails behind their markers. Returns the dropped bytes and the last lines.
    pub(super) fn finish(mut self) -> (u64, Vec<String>) {
        for log in [&mut self.stdout, &mut self.stderr] {
            let pending = log.unfinished();
            if !pending.is_empty() {
                self.lines.push(&pending);
            }
        }
        let dropped = self.stdout.finish().saturating_add(self.stderr.finish());
        (dropped, self.lines.0.into())
    }
}

#[derive(Debug, Default)]
struct LastLines(VecDeque<String>);

impl LastLines {
    fn push(&mut self, bytes: &[u8]) {
        let line = escape::line(bytes, LINE_CHARACTERS);
        if self.0.back().is_none_or(String::is_empty) && line.is_empty() {
            return;
        }
        if self.0.len() == TAIL_LINES {
            self.0.pop_front();
        }
        self.0.push_back(line);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use midwatch_api::segment::segment_name;

    use super::tail::TAIL_BYTES;
    use super::*;

    #[test]
    fn little_output_is_kept_as_it_came() {
        let folder = tempfile::tempdir().unwrap();
        let mut capture = Capture::create(&Door::open(folder.path()).unwrap(), 1000).unwrap();
        capture.take(Stream::Stdout, b"one\ntw", true);
        capture.take(Stream::Stderr, b"warn\n", true);
        capture.take(Stream::Stdout, b"o", true);
        let (dropped, lines) = capture.finish();
        assert_eq!((dropped, lines.join("|").as_str()), (0, "one|warn|two"));
        assert_eq!(fs::read(folder.path().join(STDOUT_FILE)).unwrap(), b"one\ntwo");
    }

    #[test]
    fn a_flood_keeps_its_head_and_its_end_and_counts_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        let cap = 10_000;
        let mut capture = Capture::create(&Door::open(folder.path()).unwrap(), cap).unwrap();
        capture.take(Stream::Stdout, b"first\n", true);
        let block = vec![b'x'; 64 << 10];
        let mut total = 6;
        while !capture.is_flood() {
            capture.take(Stream::Stdout, &block, true);
            total += block.len() as u64;
        }
        let more = vec![b'y'; 2 * TAIL_BYTES];
        capture.take(Stream::Stdout, &more, true);
        capture.take(Stream::Stdout, b"\nlast\n", true);
        total += more.len() as u64 + 6;
        let (dropped, lines) = capture.finish();
        let log = fs::read(folder.path().join(STDOUT_FILE)).unwrap();
        assert!(log.starts_with(b"first\nxxx") && log.ends_with(b"\nlast\n"));
        assert_eq!(dropped, total - cap - TAIL_BYTES as u64);
        assert!(log.len() < 10_000 + TAIL_BYTES + 100);
        assert_eq!(lines.last().unwrap(), "last");
        assert!(lines.iter().all(|line| line.chars().count() <= LINE_CHARACTERS + 1));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "no part is left");
    }

    /// The stream as its readers put it together, and the files that it is in.
    fn seen(folder: &Path) -> (Vec<u8>, u32) {
        let parts = (0..4).filter_map(|n| fs::read(folder.join(segment_name(STDOUT_FILE, n))).ok());
        parts.fold((vec![], 0), |(all, count), part| ([all, part].concat(), count + 1))
    }

    #[test]
    fn the_end_of_a_long_stream_is_on_the_disk_while_the_run_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let head = 1000_u64;
        let mut capture = Capture::create(&Door::open(folder.path()).unwrap(), head).unwrap();
        let mut total = 0;
        for number in 0..200_000 {
            let line = format!("line {number}\n");
            capture.take(Stream::Stdout, line.as_bytes(), true);
            total += line.len() as u64;
            if number == 80 {
                // The control: below the cap there is one file.
                assert_eq!(seen(folder.path()).1, 1);
            }
        }
        // As a runner that is killed here would leave it.
        let (bytes, files) = seen(folder.path());
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.starts_with("line 0\nline 1\n") && text.ends_with("\nline 199999\n"));
        assert!(files == 4 && text.len() <= 1000 + 2 * TAIL_BYTES + 100, "{files} {}", text.len());
        let (before, after) = text.split_once("\n[midwatch: ").unwrap();
        let (left_out, after) = after.split_once(" bytes dropped here]\n").unwrap();
        let left_out: u64 = left_out.parse().unwrap();
        assert_eq!(before.len() as u64 + left_out + after.len() as u64, total);

        // And as it is when the run is over.
        let (dropped, _) = capture.finish();
        assert_eq!(dropped, total - head - TAIL_BYTES as u64);
        let (bytes, files) = seen(folder.path());
        let marker = format!("\n[midwatch: {dropped} bytes dropped here]\n");
        assert_eq!((bytes.len(), files), (1000 + marker.len() + TAIL_BYTES, 1));
        assert!(bytes.ends_with(b"\nline 199999\n"));
    }
}
