//! Why a held task waits. A hold is stored once; what people said meanwhile is told with it.

use midwatch_core::id::TaskName;
use midwatch_core::plan::Asked;
use midwatch_core::reason::HoldReason;
use midwatch_core::task::{Hold, Task};
use midwatch_engine::{AtHand, SHOWN_DIGITS as DIGITS};

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

/// What can be done about it. What is approved is named in the command: a plan that took its place
/// meanwhile is not approved by it.
pub(super) fn hint(task: &Task, hold: &Hold) -> String {
    let Some(at_hand) = AtHand::of(task) else {
        return hold.reason.hint().to_owned();
    };
    let name = &task.spec.name;
    let asks = task.plan_at_hand().is_some() && task.open_questions().next().is_some();
    let first = if asks {
        format!("answer each question with `midwatch answer {name}`")
    } else {
        look(name, &at_hand)
    };
    let no = format!("`midwatch reject {name} --feedback TEXT`");
    format!("{first}, then `{}` or {no}", approve(name, &at_hand))
}

/// How to look at what waits for an approval.
pub(crate) fn look(name: &TaskName, at_hand: &AtHand) -> String {
    match at_hand {
        AtHand::Plan(_) => format!("read it with `midwatch describe {name}`"),
        AtHand::Commit(_) => format!("look at it with `midwatch diff {name}`"),
    }
}

/// The command that approves exactly this.
pub(crate) fn approve(name: &TaskName, at_hand: &AtHand) -> String {
    // Field and digits, as the flag takes them.
    format!("midwatch approve {name} --{at_hand}")
}

/// Whether people are asked something while a task is held so.
fn is_asked(reason: HoldReason) -> bool {
    matches!(reason, HoldReason::Approval | HoldReason::Question)
}

fn answer(asked: &Asked) -> Option<String> {
    let (choice, by) = asked.answer.as_ref()?;
    Some(format!("{} = {choice} (by {by})", asked.question.id))
}
