//! Pipelines: a named list of steps, each one kind of work.

mod uses;

pub use uses::{Said, SaidIn};

use crate::id::StepName;
use crate::input::InvalidInput;

/// Bounded repairs when a pipeline does not say otherwise.
pub const MAX_REPAIRS: u32 = 3;
/// Bounded review rounds when a pipeline does not say otherwise.
pub const MAX_REVIEWS: u32 = 3;
/// Starts of one step that a retry rule may charge.
pub const MAX_ATTEMPTS: u32 = 3;

/// How often a plan is made again because somebody asked for it.
pub const MAX_REPLANS: u32 = 10;

/// A named list of steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pipeline {
    /// The name, such as `change`.
    pub name: String,
    /// The steps in their order, at least one.
    pub steps: Vec<Step>,
    /// How often a red check goes back to the implementing step.
    pub max_repairs: u32,
    /// How many review rounds there are at most.
    pub max_reviews: u32,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Unique in its pipeline.
    pub name: StepName,
    /// What it does.
    pub kind: StepKind,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepKind {
    /// An agent reads and leaves an artifact; nothing is imported.
    Plan(AgentStep),
    /// An agent changes the repository; checks and reviews come back to it.
    Implement(AgentStep),
    /// The repository's commands judge the imported commit.
    Check,
    /// An agent with a fresh HOME judges the imported commit.
    Review(AgentStep),
    /// An agent reads and answers; nothing is imported or handed over.
    Answer(AgentStep),
    /// Somebody has to approve.
    Approval,
    /// The result is handed over.
    Publish,
}

/// What a step that starts an agent says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentStep {
    /// The prompt's template; see [`crate::prompt`] for the words it may use.
    pub template: String,
    /// Seconds of wall clock; none takes the task's.
    pub wall_seconds: Option<u64>,
    /// The most turns.
    pub max_turns: Option<u32>,
}

impl Pipeline {
    /// Checks the rules that decisions rely on.
    pub fn validate(&self) -> Result<(), InvalidInput> {
        let bad =
            |rule: &str, fix: &str| Err(InvalidInput::new("spec.steps", &self.name, rule, fix));
        if self.is_answer() {
            return match self.steps.len() {
                1 => Ok(()),
                _ => bad("answers, and has other steps beside", "keep the answering step alone"),
            };
        }
        let implement = self.position(|kind| matches!(kind, StepKind::Implement(_)));
        let Some(implement) = implement else {
            return bad("has no implement step", "add a step of kind implement");
        };
        if self.steps.iter().filter(|s| matches!(s.kind, StepKind::Implement(_))).count() > 1 {
            return bad("has two implement steps", "keep one; repairs go back to it");
        }
        match self.position(|kind| matches!(kind, StepKind::Publish)) {
            Some(last) if last + 1 == self.steps.len() => {}
            Some(_) | None => {
                return bad("must end with its only publish step", "move it to the end");
            }
        }
        let check = self.position(|kind| matches!(kind, StepKind::Check));
        if check.is_none_or(|at| at < implement) {
            return bad(
                "has no check after implement",
                "nothing is published unchecked; add a check step",
            );
        }
        if self
            .position(|kind| matches!(kind, StepKind::Review(_)))
            .is_some_and(|at| at < implement)
        {
            return bad(
                "reviews before anything is implemented",
                "move the review behind implement",
            );
        }
        for (at, step) in self.steps.iter().enumerate() {
            if self.steps[..at].iter().any(|earlier| earlier.name == step.name) {
                return Err(InvalidInput::new(
                    "spec.steps.name",
                    step.name.as_str(),
                    "is used twice",
                    "rename one",
                ));
            }
        }
        if self.max_repairs > 20 || self.max_reviews > 20 {
            return bad("allows more than 20 repairs or reviews", "give 0 to 20");
        }
        Ok(())
    }

    /// Whether its result is an answer instead of a change.
    pub fn is_answer(&self) -> bool {
        self.position(|kind| matches!(kind, StepKind::Answer(_))).is_some()
    }

    /// Where the implementing step stands. Pipelines are validated before a task is made.
    pub fn implement_at(&self) -> usize {
        self.position(|kind| matches!(kind, StepKind::Implement(_))).unwrap_or(0)
    }

    fn position(&self, wanted: impl Fn(&StepKind) -> bool) -> Option<usize> {
        self.steps.iter().position(|step| wanted(&step.kind))
    }
}
