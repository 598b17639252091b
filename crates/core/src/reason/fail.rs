//! Why a task or a run failed.

names! {
    /// Why a task or a run failed.
    pub enum FailReason {
        /// The provider rejected the credential.
        Authentication,
        /// The subscription's limit is reached.
        UsageLimit,
        /// The provider asked to slow down.
        RateLimit,
        /// The provider does not answer.
        ModelUnavailable,
        /// The provider does not have the model, or not for this credential.
        ModelNotFound,
        /// The wall-clock limit.
        Timeout,
        /// No progress for the idle limit.
        Stalled,
        /// The agent's program ended without having done its turn, for none of the other reasons.
        AgentFailed,
        /// The agent does not know the conversation that it was to go on with.
        SessionLost,
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
        /// The repository is not where it was: an unmounted disk, a folder that was moved.
        RepositoryAway,
        /// Setup of dependencies failed.
        SetupFailed,
        /// The container image cannot be had.
        Image,
        /// The pod was evicted.
        Evicted,
        /// The machine that worked on it went away, or was started again.
        NodeLost,
        /// An object, a commit or an output broke its rules.
        InvalidInput,
        /// The agent said that something keeps it from going on, and what.
        Blocked,
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
}
