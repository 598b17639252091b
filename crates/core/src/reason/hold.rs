//! Why a task waits.

names! {
    /// Why a task is held.
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
        /// The repository is not where it was: an unmounted disk, a folder that was moved.
        RepositoryAway,
        /// The model does not answer.
        ModelDown,
        /// The provider does not have an agent's model; another agent works meanwhile.
        ModelNotFound,
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
}

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
            Self::RepositoryAway => {
                "bring it back to its place, then `midwatch resume`; for some hours it is looked for by itself"
            }
            Self::ModelDown => "it is tried again by itself",
            Self::ModelNotFound => {
                "begin anew with a model that the provider has (--model; in a file spec.model)"
            }
            Self::Paused => "it goes on with `midwatch resume`, or `midwatch resume --all`",
            Self::RepositoryLimit => "it starts when another task of the repository ends",
            Self::CredentialLimit => "it starts when another task of the credential ends",
            Self::DiskLow => "free disk space; it starts by itself",
            Self::MemoryLow => "it starts when memory is free, or when no other task runs",
        }
    }
}
