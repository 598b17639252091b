//! Hands an imported commit over: to the user's repository or to a remote, and reads it back.

use std::path::Path;

use midwatch_core::event::Event;
use midwatch_core::id::{BranchName, CommitId};
use midwatch_core::landing::ReadBack;
use midwatch_core::reason::FailReason;
use midwatch_git::Checkout;
use midwatch_git::deliver::{Delivery, deliver};
use midwatch_git::inspect::InspectError;
use midwatch_git::push::{push, remote_branch};

use crate::places::{Remote, Server};
use crate::publisher::{Ground, Home, Trouble};

/// What a read-back calls the user's own repository.
const LOCAL: &str = "local";

pub(crate) fn look(
    ground: &Ground,
    commit: &CommitId,
    branch: &BranchName,
    to_remote: bool,
) -> Result<Option<Event>, Trouble> {
    let git = ground.mirror.git();
    let (found, target) = if to_remote {
        match remote(ground)? {
            Target::Local(path) => {
                (Checkout::find(git, path)?.branch(git, branch)?, path.display().to_string())
            }
            Target::Server(server) => {
                (remote_branch(&ground.mirror, server.access(), branch)?, server.url.to_git())
            }
        }
    } else {
        (checkout(ground)?.branch(git, branch)?, LOCAL.to_owned())
    };
    Ok(found
        .filter(|found| found == commit)
        .map(|commit| Event::Landed(ReadBack { branch: branch.clone(), commit, target })))
}

pub(crate) fn publish(
    ground: &Ground,
    commit: &CommitId,
    base: &CommitId,
    branch: &BranchName,
    to_remote: bool,
) -> Result<Event, Trouble> {
    is_this_tasks(ground, commit)?;
    if !to_remote {
        return leave(ground, commit, branch);
    }
    if !ground.mirror.has_upstream(base)? {
        return Err(Trouble::new(
            FailReason::InvalidInput,
            "the base holds uncommitted work of yours (--include-dirty); it is not pushed",
        ));
    }
    let remote = remote(ground)?;
    let ours = recorded(ground)?;
    let delivery =
        Delivery { commit, branch, ours_at: ours.as_ref(), protected: ground.protected() };
    let (there, target) = match remote {
        Target::Local(path) => {
            let target = Checkout::find(ground.mirror.git(), path)?;
            (deliver(&ground.mirror, &target, &delivery)?, path.display().to_string())
        }
        Target::Server(server) => {
            (push(&ground.mirror, server.access(), &delivery)?, server.url.to_git())
        }
    };
    landed(ground, branch, there, target)
}

/// Leaves an unverified commit on a local branch; it is never pushed.
pub(crate) fn keep(
    ground: &Ground,
    commit: &CommitId,
    branch: &BranchName,
) -> Result<Event, Trouble> {
    is_this_tasks(ground, commit)?;
    leave(ground, commit, branch)
}

fn leave(ground: &Ground, commit: &CommitId, branch: &BranchName) -> Result<Event, Trouble> {
    let ours = recorded(ground)?;
    let delivery =
        Delivery { commit, branch, ours_at: ours.as_ref(), protected: ground.protected() };
    let checkout = checkout(ground)?;
    stands_on(ground, &checkout)?;
    let there = deliver(&ground.mirror, &checkout, &delivery)?;
    landed(ground, branch, there, LOCAL.to_owned())
}

/// Another repository that somebody made in its place has the same path, and nothing that this work
/// stands on. In the same one the base may have been amended and be gone: it comes with the work. A
/// base that holds uncommitted work is in the mirror only.
fn stands_on(ground: &Ground, checkout: &Checkout) -> Result<(), Trouble> {
    let base = &ground.job.base;
    if !ground.mirror.has_upstream(base)? {
        return Ok(());
    }
    for commit in std::iter::once(base.clone()).chain(ground.mirror.roots(base)?) {
        match checkout.resolve(ground.mirror.git(), commit.as_str()) {
            Ok(_) => return Ok(()),
            Err(InspectError::Reference(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Trouble::new(
        FailReason::RepositoryAway,
        format!(
            "the repository that is there has no commit {}; `midwatch open` brings it with the work",
            base.short()
        ),
    ))
}

fn landed(
    ground: &Ground,
    branch: &BranchName,
    commit: CommitId,
    target: String,
) -> Result<Event, Trouble> {
    // What we set last is what we may move next.
    ground.mirror.remember(&ground.name("landed", "branch"), &commit)?;
    Ok(Event::Landed(ReadBack { branch: branch.clone(), commit, target }))
}

/// Where the branch was set last, by this task or by its chain. The ref knows a moment earlier
/// than the events, and does not outlast a clean-up or its mirror.
fn recorded(ground: &Ground) -> Result<Option<CommitId>, Trouble> {
    let there = ground.mirror.work_ref(&ground.name("landed", "branch"))?;
    Ok(there.or_else(|| ground.job.landed.clone()))
}

/// Only what went through import may leave, and only for the task that it was imported for.
fn is_this_tasks(ground: &Ground, commit: &CommitId) -> Result<(), Trouble> {
    let imports = ground.mirror.work_refs(&format!("refs/midwatch/import/{}/", ground.job.task))?;
    if imports.iter().any(|(_, id)| id == commit) {
        Ok(())
    } else {
        Err(Trouble::internal(format!("{commit} was not imported for this task")))
    }
}

/// Where a branch is pushed to.
enum Target<'a> {
    Local(&'a Path),
    Server(&'a Server),
}

fn remote(ground: &Ground) -> Result<Target<'_>, Trouble> {
    match &ground.home {
        Home::Server(server) | Home::Checkout { remote: Some(Remote::Server(server)), .. } => {
            Ok(Target::Server(server))
        }
        Home::Checkout { remote: Some(Remote::Local(path)), .. } => Ok(Target::Local(path)),
        Home::Checkout { remote: None, .. } => Err(Trouble::new(
            FailReason::PushRejected,
            "the repository has no remote `origin` to push to",
        )),
    }
}

fn checkout(ground: &Ground) -> Result<Checkout, Trouble> {
    match &ground.home {
        Home::Checkout { place, .. } => place.find(ground.mirror.git()),
        Home::Server(_) => Err(Trouble::new(
            FailReason::InvalidInput,
            "there is no checkout here to leave a branch in: this repository is only pushed to",
        )),
    }
}
