//! Lists of tasks, page by page, from their summaries: nothing is folded for them.

use midwatch_api::control::{TaskView, WAITING};
use midwatch_core::task::{Spent, StateName};
use midwatch_core::time::Time;
use rusqlite::types::Value;
use rusqlite::{OptionalExtension as _, params_from_iter};

use super::{SqliteStore, StoreError, row_error};

/// A place in the list: after the task that was submitted then and has that name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// When it was submitted.
    pub submitted: Time,
    /// Its name.
    pub name: String,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// At most that many tasks.
    pub limit: u32,
    /// Only those after this one.
    pub after: Option<Cursor>,
    /// Only tasks in these states, as the core names them, or [`WAITING`]; all when empty.
    pub states: Vec<String>,
}

/// Tasks that ended in a span of time.
#[derive(Debug)]
pub struct Ended {
    /// The newest of them.
    pub views: Vec<TaskView>,
    /// How many there are.
    pub count: u64,
}

impl SqliteStore {
    /// The state of tasks whose rows cannot be read, where states are asked for.
    pub const DAMAGED: &str = super::summary::DAMAGED;

    /// The view of one task, with folders relative to the state folder.
    pub fn view(&self, name: &str) -> Result<Option<TaskView>, StoreError> {
        let inner = self.inner();
        let mut statement =
            inner.connection.prepare_cached("SELECT task, view FROM summary WHERE task = ?1")?;
        let found = statement.query_row([name], raw).optional()?;
        found.map(read).transpose()
    }

    /// What is wrong with the rows of a task; none where they can be read, or it is not there.
    pub fn damage(&self, name: &str) -> Result<Option<StoreError>, StoreError> {
        if self.ended(name)?.is_none() {
            return Ok(None);
        }
        match super::summary::fold(&self.inner().connection, name) {
            Ok(_) => Ok(None),
            Err(damage @ (StoreError::Row { .. } | StoreError::Fold { .. })) => Ok(Some(damage)),
            Err(error) => Err(error),
        }
    }

    /// The view of one task; of one that cannot be read, that it is there, and what is wrong.
    pub fn view_or_damage(&self, name: &str) -> Result<Option<TaskView>, StoreError> {
        let inner = self.inner();
        let mut statement = inner
            .connection
            .prepare_cached("SELECT task, view, submitted, ended FROM summary WHERE task = ?1")?;
        Ok(statement.query_row([name], listed).optional()?)
    }

    /// A page of tasks, newest first, as [`SqliteStore::view`] shows each.
    pub fn page(&self, page: &Page) -> Result<Vec<TaskView>, StoreError> {
        if page.states.is_empty() {
            return self.page_of(None, page);
        }
        // One index for each state: rare ones are found without a walk over all tasks.
        let mut views = Vec::new();
        for state in &page.states {
            views.extend(self.page_of(Some(state), page)?);
        }
        views.sort_by(|a, b| {
            let place = |view: &TaskView| (-view.submitted_ms, view.result.task.clone());
            place(a).cmp(&place(b))
        });
        // What waits for its next attempt is running or queued, too.
        views.dedup_by(|a, b| a.result.task == b.result.task);
        views.truncate(page.limit as usize);
        Ok(views)
    }

    fn page_of(&self, state: Option<&str>, page: &Page) -> Result<Vec<TaskView>, StoreError> {
        let mut wanted = Vec::new();
        let mut values: Vec<Value> = Vec::new();
        if let Some(state) = state {
            if state == WAITING {
                wanted.push("state IN (?, ?) AND view ->> '$.waiting' IS NOT NULL");
                let begun = [StateName::Running, StateName::Queued];
                values.extend(begun.map(|state| state.as_str().to_owned().into()));
            } else {
                wanted.push("state = ?");
                values.push(state.to_owned().into());
            }
        }
        if let Some(after) = &page.after {
            wanted.push("submitted <= ? AND (submitted < ? OR task > ?)");
            let at = after.submitted.0;
            values.extend([at.into(), at.into(), after.name.clone().into()]);
        }
        let wanted = if wanted.is_empty() { "TRUE".to_owned() } else { wanted.join(" AND ") };
        values.push(i64::from(page.limit).into());
        let inner = self.inner();
        let mut statement = inner.connection.prepare_cached(&format!(
            "SELECT task, view, submitted, ended FROM summary WHERE {wanted} ORDER BY submitted DESC, task LIMIT ?"
        ))?;
        let rows = statement.query_map(params_from_iter(values), listed)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Tasks that ended in a span of time, oldest first; where there are more than `limit`, the
    /// newest of them.
    pub fn ended_between(&self, since: Time, until: Time, limit: u32) -> Result<Ended, StoreError> {
        // What has ended does not change any more: the index over changes finds it.
        const SPAN: &str = "changed >= ?1 AND ended >= ?1 AND ended < ?2";
        let inner = self.inner();
        let count: i64 = inner.connection.query_row(
            &format!("SELECT count(*) FROM summary WHERE {SPAN}"),
            [since.0, until.0],
            |row| row.get(0),
        )?;
        let mut statement = inner.connection.prepare_cached(&format!(
            "SELECT task, view, submitted, ended FROM summary WHERE {SPAN} ORDER BY changed DESC, task DESC LIMIT ?3"
        ))?;
        let rows = statement.query_map([since.0, until.0, i64::from(limit)], listed)?;
        let mut views: Vec<TaskView> = rows.collect::<Result<_, _>>()?;
        views.reverse();
        Ok(Ended { views, count: count.unsigned_abs() })
    }

    /// What agents used in runs that ended in a span of time.
    pub fn spent_between(&self, since: Time, until: Time) -> Result<Spent, StoreError> {
        let inner = self.inner();
        let mut statement = inner.connection.prepare_cached(
            "SELECT sum(event ->> '$.result.spent.inputTokens'),
                    sum(event ->> '$.result.spent.outputTokens'),
                    sum(event ->> '$.result.spent.costMicros')
             FROM summary JOIN event USING (task)
             WHERE summary.changed >= ?1 AND event.at >= ?1 AND event.at < ?2
               AND event ->> '$.event' = 'RunEnded'",
        )?;
        let number = |row: &rusqlite::Row<'_>, at| {
            row.get::<_, Option<i64>>(at).map(|sum| sum.map(i64::unsigned_abs))
        };
        Ok(statement.query_row([since.0, until.0], |row| {
            Ok(Spent {
                input_tokens: number(row, 0)?.unwrap_or(0),
                output_tokens: number(row, 1)?.unwrap_or(0),
                cost_micros: number(row, 2)?,
            })
        })?)
    }

    /// How many tasks are in each state.
    pub fn counts(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let inner = self.inner();
        let mut statement = inner
            .connection
            .prepare_cached("SELECT state, count(*) FROM summary GROUP BY state ORDER BY state")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?)))?;
        rows.map(|row| row.map(|(state, count)| (state, count.unsigned_abs())).map_err(Into::into))
            .collect()
    }
}

fn raw(row: &rusqlite::Row<'_>) -> rusqlite::Result<(String, String)> {
    Ok((row.get(0)?, row.get(1)?))
}

/// A task in a list: one that cannot be read has its place, and keeps nobody else out of sight.
fn listed(row: &rusqlite::Row<'_>) -> rusqlite::Result<TaskView> {
    let (name, json) = raw(row)?;
    let (submitted, ended) = (row.get(2)?, row.get(3)?);
    Ok(read((name.clone(), json))
        .unwrap_or_else(|error| super::summary::unreadable(&name, submitted, ended, &error)))
}

fn read((name, json): (String, String)) -> Result<TaskView, StoreError> {
    serde_json::from_str(&json).map_err(|error| row_error(&name, 0, &error))
}
