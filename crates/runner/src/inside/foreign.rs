//! The agent's `.git`, read file by file. No git runs on it, so nothing of its configuration is
//! loaded; everything is bounded, and what cannot be read is left out.

use std::collections::{BTreeMap, HashSet};
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::git::is_id;

/// The most refs that are read; more are left out.
const REFS_MAX: usize = 2_000;

/// How deep folders below `refs` are followed.
const DEPTH_MAX: usize = 12;

/// The most of one file of refs or of a reflog, bytes; of a reflog the end counts.
const FILE_MAX: u64 = 8 << 20;

/// The most ids of a repository that git is asked about.
pub(super) const IDS_MAX: usize = 20_000;

/// Where the common directory keeps what belongs to linked worktrees.
const WORKTREES: &str = "worktrees/";

/// A git directory that somebody else wrote.
#[derive(Debug, Clone)]
pub(super) struct Foreign {
    dir: Option<PathBuf>,
    common: Option<PathBuf>,
}

impl Foreign {
    /// Looks for the workspace's git directory: a folder, or a file that names one.
    pub(super) fn at(workspace: &Path) -> Self {
        let dot_git = workspace.join(".git");
        let dir = match dot_git.metadata() {
            Ok(meta) if meta.is_dir() => Some(dot_git),
            Ok(meta) if meta.is_file() => named_in(&dot_git, workspace),
            Ok(_) | Err(_) => None,
        };
        Self::named(dir)
    }

    /// A git directory that is known.
    pub(super) fn of(dir: &Path) -> Self {
        Self::named(Some(dir.to_owned()))
    }

    fn named(dir: Option<PathBuf>) -> Self {
        let common = dir.as_ref().map(|dir| {
            let other = read(&dir.join("commondir")).and_then(|text| first_line(&text));
            other.map(|other| dir.join(other)).filter(|p| p.is_dir()).unwrap_or_else(|| dir.clone())
        });
        Self { dir, common }
    }

    /// The folder of its objects, absolute, if there is one.
    pub(super) fn objects(&self) -> Option<PathBuf> {
        self.common.as_ref()?.join("objects").canonicalize().ok().filter(|path| path.is_dir())
    }

    /// Its index file, if it is a plain one.
    pub(super) fn index(&self) -> Option<PathBuf> {
        let path = self.dir.as_ref()?.join("index");
        path.symlink_metadata().ok().filter(std::fs::Metadata::is_file).map(|_| path)
    }

    /// A file of the common directory such as `shallow` or `info/exclude`.
    pub(super) fn file(&self, name: &str) -> Option<Vec<u8>> {
        read(&self.common.as_ref()?.join(name))
    }

    /// The commit that HEAD names; none for an unborn branch or garbage.
    pub(super) fn head(&self) -> Option<String> {
        self.resolve("HEAD", 5)
    }

    /// What is half done, in a word for people.
    pub(super) fn in_progress(&self) -> Option<&'static str> {
        const MARKS: [(&str, &str); 6] = [
            ("rebase-merge", "rebase"),
            ("rebase-apply", "rebase"),
            ("MERGE_HEAD", "merge"),
            ("CHERRY_PICK_HEAD", "cherry-pick"),
            ("REVERT_HEAD", "revert"),
            ("BISECT_LOG", "bisect"),
        ];
        let dir = self.dir.as_ref()?;
        MARKS
            .iter()
            .find(|(file, _)| dir.join(file).symlink_metadata().is_ok())
            .map(|(_, word)| *word)
    }

    fn resolve(&self, name: &str, depth: usize) -> Option<String> {
        let shared = name.starts_with("refs/") || name.starts_with(WORKTREES);
        let from = if shared { self.common.as_ref()? } else { self.dir.as_ref()? };
        let Some(text) = read(&from.join(name)).and_then(|text| first_line(&text)) else {
            return self.packed().remove(name);
        };
        if is_id(&text) {
            return Some(text);
        }
        let target = text.strip_prefix("ref:")?.trim();
        let clean = target.starts_with("refs/") && !target.split('/').any(|part| part == "..");
        if clean && depth > 0 { self.resolve(target, depth - 1) } else { None }
    }

    /// Names of linked worktrees: `worktrees/NAME`.
    fn linked(&self) -> Vec<String> {
        let folder = self.common.as_ref().map(|common| common.join(WORKTREES));
        let entries = folder.and_then(|folder| std::fs::read_dir(folder).ok());
        let names = entries.into_iter().flatten().flatten().map(|entry| entry.file_name());
        let names = names.filter_map(|name| name.into_string().ok()).take(REFS_MAX);
        let mut names: Vec<String> = names.map(|name| format!("{WORKTREES}{name}")).collect();
        names.sort();
        names
    }

    /// Every ref below `refs/` with its id; none where the ref is broken. The HEAD of a linked
    /// worktree that is on no branch counts as one, as `worktrees/NAME`. Sorted by name.
    pub(super) fn refs(&self) -> BTreeMap<String, Option<String>> {
        let mut found: BTreeMap<String, Option<String>> =
            self.packed().into_iter().map(|(name, id)| (name, Some(id))).collect();
        if let Some(common) = &self.common {
            let mut names = Vec::new();
            walk(&common.join("refs"), "refs", DEPTH_MAX, &mut names);
            for name in names {
                let id = self.resolve(&name, 5);
                found.insert(name, id);
            }
        }
        for name in self.linked() {
            // Depth 0: a branch that it is on is told as that branch.
            if let Some(id) = self.resolve(&format!("{name}/HEAD"), 0) {
                found.insert(name, Some(id));
            }
        }
        found
    }

    /// The ids that a ref had, newest first, without repeats; beyond [`IDS_MAX`] one more.
    pub(super) fn reflog(&self, name: &str) -> Vec<String> {
        let text = self.log(name);
        let (mut ids, mut seen) = (Vec::new(), HashSet::new());
        for moved in text.lines().rev().map(Moved::of) {
            for id in [moved.new, moved.old].into_iter().flatten() {
                if ids.len() <= IDS_MAX && seen.insert(id) {
                    ids.push(id.to_owned());
                }
            }
        }
        ids
    }

    /// Whether a ref ever was at an id, by its reflog.
    pub(super) fn was_at(&self, name: &str, id: &str) -> bool {
        let is_it = |moved: Moved<'_>| moved.new == Some(id) || moved.old == Some(id);
        self.log(name).lines().map(Moved::of).any(is_it)
    }

    /// The ids that a ref went to, newest first, each with what git says of the reason.
    pub(super) fn went_to(&self, name: &str) -> Vec<(String, String)> {
        let text = self.log(name);
        let went = |line: &str| {
            let (_, why) = line.split_once('\t').unwrap_or_default();
            Some((Moved::of(line).new?.to_owned(), why.to_owned()))
        };
        text.lines().rev().filter_map(went).take(IDS_MAX).collect()
    }

    /// Tags in `packed-refs`, each with the commit that an annotated one is of.
    pub(super) fn packed_tags(&self) -> Vec<Vec<String>> {
        let text = self.file("packed-refs").unwrap_or_default();
        let mut tags: Vec<Vec<String>> = Vec::new();
        let mut is_tag = false;
        for line in String::from_utf8_lossy(&text).lines() {
            if let Some(commit) = line.strip_prefix('^') {
                if let Some(tag) = tags.last_mut().filter(|_| is_tag && is_id(commit)) {
                    tag.push(commit.to_owned());
                }
                continue;
            }
            let tag = line.split_once(" refs/tags/").map(|(id, _)| id).filter(|id| is_id(id));
            is_tag = tag.is_some() && tags.len() < REFS_MAX;
            tags.extend(tag.filter(|_| is_tag).map(|id| vec![id.to_owned()]));
        }
        tags
    }

    fn log(&self, name: &str) -> String {
        let file = self.common.as_ref().map(|common| match name.strip_suffix("/HEAD") {
            Some(worktree) if name.starts_with(WORKTREES) => {
                common.join(worktree).join("logs/HEAD")
            }
            Some(_) | None => common.join("logs").join(name),
        });
        let bytes = file.and_then(|file| read(&file)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Names of refs that have a reflog, HEAD first, then those of linked worktrees.
    pub(super) fn logged(&self) -> Vec<String> {
        let mut names = vec!["HEAD".to_owned()];
        names.extend(self.linked().into_iter().map(|name| format!("{name}/HEAD")));
        if let Some(common) = &self.common {
            walk(&common.join("logs/refs"), "refs", DEPTH_MAX, &mut names);
        }
        names
    }

    fn packed(&self) -> BTreeMap<String, String> {
        let text = self.file("packed-refs").unwrap_or_default();
        String::from_utf8_lossy(&text)
            .lines()
            .filter_map(|line| line.split_once(' '))
            .filter(|(id, name)| is_id(id) && name.starts_with("refs/"))
            .map(|(id, name)| (name.to_owned(), id.to_owned()))
            .take(REFS_MAX)
            .collect()
    }
}

/// A line of a reflog.
struct Moved<'a> {
    /// Where the ref was; none where it was made.
    old: Option<&'a str>,
    /// Where it went; none where it was removed.
    new: Option<&'a str>,
}

impl<'a> Moved<'a> {
    fn of(line: &'a str) -> Self {
        let mut words = line.splitn(3, ' ');
        let mut id = || words.next().filter(|id| is_id(id) && id.bytes().any(|b| b != b'0'));
        Self { old: id(), new: id() }
    }
}

/// Reads the end of a plain file, at most [`FILE_MAX`]; a FIFO, a device or a folder is none.
fn read(path: &Path) -> Option<Vec<u8>> {
    let nonblock = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let mut file = OpenOptions::new().read(true).custom_flags(nonblock).open(path).ok()?;
    let meta = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    if meta.len() > FILE_MAX {
        std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(meta.len() - FILE_MAX)).ok()?;
    }
    let mut bytes = Vec::new();
    file.take(FILE_MAX).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn first_line(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    text.lines().next().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty())
}

fn named_in(file: &Path, workspace: &Path) -> Option<PathBuf> {
    let line = read(file).and_then(|text| first_line(&text))?;
    let path = workspace.join(line.strip_prefix("gitdir:")?.trim());
    path.is_dir().then_some(path)
}

fn walk(folder: &Path, name: &str, depth: usize, names: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        if names.len() >= REFS_MAX {
            return;
        }
        let part = entry.file_name();
        // A name that is not UTF-8 cannot be told from others after it is made readable.
        let Ok(part) = std::str::from_utf8(part.as_bytes()) else {
            continue;
        };
        let below = format!("{name}/{part}");
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth > 0 => {
                walk(&entry.path(), &below, depth - 1, names);
            }
            Ok(kind) if kind.is_file() && part.strip_suffix(".lock").is_none() => names.push(below),
            Ok(_) | Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn with(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        folder
    }

    #[test]
    fn head_is_followed_through_loose_and_packed_refs() {
        let line = format!("{A}\n");
        let loose = with(&[(".git/HEAD", "ref: refs/heads/x\n"), (".git/refs/heads/x", &line)]);
        assert_eq!(Foreign::at(loose.path()).head().as_deref(), Some(A));
        let packed = format!("# pack-refs with: peeled\n{B} refs/heads/x\n^{A}\n");
        let packed = with(&[(".git/HEAD", "ref: refs/heads/x\n"), (".git/packed-refs", &packed)]);
        assert_eq!(Foreign::at(packed.path()).head().as_deref(), Some(B));
        let detached = with(&[(".git/HEAD", &line)]);
        assert_eq!(Foreign::at(detached.path()).head().as_deref(), Some(A));
    }

    #[test]
    fn garbage_loops_and_ways_out_are_no_head() {
        for head in ["ref: refs/heads/none\n", "ref: refs/../../etc/passwd\n", "\0\x01", ""] {
            let folder = with(&[(".git/HEAD", head)]);
            assert_eq!(Foreign::at(folder.path()).head(), None, "{head:?}");
        }
        let circle = "ref: refs/heads/a\n";
        let folder = with(&[(".git/HEAD", circle), (".git/refs/heads/a", circle)]);
        assert_eq!(Foreign::at(folder.path()).head(), None);
        assert_eq!(Foreign::at(tempfile::tempdir().unwrap().path()).head(), None);
    }

    #[test]
    fn a_git_file_names_the_folder_and_its_common_one() {
        let line = format!("{A}\n");
        let folder = with(&[
            (".git", "gitdir: elsewhere/worktrees/w\n"),
            ("elsewhere/worktrees/w/HEAD", "ref: refs/heads/x\n"),
            ("elsewhere/worktrees/w/commondir", "../..\n"),
            ("elsewhere/refs/heads/x", &line),
            ("elsewhere/objects/info/alternates", ""),
        ]);
        let foreign = Foreign::at(folder.path());
        assert_eq!(foreign.head().as_deref(), Some(A));
        let objects = folder.path().join("elsewhere/objects").canonicalize().unwrap();
        assert_eq!(foreign.objects(), Some(objects));
    }

    #[test]
    fn tags_are_read_from_packed_refs_with_the_commits_that_they_are_of() {
        let packed = format!(
            "# pack-refs with: peeled\n{A} refs/heads/x\n{A} refs/remotes/refs/tags/x\n^{B}\n\
             {A} refs/tags/noted\n^{B}\n{B} refs/tags/light\nx refs/tags/bad\n^{A}\n"
        );
        let folder = with(&[(".git/HEAD", "x"), (".git/packed-refs", &packed)]);
        assert_eq!(Foreign::at(folder.path()).packed_tags(), [vec![A, B], vec![B]]);
    }

    #[test]
    fn reflogs_are_read_from_the_newest_and_once() {
        let zero = "0".repeat(40);
        let log =
            format!("{zero} {A} n <e> 1 +0000\tx\n{A} {B} n <e> 2 +0000\ty\n{B} {A} n <e> 3\tz\n");
        let folder = with(&[(".git/HEAD", "x"), (".git/logs/HEAD", &log)]);
        assert_eq!(Foreign::at(folder.path()).reflog("HEAD"), [A, B]);
    }

    /// An agent's reflog may be as long as its file may be.
    #[test]
    fn of_a_long_reflog_the_newest_are_read_and_more_than_are_asked_about_is_seen() {
        use std::fmt::Write as _;
        let mut log = String::new();
        for at in 1..90_000 {
            writeln!(log, "{:040x} {at:040x} n <e> 1\tx", at - 1).unwrap();
        }
        let folder = with(&[(".git/HEAD", "x"), (".git/logs/HEAD", &log)]);
        let foreign = Foreign::at(folder.path());
        let ids = foreign.reflog("HEAD");
        assert_eq!(
            (ids.len(), ids[0].as_str()),
            (IDS_MAX + 1, format!("{:040x}", 89_999).as_str())
        );
        // Where it was at first is known all the same.
        assert!(foreign.was_at("HEAD", &format!("{:040x}", 7)));
        assert!(!foreign.was_at("HEAD", A));
    }

    #[test]
    fn a_fifo_in_the_place_of_head_holds_nobody() {
        let folder = with(&[(".git/config", "")]);
        let fifo = folder.path().join(".git/HEAD");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        assert_eq!(Foreign::at(folder.path()).head(), None);
    }
}
