//! What bubblewrap says about a sandbox on its status descriptor: one JSON object per line.
//! Documented in bwrap(1); `exit-code` comes only when the command was really started.

use std::process::Child;

use serde::Deserialize;

/// How a sandbox ended, by the only voice that code inside does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Init's code: the command's own, or 128 + signal.
    Code(u8),
    /// It ended without a code: it never started, or bubblewrap was killed.
    Lost,
}

#[derive(Debug, Deserialize)]
struct Line {
    #[serde(rename = "child-pid")]
    child_pid: Option<u32>,
    #[serde(rename = "exit-code")]
    exit_code: Option<i32>,
}

/// Takes the bytes in whatever pieces they come.
#[derive(Debug, Default)]
pub(crate) struct Status {
    pending: Vec<u8>,
    pub(crate) child_pid: Option<u32>,
    pub(crate) exit_code: Option<u8>,
}

impl Status {
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
        while let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.pending.drain(..=end).collect();
            // Later versions may say more, and in other forms.
            let Ok(line) = serde_json::from_slice::<Line>(&line) else {
                continue;
            };
            self.child_pid = self.child_pid.or(line.child_pid);
            let code = line.exit_code.and_then(|code| u8::try_from(code).ok());
            self.exit_code = self.exit_code.or(code);
        }
    }

    /// What the end of the descriptor means.
    pub(crate) fn exit(&self) -> Exit {
        self.exit_code.map_or(Exit::Lost, Exit::Code)
    }
}

/// Waits for bubblewrap itself, so that no zombie stays.
pub(crate) fn reap(child: &mut Child) {
    // Its own code says nothing that the status did not.
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_in_pieces() {
        let mut status = Status::default();
        status.feed(b"{ \"child-pid\": 42, \"cgroup-namespace\": 402653");
        assert_eq!(status.child_pid, None);
        status.feed(b"1840 }\n{ \"exit-");
        assert_eq!((status.child_pid, status.exit()), (Some(42), Exit::Lost));
        status.feed(b"code\": 137 }\n");
        assert_eq!(status.exit(), Exit::Code(137));
    }

    #[test]
    fn the_first_word_counts() {
        let mut status = Status::default();
        status.feed(b"nonsense\n{\"exit-code\":3}\n{\"exit-code\":0}\n");
        assert_eq!(status.exit(), Exit::Code(3));
    }
}
