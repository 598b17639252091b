//! Taking orders: the same name with the same order is the same task, and no two open tasks write
//! one branch.

use std::sync::PoisonError;

use midwatch_api::control::{Refusal, Submit, Submitted};
use midwatch_api::task::{CredentialRef, TaskOrder};
use midwatch_core::id::TaskName;
use midwatch_core::input::InvalidInput;
use midwatch_core::ports::{ActOnLand, Clock as _};
use midwatch_core::task::TaskSpec;

use super::Server;
use super::refusal::{internal, refused, stored};
use crate::access::Access;
use crate::launcher::SystemClock;
use crate::store::TaskRow;

/// Names tried for a goal before giving up.
const NAME_TRIES: u32 = 1000;

impl<A: Access, L: ActOnLand> Server<A, L> {
    /// Takes an order. It is durable when this returns.
    pub fn submit(&self, submit: Submit) -> Result<Submitted, Refusal> {
        let _keeping = self.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        let order = self.followed(self.keep(&submit)?)?;
        let kept = order.kept_ids().map(ToOwned::to_owned).collect();
        let taken = self.take(submit.name.as_deref(), order);
        // Refused, or attached to a task that is over.
        if !taken.as_ref().is_ok_and(|taken| !taken.attached) {
            self.forget_unnamed(kept);
        }
        taken
    }

    fn take(&self, asked: Option<&str>, order: TaskOrder) -> Result<Submitted, Refusal> {
        if let Some(name) = asked {
            TaskName::parse(name).map_err(refused)?;
            if let Some(row) = self.store.row(name).map_err(|e| internal(&e))? {
                return attach(&row, &order);
            }
        }
        order.check_new().map_err(refused)?;
        for name in names(asked, &order) {
            // Every rule is checked before anything is stored.
            let spec = order.to_spec(&name).map_err(refused)?;
            self.name_is_free(&name)?;
            self.branch_is_free(&spec)?;
            let now = SystemClock.now();
            let inserted = self.between("Submitted", || self.store.insert(&name, &order, now));
            if inserted.map_err(|e| stored(&e))? {
                self.engine.add(spec);
                return Ok(Submitted { task: name, attached: false });
            }
            if asked.is_some()
                && let Some(row) = self.store.row(&name).map_err(|e| internal(&e))?
            {
                return attach(&row, &order);
            }
        }
        Err(internal(&"no free name was found; pass --name"))
    }

    /// Two open tasks never write one branch.
    pub(super) fn branch_is_free(&self, spec: &TaskSpec) -> Result<(), Refusal> {
        match self.engine.writer(&spec.repository, &spec.branch) {
            None => Ok(()),
            Some(task) => Err(refused(InvalidInput::new(
                "--branch",
                spec.branch.as_str(),
                &format!("is being written by task {task}"),
                "give another name, or wait for it",
            ))),
        }
    }
}

fn names(asked: Option<&str>, order: &TaskOrder) -> impl Iterator<Item = String> {
    let tries = if asked.is_some() { 1 } else { NAME_TRIES };
    (1..=tries).map(move |n| {
        let seed = || format!("{}\0{}\0{n}", order.goal, SystemClock.now().0);
        let made = || TaskName::from_goal(&order.goal, &crate::folder::key_of(&seed())[..4]);
        asked.map_or_else(|| made().as_str().to_owned(), ToOwned::to_owned)
    })
}

fn attach(row: &TaskRow, order: &TaskOrder) -> Result<Submitted, Refusal> {
    // The same key from another variable is the same key.
    let compared = |order: &TaskOrder| {
        let mut order = order.clone();
        for worker in order.workers_mut() {
            if let CredentialRef::Stored { variable, .. } = &mut worker.credential {
                *variable = None;
            }
        }
        order
    };
    if compared(&row.order) == compared(order) {
        return Ok(Submitted { task: row.name.clone(), attached: true });
    }
    Err(refused(InvalidInput::new(
        "--name",
        &row.name,
        "belongs to a task with another order",
        "give another name, or the same goal and flags as before",
    )))
}
