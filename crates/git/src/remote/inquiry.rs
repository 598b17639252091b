//! What a remote says before anything is sent to it: its branches and tags, and whether it would
//! take a push.

use std::path::Path;
use std::time::Duration;

use midwatch_core::id::{BranchName, CommitId};
use midwatch_core::input::InvalidInput;

use super::{Access, RemoteError};
use crate::command::Git;
use crate::deliver::{DeliverError, Delivery};
use crate::error::GitError;
use crate::push::refused;
use crate::scratch::Scratch;

/// How long an answer may take: somebody waits for it.
const PATIENCE: Duration = Duration::from_secs(30);

/// The most that a list of refs may hold, in bytes: far above half a million.
const LIST_CAP: u64 = 64 << 20;

/// The branches and tags of a remote, as it tells them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advertised {
    /// The short name of its default branch.
    pub default_branch: Option<String>,
    /// The commit of its HEAD.
    pub head: Option<CommitId>,
    /// Branches by their short names.
    pub branches: Vec<(String, CommitId)>,
    /// Tags by their short names, peeled.
    pub tags: Vec<(String, CommitId)>,
}

/// What a reference names at a remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The commit.
    pub commit: CommitId,
    /// The branch, when it is one.
    pub branch: Option<String>,
    /// Whether the remote told of the commit. Another one may be there or not.
    pub advertised: bool,
}

/// Asks in a repository of its own, which holds nothing and is gone on drop.
#[derive(Debug)]
pub struct Inquiry {
    git: Git,
    scratch: Scratch,
}

impl Inquiry {
    /// Makes the repository, in the system's folder for such things.
    pub fn begin(git: &Git) -> Result<Self, GitError> {
        let scratch = Scratch::shared(None)?;
        let inquiry = Self { git: git.clone(), scratch };
        for format in ["sha1", "sha256"] {
            let init = inquiry.git.call("init").args(["-q", "--bare", "--template="]);
            let init = init.arg(format!("--object-format={format}")).arg("--");
            init.arg(inquiry.scratch.path().join(format)).run()?;
        }
        Ok(inquiry)
    }

    /// What the remote has.
    pub fn advertised(&self, access: Access<'_>) -> Result<Advertised, RemoteError> {
        advertised(&self.git, &self.scratch.path().join("sha1"), self.scratch.path(), access)
    }

    /// Whether the remote would let this credential make a branch at a commit. Nothing is sent;
    /// what only a hook of the remote's would refuse is not found out.
    pub fn would_take(
        &self,
        access: Access<'_>,
        delivery: &Delivery<'_>,
    ) -> Result<(), DeliverError> {
        let sha256 = delivery.commit.as_str().len() == 64;
        let dir = self.scratch.path().join(if sha256 { "sha256" } else { "sha1" });
        let branch = delivery.branch;
        let call = self.git.at(&dir, "push");
        let (call, _helper) = access.prepare(call, self.scratch.path())?;
        let ended = call
            .timeout(PATIENCE)
            .args(["--dry-run", "--no-verify", "--porcelain", "--no-follow-tags", "--no-signed"])
            .arg(format!("--force-with-lease=refs/heads/{branch}:"))
            .args(["--", &access.url.to_git()])
            .arg(format!("{}:refs/heads/{branch}", delivery.commit))
            .finish()
            .map_err(RemoteError::from)?;
        if ended.code == Some(0) {
            Ok(())
        } else {
            Err(refused(branch, &ended.stdout, ended.code, ended.stderr))
        }
    }
}

/// Lists a remote's refs by way of the repository at `git_dir`, of which nothing is used.
pub(crate) fn advertised(
    git: &Git,
    git_dir: &Path,
    scratch: &Path,
    access: Access<'_>,
) -> Result<Advertised, RemoteError> {
    let (call, _helper) = access.prepare(git.at(git_dir, "ls-remote"), scratch)?;
    let out = call
        .timeout(PATIENCE)
        .cap(LIST_CAP)
        .args(["-q", "--symref", "--", &access.url.to_git()])
        .args(["HEAD", "refs/heads/*", "refs/tags/*"])
        .run()?;
    Ok(read(&out)?)
}

fn read(out: &[u8]) -> Result<Advertised, GitError> {
    let mut all =
        Advertised { default_branch: None, head: None, branches: Vec::new(), tags: Vec::new() };
    for line in String::from_utf8_lossy(out).lines() {
        let Some((what, name)) = line.split_once('\t') else {
            return Err(GitError::unexpected("ls-remote", line.as_bytes()));
        };
        if let Some(target) = what.strip_prefix("ref: ") {
            if name == "HEAD" {
                all.default_branch = target.strip_prefix("refs/heads/").map(ToOwned::to_owned);
            }
            continue;
        }
        let id = CommitId::parse(what)?;
        if name == "HEAD" {
            all.head = Some(id);
        } else if let Some(name) = name.strip_prefix("refs/heads/") {
            all.branches.push((name.to_owned(), id));
        } else if let Some(name) = name.strip_prefix("refs/tags/") {
            // An annotated tag is told twice, the second time with what it stands for.
            let peeled = name.strip_suffix("^{}");
            match all.tags.last_mut() {
                Some((tag, commit)) if peeled == Some(tag.as_str()) => *commit = id,
                Some(_) | None => all.tags.push((peeled.unwrap_or(name).to_owned(), id)),
            }
        }
    }
    Ok(all)
}

impl Advertised {
    /// Where a branch stands.
    pub fn branch(&self, branch: &BranchName) -> Option<&CommitId> {
        self.branches.iter().find(|(name, _)| name == branch.as_str()).map(|(_, id)| id)
    }

    /// What a reference names: a branch, a tag, a full id, or without one the default branch.
    pub fn name(&self, reference: Option<&str>) -> Result<Named, RemoteError> {
        if self.branches.is_empty() && self.tags.is_empty() && self.head.is_none() {
            return Err(RemoteError::Empty);
        }
        let bad = |text: &str, rule: &str, fix: &str| InvalidInput::new("base", text, rule, fix);
        let Some(text) = reference.filter(|text| !text.is_empty()) else {
            let commit = self.head.clone().ok_or_else(|| {
                bad("", "is needed: the remote has no default branch", "name a branch or a tag")
            })?;
            return Ok(Named { commit, branch: self.default_branch.clone(), advertised: true });
        };
        if let Ok(commit) = CommitId::parse(text) {
            let tips = self.branches.iter().chain(&self.tags);
            let advertised = tips.into_iter().any(|(_, id)| *id == commit);
            return Ok(Named { commit, branch: None, advertised });
        }
        let name = BranchName::parse(text).map_err(|error| error.of("base"))?;
        let tag = self.tags.iter().find(|(tag, _)| tag == name.as_str()).map(|(_, id)| id);
        match (self.branch(&name), tag) {
            (Some(branch), Some(tag)) if branch != tag => {
                Err(bad(text, "is ambiguous: a branch and a tag", "give the commit's full id")
                    .into())
            }
            (Some(commit), _) => {
                Ok(Named { commit: commit.clone(), branch: Some(text.into()), advertised: true })
            }
            (None, Some(commit)) => {
                Ok(Named { commit: commit.clone(), branch: None, advertised: true })
            }
            (None, None) => Err(bad(
                text,
                "is not found at the remote",
                "give a branch, a tag or a commit's full id",
            )
            .into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: &str = "ref: refs/heads/main\tHEAD
1111111111111111111111111111111111111111\tHEAD
1111111111111111111111111111111111111111\trefs/heads/main
2222222222222222222222222222222222222222\trefs/heads/both
3333333333333333333333333333333333333333\trefs/tags/both
4444444444444444444444444444444444444444\trefs/tags/v1
5555555555555555555555555555555555555555\trefs/tags/v1^{}
6666666666666666666666666666666666666666\trefs/remotes/x/refs/heads/odd
";

    #[test]
    fn references_are_named_or_refused() {
        let all = read(LISTED.as_bytes()).unwrap();
        let id = |digit: &str| CommitId::parse(&digit.repeat(40)).unwrap();
        let named = |text: Option<&str>| all.name(text).unwrap();
        assert_eq!(named(None), named(Some("main")));
        assert_eq!(named(Some("main")).branch.as_deref(), Some("main"));
        assert_eq!(named(Some("v1")), Named { commit: id("5"), branch: None, advertised: true });
        assert!(named(Some(&"2".repeat(40))).advertised);
        assert!(!named(Some(&"9".repeat(40))).advertised);
        for (text, says) in [
            ("both", "ambiguous"),
            ("deadbee", "not found"),
            ("odd", "not found"),
            ("--upload-pack=x", "start with '-'"),
            ("a..b", ".."),
            ("$(id)", "may hold only"),
            ("refs/heads/main", "short name"),
            (&"x".repeat(300), "longer than 200"),
        ] {
            let error = all.name(Some(text)).unwrap_err().to_string();
            assert!(error.contains(says) && error.starts_with("base "), "{text}: {error}");
        }
        assert!(matches!(read(b"").unwrap().name(None), Err(RemoteError::Empty)));
        assert!(read(b"what is this").is_err());
    }
}
