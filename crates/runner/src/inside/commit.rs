//! Makes one commit range of whatever is in the workspace when the agent has ended: its own
//! commits where they can be used, and what it left uncommitted on top.

use std::collections::BTreeSet;

use midwatch_git::import::LEFTOVERS;

use super::beside;
use super::foreign::Foreign;
use super::git::{Git, GitError};
use super::history;
use super::nested;
use super::side::Side;

const LEFT: &str = LEFTOVERS[0];
const WHOLE: &str = LEFTOVERS[1];

/// What is remembered from before the agent started, in case its `.git` does not survive it.
#[derive(Debug, Clone, Default)]
pub(super) struct Start {
    /// The commit that the range begins at.
    pub(super) base: String,
    /// The tree of that commit.
    pub(super) tree: Option<String>,
    /// Tracked files that ignore rules would hide, NUL-separated.
    ignored_tracked: Vec<u8>,
    /// Every commit that its `.git` names.
    pub(super) known: BTreeSet<String>,
}

impl Start {
    /// Looks at a workspace that nobody has worked in yet.
    pub(super) fn of(base: &str, git: &Git) -> Self {
        let args = ["ls-files", "--cached", "--ignored", "--exclude-standard", "-z"];
        Self {
            base: base.to_owned(),
            tree: git.line(["rev-parse", "--verify", "-q", &format!("{base}^{{tree}}")]).ok(),
            ignored_tracked: git.call(args).output().unwrap_or_default(),
            known: beside::ids(&Foreign::at(git.tree())),
        }
    }

    /// Only the commit is known.
    pub(super) fn unseen(base: &str) -> Self {
        Self { base: base.to_owned(), ..Self::default() }
    }
}

/// A commit to be bundled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Head {
    /// On a base that is in the store.
    OnBase(String),
    /// On a base whose objects are gone: its pack must hold the whole tree.
    BaseGone {
        /// The commit.
        commit: String,
        /// Its tree.
        tree: String,
    },
}

impl Head {
    /// The commit's id.
    pub(super) fn id(&self) -> &str {
        match self {
            Self::OnBase(id) => id,
            Self::BaseGone { commit, .. } => commit,
        }
    }
}

/// What was made of a workspace.
#[derive(Debug, Clone, Default)]
pub(super) struct Work {
    /// None when nothing differs from the base.
    pub(super) head: Option<Head>,
    /// Nested repositories that were set aside.
    pub(super) set_aside: Vec<String>,
    /// What went another way than usual, for people.
    pub(super) notes: Vec<String>,
    /// Paths that are in no commit, escaped.
    pub(super) left_out: Vec<String>,
}

/// The tree as it is now, with nested repositories set aside.
pub(super) fn tree(
    side: &mut Side,
    foreign: &Foreign,
    start: &Start,
    work: &mut Work,
) -> Result<String, GitError> {
    let base = side.has_commit(&start.base).then_some(start.base.as_str());
    let head = foreign.head();
    side.seed_index(foreign, head.as_deref().or(base))?;
    nested::drop_links(side, base)?;
    work.set_aside = nested::set_aside(side, foreign)?;
    let (mut tree, mut missed) = side.snapshot(base)?;
    if base.is_none()
        && !start.ignored_tracked.is_empty()
        && side.add_anyway(&start.ignored_tracked)?
    {
        (tree, missed) = side.snapshot(base)?;
    }
    work.left_out = side.left_out();
    if !work.left_out.is_empty() {
        let paths = work.left_out.join(", ");
        work.notes.push(format!("left out, too big, closed or not movable: {paths}"));
    }
    if let Some(missed) = missed {
        work.notes.push(format!("some files could not be added ({missed})"));
        work.left_out.extend(side.unadded()?);
    }
    let histories = history::unsaved(side, base);
    if !histories.is_empty() {
        let paths = histories.join(", ");
        work.notes.push(format!("commits of nested repositories are in none of ours: {paths}"));
        work.left_out.extend(histories);
    }
    Ok(tree)
}

/// Commits all of it. Never fails on the agent's history: what cannot be used becomes one commit
/// of the tree on the base.
pub(super) fn save(side: &mut Side, foreign: &Foreign, start: &Start) -> Result<Work, GitError> {
    let mut work = Work::default();
    if let Some(what) = foreign.in_progress() {
        work.notes.push(format!("a {what} was in progress; the tree is committed as it was"));
    }
    let tree = tree(side, foreign, start, &mut work)?;
    if !side.has_commit(&start.base) {
        if start.tree.as_deref() != Some(tree.as_str()) {
            work.notes.push("the base's objects were gone; one commit of the tree".to_owned());
            let commit = side.commit_on_absent(&tree, &start.base, WHOLE)?;
            work.head = Some(Head::BaseGone { commit, tree });
        }
        return Ok(work);
    }
    let head = match usable(side, foreign, &start.base) {
        Ok(head) => {
            let of_head = side.git().line(["rev-parse", &format!("{head}^{{tree}}")])?;
            if of_head == tree { head } else { side.commit(&tree, &head, LEFT)? }
        }
        Err(why) => {
            let of_base = side.git().line(["rev-parse", &format!("{}^{{tree}}", start.base)])?;
            work.notes.push(format!("{why}; the tree became one commit on the base"));
            if of_base == tree {
                start.base.clone()
            } else {
                side.commit(&tree, &start.base, WHOLE)?
            }
        }
    };
    if head != start.base {
        work.head = Some(Head::OnBase(head));
    }
    Ok(work)
}

/// A commit of the tree directly on the base, whatever HEAD is.
pub(super) fn on_base(side: &Side, tree: String, base: &str) -> Result<Head, GitError> {
    if side.has_commit(base) {
        Ok(Head::OnBase(side.commit(&tree, base, WHOLE)?))
    } else {
        let commit = side.commit_on_absent(&tree, base, WHOLE)?;
        Ok(Head::BaseGone { commit, tree })
    }
}

/// HEAD, if the range from the base to it can be bundled; else why not.
fn usable(side: &Side, foreign: &Foreign, base: &str) -> Result<String, &'static str> {
    let head = foreign.head().ok_or("HEAD names no commit")?;
    if head == base {
        return Ok(head);
    }
    if !side.has_commit(&head) {
        return Err("HEAD's objects are missing");
    }
    if !side.git().is(["merge-base", "--is-ancestor", base, &head]) {
        return Err("HEAD does not descend from the base");
    }
    let range = format!("{base}..{head}");
    if !side.git().is(["rev-list", "--objects", "--quiet", &range]) {
        return Err("objects of the commits are missing");
    }
    let args = ["log", "--raw", "-m", "--no-renames", "--no-abbrev", "--format=", &range];
    let changes = side.git().call(args).output().map_err(|_| "the commits cannot be listed")?;
    let adds_link = |line: &[u8]| line.get(8..15) == Some(b"160000 ");
    if changes.split(|byte| *byte == b'\n').any(adds_link) {
        return Err("a commit holds a nested repository as a link");
    }
    Ok(head)
}
