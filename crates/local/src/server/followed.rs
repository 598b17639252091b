//! Follow-ups. What is over stays as it is: a follow-up is a task of its own that
//! goes on from the work, the branch and the conversations of another.

use midwatch_api::control::Refusal;
use midwatch_api::task::{FollowsRef, TaskOrder};
use midwatch_core::event::{Action, Event, Role, RunWork};
use midwatch_core::input::InvalidInput;
use midwatch_core::landing::Imported;
use midwatch_core::ports::{ActOnLand, Stored};
use midwatch_core::task::{State, Task};

use super::Server;
use super::refusal::{internal, refused};
use crate::access::Access;
use crate::retain::{Unsaved, unsaved};

impl<A: Access, L: ActOnLand> Server<A, L> {
    /// An order with what the server knows of the task that it goes on from. The same order gives
    /// the same: what is over does not change.
    pub(super) fn followed(&self, mut order: TaskOrder) -> Result<TaskOrder, Refusal> {
        let Some(wanted) = &order.follows else { return Ok(order) };
        let Some(row) = self.store.row(&wanted.task).map_err(|error| internal(&error))? else {
            let gone = "is no task any more: its conversations, and what was saved of it, are gone";
            let fix = "`midwatch run --base BRANCH` goes on from what is on a branch";
            return Err(refused(InvalidInput::new("follows", &wanted.task, gone, fix)));
        };
        let spec = row.order.to_spec(&row.name).map_err(refused)?;
        let events = self.store.events(&row.name, 0).map_err(|error| internal(&error))?;
        let task = Task::replay(spec, events.iter().map(|stored| &stored.event))
            .map_err(|error| internal(&error))?;
        if !matches!(task.state, State::Ended(_)) {
            return Err(refused(InvalidInput::new(
                "follows",
                &row.name,
                &format!("is not over: it is {}", task.state.as_str()),
                "say it to the task itself",
            )));
        }
        if let Some(why) = self.unsaved_at_last(&events) {
            return Err(refused(InvalidInput::new(
                "follows",
                &row.name,
                &format!("has work that a follow-up would not have: {why}"),
                "take what you need from there and remove that folder; then it goes on without",
            )));
        }
        let same = order.repository == row.order.repository && order.base == row.order.base;
        if !same {
            return Err(refused(InvalidInput::new(
                "follows",
                &row.name,
                "is a task of another repository or base",
                "a follow-up goes on from the same base",
            )));
        }
        let imported = task.imported.as_ref().map(Imported::commit);
        // Saved work stands on what was imported, where there is both.
        let start = task.resume_from.as_ref().or(imported);
        let before = row.order.follows;
        let onto = match &task.read_back {
            Some(landed) => Some(landed.commit.as_str().to_owned()),
            None => before.as_ref().and_then(|before| before.onto.clone()),
        };
        let mut chain = before.map(|before| before.chain).unwrap_or_default();
        chain.push(row.name.clone());
        order.branch = Some(task.spec.branch.as_str().to_owned());
        order.follows = Some(Box::new(FollowsRef {
            task: row.name,
            goal: task.spec.goal.clone(),
            start: start.map(|commit| commit.as_str().to_owned()),
            onto,
            sessions: task.sessions.clone(),
            chain,
        }));
        Ok(order)
    }

    /// Why the work of the last agent is nowhere but in its workspace, where it is.
    fn unsaved_at_last(&self, events: &[Stored]) -> Option<String> {
        let last = events.iter().rev().find_map(|stored| match &stored.event {
            Event::Intended(Action::Run(order)) => match &order.work {
                RunWork::Agent(agent) if agent.role == Role::Implement => Some(order.run.as_str()),
                RunWork::Agent(_)
                | RunWork::Checkout { .. }
                | RunWork::Setup { .. }
                | RunWork::Check { .. }
                | RunWork::Rescue { .. } => None,
            },
            _ => None,
        })?;
        match unsaved(events).get(last)? {
            Unsaved::All => Unsaved::All.still_in(&self.folder.run(last)),
            Unsaved::Files(_) => None,
        }
    }
}
