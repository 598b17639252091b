//! Signals that end a command: it still ends with a result line, and with 128 + the signal's
//! number, as a shell says it. What the server carries on with is not touched.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::signal::unix::{Signal as Listener, SignalKind, signal};

use crate::problem::Problem;

/// A signal that ends a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Ctrl-C.
    Interrupt,
    /// `kill`, `timeout`, the end of a session.
    Terminate,
    /// The terminal was closed.
    Hangup,
}

impl Cut {
    const fn name(self) -> &'static str {
        match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
            Self::Hangup => "SIGHUP",
        }
    }

    const fn number(self) -> u8 {
        match self {
            Self::Interrupt => 2,
            Self::Terminate => 15,
            Self::Hangup => 1,
        }
    }

    /// The exit code.
    pub(crate) const fn exit(self) -> u8 {
        128 + self.number()
    }

    const fn kind(self) -> SignalKind {
        match self {
            Self::Interrupt => SignalKind::interrupt(),
            Self::Terminate => SignalKind::terminate(),
            Self::Hangup => SignalKind::hangup(),
        }
    }
}

/// What a command has told so far of how it wants to be ended.
#[derive(Debug, Clone, Default)]
pub(crate) struct Signals(Arc<Mutex<Told>>);

#[derive(Debug, Default)]
struct Told {
    task: Option<String>,
    interrupt_is_the_tasks: bool,
}

impl Signals {
    fn told(&self) -> std::sync::MutexGuard<'_, Told> {
        // Two plain values: a panic elsewhere left them whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on Ctrl-C means the task: somebody else listens to it.
    pub(crate) fn leave_interrupts(&self) {
        self.told().interrupt_is_the_tasks = true;
    }

    /// Waits for Ctrl-C, for a command that has no other end: it is no failure then.
    pub(crate) async fn interrupt(&self) {
        let mut listener = listen(Cut::Interrupt);
        self.leave_interrupts();
        next(&mut listener).await;
    }

    /// The task that goes on when the command is ended.
    pub(crate) fn about(&self, task: &str) {
        self.told().task = Some(task.to_owned());
    }

    /// What is known of the task.
    pub(crate) fn task(&self) -> Option<String> {
        self.told().task.clone()
    }

    /// Waits for the first signal that ends the command. One that is ignored on purpose, as
    /// `nohup` and background jobs do, never comes.
    pub(crate) async fn cut(&self) -> Cut {
        let [mut interrupt, mut terminate, mut hangup] =
            [Cut::Interrupt, Cut::Terminate, Cut::Hangup].map(listen);
        loop {
            let cut = tokio::select! {
                () = next(&mut interrupt) => Cut::Interrupt,
                () = next(&mut terminate) => Cut::Terminate,
                () = next(&mut hangup) => Cut::Hangup,
            };
            if cut != Cut::Interrupt || !self.told().interrupt_is_the_tasks {
                return cut;
            }
        }
    }

    /// What is said of the end.
    pub(crate) fn problem(&self, cut: Cut) -> Problem {
        let hint = self.task().map(|task| {
            format!("nothing was stopped by that: `midwatch get {task}` says whether it goes on")
        });
        let message = format!("ended by {} before there was a result", cut.name());
        Problem { message, hint, exit: cut.exit(), reason: None }
    }
}

/// Listens, unless the signal is ignored: then it stays so.
pub(super) fn listen(cut: Cut) -> Option<Listener> {
    if is_ignored(cut) {
        return None;
    }
    // Where it cannot be listened to, it ends the process as it always did.
    signal(cut.kind()).ok()
}

async fn next(listener: &mut Option<Listener>) {
    match listener {
        Some(listener) => {
            listener.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// By the mask in `/proc/self/status`, whose lowest bit is signal 1.
fn is_ignored(cut: Cut) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & (1 << (cut.number() - 1)) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_a_shell_and_a_task_that_goes_on_is_named() {
        let signals = Signals::default();
        assert_eq!(signals.problem(Cut::Terminate).exit, 143);
        assert_eq!(signals.problem(Cut::Interrupt).hint, None);
        signals.about("fix-login");
        let problem = signals.problem(Cut::Hangup);
        assert!(problem.exit == 129 && problem.hint.unwrap().contains("get fix-login"));
    }
}
