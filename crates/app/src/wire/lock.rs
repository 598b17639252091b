//! The lock of the state folder, and who may take whose place.

use std::io;
use std::time::{Duration, Instant};

use midwatch_api::control::ServerInfo;
use midwatch_local::folder::{FolderError, FolderLock, StateFolder};
use midwatch_web::{address_of, peer_of};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use crate::problem::Problem;

/// How long a server waits for the one before it to let go of the lock: that one finishes what
/// its clients asked.
const LOCK_WAIT: Duration = Duration::from_secs(10);
/// How long a server may take to say who it is.
const ANSWER: Duration = Duration::from_millis(500);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(50);
/// The most that is read of an answer, in bytes.
const ANSWER_MAX: u64 = 64 << 10;

/// A server that has the folder and answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Other {
    /// Its process, by the kernel's word; none in a pid namespace that we do not see.
    pid: Option<Pid>,
    /// A client started it, and it ends by itself when nothing goes on.
    leaves: bool,
}

/// What became of the lock.
#[derive(Debug)]
pub(crate) enum Locked {
    /// It is ours.
    Taken(FolderLock),
    /// Another server has it, answers, and goes on.
    Answered,
    /// Somebody has it who says nothing: a server that still starts, or is stopped.
    Silent,
}

/// Takes the lock, where nobody goes on having it. A server that `stays` takes the place of one
/// that a client started: runs outlive that one, and whoever asked it asks again.
pub(crate) fn lock(folder: &StateFolder, stays: bool) -> Result<Locked, Problem> {
    lock_within(LOCK_WAIT, folder, stays)
}

fn lock_within(wait: Duration, folder: &StateFolder, stays: bool) -> Result<Locked, Problem> {
    let began = Instant::now();
    let mut told = None;
    loop {
        match folder.lock() {
            Ok(lock) => return Ok(Locked::Taken(lock)),
            Err(FolderError::Busy(_)) => {}
            Err(error) => return Err(Problem::internal(error.to_string())),
        }
        match answers(folder) {
            Some(Other { pid: Some(pid), leaves: true }) if stays => {
                tell_to_end(pid, &mut told);
            }
            Some(Other { .. }) => return Ok(Locked::Answered),
            None => {}
        }
        if began.elapsed() > wait {
            return Ok(Locked::Silent);
        }
        // polls: the lock becoming free and another server beginning to answer are two things, and
        // whichever is first decides
        std::thread::sleep(PAUSE);
    }
}

/// Once is enough: a second signal tells it nothing new.
fn tell_to_end(pid: Pid, told: &mut Option<Pid>) {
    if told.replace(pid) != Some(pid) {
        // One that ended meanwhile needs no telling.
        let _ = kill_process(pid, Signal::TERM);
    }
}

/// Who answers at the socket: then the lock will not become free soon. To be let in is not
/// enough: what a killed server was just starting holds its lock and its socket until it becomes
/// another program.
fn answers(folder: &StateFolder) -> Option<Other> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let asked = runtime.ok()?.block_on(asked(folder));
    let (pid, answer) = asked.ok().filter(|(_, answer)| !answer.is_empty())?;
    let answer = String::from_utf8_lossy(&answer);
    let info = answer.split_once("\r\n\r\n").map(|(_, body)| body);
    let info = info.and_then(|body| serde_json::from_str::<ServerInfo>(body.trim()).ok());
    Some(Other { pid, leaves: info.is_some_and(|info| info.leaves) })
}

/// Who lets us in, and all that was said.
async fn asked(folder: &StateFolder) -> io::Result<(Option<Pid>, Vec<u8>)> {
    let (address, _folder) = address_of(&folder.socket())?;
    let mut server = UnixStream::connect(address).await?;
    let pid = peer_of(&server).ok().and_then(|(_, pid)| pid);
    server
        .write_all(b"GET /v1/server HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .await?;
    let (mut server, mut answer) = (server.take(ANSWER_MAX), Vec::new());
    // What came before a time ran out is an answer, too.
    let _ = tokio::time::timeout(ANSWER, server.read_to_end(&mut answer)).await;
    Ok((pid, answer))
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn who_only_lets_in_does_not_answer() {
        let place = tempfile::tempdir().unwrap();
        let folder = StateFolder::new(place.path().to_owned());
        assert_eq!(answers(&folder), None, "nobody is there");
        // As a child of a killed server has it: the kernel lets callers in.
        let socket = UnixListener::bind(folder.socket()).unwrap();
        assert_eq!(answers(&folder), None);
        // The control, of a version that says nothing of leaving.
        let server = std::thread::spawn(move || {
            for caller in socket.incoming().take(3) {
                let mut caller = caller.unwrap();
                // Whoever still writes to one that has gone is told of no answer.
                let _ = caller.read(&mut [0; 1024]);
                // The first is the one from before, who has gone.
                let _ = caller.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
            }
        });
        let pid = Some(rustix::process::getpid());
        assert_eq!(answers(&folder), Some(Other { pid, leaves: false }));
        let mine = folder.lock().unwrap();
        let other = lock_within(Duration::ZERO, &folder, true);
        assert!(matches!(other, Ok(Locked::Answered)), "{other:?}");
        server.join().unwrap();
        // As one that opens its database: it has the lock, and does not listen yet.
        let other = lock_within(Duration::ZERO, &folder, true);
        assert!(matches!(other, Ok(Locked::Silent)), "{other:?}");
        drop(mine);
        let other = lock_within(Duration::ZERO, &folder, true);
        assert!(matches!(other, Ok(Locked::Taken(_))), "{other:?}");
    }
}
