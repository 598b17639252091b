//! Which commit stands for the work of a task, and what to do where there is none.

use std::path::Path;

use midwatch_api::control::Refusal;
use midwatch_api::task::{RepositoryRef, TaskOrder};
use midwatch_api::view::ResultLine;
use midwatch_core::id::CommitId;
use midwatch_core::task::StateName;
use midwatch_publish::view::{View, ViewError};

use super::desk::{internal, refusal};
use crate::output::kept;
use crate::problem::exit;

/// A commit to look at, and where it comes from.
pub(super) struct Found {
    pub(super) commit: CommitId,
    pub(super) from: String,
}

impl Found {
    /// The newest of a task's work: before a branch holds it, what was saved last.
    pub(super) fn newest(view: &View, result: &ResultLine) -> Result<Self, Refusal> {
        let task = result.task.as_deref().unwrap_or_default();
        if let Some(file) = file(result) {
            let older = view.saved(task).map_err(internal)?;
            return match (older, &result.commit) {
                (Some((name, commit)), _) => Ok(Self { commit, from: older_than(file, &name) }),
                (None, Some(commit)) => Self::imported(commit, older_than(file, commit)),
                (None, None) => Err(of_file(result, file)),
            };
        }
        let saved = result.rescue_ref.as_ref().filter(|_| result.branch.is_none());
        let saved = saved.map(|name| view.commit(name).map(|commit| (name, commit)));
        match (saved, &result.commit) {
            (Some(Ok((name, commit))), _) => Ok(Self { commit, from: name.clone() }),
            (Some(Err(_)) | None, Some(commit)) => {
                Self::imported(commit, result.branch.as_ref().unwrap_or(commit).clone())
            }
            (Some(Err(error)), None) => Err(gone(result, None, error)),
            (None, None) => Err(nothing(result)),
        }
    }

    fn imported(commit: &str, from: String) -> Result<Self, Refusal> {
        Ok(Self { commit: CommitId::parse(commit).map_err(internal)?, from })
    }
}

/// Where the branch of an order is pushed, as git takes it: a remote of the user's, or a URL.
pub(super) fn pushed_to(order: &TaskOrder) -> Option<&str> {
    match &order.repository {
        RepositoryRef::Checkout(_) => order.push.then_some("origin"),
        // It is nowhere else.
        RepositoryRef::Remote(remote) => Some(&remote.url),
    }
}

/// What to do about work that was there once, and is still where it was pushed.
pub(super) fn gone(result: &ResultLine, pushed_to: Option<&str>, error: ViewError) -> Refusal {
    let task = result.task.as_deref().unwrap_or_default();
    let anew = || format!("`midwatch retry {task}` does the goal anew");
    let refused = |what: String, hint: String| Refusal {
        hint: Some(hint),
        ..refusal(exit::USAGE, format!("the work of task {task} is not here: {what}"))
    };
    match error {
        ViewError::Gone(reference) => refused(
            format!("{reference} is no longer in Midwatch's mirror of its repository"),
            anew(),
        ),
        ViewError::Lost(commit) => {
            let what = "is in no repository of this machine that Midwatch knows of any more";
            let hint = match (&result.branch, pushed_to) {
                (Some(branch), Some(remote)) => {
                    format!("it was pushed: `git fetch {remote} {branch}` brings it")
                }
                (Some(_) | None, _) => anew(),
            };
            refused(format!("{} {what}", commit.short()), hint)
        }
        ViewError::Away(commit, path) => {
            let what = "is not in Midwatch's mirror, and the repository is not at";
            let hint = "bring the repository back to its place, then repeat the command".to_owned();
            refused(format!("{} {what} {}", commit.short(), path.display()), hint)
        }
        error => internal(error),
    }
}

/// The file that a rescue is which git could not take.
fn file(result: &ResultLine) -> Option<&Path> {
    let named = Path::new(result.rescue_ref.as_deref()?);
    (result.branch.is_none() && named.is_file()).then_some(named)
}

/// Says what is newer than what is opened.
fn older_than(file: &Path, from: &str) -> String {
    format!("{from}; what is newer is only in {}", file.display())
}

fn of_file(result: &ResultLine, file: &Path) -> Refusal {
    let task = result.task.as_deref().unwrap_or_default();
    let hint = format!(
        "git refuses what is in it, so look at it in a copy that you throw away: \
         `git clone REPOSITORY COPY && git -C COPY fetch {} 'refs/*:refs/saved/*'`",
        file.display()
    );
    let message =
        format!("the saved work of task {task} is no commit, but the bundle {}", file.display());
    Refusal { hint: Some(hint), ..refusal(exit::USAGE, message) }
}

fn nothing(result: &ResultLine) -> Refusal {
    let task = result.task.as_deref().unwrap_or_default();
    let kept = kept::sentences(result);
    if kept.is_empty() {
        let state = result.state.as_deref().and_then(StateName::parse);
        let what = match state {
            Some(StateName::Queued | StateName::Running | StateName::Held) => {
                "has no work to look at yet"
            }
            Some(
                StateName::Done
                | StateName::Unverified
                | StateName::Answered
                | StateName::NoChange
                | StateName::Failed
                | StateName::Cancelled,
            )
            | None => "has left no work",
        };
        return Refusal {
            hint: Some(format!("`midwatch explain {task}` says where it stands")),
            ..refusal(exit::USAGE, format!("task {task} {what}"))
        };
    }
    Refusal {
        hint: Some("copy what you need from there".to_owned()),
        ..refusal(exit::USAGE, format!("there is no commit to open; {}", kept.join("; ")))
    }
}

#[cfg(test)]
mod tests;
