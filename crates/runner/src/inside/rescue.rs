//! Saves everything that an earlier agent run left in a workspace: the tree, and every commit
//! that a ref, a stash or a reflog of its `.git` still names.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::SystemTime;

use midwatch_api::report::{BundleClaim, RESCUE_FILE};
use midwatch_core::path;

use super::beside;
use super::bundle;
use super::commit::{self, Start, Work};
use super::foreign::Foreign;
use super::git::GitError;
use super::names::sanitised;
use super::side::Side;

/// The snapshot's ref.
pub(crate) const SNAPSHOT_REF: &str = "refs/rescue/snapshot";
/// The snapshot's ref when the workspace was never made ready: kept, and nothing goes on from it.
const UNREADY_REF: &str = "refs/rescue/unready";

/// Refs, stash entries and reflog entries that are saved at most; the importing side keeps 500
/// refs of one rescue.
const HEADS_MAX: usize = 250;
const STASHES_MAX: usize = 50;
const REFLOG_MAX: usize = 150;

/// Broken refs that are told by name.
const SKIPPED_TOLD: usize = 50;

/// Bundles all of it into `out`; the claim says what was skipped.
pub(super) fn rescue(
    side: &mut Side,
    foreign: &Foreign,
    (base, commit): (&str, Option<&str>),
    out: &Path,
) -> Result<BundleClaim, GitError> {
    let (base, name) = stood_on(side, foreign, base, commit);
    let mut work = Work::default();
    // Without the tree nothing counts as saved: what is, may be removed.
    let tree = commit::tree(side, foreign, &Start::unseen(base), &mut work)?;
    let base_tree = side.git().line(["rev-parse", "--verify", "-q", &format!("{base}^{{tree}}")]);
    let snapshot = if base_tree.is_ok_and(|base_tree| base_tree == tree) {
        None
    } else {
        Some(commit::on_base(side, tree, base)?)
    };

    // HEAD's own commits are in the tree of the snapshot.
    let head = foreign.head();
    let beside = beside::names(side, foreign, &Start::unseen(base), head.as_deref());
    let mut saved = Saved::new(side, base);
    if let Some(snapshot) = &snapshot {
        saved.refs.push((name.to_owned(), snapshot.id().to_owned()));
    }
    saved.heads(foreign)?;
    saved.stashes(foreign)?;
    saved.reflogs(foreign)?;
    let Saved { refs, skipped, over, .. } = saved;
    if over {
        // What is beyond our bounds stays where it is.
        work.left_out.push(".git".to_owned());
    }
    if !skipped.is_empty() {
        let told = skipped.get(..SKIPPED_TOLD).unwrap_or(&skipped).join(", ");
        work.notes.push(format!("{} broken and skipped: {told}", skipped.len()));
    }
    if !refs.is_empty() {
        bundle::many(side, &refs, snapshot.as_ref(), base, out, RESCUE_FILE)?;
    }
    Ok(BundleClaim {
        head: snapshot.map(|head| head.id().to_owned()),
        set_aside: work.set_aside,
        notes: work.notes,
        left_out: work.left_out,
        beside,
        error: None,
    })
}

/// The commit that the snapshot stands on, and the name of its ref. It is the commit that the
/// agent began with: whoever goes on from the snapshot has to descend from that. Where HEAD still
/// is the base and never was the commit, the checkout before the agent was cut off, and half of
/// a checkout looks like a change that takes the commit back.
fn stood_on<'a>(
    side: &Side,
    foreign: &Foreign,
    base: &'a str,
    commit: Option<&'a str>,
) -> (&'a str, &'static str) {
    let Some(commit) = commit else { return (base, SNAPSHOT_REF) };
    let head = foreign.head();
    let was_there = head.as_deref() == Some(commit) || foreign.was_at("HEAD", commit);
    if was_there && side.has_commit(commit) {
        (commit, SNAPSHOT_REF)
    } else if !was_there && head.as_deref() == Some(base) {
        (base, UNREADY_REF)
    } else {
        (base, SNAPSHOT_REF)
    }
}

/// When the base was checked out, by the time of a file that only the checkout wrote.
pub(super) fn checked_out_at(workspace: &Path) -> Option<SystemTime> {
    workspace.join(".git").join(super::checkout::MARK).symlink_metadata().ok()?.modified().ok()
}

/// The refs of the bundle to be.
struct Saved<'a> {
    side: &'a Side,
    not_base: Option<String>,
    refs: Vec<(String, String)>,
    names: BTreeSet<String>,
    skipped: Vec<String>,
    /// There is more than is saved at most.
    over: bool,
}

impl<'a> Saved<'a> {
    fn new(side: &'a Side, base: &str) -> Self {
        let not_base = side.has_commit(base).then(|| format!("^{base}"));
        let (refs, names, skipped) = (Vec::new(), BTreeSet::new(), Vec::new());
        Self { side, not_base, refs, names, skipped, over: false }
    }

    fn heads(&mut self, foreign: &Foreign) -> Result<(), GitError> {
        for (name, id) in foreign.refs() {
            // The stash is a ref too; its entries come with the reflog.
            if name == "refs/stash" {
                continue;
            }
            if self.refs.len() >= HEADS_MAX {
                self.over = true;
                break;
            }
            match id {
                Some(id) if self.is_whole(&id)? => {
                    let short = name.strip_prefix("refs/heads/");
                    let short = short.or_else(|| name.strip_prefix("refs/")).unwrap_or(&name);
                    if self.adds(&id, false)? {
                        let to = self.free_name(short);
                        self.refs.push((to, id));
                    }
                }
                Some(_) | None => self.skipped.push(path::shown(name.as_bytes())),
            }
        }
        Ok(())
    }

    fn stashes(&mut self, foreign: &Foreign) -> Result<(), GitError> {
        let mut ids = foreign.reflog("refs/stash");
        if let Some(Some(id)) = foreign.refs().remove("refs/stash")
            && !ids.contains(&id)
        {
            ids.insert(0, id);
        }
        self.numbered("stash", &ids, STASHES_MAX, false)
    }

    fn reflogs(&mut self, foreign: &Foreign) -> Result<(), GitError> {
        let mut ids = Vec::new();
        for name in foreign.logged().iter().filter(|name| *name != "refs/stash") {
            ids.extend(foreign.reflog(name));
        }
        self.numbered("reflog", &ids, REFLOG_MAX, true)
    }

    fn numbered(
        &mut self,
        kind: &str,
        ids: &[String],
        max: usize,
        only_new: bool,
    ) -> Result<(), GitError> {
        let mut number = 0;
        let mut seen = BTreeSet::new();
        let different = ids.iter().filter(|id| seen.insert(id.as_str()));
        for (looked_at, id) in different.enumerate() {
            if number >= max || looked_at >= max * 4 {
                self.over = true;
                break;
            }
            if !self.is_whole(id)? {
                self.skipped.push(format!("{kind} {id}"));
            } else if self.adds(id, only_new)? {
                self.refs.push((format!("refs/rescue/{kind}/{number}"), id.clone()));
                number += 1;
            }
        }
        Ok(())
    }

    /// Whether every object that the base does not have is there.
    fn is_whole(&self, id: &str) -> Result<bool, GitError> {
        let args = ["rev-list", "--objects", "--quiet", id];
        let args = args.into_iter().chain(self.not_base.as_deref());
        self.side.git().answers(args)
    }

    /// Whether the id reaches a commit that neither the base nor (when asked) an earlier ref has.
    fn adds(&self, id: &str, beyond_refs: bool) -> Result<bool, GitError> {
        if self.refs.iter().any(|(_, known)| known == id) {
            return Ok(!beyond_refs);
        }
        let mut args = vec!["rev-list".to_owned(), "-n1".to_owned(), id.to_owned()];
        args.extend(self.not_base.clone());
        if beyond_refs {
            args.extend(self.refs.iter().map(|(_, known)| format!("^{known}")));
        }
        Ok(!self.side.git().line(&args)?.is_empty())
    }

    fn free_name(&mut self, name: &str) -> String {
        let plain = sanitised(name);
        let mut free = plain.clone();
        let mut number = 2;
        while !self.names.insert(free.clone()) {
            free = format!("{plain}-{number}");
            number += 1;
        }
        format!("refs/rescue/heads/{free}")
    }
}
