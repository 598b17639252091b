//! What a check says of a base is kept: fifty tasks on one commit run its checks once.

use midwatch_api::task::TaskOrder;
use midwatch_core::event::{Event, RunOrder, RunResult, RunWork};
use midwatch_core::evidence::{CheckOutcome, CheckResult};
use midwatch_core::ports::Clock as _;
use midwatch_core::task::Task;
use sha2::{Digest, Sha256};

use super::{Launcher, SystemClock};
use crate::folder::hex;

/// Everything that the result depends on, as far as it is ours to know.
fn key(task: &Task, order: &RunOrder, wanted: &TaskOrder) -> Option<String> {
    let RunWork::Check { commit, command, deps, .. } = &order.work else {
        return None;
    };
    if *commit != task.spec.base {
        return None;
    }
    let mut hash = Sha256::new();
    for part in [
        task.spec.repository.as_str(),
        commit.as_str(),
        command,
        deps.as_deref().unwrap_or_default(),
        &serde_json::to_string(&wanted.toolchains).ok()?,
        &serde_json::to_string(&wanted.check_env).ok()?,
        &serde_json::to_string(&wanted.limits).ok()?,
        &wanted.accept_missing.join(","),
    ] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    Some(hex(&hash.finalize()))
}

/// The kept result, as if the run had just ended.
pub(super) fn find<A>(
    launcher: &Launcher<A>,
    task: &Task,
    order: &RunOrder,
    wanted: &TaskOrder,
) -> Option<Event> {
    let kept = launcher.store.cached_check(&key(task, order, wanted)?).ok()??;
    let Event::RunEnded { result: result @ RunResult::Checked(_), .. } = kept else {
        return None;
    };
    Some(Event::RunEnded { run: order.run.clone(), epoch: order.epoch, result })
}

/// Keeps a result that a repetition would give again: not what our limits or a crash made.
pub(super) fn keep<A>(
    launcher: &Launcher<A>,
    task: &Task,
    order: &RunOrder,
    wanted: &TaskOrder,
    event: &Event,
) {
    let Event::RunEnded { result: RunResult::Checked(check), .. } = event else {
        return;
    };
    if !repeatable(check) {
        return;
    }
    if let Some(key) = key(task, order, wanted)
        && let Err(error) = launcher.store.cache_check(&key, event, SystemClock.now())
    {
        tracing::warn!(%error, "could not keep the base's check");
    }
}

fn repeatable(check: &CheckResult) -> bool {
    match check.outcome() {
        CheckOutcome::Pass | CheckOutcome::Fail => true,
        CheckOutcome::CouldNotRun => false,
    }
}
