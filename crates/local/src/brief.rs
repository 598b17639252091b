//! The morning's report, from summaries and events: what ended since somebody looked last, what
//! waits for them, what it cost.

use std::path::Path;

use midwatch_api::brief::{Brief, BriefTask, GoingOn, Rescued, Resting};
use midwatch_api::control::{TaskView, WaitingView};
use midwatch_api::view::LINE_VERSION;
use midwatch_core::reason::HoldReason;
use midwatch_core::time::Time;

use crate::store::{Page, SqliteStore, StoreError};
use crate::view::usage;

/// Tasks that ended and are listed; of more, the newest. Nobody reads further.
const LISTED: u32 = 500;

/// Names of those that wait for the same thing.
const NAMED: usize = 3;
/// Milliseconds.
const MINUTE: i64 = 60_000;

/// Everything from `since` up to now.
pub fn brief(store: &SqliteStore, since: Time, now: Time) -> Result<Brief, StoreError> {
    let mut brief = Brief {
        kind: "brief".into(),
        version: LINE_VERSION,
        since_ms: since.0,
        until_ms: now.0,
        done: vec![],
        failed: vec![],
        cancelled: vec![],
        waiting: vec![],
        rescued: vec![],
        damaged: vec![],
        going_on: GoingOn::default(),
        resting: vec![],
        spent: usage(&store.spent_between(since, now)?),
        left_out: 0,
    };
    for (state, count) in store.counts()? {
        match state.as_str() {
            "Queued" => brief.going_on.queued = count,
            "Running" => brief.going_on.running = count,
            _ => {}
        }
    }
    let ended = store.ended_between(since, now, LISTED)?;
    brief.left_out = ended.count.saturating_sub(ended.views.len() as u64);
    for view in ended.views {
        brief.rescued.extend(rescued(&view));
        let list = match view.result.state.as_deref() {
            Some("Failed") => &mut brief.failed,
            Some("Cancelled") => &mut brief.cancelled,
            Some(_) => &mut brief.done,
            None => continue,
        };
        list.push(told(view));
    }
    let in_state = |state: &str| {
        store.page(&Page { limit: LISTED, states: vec![state.to_owned()], after: None })
    };
    for view in in_state("Held")? {
        if waits_for_somebody(&view) {
            brief.rescued.extend(rescued(&view));
            brief.waiting.push(told(view));
        } else {
            brief.going_on.resting += 1;
            let task = view.result.task.unwrap_or_default();
            if let Some(WaitingView { reason, detail, until_ms, .. }) = view.waiting {
                rest(&mut brief.resting, &task, &reason, &detail, until_ms);
            }
        }
    }
    brief.damaged = in_state(SqliteStore::DAMAGED)?.into_iter().map(told).collect();
    Ok(brief)
}

/// Adds a task to those that wait for the same thing: up to the same minute, else by what is said
/// of it.
pub(crate) fn rest(
    resting: &mut Vec<Resting>,
    task: &str,
    reason: &str,
    detail: &str,
    until_ms: Option<i64>,
) {
    let until_ms = until_ms.map(|until| until - until.rem_euclid(MINUTE));
    let same = |one: &&mut Resting| {
        let alike = one.reason == reason && one.until_ms == until_ms;
        alike && (until_ms.is_some() || one.detail == detail)
    };
    if let Some(group) = resting.iter_mut().find(same) {
        group.count += 1;
        if group.tasks.len() < NAMED {
            group.tasks.push(task.to_owned());
        }
        return;
    }
    let (reason, detail) = (reason.to_owned(), detail.to_owned());
    resting.push(Resting { reason, detail, until_ms, count: 1, tasks: vec![task.to_owned()] });
}

fn told(view: TaskView) -> BriefTask {
    let took_ms = view.ended_ms.map(|ended| ended.saturating_sub(view.submitted_ms).max(0));
    let folder = Path::new(&view.repository).file_name().unwrap_or_default();
    let repository = if folder.is_empty() {
        view.repository.clone()
    } else {
        folder.to_string_lossy().into_owned()
    };
    BriefTask { result: view.result, goal: view.goal, repository, took_ms }
}

/// Work that no branch has: of a task that did not land.
fn rescued(view: &TaskView) -> Option<Rescued> {
    let task = view.result.task.clone()?;
    if view.result.branch.is_some() {
        return None;
    }
    view.result.rescue_ref.clone().map(|reference| Rescued { task, reference })
}

/// Whether a hold ends only when a person does something.
fn waits_for_somebody(view: &TaskView) -> bool {
    match view.result.reason.as_deref().and_then(HoldReason::parse) {
        Some(
            HoldReason::Budget
            | HoldReason::NeedsLogin
            | HoldReason::Approval
            | HoldReason::Question
            | HoldReason::SandboxUnavailable
            | HoldReason::RepositoryAway
            | HoldReason::ModelNotFound
            | HoldReason::Paused,
        )
        // A reason of a newer release: better told than passed over.
        | None => true,
        Some(
            HoldReason::Dependency
            | HoldReason::Concurrency
            | HoldReason::BranchBusy
            | HoldReason::CredentialCoolingDown
            | HoldReason::ModelDown
            | HoldReason::RepositoryLimit
            | HoldReason::CredentialLimit
            | HoldReason::DiskLow
            | HoldReason::MemoryLow,
        ) => false,
    }
}
