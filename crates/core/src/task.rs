//! A task: what was ordered, and what is known so far. Nothing is known but by events.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{Action, ActionKey, LandAction, RunOrder, RunWork};
use crate::evidence::{CheckResult, Evidence};
use crate::id::{CommitId, Epoch, RunName};
use crate::landing::{Imported, Kept, Landed, ReadBack};
use crate::pipeline::{Step, StepKind};
use crate::plan::{Asked, digest};
use crate::reason::{FailReason, HoldReason};
use crate::time::Time;

mod spec;

pub use spec::{Fallback, Follows, TaskSpec};

/// Where a task stands. Waiting for approval, a reset, a busy branch are all `Held`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Waits to be admitted.
    Queued,
    /// Admitted; the runs that are open now.
    Running(BTreeSet<RunName>),
    /// Waits for a time or for somebody.
    Held(Hold),
    /// Over.
    Ended(Outcome),
}

/// Why a task is held, and what ends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The reason.
    pub reason: HoldReason,
    /// One sentence.
    pub detail: String,
    /// What ends it.
    pub until: Wake,
}

/// What ends a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wake {
    /// A point in time.
    At(Time),
    /// A named event: somebody resumes, approves, answers, or a slot gets free.
    On(WakeEvent),
}

/// Events that end a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WakeEvent {
    /// The queue admits it.
    Admission,
    /// An open action ends.
    Action,
    /// Somebody approves or rejects.
    Approval,
    /// Somebody resumes it.
    Resume,
    /// Somebody answers its questions.
    Answer,
}

/// How a task ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Verified, and read back from the target.
    Done(Box<Landed>),
    /// Asked for without checks: a local branch.
    Unverified(Box<Kept>),
    /// The question was answered; nothing was changed or handed over.
    Answered {
        /// The answer.
        text: String,
    },
    /// The goal needed no change: said so, and the diff is empty.
    NoChange {
        /// Why.
        why: String,
    },
    /// It failed.
    Failed {
        /// The typed reason.
        reason: FailReason,
        /// One sentence, or what was seen.
        detail: String,
    },
    /// Somebody cancelled it.
    Cancelled,
}

impl State {
    /// The one `state` on every wire.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Queued => "Queued",
            Self::Running(_) => "Running",
            Self::Held(_) => "Held",
            Self::Ended(Outcome::Done(_)) => "Done",
            Self::Ended(Outcome::Unverified(_)) => "Unverified",
            Self::Ended(Outcome::Answered { .. }) => "Answered",
            Self::Ended(Outcome::NoChange { .. }) => "NoChange",
            Self::Ended(Outcome::Failed { .. }) => "Failed",
            Self::Ended(Outcome::Cancelled) => "Cancelled",
        }
    }

    /// Nothing can change it any more.
    pub const fn is_terminal(&self) -> bool {
        matches!(self, Self::Ended(_))
    }
}

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

/// What a finished run leaves to be saved before anything else happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsaved {
    /// The agent's run whose workspace it is.
    pub run: RunName,
    /// Its epoch.
    pub epoch: Epoch,
    /// The rescue run whose bundle waits to be imported.
    pub by: Option<RunName>,
    /// Rescues that failed.
    pub tries: u32,
}

/// What is to happen once everything is saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// It fails.
    Fail(FailReason, String),
    /// It is cancelled.
    Cancel,
    /// It needs no change.
    NoChange(String),
}

/// A failure of a run or a landing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The typed reason; none when the sandbox could not be built.
    pub reason: Option<FailReason>,
    /// What was seen.
    pub detail: String,
    /// When a limit resets.
    pub resets_at: Option<Time>,
    /// Whose run it was, for an agent's.
    pub agent: Option<usize>,
}

/// An agent that cannot work for now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unavailable {
    /// `CredentialCoolingDown`, `NeedsLogin` or `ModelDown`.
    pub reason: HoldReason,
    /// What was seen.
    pub detail: String,
    /// When it can be asked again.
    pub until: Wake,
}

/// An agent's run that did not end by itself, as the next one is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interrupted {
    /// What was found, in a sentence.
    pub finding: String,
    /// The end of what the agent said last.
    pub last_words: String,
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
    /// Work saved from a failed run, to go on from: not gated, only ever seen in a sandbox.
    pub resume_from: Option<CommitId>,
    /// What waits to be saved.
    pub unsaved: Option<Unsaved>,
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
    /// Agents that cannot work for now, by index.
    pub unavailable: BTreeMap<usize, Unavailable>,
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
            resume_from,
            unsaved: None,
            ending: None,
            base_ready: false,
            step_done: false,
            to_import: None,
            failure: None,
            setup_failure: None,
            no_change: None,
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
            retry_at: None,
            approved: None,
            plan_approved: None,
            replans: 0,
            questions: vec![],
            settled: vec![],
            messages: vec![],
            unavailable: BTreeMap::new(),
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

    /// The open run of that name.
    pub fn open_run(&self, name: &RunName) -> Option<&RunOrder> {
        self.open.values().find_map(|action| match action {
            Action::Run(order) if order.run == *name => Some(order),
            Action::Run(_) | Action::Land(_) => None,
        })
    }

    /// Open runs.
    pub fn open_runs(&self) -> impl Iterator<Item = &RunOrder> {
        self.open.values().filter_map(|action| match action {
            Action::Run(order) => Some(order),
            Action::Land(_) => None,
        })
    }

    /// Open landings that are more than a checkpoint.
    pub fn landing(&self) -> bool {
        self.open.values().any(|action| match action {
            Action::Run(_) | Action::Land(LandAction::SaveCheckpoint { .. }) => false,
            Action::Land(_) => true,
        })
    }

    /// The step at hand.
    pub fn step(&self) -> Option<&Step> {
        match self.stage {
            Stage::Step(index) => self.spec.pipeline.steps.get(index),
            Stage::Fetch | Stage::Base | Stage::Setup | Stage::BaseChecks => None,
        }
    }

    /// The conversation that a run goes on with or began.
    pub fn session_of(&self, order: &RunOrder) -> Option<&str> {
        let agent = match &order.work {
            RunWork::Agent(run) => run.agent,
            RunWork::Checkout { .. }
            | RunWork::Setup { .. }
            | RunWork::Check { .. }
            | RunWork::Rescue { .. } => 0,
        };
        let key = self.spec.session_key(order.step.as_str(), agent);
        self.sessions.get(&key).map(String::as_str)
    }

    /// Questions that nobody has answered.
    pub fn open_questions(&self) -> impl Iterator<Item = &Asked> {
        self.questions.iter().filter(|asked| asked.answer.is_none())
    }

    /// The plan that an approval at the step at hand would be of, by its digest. None where the
    /// approval is of a commit.
    pub fn plan_at_hand(&self) -> Option<String> {
        let Stage::Step(index) = self.stage else {
            return None;
        };
        let here = matches!(self.step()?.kind, StepKind::Approval);
        let before = index < self.spec.pipeline.implement_at();
        let plan = self.plan.as_ref().filter(|_| here && before)?;
        Some(digest(plan, &self.questions))
    }

    /// Whether anything that is left to do needs an agent.
    pub fn needs_agent(&self) -> bool {
        let publishes = self.step().is_some_and(|step| matches!(step.kind, StepKind::Publish));
        !publishes || !self.messages.is_empty()
    }

    /// The first agent that can work now; else why none can, and until when.
    ///
    /// # Errors
    /// The hold that the task has to be put into.
    pub fn agent_at(&self, now: Time) -> Result<usize, Hold> {
        let mut soonest: Option<&Unavailable> = None;
        for agent in 0..self.spec.agents() {
            match self.unavailable.get(&agent) {
                None => return Ok(agent),
                Some(gone) if matches!(gone.until, Wake::At(at) if at <= now) => return Ok(agent),
                Some(gone) if soonest.is_none_or(|other| gone.until < other.until) => {
                    soonest = Some(gone);
                }
                Some(_) => {}
            }
        }
        // A task has one agent at least, so there is one that is gone.
        let gone = soonest.cloned().unwrap_or(Unavailable {
            reason: HoldReason::NeedsLogin,
            detail: String::new(),
            until: Wake::On(WakeEvent::Resume),
        });
        Err(Hold { reason: gone.reason, detail: gone.detail, until: gone.until })
    }

    /// The commit that new work starts from: the newest imported one, else the base.
    pub fn head(&self) -> &CommitId {
        self.imported.as_ref().map_or(&self.spec.base, Imported::commit)
    }

    /// Evidence for the newest imported commit, if any.
    pub fn head_evidence(&self) -> Option<&Evidence> {
        self.evidence.get(self.head())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use crate::agent::{AgentKind, CredentialKind};
    use crate::id::{BranchName, CommitId, StepName, TaskName};
    use crate::pipeline::{AgentStep, Pipeline, Step, StepKind};
    use crate::plan::Questions;
    use crate::task::TaskSpec;

    /// A task for unit tests; stories and walks are in `tests/it`.
    pub(crate) fn spec(name: &str, credential: Option<&str>) -> TaskSpec {
        let agent = AgentStep { template: "{{goal}}".into(), wall_seconds: None, max_turns: None };
        let step = |name: &str, kind| Step { name: StepName::parse(name).unwrap(), kind };
        let steps = vec![
            step("implement", StepKind::Implement(agent)),
            step("check", StepKind::Check),
            step("publish", StepKind::Publish),
        ];
        TaskSpec {
            name: TaskName::parse(name).unwrap(),
            goal: "g".into(),
            repository: "r".into(),
            base: CommitId::parse(&"0".repeat(40)).unwrap(),
            pipeline: Pipeline { name: "p".into(), steps, max_repairs: 3, max_reviews: 3 },
            agent: AgentKind::Custom,
            profile: "custom".into(),
            model: None,
            credential: CredentialKind::None,
            credential_key: credential.map(ToOwned::to_owned),
            resumes: true,
            fallbacks: vec![],
            questions: Questions::Proceed,
            follows: None,
            instructions: String::new(),
            checks: vec!["true".into()],
            setup: None,
            no_check: false,
            known_failures: false,
            branch: BranchName::parse("b").unwrap(),
            push: false,
            wall_seconds: 60,
            max_turns: None,
            priority: 0,
        }
    }
}
