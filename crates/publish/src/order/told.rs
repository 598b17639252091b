//! What an order says of a checkout, looked at again before it is taken.

use std::path::Path;

use midwatch_core::id::CommitId;
use midwatch_core::input::InvalidInput;
use midwatch_git::inspect::{Checkout, InspectError};
use midwatch_git::{Git, Mirror};

use super::OrderError;

/// A checkout and a base as an order names them.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// The top folder.
    pub path: &'a Path,
    /// The real path of the common git folder.
    pub identity: &'a str,
    /// The base's id.
    pub base: &'a str,
}

/// Refuses an order that says what is not so. A base that is a snapshot of uncommitted work is in
/// the mirror only, and one of an earlier task may be.
pub fn confirm(git: &Git, told: Told<'_>, mirror: &Path) -> Result<(), OrderError> {
    let Told { path, identity, base } = told;
    let shown = path.to_string_lossy();
    let bad = |field: &str, value: &str, rule: &str, fix: &str| {
        Err(OrderError::Input(InvalidInput::new(field, value, rule, fix)))
    };
    let checkout = match Checkout::find(git, path) {
        Ok(checkout) => checkout,
        Err(InspectError::NotARepository(_)) => {
            let rule = "is in no git repository of this machine";
            return bad("repository.path", &shown, rule, "name a checkout, or give its url");
        }
        Err(error) => return Err(error.into()),
    };
    if checkout.top().is_none() {
        let rule = "is a bare repository or a git directory, with no files checked out";
        return bad("repository.path", &shown, rule, "name a checkout of it");
    }
    if checkout.top() != Some(path) {
        let rule = "is not the real path of a checkout's top folder";
        return bad("repository.path", &shown, rule, "see `git rev-parse --show-toplevel`");
    }
    if checkout.common_dir() != Path::new(identity) {
        let rule = "is not that of the checkout";
        let fix = format!("say {}", checkout.common_dir().display());
        return bad("repository.identity", identity, rule, &fix);
    }
    let commit = CommitId::parse(base).map_err(|error| error.of("base"))?;
    match checkout.resolve(git, commit.as_str()) {
        Ok(found) if found == commit => return Ok(()),
        Ok(_) | Err(InspectError::Reference(_)) => {}
        Err(error) => return Err(error.into()),
    }
    // It is not made for the question.
    if mirror.is_dir() && Mirror::open(git, mirror, checkout.is_sha256())?.has(&commit)? {
        return Ok(());
    }
    bad("base", base, "names no commit of this repository", "see `git log` and `git branch -a`")
}
