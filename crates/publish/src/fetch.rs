//! Gets the base into the mirror.

use midwatch_core::event::Event;
use midwatch_core::id::CommitId;

use crate::publisher::{Ground, Home, Trouble};

/// A base that is a snapshot was put into `work` when it was ordered; any other is in `upstream`
/// once it was fetched.
fn is_there(ground: &Ground, commit: &CommitId) -> Result<bool, Trouble> {
    let snapshot = ground.mirror.base_store(commit) != ground.mirror.upstream();
    Ok(ground.mirror.has_upstream(commit)? || (snapshot && ground.mirror.has(commit)?))
}

fn fetched(ground: &Ground, commit: &CommitId) -> Result<Event, Trouble> {
    Ok(Event::Fetched { lock_hash: ground.mirror.lock_hash(commit)? })
}

pub(crate) fn look(ground: &Ground, commit: &CommitId) -> Result<Option<Event>, Trouble> {
    if is_there(ground, commit)? { fetched(ground, commit).map(Some) } else { Ok(None) }
}

pub(crate) fn perform(ground: &Ground, commit: &CommitId) -> Result<Event, Trouble> {
    if !is_there(ground, commit)? {
        match &ground.home {
            Home::Checkout { checkout, .. } => ground.mirror.fetch_local(checkout, commit)?,
            Home::Server(server) => {
                let branch = ground.protected().first();
                ground.mirror.fetch_commit(server.access(), commit, branch)?;
            }
        }
    }
    if let Home::Server(_) = &ground.home {
        // A checkout was looked at when it was ordered; here nobody could before.
        ground.mirror.supported(commit)?;
    }
    fetched(ground, commit)
}

/// Gets the base again where somebody removed the mirror since: what an agent left stands on it.
pub(crate) fn again(ground: &Ground, base: &CommitId) -> Result<(), Trouble> {
    if is_there(ground, base)? {
        return Ok(());
    }
    tracing::warn!(task = %ground.job.task, %base, "the mirror lost its base: it is fetched again");
    perform(ground, base).map(drop)
}
