//! Leaves commits as a bundle in `out`: by a temporary name and a rename, synced before.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use super::commit::Head;
use super::git::GitError;
use super::leave;
use super::side::Side;

/// The one ref of an agent's bundle.
pub(crate) const WORK_REF: &str = "refs/midwatch/work";

/// The one ref of a checkpoint's bundle.
pub(crate) const CHECKPOINT_REF: &str = "refs/midwatch/checkpoint";

/// Bundles one head under one name.
pub(super) fn one(
    side: &Side,
    name: &str,
    head: &Head,
    base: &str,
    out: &Path,
    file: &str,
) -> Result<(), GitError> {
    many(side, &[(name.to_owned(), head.id().to_owned())], Some(head), base, out, file)
}

/// Bundles refs with what the base lacks of them. Where the base is absent, `snapshot` is the
/// one head that claims it as its parent, and everything else is bundled whole.
pub(super) fn many(
    side: &Side,
    refs: &[(String, String)],
    snapshot: Option<&Head>,
    base: &str,
    out: &Path,
    file: &str,
) -> Result<(), GitError> {
    let temporary = out.join(format!(".{file}.new"));
    leave::remove(&temporary).map_err(told)?;
    match snapshot {
        Some(Head::BaseGone { commit, tree }) => {
            by_hand(side, refs, (commit, tree), base, &temporary)?;
        }
        Some(Head::OnBase(_)) | None => by_git(side, refs, base, &temporary)?,
    }
    let written = File::open(&temporary).and_then(|written| written.sync_all());
    written.and_then(|()| std::fs::rename(&temporary, out.join(file))).map_err(told)
}

fn by_git(side: &Side, refs: &[(String, String)], base: &str, to: &Path) -> Result<(), GitError> {
    let mut script = String::new();
    for (name, id) in refs {
        // Through update-ref rather than by hand: it checks both names and ids.
        script.push_str("update ");
        script.push_str(name);
        script.push(' ');
        script.push_str(id);
        script.push('\n');
    }
    side.git().call(["update-ref", "--stdin"]).stdin(script.as_bytes()).output()?;
    let to = to.to_string_lossy();
    let mut args = vec!["bundle", "create", "-q", &to];
    args.extend(refs.iter().map(|(name, _)| name.as_str()));
    let not_base = format!("^{base}");
    if side.has_commit(base) {
        args.push(&not_base);
    }
    side.git().call(args).output().map(|_| ())
}

/// `git bundle` cannot name a prerequisite that is not in the store, so the header is ours and
/// the pack is `pack-objects`'s.
fn by_hand(
    side: &Side,
    refs: &[(String, String)],
    (commit, tree): (&str, &str),
    base: &str,
    to: &Path,
) -> Result<(), GitError> {
    let mut wanted = vec!["rev-list", "--objects", "--no-object-names", tree];
    wanted.extend(refs.iter().map(|(_, id)| id.as_str()).filter(|id| *id != commit));
    let mut ids = side.git().call(wanted).output()?;
    ids.extend_from_slice(commit.as_bytes());
    ids.push(b'\n');

    let head =
        if base.len() == 64 { "# v3 git bundle\n@object-format=sha256" } else { "# v2 git bundle" };
    let names: Vec<String> = refs.iter().map(|(name, id)| format!("{id} {name}\n")).collect();
    let header = format!("{head}\n-{base} base\n{}\n", names.concat());
    let mut file = leave::fresh(to).map_err(told)?;
    file.write_all(header.as_bytes()).map_err(told)?;
    let args = ["pack-objects", "--stdout", "-q"];
    side.git().call(args).stdin(&ids).into_file(file).output().map(|_| ())
}

fn told(source: std::io::Error) -> GitError {
    GitError::Io { what: "bundle".to_owned(), source }
}
