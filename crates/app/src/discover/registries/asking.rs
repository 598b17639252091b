//! Asks a package client, within bounds.

use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::environment::Environment;

/// How long a client may take. npm and pip take most of a second on a slow disk, and over five
/// on a machine whose processors are taken ten times over.
const LIMIT: Duration = Duration::from_secs(20);
/// The most that it may say, in bytes.
const MOST: u64 = 1 << 20;

/// What a client prints; none when it fails, or takes too long.
pub(super) fn say(environment: &Environment, program: &Path, words: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    environment.apply(&mut command);
    command.args(words).current_dir(environment.home());
    run(command)
}

/// Runs a command to its end or its limit.
pub(super) fn run(mut command: Command) -> Option<String> {
    let began = Instant::now();
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    let out = child.stdout.take()?;
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        out.take(MOST).read_to_string(&mut text).map(|_| text)
    });
    let ended = wait(&mut child, began)?;
    let text = reader.join().ok()?.ok()?;
    ended.then_some(text)
}

fn wait(child: &mut Child, began: Instant) -> Option<bool> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status.success()),
            Ok(None) if began.elapsed() < LIMIT => std::thread::sleep(Duration::from_millis(10)),
            Ok(None) | Err(_) => {
                // It may have ended by now; nobody waits for it any longer.
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    }
}
