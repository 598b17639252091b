//! Makes a range of commits anew on the base: the same trees in the same order, by us.

use midwatch_core::id::CommitId;

use super::message::sanitised;
use super::{ImportError, ImportOrder};
use crate::authored;
use crate::command::Call;
use crate::error::GitError;
use crate::mirror::Mirror;
use crate::quarantine::Quarantine;

/// The messages of commits that our inside half makes of what an agent did not commit. Whoever
/// forges one only gets the fallback.
pub const LEFTOVERS: [&str; 2] = ["Work that was left uncommitted", "The workspace as it was left"];

/// The longest commit object that a message is read from, in bytes.
const COMMIT_CAP: u64 = 1 << 20;

/// The commits of a range.
pub(super) struct Steps {
    /// Every commit, and what it is compared with by the gates.
    pub(super) pairs: Vec<(Option<CommitId>, CommitId)>,
    /// The line of first parents, oldest first: what is made anew. Merges are flattened so.
    pub(super) line: Vec<CommitId>,
}

/// Lists the range up to a tip in quarantine. A later round of a task may leave the commit that it
/// began with out of its history: it amends that, goes back to the base, makes `.git` anew. Then
/// its last tree is one step on that commit, as it is on the base in the first round.
pub(super) fn steps(
    quarantine: &Quarantine,
    order: &ImportOrder<'_>,
    head: &CommitId,
) -> Result<Steps, ImportError> {
    let ImportOrder { base, onto, .. } = *order;
    let call = |subcommand| quarantine.call(subcommand);
    if onto != base && !descends(&call, onto, head)? && descends(&call, base, head)? {
        let pairs = vec![(Some(onto.clone()), head.clone())];
        return Ok(Steps { pairs, line: vec![head.clone()] });
    }
    list(&call, onto, head, order.limits.range_commits)
}

/// Lists the range up to a tip in `work`.
pub(super) fn steps_in(
    mirror: &Mirror,
    base: &CommitId,
    head: &CommitId,
    most: usize,
) -> Result<Steps, ImportError> {
    list(&|subcommand| mirror.git().at(&mirror.work(), subcommand), base, head, most)
}

fn list(
    call: &dyn Fn(&'static str) -> Call,
    base: &CommitId,
    head: &CommitId,
    most: usize,
) -> Result<Steps, ImportError> {
    if !descends(call, base, head)? {
        return Err(ImportError::NotDescendant(head.clone()));
    }
    let range = format!("{base}..{head}");
    let listed = call("rev-list")
        .args(["--topo-order", "--reverse", "--parents"])
        .arg(format!("--max-count={}", most + 1))
        .arg(&range)
        .text()?;
    let mut pairs = Vec::new();
    for line in listed.lines() {
        let mut ids = line.split(' ').map(CommitId::parse);
        let commit = ids.next().transpose().map_err(GitError::Input)?;
        let commit = commit.ok_or_else(|| GitError::unexpected("rev-list", line.as_bytes()))?;
        pairs.push((ids.next().transpose().map_err(GitError::Input)?, commit));
    }
    if pairs.len() > most {
        return Err(ImportError::TooManyCommits(most));
    }
    let listed = call("rev-list").args(["--first-parent", "--reverse", &range]).text()?;
    let line = listed
        .lines()
        .map(|id| CommitId::parse(id).map_err(GitError::Input))
        .collect::<Result<Vec<_>, _>>()?;
    // What the line's first commit changes is what it will change on the base, wherever the
    // sandbox had put it.
    if let Some(first) = line.first() {
        let pair = (Some(base.clone()), first.clone());
        if !pairs.contains(&pair) {
            pairs.push(pair);
        }
    }
    Ok(Steps { pairs, line })
}

/// Whether the tip is a commit that has another one in its history.
fn descends(
    call: &dyn Fn(&'static str) -> Call,
    base: &CommitId,
    head: &CommitId,
) -> Result<bool, ImportError> {
    let kind = call("cat-file").args(["-t", head.as_str()]).finish()?;
    if kind.code != Some(0) {
        return Err(ImportError::Objects(format!("{head} is missing")));
    }
    let ask = call("merge-base").args(["--is-ancestor", base.as_str(), head.as_str()]);
    Ok(kind.stdout == b"commit\n" && ask.yes_or_no()?)
}

/// Makes the line anew and gives its tip.
pub(super) fn remake(
    quarantine: &Quarantine,
    order: &ImportOrder<'_>,
    steps: &Steps,
) -> Result<CommitId, ImportError> {
    let tree_of = |commit: &CommitId| {
        quarantine.call("rev-parse").args(["--verify", &format!("{commit}^{{tree}}")]).text()
    };
    let mut head = order.onto.clone();
    let mut tree = tree_of(order.onto)?;
    let mut commits = 0;
    let folded = steps.line.len().saturating_sub(order.limits.kept_commits.max(1));
    for commit in &steps.line[folded..] {
        let new_tree = tree_of(commit)?;
        if new_tree == tree {
            continue;
        }
        let message = message_of(quarantine, commit)?;
        // What the inside committed for the agent has no words of its own.
        let raw = if LEFTOVERS.iter().any(|left| message.trim_ascii() == left.as_bytes()) {
            &[][..]
        } else {
            &message
        };
        let message = sanitised(raw, order.fallback_message);
        let call = quarantine.call("commit-tree").config("i18n.commitEncoding", "UTF-8");
        let when = order.when.saturating_add(commits);
        head = authored::commit(call, new_tree.as_str(), &head, when, message)?;
        tree = new_tree;
        commits += 1;
    }
    // Changed and changed back: where it began is the result, not two empty steps.
    for start in [order.base, order.onto] {
        if tree == tree_of(start)? {
            return Ok(start.clone());
        }
    }
    Ok(head)
}

fn message_of(quarantine: &Quarantine, commit: &CommitId) -> Result<Vec<u8>, GitError> {
    let raw =
        quarantine.call("cat-file").args(["commit", commit.as_str()]).cap(COMMIT_CAP).finish();
    match raw {
        Ok(ended) if ended.code == Some(0) => {
            let at = ended.stdout.windows(2).position(|two| two == b"\n\n");
            Ok(at.map(|at| ended.stdout[at + 2..].to_vec()).unwrap_or_default())
        }
        Ok(ended) => {
            Err(GitError::Failed { what: "cat-file", code: ended.code, stderr: ended.stderr })
        }
        // Longer than any message: it gets ours.
        Err(GitError::TooMuchOutput { .. }) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
