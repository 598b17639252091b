//! A task: what was ordered, and what is known so far. Nothing is known but by events.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{Action, ActionKey, Event};
use crate::evidence::{CheckResult, Evidence};
use crate::id::{CommitId, Epoch, RunName};
use crate::landing::{Imported, ReadBack};
use crate::plan::Asked;
use crate::time::Time;

mod known;
mod spec;
mod state;
mod trouble;

pub use spec::{Fallback, Follows, TaskSpec};
pub use state::{Hold, Outcome, State, StateName, Wake, WakeEvent};
pub use trouble::{Beside, Ending, Failure, Interrupted, Kept, Unavailable, Unsaved};

/// Where the work stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// The mirror gets the base.
    Fetch,
    /// The base is checked out.
    Base,
    /// Dependencies of the base.
    Setup,
    /// The checks run on the base.
    BaseChecks,
    /// A step of the pipeline, by index.
    Step(usize),
}

/// What somebody said to the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The words.
    pub text: String,
    /// Who.
    pub by: String,
}

/// A question that somebody decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// What was asked.
    pub question: String,
    /// What was chosen.
    pub choice: String,
    /// By whom.
    pub by: String,
}

/// Tokens and money over all runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spent {
    /// Tokens sent.
    pub input_tokens: u64,
    /// Tokens received.
    pub output_tokens: u64,
    /// Millionths of a US dollar, where a CLI told.
    pub cost_micros: Option<u64>,
}

impl Spent {
    /// Adds what one run spent.
    pub fn add(&mut self, other: &Self) {
        self.input_tokens = self.input_tokens.saturating_add(other.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(other.output_tokens);
        self.cost_micros = match (self.cost_micros, other.cost_micros) {
            (Some(a), Some(b)) => Some(a.saturating_add(b)),
            (one, None) | (None, one) => one,
        };
    }
}

/// A layer of dependencies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deps {
    /// The commit whose lock files it was made for; none is the base, which tasks share.
    pub origin: Option<CommitId>,
    /// The layer's name.
    pub layer: String,
}

/// What is known about a task. Made by [`Task::new`] and changed by [`Task::apply`] only, so a
/// replay of stored events gives the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// What was ordered.
    pub spec: TaskSpec,
    /// Where it stands.
    pub state: State,
    /// Where the work stands.
    pub stage: Stage,
    /// The last epoch used.
    pub epoch: Epoch,
    /// Intents without a result, by key.
    pub open: BTreeMap<ActionKey, Action>,
    /// Open runs that were told to stop.
    pub stopping: BTreeSet<RunName>,
    /// The base's lock files, once fetched.
    pub base_lock_hash: Option<String>,
    /// Layers by lock hash.
    pub deps: BTreeMap<String, Deps>,
    /// What checks said of the base.
    pub base_evidence: Evidence,
    /// What checks said of imported commits.
    pub evidence: BTreeMap<CommitId, Evidence>,
    /// The newest imported commit.
    pub imported: Option<Imported>,
    /// The run that it came from.
    pub imported_by: Option<Epoch>,
    /// Work saved from a failed run, to go on from: not gated, only ever seen in a sandbox.
    pub resume_from: Option<CommitId>,
    /// What waits to be saved.
    pub unsaved: Option<Unsaved>,
    /// What could not be saved, by the agent's run whose workspace holds it.
    pub kept: BTreeMap<RunName, Kept>,
    /// Commits that no import brings, by the run that left them.
    pub beside: BTreeMap<Epoch, Beside>,
    /// What is to happen after saving.
    pub ending: Option<Ending>,
    /// The base is checked out.
    pub base_ready: bool,
    /// The step at hand has left what it is for.
    pub step_done: bool,
    /// An agent's run whose bundle waits to be imported.
    pub to_import: Option<(RunName, Epoch, CommitId)>,
    /// A failure that nothing was decided on yet.
    pub failure: Option<Failure>,
    /// Setup failed for a commit of the agent's.
    pub setup_failure: Option<String>,
    /// The agent says that no change is needed.
    pub no_change: Option<String>,
    /// The end of what the agent said last, in one line.
    pub last_words: String,
    /// A checkpoint that was not saved yet.
    pub checkpoint: Option<(RunName, Epoch, u32)>,
    /// The newest checkpoint that was saved or given up, by epoch.
    pub checkpoints_saved: BTreeMap<Epoch, u32>,
    /// Sessions to resume, by step.
    pub sessions: BTreeMap<String, String>,
    /// The plan.
    pub plan: Option<String>,
    /// What the checks said last, for the next repair.
    pub repair: Option<String>,
    /// What the reviewer asked for last.
    pub review: Option<String>,
    /// Repairs begun.
    pub repairs: u32,
    /// Review rounds finished without an approval.
    pub reviews: u32,
    /// The commit that a reviewer approved.
    pub reviewed: Option<CommitId>,
    /// How often each step has begun.
    pub rounds: BTreeMap<String, u32>,
    /// Charged attempts of the step at hand.
    pub attempts: u32,
    /// Uncharged attempts of the step at hand.
    pub free_retries: u32,
    /// Pauses in a row for limits, which grow.
    pub pauses: u32,
    /// Looks in a row for a repository that is away, whose pauses grow.
    pub looks: u32,
    /// Not before this time.
    pub retry_at: Option<Time>,
    /// Approved by somebody: the commit and who.
    pub approved: Option<(CommitId, String)>,
    /// The plan that somebody approved, by its digest, and who.
    pub plan_approved: Option<(String, String)>,
    /// Plans made again because somebody asked for it.
    pub replans: u32,
    /// What the newest run asked.
    pub questions: Vec<Asked>,
    /// What people decided so far.
    pub settled: Vec<Settled>,
    /// What was said to the agent and is in no prompt yet.
    pub messages: Vec<Said>,
    /// What somebody decided or said last, until the same would mean something new.
    pub last_word: Option<Event>,
    /// Agents that cannot work for now, by index.
    pub unavailable: BTreeMap<usize, Unavailable>,
    /// Other tasks cannot reach the model either: it is an outage, which is waited for together.
    pub outage: bool,
    /// The step's last run that did not end by itself.
    pub interrupted: Option<Interrupted>,
    /// The answer, where the pipeline is for one.
    pub answer: Option<String>,
    /// Who paused it.
    pub paused: Option<String>,
    /// A cancellation was asked for.
    pub cancel: bool,
    /// What the target has.
    pub read_back: Option<ReadBack>,
    /// The last rescue ref.
    pub rescue_ref: Option<String>,
    /// The last result of a check, for messages.
    pub last_check: Option<CheckResult>,
    /// Tokens and money.
    pub spent: Spent,
}

impl Task {
    /// A task that was just submitted.
    pub fn new(spec: TaskSpec) -> Self {
        let base_evidence = Evidence::new(spec.base.clone());
        let follows = spec.follows.as_deref().cloned();
        let (resume_from, sessions) =
            follows.map_or((None, BTreeMap::new()), |follows| (follows.start, follows.sessions));
        Self {
            spec,
            state: State::Queued,
            stage: Stage::Fetch,
            epoch: Epoch::default(),
            open: BTreeMap::new(),
            stopping: BTreeSet::new(),
            base_lock_hash: None,
            deps: BTreeMap::new(),
            base_evidence,
            evidence: BTreeMap::new(),
            imported: None,
            imported_by: None,
            resume_from,
            unsaved: None,
            kept: BTreeMap::new(),
            beside: BTreeMap::new(),
            ending: None,
            base_ready: false,
            step_done: false,
            to_import: None,
            failure: None,
            setup_failure: None,
            no_change: None,
            last_words: String::new(),
            checkpoint: None,
            checkpoints_saved: BTreeMap::new(),
            sessions,
            plan: None,
            repair: None,
            review: None,
            repairs: 0,
            reviews: 0,
            reviewed: None,
            rounds: BTreeMap::new(),
            attempts: 0,
            free_retries: 0,
            pauses: 0,
            looks: 0,
            retry_at: None,
            approved: None,
            plan_approved: None,
            replans: 0,
            questions: vec![],
            settled: vec![],
            messages: vec![],
            last_word: None,
            unavailable: BTreeMap::new(),
            outage: false,
            interrupted: None,
            answer: None,
            paused: None,
            cancel: false,
            read_back: None,
            rescue_ref: None,
            last_check: None,
            spent: Spent::default(),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
