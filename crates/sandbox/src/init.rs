//! Our pid 1 inside. It makes itself opaque, starts one command behind Landlock, reaps, and
//! ends with the command's code. It opens no socket and reads nothing that others wrote.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Command, ExitStatus};

use rustix::process::{DumpableBehavior, Pid, Signal, WaitOptions};

use crate::landlock;

/// The command is there but could not be started, or the sandbox could not be closed around it.
/// The shell's number for "found but not executable".
pub const CANNOT_START: u8 = 126;
/// There is no such command. The shell's number.
pub const NOT_FOUND: u8 = 127;

/// Signals that are handed on to the command's process group.
const FORWARDED: [i32; 6] =
    [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT, libc::SIGUSR1, libc::SIGUSR2];

/// What init is told, by its argv only.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InitArgs {
    /// Landlock is put on; refused to start where that fails.
    pub landlock: bool,
    /// What the command may write.
    pub writable: Vec<PathBuf>,
    /// Program and arguments.
    pub command: Vec<OsString>,
}

impl InitArgs {
    /// The argv, after `init`.
    pub fn to_argv(&self) -> Vec<OsString> {
        let mut words: Vec<OsString> = Vec::new();
        words.push(if self.landlock { "landlock" } else { "no-landlock" }.into());
        words.extend(self.writable.iter().map(|path| path.clone().into_os_string()));
        words.push("--".into());
        words.extend(self.command.iter().cloned());
        words
    }

    /// Reads what [`InitArgs::to_argv`] made; none when it is something else.
    pub fn parse(words: &[OsString]) -> Option<Self> {
        let (first, rest) = words.split_first()?;
        let landlock = match first.as_bytes() {
            b"landlock" => true,
            b"no-landlock" => false,
            _ => return None,
        };
        let end = rest.iter().position(|word| word == OsStr::new("--"))?;
        let command = rest[end + 1..].to_vec();
        let writable = rest[..end].iter().map(PathBuf::from).collect();
        (!command.is_empty()).then_some(Self { landlock, writable, command })
    }
}

/// Runs as pid 1 with the words after `init`, and returns the code to exit with: the command's
/// own, 128 + signal, or [`CANNOT_START`] and [`NOT_FOUND`].
pub fn run(words: &[OsString]) -> u8 {
    let Some(args) = InitArgs::parse(words) else {
        complain("not started by a midwatch runner");
        return CANNOT_START;
    };
    match supervise(&args) {
        Ok(code) => code,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            complain(&format!("{}: not found", args.command[0].display()));
            NOT_FOUND
        }
        Err(error) => {
            complain(&format!("{}: {error}", args.command[0].display()));
            CANNOT_START
        }
    }
}

#[expect(clippy::print_stderr, reason = "stderr is this process's only way to say something")]
fn complain(what: &str) {
    eprintln!("midwatch init: {what}");
}

fn supervise(args: &InitArgs) -> io::Result<u8> {
    // Before anything else runs here: nobody may read our memory or our descriptors, attach to
    // us, or write through /proc/1/fd.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    close_strays();
    let signals = SignalSet::of(&FORWARDED)?;

    // The wall goes round the command alone, so that we are outside of it and it can neither
    // trace nor (ABI 6) signal us.
    let mut wall = if args.landlock {
        Some(landlock::prepare(&args.writable, &["/"]).map_err(io::Error::other)?)
    } else {
        None
    };
    let mut command = Command::new(&args.command[0]);
    command.args(&args.command[1..]);
    let blocked = signals.before;
    #[expect(unsafe_code, reason = "work between fork and exec")]
    // SAFETY: this process has one thread, so the child may allocate and call what it likes.
    unsafe {
        command.pre_exec(move || {
            rustix::process::setsid()?;
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
            restore_mask(&blocked)?;
            match wall.take() {
                Some(wall) => wall.enclose().map_err(|_| io::ErrorKind::PermissionDenied.into()),
                None => Ok(()),
            }
        });
    }
    let child = command.spawn()?;
    let child = Pid::from_raw(child.id().cast_signed())
        .ok_or_else(|| io::Error::other("no pid for the command"))?;
    // Ours are copies; the command's ends must be the only ones, so that its reader sees the
    // end of the output when everything that wrote it is gone.
    wait_for(child, &signals)
}

fn wait_for(child: Pid, signals: &SignalSet) -> io::Result<u8> {
    loop {
        let signal = signals.next()?;
        if signal == libc::SIGCHLD {
            // One SIGCHLD may stand for many.
            while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
                if pid == child {
                    return Ok(code(ExitStatus::from_raw(status.as_raw())));
                }
            }
        } else if let Some(signal) = Signal::from_named_raw(signal) {
            // The group may be gone already; then there is nobody to tell.
            let _ = rustix::process::kill_process_group(child, signal);
        }
    }
}

/// 0 to 255 as the command ended with, or 128 + signal.
fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code & 0xff).ok()).unwrap_or(CANNOT_START)
}

/// Bubblewrap closes what it used; what the runner forgot is closed here.
fn close_strays() {
    #[expect(unsafe_code, reason = "close_range has no wrapper")]
    // SAFETY: nothing in this process has opened a descriptor above 2 yet.
    unsafe {
        libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, 0_u32);
    }
}

/// Signals that are taken one at a time instead of by handlers.
struct SignalSet {
    set: libc::sigset_t,
    before: libc::sigset_t,
}

impl SignalSet {
    fn of(signals: &[i32]) -> io::Result<Self> {
        #[expect(unsafe_code, reason = "signal masks have no wrapper")]
        // SAFETY: the sets are plain memory that sigemptyset and sigprocmask fill in.
        unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            let mut before: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            for signal in signals.iter().copied().chain([libc::SIGCHLD]) {
                libc::sigaddset(&raw mut set, signal);
            }
            if libc::sigprocmask(libc::SIG_BLOCK, &raw const set, &raw mut before) != 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(Self { set, before })
        }
    }

    fn next(&self) -> io::Result<i32> {
        loop {
            #[expect(unsafe_code, reason = "sigwaitinfo has no wrapper")]
            // SAFETY: the set is filled in, and a null info is allowed.
            let signal = unsafe { libc::sigwaitinfo(&raw const self.set, std::ptr::null_mut()) };
            if signal >= 0 {
                return Ok(signal);
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }
}

fn restore_mask(mask: &libc::sigset_t) -> io::Result<()> {
    #[expect(unsafe_code, reason = "signal masks have no wrapper")]
    // SAFETY: the mask came from sigprocmask.
    let done = unsafe { libc::sigprocmask(libc::SIG_SETMASK, mask, std::ptr::null_mut()) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_read_back() {
        let args = InitArgs {
            landlock: true,
            writable: vec!["/tmp".into(), "/workspace".into()],
            command: vec!["sh".into(), "--".into(), "x".into()],
        };
        assert_eq!(InitArgs::parse(&args.to_argv()), Some(args));
        assert_eq!(InitArgs::parse(&["landlock".into(), "--".into()]), None);
        assert_eq!(InitArgs::parse(&["other".into(), "--".into(), "sh".into()]), None);
    }

    #[test]
    fn codes() {
        assert_eq!(code(ExitStatus::from_raw(3 << 8)), 3);
        assert_eq!(code(ExitStatus::from_raw(libc::SIGKILL)), 137);
        assert_eq!(code(ExitStatus::from_raw(137 << 8)), 137);
    }
}
