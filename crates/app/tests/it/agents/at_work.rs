//! A real CLI in the middle of its work: its tool has run, and the model does not answer yet.

use std::path::PathBuf;
use std::process::Child;
use std::sync::{Arc, Mutex, PoisonError};

use midwatch_testkit::agent_clis::Cli;
use midwatch_testkit::model_server::ModelServer;
use midwatch_testkit::script::Script;

use super::{Gate, house, start};
use crate::house::{House, LIMIT, until};

/// What each request brought along: prompts, and results since the last of them.
type Seen = Vec<(usize, usize)>;

/// The task's user, and the model that waits.
pub(super) struct AtWork {
    pub(super) house: House,
    pub(super) repository: PathBuf,
    gate: Arc<Gate>,
    seen: Arc<Mutex<Seen>>,
    _model: ModelServer,
}

impl AtWork {
    /// Begins a task and waits until it is there, with the command that follows it; none where the
    /// CLI cannot be had.
    pub(super) fn begin(cli: Cli) -> Option<(Self, Child)> {
        let gate = Arc::new(Gate::default());
        let seen = Arc::new(Mutex::new(Seen::new()));
        let (held, told_of) = (Arc::clone(&gate), Arc::clone(&seen));
        let model = ModelServer::builder().scripts(move |conversation| {
            let (prompts, results) = (conversation.prompts.len(), conversation.results.len());
            told_of.lock().unwrap_or_else(PoisonError::into_inner).push((prompts, results));
            if results > 0 {
                held.pass();
            }
            Script::default().shell("echo more >> README").ends("It is done.")
        });
        let model = model.start().unwrap();
        let (house, repository) = house(cli, &model)?;
        let child = start(&house, &repository, cli, "grep -q more README");
        let this = Self { house, repository, gate, seen, _model: model };
        let at_work = until(LIMIT, || this.seen().iter().any(|(_, results)| *results > 0));
        assert!(at_work, "{cli:?} never told what its tool did");
        Some((this, child))
    }

    /// Every request so far.
    pub(super) fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets the model answer.
    pub(super) fn let_go(&self) {
        self.gate.let_go();
    }
}
