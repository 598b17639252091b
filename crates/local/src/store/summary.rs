//! A task's summary: what is shown of it, folded from its events and written in the same
//! transaction. It can always be made anew: the events are the truth.

use midwatch_api::control::TaskView;
use midwatch_api::view::{ApprovalLine, ResultLine};
use midwatch_core::ports::Stored;
use midwatch_core::reason::FailReason;
use midwatch_core::task::Task;
use midwatch_core::time::Time;
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};

use super::{StoreError, TaskRow, events, row, row_error, to_sql};
use crate::view::{self, BetweenAttempts, RunSeen};

/// Counts changes of what a stored view holds: raise it with every change of [`view::folded`]
/// that is to be seen in tasks that are over.
const SHAPE: u32 = 5;

/// The state of a task whose rows cannot be read. No task of the domain is ever in it.
pub(super) const DAMAGED: &str = "Damaged";

/// A task after some of its events, with what its summary needs beside its state.
#[derive(Debug)]
pub(super) struct Folded {
    pub(super) row: TaskRow,
    pub(super) task: Task,
    pub(super) seq: u64,
    runs: Vec<RunSeen>,
    approvals: Vec<ApprovalLine>,
    pause: Option<BetweenAttempts>,
    /// When it changed last.
    changed: Time,
}

impl Folded {
    /// Just submitted.
    pub(super) fn new(row: TaskRow) -> Result<Self, StoreError> {
        let spec = row.order.to_spec(&row.name).map_err(|e| row_error(&row.name, 0, &e))?;
        let changed = row.submitted;
        let (task, runs, approvals) = (Task::new(spec), vec![], vec![]);
        Ok(Self { row, task, seq: 0, runs, approvals, pause: None, changed })
    }

    /// Takes the next event in.
    pub(super) fn take(&mut self, stored: &Stored) -> Result<(), StoreError> {
        view::follow_attempts(&mut self.pause, &self.task, &stored.event);
        self.task.apply(&stored.event).map_err(|illegal| StoreError::Fold {
            task: self.row.name.clone(),
            seq: stored.seq,
            illegal,
        })?;
        view::follow_runs(&mut self.runs, &self.task, stored);
        view::follow_approvals(&mut self.approvals, stored);
        self.seq = stored.seq;
        self.changed = stored.at;
        if self.task.state.is_terminal() && self.row.ended.is_none() {
            self.row.ended = Some(stored.at);
        }
        Ok(())
    }

    pub(super) fn view(&self) -> TaskView {
        view::folded(&self.task, &self.row, &self.runs, &self.approvals, self.pause.as_ref())
    }
}

/// The task after what was just appended, with its summary written. None where the fold refuses:
/// the events are stored all the same, and the next start says what is wrong with them.
pub(super) fn after(
    transaction: &Transaction<'_>,
    name: &str,
    kept: Option<Folded>,
    stored: &[Stored],
) -> Result<Option<Folded>, StoreError> {
    let folded = match kept {
        Some(mut folded) => {
            stored.iter().try_for_each(|stored| folded.take(stored)).map(|()| folded)
        }
        None => fold(transaction, name),
    };
    match folded {
        Ok(folded) => {
            write(transaction, &folded)?;
            Ok(Some(folded))
        }
        Err(error @ (StoreError::Row { .. } | StoreError::Fold { .. })) => {
            tracing::error!(task = name, %error, "a summary was not written");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// A task from everything that is stored of it.
pub(super) fn fold(connection: &Connection, name: &str) -> Result<Folded, StoreError> {
    let row = row(connection, name)?;
    let mut folded = Folded::new(row.ok_or_else(|| row_error(name, 0, &"it is missing"))?)?;
    for stored in events(connection, name, 0)? {
        folded.take(&stored)?;
    }
    Ok(folded)
}

/// Writes a summary.
pub(super) fn write(connection: &Connection, folded: &Folded) -> Result<(), StoreError> {
    let row = &folded.row;
    let times = (row.submitted, folded.changed, row.ended);
    put(connection, folded.task.state.as_str(), folded.seq, times, &folded.view())
}

fn put(
    connection: &Connection,
    state: &str,
    seq: u64,
    (submitted, changed, ended): (Time, Time, Option<Time>),
    view: &TaskView,
) -> Result<(), StoreError> {
    let name = view.result.task.as_deref().unwrap_or_default();
    let json = serde_json::to_string(view).map_err(|e| row_error(name, seq, &e))?;
    connection
        .prepare_cached(
            "INSERT INTO summary (task, seq, shape, state, submitted, changed, ended, view)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (task) DO UPDATE SET seq = ?2, shape = ?3, state = ?4, submitted = ?5,
             changed = ?6, ended = ?7, view = ?8",
        )?
        .execute(params![
            name,
            to_sql(seq),
            SHAPE,
            state,
            submitted.0,
            changed.0,
            ended.map(|at| at.0),
            json
        ])?;
    Ok(())
}

/// Writes every summary that is missing, of another shape, not of the last event, or of a task that
/// could not be read: somebody may have mended its rows. Returns how many.
pub(super) fn repair(connection: &mut Connection) -> Result<usize, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let repaired = repair_in(&transaction)?;
    transaction.commit()?;
    Ok(repaired)
}

/// The same, in a transaction of somebody else's.
pub(super) fn repair_in(connection: &Connection) -> Result<usize, StoreError> {
    let stale: Vec<String> = connection
        .prepare(
            "SELECT task.name FROM task LEFT JOIN summary ON summary.task = task.name
             WHERE summary.task IS NULL OR summary.shape <> ?1 OR summary.state = ?2 OR summary.seq <>
             (SELECT coalesce(max(seq), 0) FROM event WHERE event.task = task.name)",
        )?
        .query_map(params![SHAPE, DAMAGED], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for name in &stale {
        match fold(connection, name) {
            Ok(folded) => write(connection, &folded)?,
            Err(error @ (StoreError::Row { .. } | StoreError::Fold { .. })) => {
                tracing::error!(task = name, %error, "a task cannot be read");
                damaged(connection, name, &error)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(stale.len())
}

/// What is shown of a task that cannot be folded: that it is there, and what is wrong.
pub(super) fn damaged(
    connection: &Connection,
    name: &str,
    error: &StoreError,
) -> Result<(), StoreError> {
    let found: Option<(i64, Option<i64>, i64)> = connection
        .query_row(
            "SELECT submitted, ended, (SELECT coalesce(max(seq), 0) FROM event WHERE task = name)
             FROM task WHERE name = ?1",
            [name],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .optional()?;
    let Some((submitted, ended, seq)) = found else { return Ok(()) };
    let view = unreadable(name, submitted, ended, error);
    let times = (Time(submitted), Time(submitted), ended.map(Time));
    put(connection, DAMAGED, seq.unsigned_abs(), times, &view)
}

/// The view of a task that cannot be read.
pub(super) fn unreadable(
    name: &str,
    submitted_ms: i64,
    ended_ms: Option<i64>,
    error: &StoreError,
) -> TaskView {
    let reason = FailReason::Internal.as_str();
    TaskView {
        result: ResultLine {
            reason: Some(reason.into()),
            hint: Some(format!(
                "its saved work is in the mirror, the rest in the folders of its runs; `midwatch delete {name} --cancel` ends what goes on of it, forgets it and names what is left"
            )),
            detail: Some(error.to_string()),
            ..ResultLine::unknown(Some(name))
        },
        goal: String::new(),
        agent: String::new(),
        pipeline: String::new(),
        repository: String::new(),
        submitted_ms,
        ended_ms,
        explain: format!("cannot be read: {error}"),
        waiting: None,
        needs_login: vec![],
        plan: None,
        to_approve: None,
        runs: vec![],
        collected: None,
    }
}
