//! The rules that a range of commits is held against before anything of it leaves quarantine.
//!
//! Only plumbing that lists and reads objects is used, so no attribute, filter or link is ever
//! acted on. Every commit of the range is looked at, not only the last: what was added and taken
//! away again is still published. An error of git is an error of the gate, never a pass.

mod content;
mod definition;
mod judges;
mod paths;
mod secrets;
mod shapes;

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use midwatch_core::id::CommitId;
use midwatch_core::landing::FILE_BYTES;
use midwatch_core::path;

use crate::command::Git;
use crate::error::GitError;
use crate::listing::{self, Difference, Mode, Side};
use crate::objects::{Kind, Objects};

pub use secrets::{KnownSecret, Scanner};

/// What a finding leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Said in the evidence.
    Tell,
    /// Held for an approval.
    Hold,
    /// No approval lets it through.
    Refuse,
}

/// The rule behind a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Steers what runs outside a sandbox, or who must review.
    ProtectedPath,
    /// A token of a common shape.
    SecretShape,
    /// A name that some system reserves.
    ReservedName,
    /// Names or holds dependencies.
    Manifest,
    /// Invisible or direction-changing characters in text.
    InvisibleText,
    /// A secret that we know.
    KnownSecret,
    /// A link to another repository.
    Gitlink,
    /// A symbolic link that is absolute or leaves the tree.
    Link,
    /// A name that some system takes for `.git`.
    GitLookAlike,
    /// A path with control characters, or not UTF-8.
    PathBytes,
    /// A file over the cap.
    FileSize,
    /// More data than the cap.
    TotalSize,
    /// More files than the cap.
    FileCount,
}

impl Rule {
    /// What the rule leads to.
    pub const fn severity(self) -> Severity {
        match self {
            Self::Manifest | Self::InvisibleText => Severity::Tell,
            Self::ProtectedPath | Self::SecretShape | Self::ReservedName => Severity::Hold,
            Self::KnownSecret
            | Self::Gitlink
            | Self::Link
            | Self::GitLookAlike
            | Self::PathBytes
            | Self::FileSize
            | Self::TotalSize
            | Self::FileCount => Severity::Refuse,
        }
    }

    /// A few words for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ProtectedPath => "protected path",
            Self::SecretShape => "looks like a secret",
            Self::ReservedName => "reserved name",
            Self::Manifest => "dependencies",
            Self::InvisibleText => "invisible characters",
            Self::KnownSecret => "holds a secret",
            Self::Gitlink => "link to another repository",
            Self::Link => "link out of the tree",
            Self::GitLookAlike => "looks like .git",
            Self::PathBytes => "unfit path",
            Self::FileSize => "too large",
            Self::TotalSize => "too much data",
            Self::FileCount => "too many files",
        }
    }
}

/// One thing that a gate found. Never holds what was found when that is a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule.
    pub rule: Rule,
    /// The path, escaped; empty for a commit's message.
    pub path: String,
    /// The commit, by the id that the sandbox gave it.
    pub commit: CommitId,
    /// One line more.
    pub detail: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = if self.path.is_empty() { "commit message" } else { &self.path };
        write!(f, "{path}: {}", self.rule.as_str())?;
        if !self.detail.is_empty() {
            write!(f, " ({})", self.detail)?;
        }
        write!(f, " in {}", self.commit.short())
    }
}

/// The longest script that is read for what it runs.
const SCRIPT_BYTES: u64 = 1 << 20;

/// Caps of what is imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// The largest file, in bytes. Whatever is larger cannot be scanned in one piece.
    pub file_bytes: u64,
    /// All changed files of all commits together, in bytes.
    pub total_bytes: u64,
    /// Changed paths, counted once per commit.
    pub files: usize,
}

impl Default for Caps {
    /// 512 MiB together, 20,000 paths: far above what a change for review is.
    fn default() -> Self {
        Self { file_bytes: FILE_BYTES, total_bytes: 512 << 20, files: 20_000 }
    }
}

/// A range of commits to look at.
pub(crate) struct Range<'a> {
    pub(crate) base: &'a CommitId,
    pub(crate) head: &'a CommitId,
    /// Every commit of the range, with what it is compared with.
    pub(crate) pairs: &'a [(Option<CommitId>, CommitId)],
}

/// What the gates found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Findings, the worst first, each path once per rule.
    pub findings: Vec<Finding>,
    /// Paths that define a check and differ between base and head.
    pub check_definitions: Vec<String>,
    /// How many paths differ between base and head.
    pub files: usize,
}

impl Report {
    /// The findings of one severity.
    pub fn of(&self, severity: Severity) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |finding| finding.rule.severity() == severity)
    }
}

/// Holds a range against every rule.
pub(crate) fn examine(
    git: &Git,
    git_dir: &Path,
    range: &Range<'_>,
    caps: Caps,
    scanner: &Scanner,
) -> Result<Report, GitError> {
    let mut gate = Gate {
        objects: Objects::open(git, git_dir)?,
        caps,
        scanner,
        seen: HashSet::new(),
        bytes: 0,
        findings: Vec::new(),
    };
    for (_, commit) in range.pairs {
        gate.message(commit)?;
    }
    let steps = listing::differences(git.at(git_dir, "diff-tree"), range.pairs)?;
    if steps.len() > caps.files {
        gate.find(
            Rule::FileCount,
            b"(all files)",
            range.head,
            format!("{} of at most {}", steps.len(), caps.files),
        );
    } else {
        for step in &steps {
            gate.step(step)?;
        }
    }
    let whole = [(Some(range.base.clone()), range.head.clone())];
    let whole = listing::differences(git.at(git_dir, "diff-tree"), &whole)?;
    let mut check_definitions = Vec::new();
    if whole.len() <= caps.files {
        let judges = gate.judges(range.base)?;
        for difference in &whole {
            let named = std::str::from_utf8(&difference.path).is_ok_and(|p| judges.contains(p));
            if named || gate.defines_a_check(difference)? {
                check_definitions.push(path::shown(&difference.path));
            }
        }
    }
    let mut findings = gate.findings;
    findings.sort_by(|a, b| {
        b.rule
            .severity()
            .cmp(&a.rule.severity())
            .then_with(|| (a.rule, &a.path).cmp(&(b.rule, &b.path)))
    });
    findings.dedup_by(|b, a| a.rule == b.rule && a.path == b.path && !a.path.is_empty());
    Ok(Report { findings, check_definitions, files: whole.len() })
}

struct Gate<'a> {
    objects: Objects,
    caps: Caps,
    scanner: &'a Scanner,
    /// Pairs of contents that were scanned already.
    seen: HashSet<(Option<String>, String)>,
    bytes: u64,
    findings: Vec<Finding>,
}

impl Gate<'_> {
    fn find(&mut self, rule: Rule, path: &[u8], commit: &CommitId, detail: impl Into<String>) {
        self.find_in(rule, &path::shown(path), commit, detail);
    }

    /// What is no path says so: a name with brackets and a space stands in quotes.
    fn find_in(&mut self, rule: Rule, place: &str, commit: &CommitId, detail: impl Into<String>) {
        self.findings.push(Finding {
            rule,
            path: place.to_owned(),
            commit: commit.clone(),
            detail: detail.into(),
        });
    }

    /// The whole commit object: author, committer and every header may carry text too.
    fn message(&mut self, commit: &CommitId) -> Result<(), GitError> {
        let Some(text) = self.objects.content(commit.as_str(), self.caps.file_bytes)? else {
            self.find_in(Rule::FileSize, "", commit, "the commit itself");
            return Ok(());
        };
        for hit in self.scanner.scan(&text, None) {
            self.find_in(hit.rule, "", commit, hit.detail);
        }
        Ok(())
    }

    fn step(&mut self, step: &Difference) -> Result<(), GitError> {
        self.path_only(step);
        let Some(new) = &step.new else { return Ok(()) };
        if let Some(fault) = content::path_fault(&step.path) {
            self.find(fault, &step.path, &step.commit, "");
        }
        if step.old.is_none() && content::is_reserved(&step.path) {
            self.find(Rule::ReservedName, &step.path, &step.commit, "");
        }
        for hit in self.scanner.scan(&step.path, None) {
            self.find_in(hit.rule, "(a path)", &step.commit, hit.detail);
        }
        match new.mode {
            Mode::Gitlink => {
                self.find(Rule::Gitlink, &step.path, &step.commit, "");
                Ok(())
            }
            Mode::Link | Mode::File | Mode::Executable => self.blob(step, new),
        }
    }

    /// Rules about the path alone hold for deleting it too: taking CI away is a change of CI.
    fn path_only(&mut self, step: &Difference) {
        if let Some(rule) = paths::hard_rule(&step.path) {
            self.find(Rule::ProtectedPath, &step.path, &step.commit, rule);
        } else if paths::is_soft(&step.path) {
            self.find(Rule::Manifest, &step.path, &step.commit, "");
        }
    }

    fn blob(&mut self, step: &Difference, new: &Side) -> Result<(), GitError> {
        let old =
            step.old.as_ref().filter(|old| old.mode != Mode::Gitlink).map(|old| old.id.clone());
        if !self.seen.insert((old.clone(), new.id.clone())) && new.mode != Mode::Link {
            return Ok(());
        }
        let info = self.objects.info(&new.id)?;
        let info = info.ok_or_else(|| GitError::unexpected("cat-file", b"a blob is missing"))?;
        self.bytes = self.bytes.saturating_add(info.size);
        if info.size > self.caps.file_bytes {
            let detail = format!("{} bytes, {} at most", info.size, self.caps.file_bytes);
            self.find(Rule::FileSize, &step.path, &step.commit, detail);
            return Ok(());
        }
        if self.bytes > self.caps.total_bytes {
            let detail = format!("over {} bytes", self.caps.total_bytes);
            self.find_in(Rule::TotalSize, "(all files)", &step.commit, detail);
            return Ok(());
        }
        let data = self.objects.content(&new.id, self.caps.file_bytes)?;
        let data = data.ok_or_else(|| GitError::unexpected("cat-file", b"a blob is missing"))?;
        if new.mode == Mode::Link
            && let Some(why) = content::link_fault(&step.path, &data)
        {
            self.find(Rule::Link, &step.path, &step.commit, why);
        }
        // What stood there before is not this change's doing, unless it is a secret of ours.
        let before = match old {
            Some(old) => self.objects.content(&old, self.caps.file_bytes)?,
            None => None,
        };
        for hit in self.scanner.scan(&data, before.as_deref()) {
            self.find(hit.rule, &step.path, &step.commit, hit.detail);
        }
        if let Some(line) = content::invisible_line(&data, before.as_deref()) {
            self.find(Rule::InvisibleText, &step.path, &step.commit, format!("line {line}"));
        }
        Ok(())
    }

    /// The files that the check commands run, by what the base says.
    fn judges(&mut self, base: &CommitId) -> Result<BTreeSet<String>, GitError> {
        let (objects, scanner) = (&mut self.objects, self.scanner);
        judges::files(scanner.checks(), |path| {
            if path.is_empty() || path.contains(['\n', '\0']) {
                return Ok(None);
            }
            let revision = format!("{base}:{path}");
            match objects.info(&revision)? {
                Some(info) if info.kind == Kind::Blob => objects.content(&info.id, SCRIPT_BYTES),
                Some(_) | None => Ok(None),
            }
        })
    }

    fn defines_a_check(&mut self, difference: &Difference) -> Result<bool, GitError> {
        let Some(kind) = definition::kind(&difference.path) else { return Ok(false) };
        let cap = self.caps.file_bytes;
        let mut read = |side: &Option<Side>| match side {
            Some(side) if side.mode != Mode::Gitlink => self.objects.content(&side.id, cap),
            Some(_) | None => Ok(None),
        };
        let (old, new) = (read(&difference.old)?, read(&difference.new)?);
        Ok(definition::changed(kind, old.as_deref(), new.as_deref()))
    }
}
