//! The laws by name, and one that was broken.

/// One law.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Law {
    /// What is over stays as it is.
    TerminalStays,
    /// A replay of what was stored is the live task.
    ReplayIsLive,
    /// A late report changes nothing.
    LateChangesNothing,
    /// What was decided may be stored.
    DecisionsAreLegal,
    /// Nothing to store: a wake-up, unless it is over.
    WaitIsNamed,
    /// The named wake-up can come, and is not in the past.
    WakeCanCome,
    /// Without outside events, decisions come to an end.
    Converges,
    /// An epoch is used once and they only grow.
    EpochsOnlyGrow,
    /// An intent is open once.
    KeysAreUnique,
    /// The set of runs is that of the open intents.
    RunsAreOpen,
    /// Only a green commit is published, and once.
    PublishesVerified,
    /// What the target has is learnt once.
    LandsOnce,
    /// Done is a green commit that was read back.
    DoneIsLanded,
    /// Unverified is asked for and local.
    UnverifiedIsAskedFor,
    /// Evidence speaks of its own commit.
    EvidenceIsOfItsCommit,
    /// No change is said so, and nothing was imported.
    NoChangeIsSaid,
    /// Work is saved before anything else happens.
    WorkIsSaved,
    /// What needs an approval has one, for that commit.
    ApprovalIsOfThatCommit,
    /// What is reviewed is what is published.
    ReviewIsOfThatCommit,
    /// The work goes back only when a reviewer said so.
    ReturnsAreAskedFor,
    /// A cancelled task publishes nothing more.
    CancelStopsPublishing,
    /// Runs of one task are bounded.
    RunsAreBounded,
    /// In a fair world it ends.
    Ends,
    /// A paused task starts no agent.
    PausedStartsNoAgent,
    /// Nobody is started who cannot work yet, and no retry comes before its pause is over.
    PausesAreKept,
    /// What is nobody's fault is not charged.
    LimitsAreFree,
    /// The plan that is worked on is the one that was approved.
    ApprovalIsOfThatPlan,
    /// Where questions are asked, work does not go on before they are answered.
    QuestionsAreAnswered,
    /// What was said to the agent reaches it before anything is handed over.
    MessagesAreHeard,
    /// A question that is answered changes nothing anywhere.
    AnswersPublishNothing,
}

/// A law that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) law: Law,
    pub(crate) detail: String,
}

impl Broken {
    pub(crate) fn new(law: Law, detail: impl std::fmt::Debug) -> Self {
        Self { law, detail: format!("{detail:?}") }
    }
}

pub(crate) fn keep(law: Law, holds: bool, detail: impl std::fmt::Debug) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(Broken::new(law, detail)) }
}
