//! What an agent's run left, taken in.

use crate::agent::AgentOutcome;
use crate::event::{AgentResult, AgentRun, Artifact, Question, Role, RunOrder, RunWork};
use crate::plan::{Asked, Questions};
use crate::reason::{FailReason, SessionRule};
use crate::task::{Ending, Interrupted, Task};
use crate::time::Time;
use crate::words;

/// The longest end of an agent's last message that the next one is told, in bytes.
const LAST_WORDS: usize = 2_000;
/// The id of a question that an agent asked in its last message.
const SAID: &str = "question";

impl Task {
    pub(super) fn agent_ended(
        &mut self,
        order: &RunOrder,
        run: &AgentRun,
        agent: &AgentResult,
        stopped: bool,
    ) {
        self.spent.add(&agent.spent);
        self.keep_left_out(&order.run, &agent.left_out);
        let key = self.session_key(order);
        if let Some(session) = &agent.session {
            self.sessions.insert(key.clone(), session.clone());
        }
        if let AgentOutcome::Failed { reason, detail, resets_at } = &agent.outcome {
            self.keep_unsaved(order);
            self.remember_beside(order, &agent.beside);
            // We stopped it for somebody: nothing is anybody's fault, and nothing is charged.
            if stopped && !self.cancel {
                self.interrupt("somebody paused the task", agent);
                return;
            }
            let reason = match reason {
                // Whoever began one cannot have lost it: only what is dropped here costs nothing.
                FailReason::SessionLost if run.resume.is_none() => FailReason::AgentFailed,
                reason => *reason,
            };
            // What did not even begin says nothing of the work before.
            if reason != FailReason::SessionLost {
                self.interrupt(&format!("{reason}: {detail}"), agent);
            }
            if reason.facts().session == SessionRule::Fresh {
                self.sessions.remove(&key);
            }
            self.fail(Some(reason), detail.clone(), resets_at.map(Time::from_seconds));
            self.blame(&order.work);
            return;
        }
        // It worked: nothing is held against it any more.
        self.unavailable.remove(&run.agent);
        self.outage = false;
        if self.cancel {
            self.keep_unsaved(order);
            return;
        }
        self.interrupted = None;
        self.no_change = agent.artifacts.iter().find_map(|artifact| match artifact {
            Artifact::NoChange(why) => Some(why.clone()),
            Artifact::Plan(_)
            | Artifact::PullRequestText { .. }
            | Artifact::Verdict { .. }
            | Artifact::Blocked(_)
            | Artifact::FollowUpTask(_)
            | Artifact::Question(_) => None,
        });
        match run.role {
            Role::Plan => self.planned(agent),
            Role::Implement => {
                self.last_words = words::last(&agent.text);
                self.questions = Asked::all(questions(agent));
                if self.questions.is_empty() || self.spec.questions == Questions::Proceed {
                    self.to_import = Some((order.run.clone(), order.epoch, run.onto.clone()));
                    self.keep_beside(order, &agent.beside);
                } else {
                    self.keep_unsaved(order);
                }
            }
            Role::Review => self.reviewed_by(agent),
            Role::Answer => self.answered_by(agent),
        }
    }

    /// Says whose run the failure at hand is of.
    pub(super) fn blame(&mut self, work: &RunWork) {
        if let (Some(failure), RunWork::Agent(run)) = (&mut self.failure, work) {
            failure.agent = Some(run.agent);
        }
    }

    fn interrupt(&mut self, finding: &str, agent: &AgentResult) {
        let text = agent.text.trim();
        let begin = text.ceil_char_boundary(text.len().saturating_sub(LAST_WORDS));
        self.interrupted =
            Some(Interrupted { finding: finding.to_owned(), last_words: text[begin..].to_owned() });
    }

    fn planned(&mut self, agent: &AgentResult) {
        let plan = agent.artifacts.iter().find_map(|artifact| match artifact {
            Artifact::Plan(text) => Some(text.clone()),
            Artifact::NoChange(_)
            | Artifact::PullRequestText { .. }
            | Artifact::Verdict { .. }
            | Artifact::Blocked(_)
            | Artifact::FollowUpTask(_)
            | Artifact::Question(_) => None,
        });
        let plan = plan.unwrap_or_else(|| agent.text.clone());
        if plan.trim().is_empty() {
            let detail = "the agent ended without a plan".to_owned();
            self.fail(Some(FailReason::InvalidInput), detail, None);
        } else {
            self.plan = Some(plan);
            self.plan_approved = None;
            self.questions = Asked::all(questions(agent));
            self.review = None;
            self.step_done = true;
        }
    }

    fn answered_by(&mut self, agent: &AgentResult) {
        self.questions = Asked::all(questions(agent));
        if !self.questions.is_empty() && self.spec.questions == Questions::Ask {
            return;
        }
        if agent.text.trim().is_empty() {
            let detail = "the agent ended without an answer".to_owned();
            self.fail(Some(FailReason::InvalidInput), detail, None);
        } else {
            self.answer = Some(agent.text.clone());
            self.step_done = true;
        }
    }

    fn reviewed_by(&mut self, agent: &AgentResult) {
        let mut verdicts = agent.artifacts.iter().filter_map(|artifact| match artifact {
            Artifact::Verdict { approve, comments } => Some((*approve, comments)),
            Artifact::NoChange(_)
            | Artifact::PullRequestText { .. }
            | Artifact::Plan(_)
            | Artifact::Blocked(_)
            | Artifact::FollowUpTask(_)
            | Artifact::Question(_) => None,
        });
        match (verdicts.next(), verdicts.next()) {
            (Some((true, _)), None) => {
                self.reviewed = Some(self.head().clone());
                self.review = None;
                self.step_done = true;
            }
            (Some((false, comments)), None) => {
                let comments = comments.join("\n- ");
                self.review = Some(if comments.is_empty() {
                    "The reviewer asked for changes and did not say which.".to_owned()
                } else {
                    format!("- {comments}")
                });
            }
            // Missing, invalid or twice: could not run, so it does not proceed.
            (None | Some(_), None | Some(_)) => {
                let detail = "the reviewer left no valid verdict".to_owned();
                self.fail(Some(FailReason::ReviewRejected), detail, None);
            }
        }
    }

    pub(super) fn nothing_new(&mut self) {
        let (run, epoch) = self.to_import.take().map(|(run, epoch, _)| (run, epoch)).unzip();
        let beside = epoch.and_then(|epoch| self.beside.get(&epoch));
        let left_out = run.and_then(|run| self.kept.get(&run));
        self.resume_from = None;
        if self.imported.is_some() {
            // A repair that changed nothing: the same commit is judged again, and a repair is spent.
            self.step_done = true;
        } else if let Some(why) = &self.no_change {
            self.ending = Some(Ending::NoChange(why.clone()));
        } else if !self.questions.is_empty() {
            let detail = "the agent asked instead of deciding, and changed nothing".to_owned();
            self.interrupted =
                Some(Interrupted { finding: detail.clone(), last_words: String::new() });
            self.fail(Some(FailReason::AgentFailed), detail, None);
        } else if self.spec.questions == Questions::Ask && words::asks(&self.last_words) {
            // In its own words, not in the typed ones: somebody answers all the same.
            let (id, text) = (SAID.to_owned(), self.last_words.clone());
            let question = Question { id, text, choices: vec![] };
            self.questions = Asked::all(std::iter::once(&question));
        } else {
            let said = match self.last_words.as_str() {
                "" => String::new(),
                words => format!("; it said last: {words}"),
            };
            let detail = match (beside, left_out) {
                (None, None) => format!("the agent ended and the repository is as it was{said}"),
                (None, Some(_)) => format!(
                    "the agent left nothing that a commit takes, and files that none takes: too \
                     big, or closed{said}"
                ),
                // Which of them is meant to be the work is not for us to guess.
                (Some(beside), _) => format!(
                    "the agent ended with nothing new on the branch that it was given; \
                     it left commits elsewhere ({}){said}",
                    beside.names.join(", ")
                ),
            };
            self.fail(Some(FailReason::EmptyDiff), detail, None);
        }
    }
}

fn questions(agent: &AgentResult) -> impl Iterator<Item = &Question> {
    agent.artifacts.iter().filter_map(|artifact| match artifact {
        Artifact::Question(question) => Some(question),
        Artifact::Plan(_)
        | Artifact::NoChange(_)
        | Artifact::PullRequestText { .. }
        | Artifact::Verdict { .. }
        | Artifact::Blocked(_)
        | Artifact::FollowUpTask(_) => None,
    })
}
