//! Gets into the mirror what work begins with: the base, and what the tasks before left.

use midwatch_core::event::Event;
use midwatch_core::id::CommitId;
use midwatch_core::reason::FailReason;
use midwatch_git::Checkout;
use midwatch_git::pack::pack_of;
use midwatch_git::remote::RemoteError;

use crate::places::{Remote, Server};
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
    let begun = ground.job.begins.iter().all(|begin| ground.mirror.pack_dir(begin).exists());
    if begun && is_there(ground, commit)? { fetched(ground, commit).map(Some) } else { Ok(None) }
}

pub(crate) fn perform(ground: &Ground, commit: &CommitId) -> Result<Event, Trouble> {
    if !is_there(ground, commit)? {
        match &ground.home {
            Home::Checkout { place, .. } => {
                let checkout = place.find(ground.mirror.git())?;
                ground.mirror.fetch_local(&checkout, commit)?;
            }
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
    for begin in &ground.job.begins {
        took_back(ground, begin)?;
        pack_of(&ground.mirror, commit, begin)?;
    }
    fetched(ground, commit)
}

/// What the tasks before left is in the mirror. Where somebody removed that since, it is taken from
/// where it landed.
fn took_back(ground: &Ground, commit: &CommitId) -> Result<(), Trouble> {
    if ground.mirror.has(commit)? {
        return Ok(());
    }
    tracing::warn!(task = %ground.job.task, %commit, "the mirror lost what the task goes on from");
    match took_from_home(ground, commit) {
        Ok(true) => Ok(()),
        Ok(false) => {
            let lost = format!(
                "the work that this goes on from, {}, is lost: Midwatch's mirror was removed, and \
                 no repository has it; submit the goal anew",
                commit.short()
            );
            Err(Trouble::new(FailReason::InvalidInput, lost))
        }
        // It may be there: nobody could look, or there was no room for it.
        Err(Trouble { reason, detail }) => {
            let what = "what this goes on from could not be fetched again";
            Err(Trouble::new(reason, format!("{what}: {detail}")))
        }
    }
}

/// False where no place has it.
fn took_from_home(ground: &Ground, commit: &CommitId) -> Result<bool, Trouble> {
    let (place, remote) = match &ground.home {
        Home::Server(server) => return took_from_server(ground, server, commit),
        Home::Checkout { place, remote } => (place, remote),
    };
    let here = place.find(ground.mirror.git());
    let here = here.and_then(|checkout| took_from(ground, &checkout, commit));
    if matches!(here, Ok(true)) {
        return here;
    }
    // Pushed, it landed there only.
    let there = match remote {
        None => Ok(false),
        Some(Remote::Server(server)) => took_from_server(ground, server, commit),
        Some(Remote::Local(path)) => Checkout::find(ground.mirror.git(), path)
            .map_err(Trouble::from)
            .and_then(|there| took_from(ground, &there, commit)),
    };
    match (here, there) {
        (_, Ok(true)) => Ok(true),
        (Err(trouble), _) | (Ok(_), Err(trouble)) => Err(trouble),
        (Ok(_), Ok(false)) => Ok(false),
    }
}

fn took_from(ground: &Ground, from: &Checkout, commit: &CommitId) -> Result<bool, Trouble> {
    if !from.has(ground.mirror.git(), commit)? {
        return Ok(false);
    }
    ground.mirror.fetch_local(from, commit)?;
    Ok(true)
}

fn took_from_server(ground: &Ground, server: &Server, commit: &CommitId) -> Result<bool, Trouble> {
    match ground.mirror.fetch_commit(server.access(), commit, Some(&ground.job.branch)) {
        Ok(()) => Ok(true),
        Err(RemoteError::NoCommit(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Gets the base again where somebody removed the mirror since: what an agent left stands on it.
pub(crate) fn again(ground: &Ground, base: &CommitId) -> Result<(), Trouble> {
    if is_there(ground, base)? {
        return Ok(());
    }
    tracing::warn!(task = %ground.job.task, %base, "the mirror lost its base: it is fetched again");
    perform(ground, base).map(drop)
}
