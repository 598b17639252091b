//! Following the events file of a run. The server is never in the data path: the runner writes
//! the file, and what is missed is read later.

use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::time::Duration;

use midwatch_api::report::{EVENTS_FILE, StreamEvent};
use tokio::sync::oneshot;

/// How often the file is looked at: quick enough for a person, cheap enough for fifty runs.
const PACE: Duration = Duration::from_millis(200);
/// The longest piece read at once.
const PIECE: u64 = 1 << 20;

/// A run's events, as far as they were read.
pub(super) struct Follow<F> {
    path: PathBuf,
    at: u64,
    rest: Vec<u8>,
    tell: F,
}

/// Reads events from the beginning and tells each, until it is told to stop; then takes a last
/// look.
pub(super) async fn follow(
    folder: PathBuf,
    tell: impl FnMut(StreamEvent),
    mut stopped: oneshot::Receiver<()>,
) {
    let mut follow = Follow { path: folder.join(EVENTS_FILE), at: 0, rest: Vec::new(), tell };
    loop {
        // A file that is not there yet, or cannot be read, is tried again.
        let _ = follow.read();
        tokio::select! {
            () = tokio::time::sleep(PACE) => {}
            _ = &mut stopped => break,
        }
    }
    let _ = follow.read();
}

impl<F: FnMut(StreamEvent)> Follow<F> {
    fn read(&mut self) -> io::Result<()> {
        let mut file = std::fs::File::open(&self.path)?;
        loop {
            file.seek(SeekFrom::Start(self.at))?;
            let mut piece = Vec::new();
            let read = (&mut file).take(PIECE).read_to_end(&mut piece)?;
            if read == 0 {
                return Ok(());
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
        let mut follow = Follow { path: path.clone(), at: 0, rest: vec![], tell: |e| seen.push(e) };
        std::fs::write(&path, "{\"type\":\"finished\",\"ok\":true}\nnoise\n{\"type\":\"fin")
            .unwrap();
        follow.read().unwrap();
        let mut whole = std::fs::read(&path).unwrap();
        whole.extend_from_slice(b"ished\",\"ok\":false}\n");
        std::fs::write(&path, whole).unwrap();
        follow.read().unwrap();
        assert_eq!(seen, [StreamEvent::Finished { ok: true }, StreamEvent::Finished { ok: false }]);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
