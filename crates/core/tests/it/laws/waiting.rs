//! Laws of waiting: who may not begin yet, and what somebody has to say first.

use midwatch_core::event::{Action, AgentRun, Event, Role, RunWork};
use midwatch_core::plan::Questions;
use midwatch_core::task::{Task, Wake};
use midwatch_core::time::Time;

use super::{Broken, Law, keep};

/// Judges one decided event by the clock.
pub(super) fn decided(task: &Task, now: Time, event: &Event) -> Result<(), Broken> {
    match event {
        Event::Intended(Action::Run(order)) => {
            // What saves work waits for nobody.
            let saves = matches!(order.work, RunWork::Rescue { .. });
            let early = task.retry_at.is_some_and(|at| at > now);
            keep(Law::PausesAreKept, saves || !early, (&order.run, task.retry_at))?;
            let RunWork::Agent(run) = &order.work else { return Ok(()) };
            let gone = task.unavailable.get(&run.agent).is_some_and(|gone| match gone.until {
                Wake::At(at) => at > now,
                Wake::On(_) => true,
            });
            keep(Law::PausesAreKept, !gone, (&order.run, &task.unavailable))
        }
        // A free retry is of a machine, a charged one of an agent: neither comes at once.
        Event::Retried { charged: _, at } => keep(Law::PausesAreKept, *at > now, event),
        _ => Ok(()),
    }
}

/// Judges the start of an agent.
pub(super) fn agent_started(before: &Task, run: &AgentRun) -> Result<(), Broken> {
    let works = run.role == Role::Implement;
    let asks = before.spec.questions == Questions::Ask;
    let open = before.open_questions().count();
    let answered = open == 0 || run.messages > 0;
    keep(Law::QuestionsAreAnswered, !works || !asks || answered, open)?;
    let heard = run.messages == before.messages.len() || run.role == Role::Review;
    keep(Law::MessagesAreHeard, heard, &before.messages)
}
