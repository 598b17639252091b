//! Gets the base into the mirror.

use midwatch_core::event::Event;
use midwatch_core::id::CommitId;

use crate::publisher::{Ground, Trouble};

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
        ground.mirror.fetch_local(&ground.checkout, commit)?;
    }
    fetched(ground, commit)
}
