//! What an agent is started with: who, where, with which words, in which conversation.

use std::collections::BTreeSet;

use crate::event::{AgentRun, Event, Role, RunWork};
use crate::evidence::CheckOutcome;
use crate::pipeline::{AgentStep, Step};
use crate::plan::{Asked, Questions};
use crate::prompt::{Values, render};
use crate::reason::FailReason;
use crate::task::Task;
use crate::time::Time;

use super::stage::{deps, for_the_prompt, run};
use super::{Decision, fail};

/// What an agent is told of questions where nobody answers them.
const NOBODY_ANSWERS: &str = "Nobody answers questions: decide yourself.";

pub(super) fn start_agent(
    task: &Task,
    step: &Step,
    wanted: &AgentStep,
    role: Role,
    now: Time,
) -> Decision {
    let agent = match task.agent_at(now) {
        Ok(agent) => agent,
        Err(hold) => return Decision::store(Event::Held(hold)),
    };
    let name = step.name.as_str();
    let values = Values {
        goal: task.spec.goal.clone(),
        plan: task.plan.clone().unwrap_or_default(),
        evidence: match role {
            Role::Implement => task.repair.clone().unwrap_or_else(|| red_base(task)),
            Role::Review => passed(task),
            Role::Plan => red_base(task),
            Role::Answer => String::new(),
        },
        review: match role {
            // A plan is made again from what somebody said of it.
            Role::Implement | Role::Plan => task.review.clone().unwrap_or_default(),
            Role::Review | Role::Answer => String::new(),
        },
        base: task.spec.base.as_str().to_owned(),
        round: task.rounds.get(name).copied().unwrap_or(0) + 1,
        questions: match task.spec.questions {
            Questions::Proceed => NOBODY_ANSWERS.to_owned(),
            // How to ask is said beside the prompt, to every agent alike.
            Questions::Ask => String::new(),
        },
    };
    let resume = match role {
        Role::Implement | Role::Plan | Role::Answer if task.spec.resumes_of(agent) => {
            task.sessions.get(&task.spec.session_key(name, agent)).cloned()
        }
        // A reviewer begins anew each round: nothing it said before may bend its verdict.
        Role::Implement | Role::Plan | Role::Answer | Role::Review => None,
    };
    let mut prompt = match render(&wanted.template, &values) {
        Ok(prompt) => prompt,
        Err(error) => return fail(FailReason::InvalidInput, &error.to_string()),
    };
    let messages = match role {
        Role::Implement | Role::Plan | Role::Answer => {
            for part in told_beside(task, resume.is_some()) {
                prompt.push_str("\n\n");
                prompt.push_str(&part);
            }
            task.messages.len()
        }
        // Goal, diff and evidence: nothing else may bend its verdict.
        Role::Review => 0,
    };
    let head = task.head().clone();
    let start = match (role, &task.resume_from) {
        (Role::Implement | Role::Answer, Some(saved)) => saved.clone(),
        (Role::Plan | Role::Review, _) | (Role::Implement | Role::Answer, None) => head.clone(),
    };
    run(
        task,
        name,
        RunWork::Agent(Box::new(AgentRun {
            role,
            deps: deps(task, &head),
            start,
            onto: head,
            prompt,
            resume,
            wall_seconds: wanted.wall_seconds.unwrap_or(task.spec.wall_seconds),
            max_turns: wanted.max_turns.or(task.spec.max_turns),
            agent,
            messages,
        })),
    )
}

/// What the templates do not say: where the work comes from, what happened to it, and what
/// people said meanwhile.
fn told_beside(task: &Task, resumed: bool) -> Vec<String> {
    let mut parts = Vec::new();
    if let Some(follows) = &task.spec.follows
        && !resumed
    {
        parts.push(format!(
            "This goes on from an earlier task, whose work is in the workspace. Its goal was:\n{}",
            quoted(&follows.goal)
        ));
    }
    if !task.settled.is_empty() {
        let mut text = String::from("People have decided:");
        for settled in &task.settled {
            text.push_str("\n- ");
            text.push_str(&settled.question);
            text.push_str("\n  ");
            text.push_str(&settled.choice);
        }
        parts.push(text);
    }
    if task.spec.questions == Questions::Proceed && task.open_questions().next().is_some() {
        let asked: Vec<String> = task.open_questions().map(Asked::line).collect();
        parts.push(format!(
            "These questions were left open. Nobody answers them: decide, and say what you \
             decided.\n- {}",
            asked.join("\n- ")
        ));
    }
    if let Some(interrupted) = &task.interrupted {
        let finding = quoted(&interrupted.finding);
        parts.push(if resumed {
            format!(
                "You were stopped before you had ended:\n{finding}\nWhat you had done is in the \
                 workspace. Go on from there."
            )
        } else if interrupted.last_words.is_empty() {
            format!(
                "An earlier run of this was stopped before it had ended:\n{finding}\nWhat it had \
                 done is in the workspace. Look at it, and go on from there."
            )
        } else {
            format!(
                "An earlier run of this was stopped before it had ended:\n{finding}\nWhat it had \
                 done is in the workspace. Look at it, and go on from there. It said last:\n{}",
                quoted(&interrupted.last_words)
            )
        });
    }
    // What a later run was told of, and imported, is behind it.
    let newest = task.beside.range(task.imported_by.unwrap_or_default()..);
    let beside: BTreeSet<&str> =
        newest.flat_map(|(_, beside)| &beside.names).map(String::as_str).collect();
    if !beside.is_empty() {
        let names = beside.into_iter().collect::<Vec<_>>().join(", ");
        parts.push(format!(
            "An earlier run left commits elsewhere than on the branch that it was given:\n{}\nThis \
             workspace does not have them: make again what you need of them, and commit on the \
             branch that you are given.",
            quoted(&names)
        ));
    }
    for said in &task.messages {
        parts.push(format!("Said meanwhile, and to be done now:\n{}", said.text));
    }
    parts
}

/// Somebody else's words, marked as such.
fn quoted(text: &str) -> String {
    text.lines().map(|line| ["| ", line].concat()).collect::<Vec<_>>().join("\n")
}

/// What is red on the base, said before the first change.
fn red_base(task: &Task) -> String {
    let red = task.base_evidence.results().any(|r| r.outcome() != CheckOutcome::Pass);
    if !red {
        return String::new();
    }
    let mut text =
        String::from("Before any change these checks are red; they must be green at the end.\n");
    text.push_str(&for_the_prompt(task, task.base_evidence.results()));
    text
}

/// What the checks said of the commit under review.
fn passed(task: &Task) -> String {
    let Some(evidence) = task.head_evidence() else {
        return String::new();
    };
    let lines = evidence.results().map(|result| {
        let tests =
            result.tests.as_ref().map_or(String::new(), |t| format!(", {} tests", t.executed));
        format!("$ {}: {}{tests}", result.command, result.outcome().as_str())
    });
    lines.collect::<Vec<_>>().join("\n")
}
