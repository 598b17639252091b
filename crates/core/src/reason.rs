//! Why a task waits or failed: closed sets, with one table of whose fault it is, what is
//! retried and what to do next.

/// Why a task is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HoldReason {
    /// Another task has to end first.
    Dependency,
    /// No free slot.
    Concurrency,
    /// Another task writes to the same branch.
    BranchBusy,
    /// The budget is spent.
    Budget,
    /// The credential's limit resets later.
    CredentialCoolingDown,
    /// The credential was rejected.
    NeedsLogin,
    /// Somebody has to approve.
    Approval,
    /// The agent asked something.
    Question,
    /// The sandbox cannot be built.
    SandboxUnavailable,
    /// The model does not answer.
    ModelDown,
    /// Somebody paused the task, or all of them.
    Paused,
    /// As many tasks of the repository run as may.
    RepositoryLimit,
    /// As many tasks of the credential run as may.
    CredentialLimit,
    /// Too little of the disk is free to begin, room for saving work included.
    DiskLow,
    /// Too little memory is free to run one more task.
    MemoryLow,
}

/// Why a task or a run failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailReason {
    /// The provider rejected the credential.
    Authentication,
    /// The subscription's limit is reached.
    UsageLimit,
    /// The provider asked to slow down.
    RateLimit,
    /// The provider does not answer, or does not have the model.
    ModelUnavailable,
    /// The wall-clock limit.
    Timeout,
    /// No progress for the idle limit.
    Stalled,
    /// The agent's program ended without having done its turn, for none of the other reasons.
    AgentFailed,
    /// The same call over and over.
    Looping,
    /// The memory limit.
    OutOfMemory,
    /// The limit on processes.
    ProcessLimit,
    /// Far more output than is kept.
    OutputLimit,
    /// The disk limit, or a full disk.
    Disk,
    /// The agent changed nothing.
    EmptyDiff,
    /// A check could not run, on the base either.
    CheckCouldNotRun,
    /// What is red was red on the base.
    AlreadyRedOnBase,
    /// Checks are red after the last repair.
    VerificationFailed,
    /// The reviewer still asks for changes after the last round.
    ReviewRejected,
    /// A commit holds a secret.
    SecretFound,
    /// A commit holds what no approval can let through.
    ProtectedPath,
    /// The base moved and the change no longer applies.
    MergeConflict,
    /// The target refused the branch.
    PushRejected,
    /// Setup of dependencies failed.
    SetupFailed,
    /// The container image cannot be had.
    Image,
    /// The pod was evicted.
    Evicted,
    /// The node went away.
    NodeLost,
    /// An object, a commit or an output broke its rules.
    InvalidInput,
    /// A task that this one waits for failed.
    DependencyFailed,
    /// The turn limit.
    TurnLimit,
    /// The context is full, or a limit of tokens was reached.
    TokenLimit,
    /// The cost limit.
    CostLimit,
    /// The agent waits for a permission that nobody gives.
    PermissionNeeded,
    /// Midwatch itself.
    Internal,
}

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
    /// Again without a charge, bounded by the epochs of a task.
    Free,
    /// The task is held until the reset (or a growing pause), nothing is charged.
    HoldUntilReset,
    /// The task is held until somebody logs in.
    HoldForLogin,
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

macro_rules! names {
    ($type:ident { $($variant:ident),+ $(,)? }) => {
        impl $type {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name on every wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant)),+ }
            }

            /// Reads a name made by `as_str`.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|reason| reason.as_str() == text)
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

names!(HoldReason {
    Dependency,
    Concurrency,
    BranchBusy,
    Budget,
    CredentialCoolingDown,
    NeedsLogin,
    Approval,
    Question,
    SandboxUnavailable,
    ModelDown,
    Paused,
    RepositoryLimit,
    CredentialLimit,
    DiskLow,
    MemoryLow,
});

names!(FailReason {
    Authentication,
    UsageLimit,
    RateLimit,
    ModelUnavailable,
    Timeout,
    Stalled,
    AgentFailed,
    Looping,
    OutOfMemory,
    ProcessLimit,
    OutputLimit,
    Disk,
    EmptyDiff,
    CheckCouldNotRun,
    AlreadyRedOnBase,
    VerificationFailed,
    ReviewRejected,
    SecretFound,
    ProtectedPath,
    MergeConflict,
    PushRejected,
    SetupFailed,
    Image,
    Evicted,
    NodeLost,
    InvalidInput,
    DependencyFailed,
    TurnLimit,
    TokenLimit,
    CostLimit,
    PermissionNeeded,
    Internal,
});

impl HoldReason {
    /// What the user can do next.
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Dependency => "it goes on when the task it waits for ends",
            Self::Concurrency => "it starts when a running task ends",
            Self::BranchBusy => "it starts when the task on the same branch ends",
            Self::Budget => "raise the budget, then `midwatch resume`",
            Self::CredentialCoolingDown => "it goes on by itself after the reset",
            Self::NeedsLogin => "log in again, then `midwatch resume`",
            Self::Approval => {
                "look with `midwatch describe` and `midwatch diff`, then `midwatch approve` or `midwatch reject`"
            }
            Self::Question => "read it with `midwatch explain`, then `midwatch answer`",
            Self::SandboxUnavailable => "`midwatch doctor` names the missing layer",
            Self::ModelDown => "it is tried again by itself",
            Self::Paused => "it goes on with `midwatch resume`, or `midwatch resume --all`",
            Self::RepositoryLimit => "it starts when another task of the repository ends",
            Self::CredentialLimit => "it starts when another task of the credential ends",
            Self::DiskLow => "free disk space; it starts by itself",
            Self::MemoryLow => "it starts when memory is free, or when no other task runs",
        }
    }
}

impl FailReason {
    /// Fault, retry rule and hint of a reason.
    pub const fn facts(self) -> ReasonFacts {
        use Fault::{Agent, Machine, Midwatch, Provider, User};
        use RetryRule::{Charged, Free, HoldForLogin, HoldUntilReset, Never};
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
            Self::ModelUnavailable => {
                (Provider, Charged, "try later, or another model with --model")
            }
            Self::Timeout => (
                Agent,
                Never,
                "raise --timeout, or cut the goal into smaller ones; the work so far is saved",
            ),
            Self::Stalled => (
                Agent,
                Charged,
                "see the transcript with `midwatch logs`; the work so far is saved",
            ),
            Self::AgentFailed => {
                (Agent, Charged, "see what it said with `midwatch logs`; the work so far is saved")
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
            Self::CheckCouldNotRun => {
                (User, Never, "make the check run on the base first, or name another with --check")
            }
            Self::AlreadyRedOnBase => {
                (User, Never, "what is red was red before: mend the base, or pass --known-failures")
            }
            Self::VerificationFailed => {
                (Agent, Never, "see what failed with `midwatch logs`; the work is saved")
            }
            Self::ReviewRejected => {
                (Agent, Never, "read the review with `midwatch logs`; the work is saved")
            }
            Self::SecretFound => (
                Agent,
                Never,
                "the named commit holds a secret; open the saved work and take it out",
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
            Self::SetupFailed => (User, Never, "see the setup's log, or give another with --setup"),
            Self::Image => (User, Never, "check the image's name and pull secret"),
            Self::Evicted | Self::NodeLost => (Machine, Free, "it is tried again elsewhere"),
            Self::InvalidInput => (Agent, Never, "the message names the rule that was broken"),
            Self::DependencyFailed => (User, Never, "mend the task it waits for, then retry"),
            Self::TurnLimit => {
                (Agent, Never, "raise the turn limit in the profile; the work so far is saved")
            }
            Self::TokenLimit => {
                (Agent, Charged, "cut the goal into smaller ones; the work so far is saved")
            }
            Self::CostLimit => {
                (Agent, Never, "raise the cost limit in the profile; the work so far is saved")
            }
            Self::PermissionNeeded => {
                (User, Never, "allow it in the profile, or say in the goal how to do without")
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
        match self {
            // A provider that is down or overloaded needs minutes.
            Self::ModelUnavailable => Pause { first: 10, most: 600 },
            // No reset was told: what a limit per minute needs first, hours at last.
            Self::UsageLimit | Self::RateLimit => Pause { first: 60, most: 3_600 },
            Self::Authentication
            | Self::Timeout
            | Self::Stalled
            | Self::AgentFailed
            | Self::Looping
            | Self::OutOfMemory
            | Self::ProcessLimit
            | Self::OutputLimit
            | Self::Disk
            | Self::EmptyDiff
            | Self::CheckCouldNotRun
            | Self::AlreadyRedOnBase
            | Self::VerificationFailed
            | Self::ReviewRejected
            | Self::SecretFound
            | Self::ProtectedPath
            | Self::MergeConflict
            | Self::PushRejected
            | Self::SetupFailed
            | Self::Image
            | Self::Evicted
            | Self::NodeLost
            | Self::InvalidInput
            | Self::DependencyFailed
            | Self::TurnLimit
            | Self::TokenLimit
            | Self::CostLimit
            | Self::PermissionNeeded
            | Self::Internal => Pause { first: 5, most: 300 },
        }
    }

    /// Whether going on with the conversation can help. What led into a loop or filled the
    /// context would only lead there again.
    const fn session(self) -> SessionRule {
        match self {
            Self::Looping | Self::TokenLimit => SessionRule::Fresh,
            Self::Authentication
            | Self::UsageLimit
            | Self::RateLimit
            | Self::ModelUnavailable
            | Self::Timeout
            | Self::Stalled
            | Self::AgentFailed
            | Self::OutOfMemory
            | Self::ProcessLimit
            | Self::OutputLimit
            | Self::Disk
            | Self::EmptyDiff
            | Self::CheckCouldNotRun
            | Self::AlreadyRedOnBase
            | Self::VerificationFailed
            | Self::ReviewRejected
            | Self::SecretFound
            | Self::ProtectedPath
            | Self::MergeConflict
            | Self::PushRejected
            | Self::SetupFailed
            | Self::Image
            | Self::Evicted
            | Self::NodeLost
            | Self::InvalidInput
            | Self::DependencyFailed
            | Self::TurnLimit
            | Self::CostLimit
            | Self::PermissionNeeded
            | Self::Internal => SessionRule::Resume,
        }
    }

    /// Whether another agent, model or credential may get on where this one did not.
    const fn elsewhere(self) -> bool {
        matches!(
            self,
            Self::Authentication | Self::UsageLimit | Self::RateLimit | Self::ModelUnavailable
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_every_reason_has_a_hint() {
        for reason in FailReason::ALL {
            assert_eq!(FailReason::parse(reason.as_str()), Some(*reason));
            assert!(reason.facts().hint.len() > 10, "{reason}");
        }
        for reason in HoldReason::ALL {
            assert_eq!(HoldReason::parse(reason.as_str()), Some(*reason));
            assert!(reason.hint().len() > 10, "{reason}");
        }
    }
}
