//! How a run's end reads in its report.

use midwatch_api::report::Ending;
use midwatch_core::supervise::Finding;
use midwatch_sandbox::Exit;

use super::Run;
use crate::outside::escape;
use crate::outside::ground::Failure;
use crate::outside::watch::{Cut, Watched};

/// Characters of what was found.
const FINDING_CHARACTERS: usize = 500;

/// How a sandbox's end reads in a report.
pub(in crate::outside) fn ending(watched: &Watched) -> Ending {
    match (&watched.cut, watched.exit) {
        (Some(Cut::Deadline), _) => Ending::Deadline,
        (Some(Cut::Idle), _) => Ending::Idle,
        (Some(Cut::Memory), _) => Ending::OutOfMemory,
        (Some(Cut::Pids), _) => Ending::Pids,
        (Some(Cut::Disk(_)), _) => Ending::Disk,
        (Some(Cut::Output), _) => Ending::Output,
        (Some(Cut::Stopped), _) => Ending::Stopped,
        (Some(Cut::Found(Finding { reason, detail })), _) => Ending::Found {
            reason: reason.as_str().to_owned(),
            detail: escape::line(detail.as_bytes(), FINDING_CHARACTERS),
        },
        (None, Exit::Code(code)) => Ending::Exited { code: code.into() },
        (None, Exit::Lost) => Ending::Lost {
            detail: "bubblewrap ended without a status: it was killed from outside".into(),
        },
    }
}

/// The end of a sandbox in which only work of ours was done: a code of its own means that
/// something could not be prepared.
pub(in crate::outside) fn ours(run: &Run<'_>, watched: &Watched) -> Ending {
    match ending(watched) {
        Ending::Exited { code } if code != 0 => Ending::Prepare { detail: run.last_words() },
        other => other,
    }
}

/// Something of our own machinery failed.
pub(in crate::outside) fn internal(error: &dyn std::fmt::Display) -> Ending {
    Ending::SandboxUnavailable { detail: error.to_string() }
}

impl From<Failure> for Stopped {
    fn from(detail: Failure) -> Self {
        Self(Ending::SandboxUnavailable { detail })
    }
}

/// An ending that came before the command's own.
#[derive(Debug)]
pub(in crate::outside) struct Stopped(pub(in crate::outside) Ending);

impl From<Ending> for Stopped {
    fn from(ending: Ending) -> Self {
        Self(ending)
    }
}
