//! The table: whose fault a failure is, what is retried and how, what to do next.

use super::FailReason;

/// Whose fault a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The order, the repository or the machine's set-up.
    User,
    /// The agent's work.
    Agent,
    /// The model's provider or the forge.
    Provider,
    /// The machine or the cluster.
    Machine,
    /// Midwatch.
    Midwatch,
}

/// What happens after a failure of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryRule {
    /// Never again by itself.
    Never,
    /// Again, charged as an attempt, after a growing pause.
    Charged,
    /// Again once, charged, where nothing was charged before.
    Once,
    /// Again without a charge, bounded by the epochs of a task.
    Free,
    /// The task is held until the reset (or a growing pause), nothing is charged.
    HoldUntilReset,
    /// The task is held until somebody logs in.
    HoldForLogin,
    /// The task is held and looks again after growing pauses, at last only when it is resumed.
    HoldUntilThere,
}

/// How long to wait before a next try: doubled each time, up to a cap. A jitter is added, see
/// [`crate::pause`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    /// Seconds before the second try.
    pub first: i64,
    /// Seconds at most.
    pub most: i64,
}

/// What becomes of the conversation at the next try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionRule {
    /// It goes on, where the agent can.
    Resume,
    /// A new one begins, and is told what the old one came to.
    Fresh,
}

/// One line of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReasonFacts {
    /// Whose fault it is.
    pub fault: Fault,
    /// What is done about it.
    pub retry: RetryRule,
    /// How long to wait before that, growing.
    pub pause: Pause,
    /// Whether the next try goes on with the conversation.
    pub session: SessionRule,
    /// Another agent of the profile is asked first, where there is one.
    pub elsewhere: bool,
    /// What the user can do next.
    pub hint: &'static str,
}

impl FailReason {
    /// Fault, retry rule and hint of a reason.
    pub const fn facts(self) -> ReasonFacts {
        use Fault::{Agent, Machine, Midwatch, Provider, User};
        use RetryRule::{Charged, Free, HoldForLogin, HoldUntilReset, HoldUntilThere, Never, Once};
        let (fault, retry, hint) = match self {
            Self::Authentication => {
                (User, HoldForLogin, "log in again, `midwatch doctor` tries the login for real")
            }
            Self::UsageLimit => {
                (Provider, HoldUntilReset, "wait for the reset, or use another credential")
            }
            Self::RateLimit => {
                (Provider, HoldUntilReset, "wait, or lower the number of tasks at once")
            }
            Self::ModelUnavailable => (
                Provider,
                Charged,
                "try later, or name another model (--model; in a file spec.model)",
            ),
            Self::ModelNotFound => {
                (User, Never, "name a model that the provider has (--model; in a file spec.model)")
            }
            Self::Timeout => (
                Agent,
                Never,
                "raise the limit (--timeout; in a file spec.timeout), or cut the goal into smaller ones",
            ),
            Self::Stalled => (Agent, Charged, "see the transcript with `midwatch logs`"),
            Self::AgentFailed => (Agent, Charged, "see what it said with `midwatch logs`"),
            Self::SessionLost => {
                (Machine, Free, "a new conversation begins by itself, with the work so far")
            }
            Self::Looping => (
                Agent,
                Charged,
                "see the transcript with `midwatch logs`, then word the goal another way",
            ),
            Self::OutOfMemory => (Agent, Never, "raise the memory limit in the profile"),
            Self::ProcessLimit => (Agent, Never, "raise the process limit in the profile"),
            Self::OutputLimit => {
                (Agent, Never, "something printed without end, see `midwatch logs`")
            }
            Self::Disk => {
                (Machine, Never, "free disk space, or raise the disk limit in the profile")
            }
            Self::EmptyDiff => (
                Agent,
                Never,
                "word the goal more precisely; the transcript says what the agent thought",
            ),
            Self::CheckCouldNotRun => (
                User,
                Never,
                "make the check run on the base first, or name another (--check; in a file spec.checks)",
            ),
            Self::AlreadyRedOnBase => (
                User,
                Never,
                "what is red was red before: mend the base, or accept it (--known-failures; in a file spec.knownFailures)",
            ),
            Self::VerificationFailed => (Agent, Never, "see what failed with `midwatch logs`"),
            Self::ReviewRejected => (Agent, Never, "read the review with `midwatch logs`"),
            Self::SecretFound => (
                Agent,
                Never,
                "the named commit holds a secret: take it out of the work before you use it",
            ),
            Self::ProtectedPath => {
                (Agent, Never, "the change holds what may never be imported; the message names it")
            }
            Self::MergeConflict => (User, Charged, "retry on the new base"),
            Self::PushRejected => (
                User,
                Never,
                "see why the target refused; the verified commit is kept, `midwatch open` shows it",
            ),
            Self::RepositoryAway => {
                (User, HoldUntilThere, "bring the repository back to its place, then resume")
            }
            Self::SetupFailed => (
                User,
                Never,
                "see the setup's log, or give another (--setup; in a file spec.setup)",
            ),
            Self::Image => (User, Never, "check the image's name and pull secret"),
            Self::Evicted => (Machine, Free, "it is tried again elsewhere"),
            Self::NodeLost => (Machine, Free, "it is tried again by itself"),
            Self::InvalidInput => (Agent, Never, "the message names the rule that was broken"),
            Self::Blocked => {
                (User, Never, "mend what it names, then `midwatch message` goes on with its work")
            }
            Self::DependencyFailed => (User, Never, "mend the task it waits for, then retry"),
            Self::TurnLimit => (Agent, Never, "raise the turn limit in the profile"),
            Self::TokenLimit => (Agent, Charged, "cut the goal into smaller ones"),
            Self::CostLimit => (Agent, Never, "raise the cost limit in the profile"),
            Self::PermissionNeeded => {
                (User, Once, "allow it in the profile, or say in the goal how to do without")
            }
            Self::Internal => {
                (Midwatch, Charged, "this is our fault: please report it with `midwatch logs`")
            }
        };
        ReasonFacts {
            fault,
            retry,
            pause: self.pause(),
            session: self.session(),
            elsewhere: self.elsewhere(),
            hint,
        }
    }

    /// How long to wait before the next try, where there is one.
    const fn pause(self) -> Pause {
        if matches!(self, Self::ModelUnavailable) {
            // A provider that is down or overloaded needs minutes.
            Pause { first: 10, most: 600 }
        } else if matches!(self, Self::UsageLimit | Self::RateLimit) {
            // No reset was told: what a limit per minute needs first, hours at last.
            Pause { first: 60, most: 3_600 }
        } else if matches!(self, Self::RepositoryAway) {
            // To look costs nothing; who unmounted a disk may leave it so for the night.
            Pause { first: 2, most: 600 }
        } else if matches!(self, Self::SessionLost) {
            // Nothing has to pass: the next try does not ask for what is not there.
            Pause { first: 1, most: 1 }
        } else {
            Pause { first: 5, most: 300 }
        }
    }

    /// Whether going on with the conversation can help. What led into a loop, to a tool that is
    /// not allowed or filled the context would only lead there again.
    const fn session(self) -> SessionRule {
        if matches!(
            self,
            Self::Looping | Self::TokenLimit | Self::PermissionNeeded | Self::SessionLost
        ) {
            SessionRule::Fresh
        } else {
            SessionRule::Resume
        }
    }

    /// Whether another agent, model or credential may get on where this one did not.
    const fn elsewhere(self) -> bool {
        matches!(
            self,
            Self::Authentication
                | Self::UsageLimit
                | Self::RateLimit
                | Self::ModelUnavailable
                | Self::ModelNotFound
        )
    }
}
