//! `--watch`: asks again and again, and shows what changed, until Ctrl-C or until nobody reads.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use super::Context;
use crate::output::reader_is_gone;
use crate::problem::{Problem, exit};

/// How often a watch looks.
const LOOK: Duration = Duration::from_secs(1);

/// A row of what is watched.
#[derive(Debug)]
pub(super) struct Row<T> {
    /// Which it is among the others.
    pub(super) name: String,
    /// What makes it another one: it is shown again when this has changed.
    pub(super) mark: String,
    /// What is shown.
    pub(super) shown: T,
}

/// Watches what `ask` answers; `show` gets the rows that are new or have changed.
pub(super) async fn watch<T>(
    context: &Context,
    ask: impl AsyncFn() -> Result<Vec<Row<T>>, Problem>,
    show: impl Fn(&[T]),
) -> Result<u8, Problem> {
    tokio::select! {
        biased;
        () = context.signals.interrupt() => {
            if context.output.is_json() {
                context.output.json(&Problem::nothing());
            }
            Ok(exit::FINE)
        }
        ended = look(ask, show) => match ended {
            Ok(never) => match never {},
            Err(None) => Ok(exit::UNREAD),
            Err(Some(problem)) => Err(problem),
        },
    }
}

/// Ends with a problem, or with none where nobody reads any more.
async fn look<T>(
    ask: impl AsyncFn() -> Result<Vec<Row<T>>, Problem>,
    show: impl Fn(&[T]),
) -> Result<Infallible, Option<Problem>> {
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    loop {
        let rows = ask().await.map_err(Some)?;
        let now: BTreeMap<_, _> =
            rows.iter().map(|row| (row.name.clone(), row.mark.clone())).collect();
        let changed = rows.into_iter().filter(|row| seen.get(&row.name) != Some(&row.mark));
        let changed: Vec<T> = changed.map(|row| row.shown).collect();
        if !changed.is_empty() {
            show(&changed);
        }
        seen = now;
        if reader_is_gone() {
            return Err(None);
        }
        // polls: the stream that `logs -f` follows is one task's and ends when it is held or over;
        // a list takes in what is yet to come, and what it says of a task that waits changes
        // without an event of that task
        tokio::time::sleep(LOOK).await;
    }
}
