//! A store for objects that nobody has looked at yet. It has no ref, no setting and no program
//! of anybody, sees `upstream` and what its user names, and is thrown away.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use midwatch_core::id::CommitId;

use crate::command::{Call, Input, LONG};
use crate::error::GitError;
use crate::mirror::Mirror;
use crate::refs;
use crate::revisions::Revisions;
use crate::scratch::Scratch;

/// Every object is checked, and what git itself only mentions is an error, too: modes that no
/// git writes, and a `.gitmodules` that its own reader cannot read.
const STRICT: &str = "--strict=badFilemode=error,gitmodulesParse=error";

/// What git may say against a commit that nobody wants but for its tree. Trees, blobs and links
/// between objects are checked all the same.
const COMMITS: [&str; 14] = [
    "badDate",
    "badDateOverflow",
    "badEmail",
    "badName",
    "badTimezone",
    "missingAuthor",
    "missingCommitter",
    "missingEmail",
    "missingNameBeforeEmail",
    "missingSpaceBeforeDate",
    "missingSpaceBeforeEmail",
    "multipleAuthors",
    "nulInCommit",
    "zeroPaddedDate",
];

/// Which objects a quarantine takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Objects {
    /// Those without a fault.
    Sound,
    /// Commits with a faulty head, too: none of them may leave the quarantine.
    ExcusingCommits,
}

impl Objects {
    fn option(self) -> String {
        match self {
            Self::Sound => STRICT.to_owned(),
            Self::ExcusingCommits => {
                let excused = COMMITS.map(|fault| format!(",{fault}=ignore"));
                format!("{STRICT}{}", excused.concat())
            }
        }
    }
}

/// What git may write to in memory while it unpacks hostile data, in bytes.
const UNPACK_MEMORY: u64 = 2 << 30;

/// How long it may take: a few hundred megabytes on a slow disk, but not a bomb.
const UNPACK_TIME: Duration = Duration::from_mins(10);

/// A quarantine, gone on drop.
pub(crate) struct Quarantine {
    mirror: Mirror,
    scratch: Scratch,
}

impl Quarantine {
    /// Makes one that sees `upstream` and, of `work`, only what the named commits reach: objects
    /// of other tasks cannot be taken along by naming their ids.
    pub(crate) fn new(mirror: &Mirror, known: &[CommitId]) -> Result<Self, GitError> {
        let scratch = Scratch::in_dir(&mirror.scratch_dir())?;
        let quarantine = Self { mirror: mirror.clone(), scratch };
        let dir = quarantine.git_dir();
        for folder in ["objects", "objects/info", "objects/pack", "refs"] {
            let path = dir.join(folder);
            std::fs::create_dir(&path).map_err(GitError::io("could not create", &path))?;
        }
        let write = |name: &str, text: &str| {
            let path = dir.join(name);
            std::fs::write(&path, text).map_err(GitError::io("could not write", &path))
        };
        write("HEAD", "ref: refs/heads/none\n")?;
        write(
            "config",
            if mirror.is_sha256() {
                "[core]\n\trepositoryformatversion = 1\n\tbare = true\n[extensions]\n\tobjectformat = sha256\n"
            } else {
                "[core]\n\trepositoryformatversion = 0\n\tbare = true\n"
            },
        )?;
        let upstream = mirror.upstream();
        write("objects/info/alternates", &format!("{}\n", upstream.join("objects").display()))?;
        match std::fs::copy(upstream.join("shallow"), dir.join("shallow")) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(GitError::io("could not copy", &upstream.join("shallow"))(error));
            }
            Ok(_) | Err(_) => {}
        }
        quarantine.show(known)?;
        Ok(quarantine)
    }

    pub(crate) fn git_dir(&self) -> PathBuf {
        self.scratch.path().to_owned()
    }

    /// A call in the quarantine.
    pub(crate) fn call(&self, subcommand: &'static str) -> Call {
        self.mirror.git().at(self.scratch.path(), subcommand)
    }

    fn show(&self, known: &[CommitId]) -> Result<(), GitError> {
        let mut wanted = Vec::new();
        for commit in known {
            let here = self.call("cat-file").args(["-e", commit.as_str()]).finish()?;
            if here.code != Some(0) {
                wanted.push(commit);
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        write_pack(
            &self.mirror,
            &self.mirror.work(),
            &wanted,
            &self.scratch.path().join("objects/pack"),
        )
    }

    /// Takes a pack in, checking every object and every link. `Err` of the inner result is what
    /// git said against it.
    pub(crate) fn take(
        &self,
        pack: impl Read + Send + 'static,
        max_bytes: u64,
        objects: Objects,
    ) -> Result<Result<(), String>, GitError> {
        let ended = self
            .call("index-pack")
            .arg(objects.option())
            .args(["--fix-thin", "--stdin"])
            .arg(format!("--max-input-size={max_bytes}"))
            .memory(UNPACK_MEMORY)
            .timeout(UNPACK_TIME)
            .stdin(Input::Stream(Box::new(pack)))
            .finish()?;
        match ended.code {
            Some(0) => Ok(Ok(())),
            // Our own trouble is not the pack's.
            code if ["No space left", "Disk quota", "unable to create", "Permission denied"]
                .iter()
                .any(|ours| ended.stderr.contains(ours)) =>
            {
                Err(GitError::Failed { what: "index-pack", code, stderr: ended.stderr })
            }
            Some(_) => Ok(Err(ended.stderr)),
            None => Ok(Err(format!("it was ended by a signal; {}", ended.stderr))),
        }
    }

    /// Whether one commit is an ancestor of, or is, another.
    pub(crate) fn is_ancestor(&self, old: &CommitId, new: &CommitId) -> Result<bool, GitError> {
        self.call("merge-base").args(["--is-ancestor", old.as_str(), new.as_str()]).yes_or_no()
    }

    /// Moves what the tips reach and `work` lacks into `work`: nothing else of the pack that
    /// came, so no object enters that was not looked at.
    pub(crate) fn admit(&self, tips: &[CommitId], known: &[CommitId]) -> Result<(), GitError> {
        let pack = self
            .call("pack-objects")
            .args(["--revs", "--stdout", "-q", "--delta-base-offset"])
            .timeout(LONG)
            .stdin(Revisions::wanted(tips).without(known).input());
        self.mirror
            .git()
            .at(&self.mirror.work(), "index-pack")
            .args([STRICT, "--stdin"])
            .timeout(LONG)
            .stdin(Input::Call(Box::new(pack)))
            .run()
            .map(drop)
    }
}

/// Writes what the commits reach and no fetched commit does as one self-contained pack.
pub(crate) fn write_pack(
    mirror: &Mirror,
    store: &Path,
    commits: &[&CommitId],
    into: &Path,
) -> Result<(), GitError> {
    let fetched =
        refs::list(mirror.git().at(&mirror.upstream(), "for-each-ref"), "refs/midwatch/base")?;
    let fetched = fetched.iter().map(|(_, id)| id);
    mirror
        .git()
        .at(store, "pack-objects")
        .args(["--revs", "-q", "--delta-base-offset"])
        .arg(into.join("pack"))
        .timeout(LONG)
        .stdin(Revisions::wanted(commits).without(fetched).input())
        .run()
        .map(drop)
}
