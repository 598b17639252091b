//! The repository and its base, by way of the publisher: nothing of the checkout is run.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use midwatch_api::task::{CheckoutRef, RepositoryRef};
use midwatch_core::id::{BranchName, TaskName};
use midwatch_local::folder::StateFolder;
use midwatch_publish::order::{self, OrderError, Ordered, Origin};
use midwatch_publish::{Addresses, Git, RemoteError, Server, UrlRules};

use super::server_login::{self, Login};
use super::{Finding, Wanted, proxy};
use crate::environment::Environment;
use crate::problem::Problem;
use crate::wire::proxy::for_git;

/// Files that are named when uncommitted work stays behind or is taken along.
const FILES_SHOWN: usize = 5;
/// The date of snapshots: a fixed one, so that the same work gives the same commit and the same
/// command attaches to its task. 2001-09-09, in seconds since 1970.
const SNAPSHOT_DATE: i64 = 1_000_000_000;

/// A repository that can be worked with.
pub(crate) struct Repository {
    ordered: Ordered,
    push: bool,
    dirty: Vec<String>,
    taken: bool,
    git: Git,
    /// What is pushed to, when it is a server, and its login.
    server: Option<(Server, Option<Login>)>,
    private_addresses: bool,
}

/// Says that repositories may be at private addresses, too.
const PRIVATE: &str = "MIDWATCH_PRIVATE_ADDRESSES";

/// Finds it around the working folder.
pub(super) fn find(
    environment: &Environment,
    wanted: &Wanted,
    ca: Option<&PathBuf>,
) -> Result<Repository, Problem> {
    let git = Git::find().map_err(|error| {
        Problem::cannot(error.to_string(), "install git 2.39 or later: apt-get install git")
    })?;
    let git = git.with_ca_bundle(ca.cloned());
    let private_addresses = private_addresses(environment)?;
    let rules = UrlRules { private_addresses, plain_http: false };
    let found = order::find(&git, environment.folder(), wanted.base.as_deref(), rules);
    let ordered = found.map_err(problem)?;
    let mut server = None;
    if wanted.push {
        match &ordered.origin {
            Origin::Local(_) => {}
            Origin::Url(url) => {
                let login = server_login::find(environment, &ordered.top, url);
                let credential = login.as_ref().map(Login::credential);
                let ssh_agent = environment.path("SSH_AUTH_SOCK");
                let proxy = proxy::find(environment)?;
                let proxy = proxy.and_then(|found| for_git(&found.proxy, url));
                let (url, addresses) = (url.clone(), Addresses::Any);
                server = Some((Server { url, credential, ssh_agent, addresses, proxy }, login));
            }
            Origin::None => {
                let text = "--push needs a remote named origin, and there is none";
                return Err(Problem::cannot(text, "add one: git remote add origin URL"));
            }
            Origin::Unfit(error) => return Err(error.clone().into()),
        }
    }
    writable(&ordered.identity)?;
    let dirty = ordered.dirty(excludes(environment).as_deref()).map_err(problem)?;
    let dirty = dirty.iter().map(ToString::to_string).collect();
    let push = wanted.push;
    Ok(Repository { ordered, push, dirty, taken: false, git, server, private_addresses })
}

/// Whether this user's repositories may be at private addresses.
pub(super) fn private_addresses(environment: &Environment) -> Result<bool, Problem> {
    match environment.text(PRIVATE) {
        None | Some("0") => Ok(false),
        Some("1") => Ok(true),
        Some(other) => {
            Err(Problem::usage(PRIVATE, other, "is not 0 or 1", "set it to 1 or unset it"))
        }
    }
}

/// Git's default place of the user's own ignore file.
fn excludes(environment: &Environment) -> Option<PathBuf> {
    let config = environment.path("XDG_CONFIG_HOME");
    let config = config.unwrap_or_else(|| environment.home().join(".config"));
    Some(config.join("git/ignore")).filter(|path| path.is_file())
}

/// The branch lands there, so it must be ours to write to; root writes as the owner.
fn writable(common_dir: &Path) -> Result<(), Problem> {
    use rustix::fs::{Access, access};
    for folder in ["objects", "refs"].map(|name| common_dir.join(name)) {
        access(&folder, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| {
            Problem::cannot(
                format!("the repository cannot be written: {}: {error}", folder.display()),
                "run it as the repository's owner, or in a clone of your own",
            )
        })?;
    }
    Ok(())
}

fn unreadable(error: impl std::fmt::Display) -> Problem {
    Problem::internal(format!("the base's files cannot be read: {error}"))
}

/// What is told of it: whose fault, and what next.
pub(crate) fn problem(error: OrderError) -> Problem {
    let login = error.is_login();
    match error {
        OrderError::Input(input) => input.into(),
        OrderError::Repository(error) => Problem::cannot(
            error.to_string(),
            "Midwatch works on plain git repositories with a commit",
        ),
        OrderError::Branch(error) => Problem::wrong(error.to_string()),
        OrderError::Remote(error) if login => Problem::login(
            error.to_string(),
            "log in for git (a credential helper, or GITHUB_TOKEN, GITLAB_TOKEN, FORGEJO_TOKEN or \
             GITEA_TOKEN for its host) with the right to push, then repeat the command",
        ),
        OrderError::Remote(error @ RemoteError::ProxyLogin(_)) => Problem::cannot(
            error.to_string(),
            "set it in HTTPS_PROXY as http://user:password@host:port, then repeat the command",
        ),
        OrderError::Remote(error @ (RemoteError::Unreachable(_) | RemoteError::Empty)) => {
            Problem::cannot(error.to_string(), "try `git ls-remote` on the same URL")
        }
        OrderError::Remote(error) => Problem::wrong(error.to_string()),
        error => Problem::internal(error.to_string()),
    }
}

impl Repository {
    /// The worktree's top folder.
    pub(super) fn top(&self) -> &Path {
        &self.ordered.top
    }

    /// The base's files.
    pub(super) fn files(&self) -> Result<BTreeSet<String>, Problem> {
        self.ordered.tree().files().map_err(unreadable)
    }

    /// One of them; none when it is larger than so many bytes, or no text.
    pub(super) fn read(&self, path: &str, most: u64) -> Result<Option<String>, Problem> {
        self.ordered.tree().read(path, most).map_err(unreadable)
    }

    /// The base's id.
    pub(super) fn base(&self) -> String {
        self.ordered.base.as_str().to_owned()
    }

    /// Takes uncommitted work along as the base.
    pub(super) fn include_dirty(
        &mut self,
        environment: &Environment,
        name: &TaskName,
    ) -> Result<(), Problem> {
        let folder = StateFolder::new(environment.state_folder());
        folder.make().map_err(|error| Problem::cannot(error.to_string(), "set MIDWATCH_HOME"))?;
        let mirror = folder.mirror(&self.ordered.identity.to_string_lossy());
        let excludes = excludes(environment);
        let taken = self.ordered.include_dirty(&mirror, name, excludes.as_deref(), SNAPSHOT_DATE);
        taken.map_err(problem)?;
        self.taken = true;
        Ok(())
    }

    /// Says why a branch cannot be set, if it cannot. A server that is pushed to is asked for it,
    /// and an error is that it does not let us in; one that does not answer now is only told of.
    pub(super) fn check_branch(
        &self,
        branch: &BranchName,
        findings: &mut Vec<Finding>,
    ) -> Result<Option<Problem>, Problem> {
        let head = self.ordered.head_branch.as_deref();
        let mut protected: Vec<BranchName> =
            head.and_then(|name| BranchName::parse(name).ok()).into_iter().collect();
        let mut checked = self.ordered.check_branch(branch, &protected);
        if self.push && checked.is_ok() {
            checked = self.ordered.check_origin_branch(branch);
        }
        if let Err(error) = checked {
            return Ok(Some(problem(error)));
        }
        let Some((server, login)) = &self.server else { return Ok(None) };
        let asked = order::ask(&self.git, server).and_then(|told| {
            protected.extend(told.default_branch().and_then(|name| BranchName::parse(name).ok()));
            told.check_branch(branch, &self.ordered.base, &protected)
        });
        let from = login.as_ref().map_or("no login", |login| login.from);
        match asked {
            Ok(()) => findings.push(Finding::new("push", format!("to {}, {from}", server.url))),
            Err(error) if error.is_unreachable() => {
                let text = format!("to {}, {from}; it does not answer now: {error}", server.url);
                findings.push(Finding::new("push", text));
            }
            Err(error @ OrderError::Branch(_)) => return Ok(Some(problem(error))),
            Err(error) => return Err(problem(error)),
        }
        Ok(None)
    }

    /// The login at the server that is pushed to.
    pub(super) fn login(&self) -> Option<Login> {
        self.server.as_ref().and_then(|(_, login)| login.clone())
    }

    pub(super) fn reference(&self, environment: &Environment) -> RepositoryRef {
        let origin = match &self.ordered.origin {
            Origin::Local(path) => Some(path.to_string_lossy().into_owned()),
            Origin::Url(url) => Some(url.to_string()),
            Origin::None | Origin::Unfit(_) => None,
        };
        RepositoryRef::Checkout(CheckoutRef {
            identity: self.ordered.identity.to_string_lossy().into_owned(),
            path: self.ordered.top.clone(),
            origin,
            head_branch: self.ordered.head_branch.clone(),
            ssh_agent: environment.path("SSH_AUTH_SOCK").filter(|_| self.push),
            private_addresses: self.private_addresses && self.push,
            login: self.login().map(|_| String::new()),
        })
    }

    pub(super) fn findings(&self) -> Vec<Finding> {
        let Ordered { top, head_branch, base, filters, .. } = &self.ordered;
        let on = head_branch.as_deref().map(|name| format!(" on {name}")).unwrap_or_default();
        let mut findings = vec![Finding::new(
            "repository",
            format!("{}{on}, base {}", top.display(), base.short()),
        )];
        if !self.dirty.is_empty() {
            let count = self.dirty.len();
            let named: Vec<&str> =
                self.dirty.iter().take(FILES_SHOWN).map(String::as_str).collect();
            let more = if count > FILES_SHOWN { ", .." } else { "" };
            let what = if self.taken {
                "are taken along"
            } else {
                "are not committed and stay behind (--include-dirty takes them along)"
            };
            findings.push(Finding::new(
                "uncommitted",
                format!("{count} files {what}: {}{more}", named.join(", ")),
            ));
        }
        if !filters.is_empty() {
            findings.push(Finding::new("filters", format!("not run: {}", filters.join(", "))));
        }
        findings
    }
}
