//! Why a held task waits. A hold is stored once; what people said meanwhile is told with it.

use midwatch_core::plan::Asked;
use midwatch_core::reason::HoldReason;
use midwatch_core::task::{Hold, Task};

/// Digits of a plan's digest that are shown: enough to name it to `midwatch approve`.
const DIGITS: usize = 12;
/// What to do about questions that an approval waits for.
const ANSWER_FIRST: &str =
    "answer each question with `midwatch answer`, then `midwatch approve` or `midwatch reject`";

/// What the task waits for now, in a sentence.
pub(super) fn detail(task: &Task, hold: &Hold) -> String {
    let answered: Vec<String> = task.questions.iter().filter_map(answer).collect();
    if answered.is_empty() || !is_asked(hold.reason) {
        return hold.detail.clone();
    }
    let open: Vec<String> = task.open_questions().map(Asked::line).collect();
    let open = open.join("; ");
    let waits = match (task.plan_at_hand(), hold.reason) {
        (Some(plan), _) if open.is_empty() => {
            format!("the plan {} waits for an approval", &plan[..DIGITS])
        }
        (Some(plan), _) => {
            format!("the plan {} waits for answers and an approval: {open}", &plan[..DIGITS])
        }
        (None, HoldReason::Question) if !open.is_empty() => format!("the agent asks: {open}"),
        (None, _) => hold.detail.clone(),
    };
    format!("{waits}; answered: {}", answered.join("; "))
}

/// What can be done about it.
pub(super) fn hint(task: &Task, hold: &Hold) -> &'static str {
    let asks = hold.reason == HoldReason::Approval && task.plan_at_hand().is_some();
    if asks && task.open_questions().next().is_some() { ANSWER_FIRST } else { hold.reason.hint() }
}

/// Whether people are asked something while a task is held so.
fn is_asked(reason: HoldReason) -> bool {
    matches!(reason, HoldReason::Approval | HoldReason::Question)
}

fn answer(asked: &Asked) -> Option<String> {
    let (choice, by) = asked.answer.as_ref()?;
    Some(format!("{} = {choice} (by {by})", asked.question.id))
}
