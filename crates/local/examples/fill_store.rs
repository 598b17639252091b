//! Fills a state folder with tasks by way of the store itself, for `tools/bench/store.py`.
//!
//! `fill_store FOLDER ENDED OPEN` makes that many tasks that are over and that are held, each
//! with the events of a real one.

use std::path::Path;

use midwatch_api::event::EventRow;
use midwatch_api::task::TaskOrder;
use midwatch_core::event::Event;
use midwatch_core::id::TaskName;
use midwatch_core::ports::Store as _;
use midwatch_core::reason::HoldReason;
use midwatch_core::task::{Hold, Wake, WakeEvent};
use midwatch_core::time::Time;
use midwatch_local::folder::StateFolder;
use midwatch_local::store::SqliteStore;
use rusqlite::Connection;

/// A database that the first release wrote.
const TEMPLATE: &str = include_str!("../tests/it/golden/v1.sql");
/// The events of the task that is done up to where its first agent run was rescued: from there a
/// task can be held.
const BEFORE_HOLD: usize = 20;
/// When the first task was submitted, milliseconds since 1970; each a second after the other.
const FIRST: i64 = 1_795_000_000_000;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [folder, ended, open] = words.as_slice() else {
        return Err("usage: fill_store FOLDER ENDED OPEN".into());
    };
    let folder = StateFolder::new(Path::new(folder).to_owned());
    folder.make()?;
    let store = SqliteStore::open(&folder.database())?;
    let (order, events) = template()?;
    let (ended, open): (usize, usize) = (ended.parse()?, open.parse()?);
    for number in 0..ended + open {
        let name = TaskName::parse(&format!("task-{number:05}"))?;
        let submitted = Time(FIRST + 1000 * i64::try_from(number)?);
        store.insert(name.as_str(), &order, submitted)?;
        let mut log = named(&events, name.as_str())?;
        if number >= ended {
            log.truncate(BEFORE_HOLD);
            log.push(Event::Held(Hold {
                reason: HoldReason::Approval,
                detail: "a protected path is changed".into(),
                until: Wake::On(WakeEvent::Approval),
            }));
        }
        store.append(&name, 0, &log, submitted.plus_seconds(60))?;
    }
    Ok(())
}

/// The order and the events of a task that is done.
fn template() -> Result<(TaskOrder, Vec<String>), Failure> {
    let database = Connection::open_in_memory()?;
    database.execute_batch(TEMPLATE)?;
    let order: String =
        database
            .query_row("SELECT task_order FROM task WHERE name = 'done'", [], |row| row.get(0))?;
    let mut statement =
        database.prepare("SELECT event FROM event WHERE task = 'done' ORDER BY seq")?;
    let events = statement.query_map([], |row| row.get(0))?;
    Ok((serde_json::from_str(&order)?, events.collect::<Result<_, _>>()?))
}

/// The same events of a task of another name.
fn named(events: &[String], name: &str) -> Result<Vec<Event>, Failure> {
    let rename = |event: &String| {
        let event = event
            .replace("\"done-", &format!("\"{name}-"))
            .replace("/done/", &format!("/{name}/"))
            .replace("midwatch/done\"", &format!("midwatch/{name}\""));
        let row: EventRow = serde_json::from_str(&event)?;
        Ok(row.0)
    };
    events.iter().map(rename).collect()
}
