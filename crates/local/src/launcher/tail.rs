//! Following the events of a run through its files. The server is never in the data path: the
//! runner writes them, and what is missed is read later.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::time::Duration;

use midwatch_api::report::{EVENTS_FILE, StreamEvent};
use midwatch_api::segment::segment_name;
use tokio::sync::oneshot;

use crate::segment::{Segment, gone};

/// How often the file is looked at: quick enough for a person, cheap enough for fifty runs.
pub(crate) const PACE: Duration = Duration::from_millis(200);
/// The longest piece read at once.
const PIECE: u64 = 64 << 10;

/// A line of a run's events.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Heard {
    /// Which of the run's lines it is, counted from 1.
    pub(crate) line: u64,
    /// What it says.
    pub(crate) event: StreamEvent,
}

/// A run's events, as far as they were read.
#[derive(Debug)]
pub(crate) struct Tail {
    folder: PathBuf,
    /// Which of the files is read.
    number: u32,
    at: u64,
    rest: Vec<u8>,
    /// Lines that were read, and up to which they are known already.
    lines: u64,
    known: u64,
    /// Which lines the full files hold: behind one that is gone, counting goes on from there.
    rows: Vec<Segment>,
    heard: VecDeque<Heard>,
}

impl Tail {
    /// Behind a line of a run, 0 for all of them. `rows` are those of its full files; without
    /// them the lines before are read, too, and counted.
    pub(crate) fn after(folder: PathBuf, known: u64, rows: Vec<Segment>) -> Self {
        let row = rows.iter().rev().find(|row| row.first <= known);
        let (number, lines) = row.map_or((0, 0), |row| (row.number, row.first));
        let heard = VecDeque::new();
        Self { folder, number, at: 0, rest: Vec::new(), lines, known, rows, heard }
    }

    /// The next event; none where none is there yet. Holds a piece of a file at most.
    pub(crate) fn next(&mut self) -> io::Result<Option<Heard>> {
        while self.heard.is_empty() {
            if !self.read()? {
                return Ok(None);
            }
        }
        Ok(self.heard.pop_front())
    }

    fn open(&self, number: u32) -> io::Result<File> {
        File::open(self.folder.join(segment_name(EVENTS_FILE, number)))
    }

    /// Reads a piece; false where nothing more is there.
    fn read(&mut self) -> io::Result<bool> {
        let mut file = match self.open(self.number) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.pass_over(),
            file => file?,
        };
        let mut read = self.piece(&mut file)?;
        if read == 0 {
            // The next one is made after the last byte of this one was written: what came in
            // between is read now.
            if self.open(self.number + 1).is_err() {
                return Ok(false);
            }
            read = self.piece(&mut file)?;
        }
        if read == 0 {
            self.begin(self.number + 1);
        }
        Ok(true)
    }

    fn piece(&mut self, file: &mut File) -> io::Result<u64> {
        file.seek(SeekFrom::Start(self.at))?;
        let mut piece = Vec::new();
        let read = file.take(PIECE).read_to_end(&mut piece)? as u64;
        self.at += read;
        self.rest.extend_from_slice(&piece);
        self.cut();
        Ok(read)
    }

    /// Goes on in another file; no line stands in two.
    fn begin(&mut self, number: u32) {
        (self.number, self.at) = (number, 0);
        self.rest.clear();
        if let Some(row) = self.rows.iter().find(|row| row.number == number) {
            self.lines = row.first;
        }
    }

    /// Where a file is gone and a later one is there, says so and goes on with the next.
    fn pass_over(&mut self) -> io::Result<bool> {
        let gone = match gone(&self.folder, EVENTS_FILE) {
            // The runner has not begun.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            gone => gone?,
        };
        let path = self.folder.join(segment_name(EVENTS_FILE, self.number));
        if !gone.contains(&path) {
            return Ok(false);
        }
        let text = format!("{} is missing: it held a part of this", path.display());
        self.heard.push_back(Heard { line: self.lines, event: StreamEvent::Warning { text } });
        self.begin(self.number + 1);
        Ok(true)
    }

    fn cut(&mut self) {
        let mut start = 0;
        while let Some(length) = self.rest[start..].iter().position(|byte| *byte == b'\n') {
            let line = &self.rest[start..start + length];
            self.lines += 1;
            // What a line that cannot be read has said is nobody's to guess.
            if self.lines > self.known
                && let Ok(event) = serde_json::from_slice(line)
            {
                self.heard.push_back(Heard { line: self.lines, event });
            }
            start += length + 1;
        }
        self.rest.drain(..start);
    }
}

/// Reads events from the beginning and tells each, until it is told to stop; then takes a last
/// look. Says after each file that it was full, and at the end with `true` that nothing follows.
pub(super) async fn follow(
    folder: PathBuf,
    mut tell: impl FnMut(StreamEvent),
    mut full: impl FnMut(bool),
    mut stopped: oneshot::Receiver<()>,
) {
    let mut tail = Tail::after(folder, 0, vec![]);
    let mut over = false;
    loop {
        let number = tail.number;
        // A file that cannot be read is tried again.
        while let Ok(true) = tail.read() {
            tail.heard.drain(..).for_each(|heard| tell(heard.event));
            // The transcript of an adopted run may be long.
            tokio::task::yield_now().await;
        }
        if over {
            full(true);
            return;
        }
        if tail.number > number {
            full(false);
        }
        tokio::select! {
            () = tokio::time::sleep(PACE) => {}
            _ = &mut stopped => over = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(tail: &mut Tail) -> Vec<(u64, bool)> {
        let heard = std::iter::from_fn(|| tail.next().unwrap());
        heard
            .map(|heard| (heard.line, matches!(heard.event, StreamEvent::Finished { ok: true })))
            .collect()
    }

    #[test]
    fn half_lines_wait_for_their_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(EVENTS_FILE);
        let mut tail = Tail::after(folder.path().to_owned(), 0, vec![]);
        assert_eq!(all(&mut tail), []);
        std::fs::write(&path, "{\"type\":\"finished\",\"ok\":true}\nnoise\n{\"type\":\"fin")
            .unwrap();
        assert_eq!(all(&mut tail), [(1, true)]);
        let mut whole = std::fs::read(&path).unwrap();
        whole.extend_from_slice(b"ished\",\"ok\":false}\n");
        std::fs::write(&path, whole).unwrap();
        assert_eq!(all(&mut tail), [(3, false)]);
        // The last words of a file and the next one, seen at once.
        let mut whole = std::fs::read(&path).unwrap();
        whole.extend_from_slice(b"{\"type\":\"finished\",\"ok\":true}\n{\"cut");
        std::fs::write(&path, whole).unwrap();
        let next = folder.path().join(segment_name(EVENTS_FILE, 1));
        std::fs::write(next, "{\"type\":\"finished\",\"ok\":false}\n").unwrap();
        assert_eq!(all(&mut tail), [(4, true), (5, false)]);
        assert_eq!(tail.number, 1);
        // Somebody who saw three of them goes on there.
        let mut tail = Tail::after(folder.path().to_owned(), 3, vec![]);
        assert_eq!(all(&mut tail), [(4, true), (5, false)]);
    }

    #[test]
    fn counting_goes_on_behind_a_file_that_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let line = "{\"type\":\"finished\",\"ok\":true}\n";
        for (number, lines) in [(0, 3), (1, 2), (2, 1)] {
            let path = folder.path().join(segment_name(EVENTS_FILE, number));
            std::fs::write(path, line.repeat(lines)).unwrap();
        }
        let row = |number, first, lines| Segment {
            number,
            first,
            lines,
            bytes: lines * line.len() as u64,
            digest: String::new(),
        };
        let rows = vec![row(0, 0, 3), row(1, 3, 2), row(2, 5, 1)];
        let after = |known| Tail::after(folder.path().to_owned(), known, rows.clone());
        assert_eq!(all(&mut after(4)), [(5, true), (6, true)]);
        // Only the last file has to be there for who saw the others.
        std::fs::remove_file(folder.path().join(EVENTS_FILE)).unwrap();
        assert_eq!(all(&mut after(5)), [(6, true)]);
        let mut tail = after(0);
        let first = tail.next().unwrap().unwrap();
        assert!(matches!(&first.event, StreamEvent::Warning { text } if text.contains("missing")));
        assert_eq!(all(&mut tail), [(4, true), (5, true), (6, true)]);
    }
}
