//! Following the events of a run through its files. The server is never in the data path: the
//! runner writes them, and what is missed is read later.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::time::Duration;

use midwatch_api::report::{EVENTS_FILE, StreamEvent};
use midwatch_api::segment::segment_name;
use tokio::sync::oneshot;

/// How often the file is looked at: quick enough for a person, cheap enough for fifty runs.
const PACE: Duration = Duration::from_millis(200);
/// The longest piece read at once.
const PIECE: u64 = 1 << 20;

/// A run's events, as far as they were read.
pub(super) struct Follow<F> {
    folder: PathBuf,
    /// Which of the files is read.
    number: u32,
    at: u64,
    rest: Vec<u8>,
    tell: F,
}

/// Reads events from the beginning and tells each, until it is told to stop; then takes a last
/// look. Says after each file that it was full, and at the end with `true` that nothing follows.
pub(super) async fn follow(
    folder: PathBuf,
    tell: impl FnMut(StreamEvent),
    mut full: impl FnMut(bool),
    mut stopped: oneshot::Receiver<()>,
) {
    let mut follow = Follow { folder, number: 0, at: 0, rest: Vec::new(), tell };
    loop {
        let number = follow.number;
        // A file that is not there yet, or cannot be read, is tried again.
        let _ = follow.read();
        if follow.number > number {
            full(false);
        }
        tokio::select! {
            () = tokio::time::sleep(PACE) => {}
            _ = &mut stopped => break,
        }
    }
    let _ = follow.read();
    full(true);
}

impl<F: FnMut(StreamEvent)> Follow<F> {
    fn open(&self, number: u32) -> io::Result<File> {
        File::open(self.folder.join(segment_name(EVENTS_FILE, number)))
    }

    fn read(&mut self) -> io::Result<()> {
        let mut file = self.open(self.number)?;
        loop {
            file.seek(SeekFrom::Start(self.at))?;
            let mut piece = Vec::new();
            let read = (&mut file).take(PIECE).read_to_end(&mut piece)?;
            if read == 0 {
                // The next one is made after the last byte of this one was written: what came in
                // between was just read, or is read now.
                let Ok(next) = self.open(self.number + 1) else { return Ok(()) };
                if file.metadata()?.len() > self.at {
                    continue;
                }
                (file, self.number, self.at) = (next, self.number + 1, 0);
                // No line stands in two files.
                self.rest.clear();
                continue;
            }
            self.at += read as u64;
            self.rest.extend_from_slice(&piece);
            self.tell_lines();
        }
    }

    fn tell_lines(&mut self) {
        let mut start = 0;
        while let Some(length) = self.rest[start..].iter().position(|byte| *byte == b'\n') {
            let line = &self.rest[start..start + length];
            if let Ok(event) = serde_json::from_slice(line) {
                (self.tell)(event);
            }
            start += length + 1;
        }
        self.rest.drain(..start);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_lines_wait_for_their_end() {
        let folder = std::env::temp_dir().join(format!("midwatch-tail-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join(EVENTS_FILE);
        let mut seen = Vec::new();
        let tell = |e| seen.push(e);
        let mut follow = Follow { folder: folder.clone(), number: 0, at: 0, rest: vec![], tell };
        std::fs::write(&path, "{\"type\":\"finished\",\"ok\":true}\nnoise\n{\"type\":\"fin")
            .unwrap();
        follow.read().unwrap();
        let mut whole = std::fs::read(&path).unwrap();
        whole.extend_from_slice(b"ished\",\"ok\":false}\n");
        std::fs::write(&path, whole).unwrap();
        follow.read().unwrap();
        // The last words of a file and the next one, seen at once.
        let mut whole = std::fs::read(&path).unwrap();
        whole.extend_from_slice(b"{\"type\":\"finished\",\"ok\":true}\n{\"cut");
        std::fs::write(&path, whole).unwrap();
        let next = folder.join(segment_name(EVENTS_FILE, 1));
        std::fs::write(next, "{\"type\":\"finished\",\"ok\":false}\n").unwrap();
        follow.read().unwrap();
        assert_eq!(follow.number, 1);
        let ended = [true, false, true, false].map(|ok| StreamEvent::Finished { ok });
        assert_eq!(seen, ended);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
