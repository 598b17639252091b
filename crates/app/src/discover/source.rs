//! Where the base comes from: a checkout, which is read here, or a server, which the local server
//! asks when it takes the task. Of the second nothing is known here, so its checks must be said.

use std::path::{Path, PathBuf};

use midwatch_api::task::{RemoteRef, RepositoryRef};
use midwatch_core::agent::AgentKind;
use midwatch_core::id::BranchName;
use midwatch_publish::{RepositoryUrl, UrlRules};

use super::checks::{self, Checks};
use super::instructions::{self, Instructions};
use super::repository::{self, Repository};
use super::server_login::{self, Login};
use super::{Finding, Wanted};
use crate::environment::Environment;
use crate::problem::Problem;

/// Where the base comes from.
pub(super) enum Source {
    /// A checkout on this machine.
    Checkout(Box<Repository>),
    /// A repository on a server.
    Server(OnServer),
}

/// What is known of a repository on a server.
pub(super) struct OnServer {
    url: RepositoryUrl,
    login: Option<Login>,
    base: String,
    private_addresses: bool,
    folder: PathBuf,
}

/// Finds it: the URL that is wanted, else what is around the working folder.
pub(super) fn find(
    environment: &Environment,
    wanted: &Wanted,
    ca: Option<&PathBuf>,
) -> Result<Source, Problem> {
    let Some(url) = &wanted.given.url else {
        return repository::find(environment, wanted, ca).map(Box::new).map(Source::Checkout);
    };
    let url = RepositoryUrl::parse(url, url_rules(environment)?)
        .map_err(|error| error.of("spec.repository.url"))?;
    let folder = environment.home().to_owned();
    let login = server_login::find(environment, &folder, &url);
    let base = wanted.base.clone().unwrap_or_default();
    let private_addresses = repository::private_addresses(environment)?;
    Ok(Source::Server(OnServer { url, login, base, private_addresses, folder }))
}

/// This user's rules for URLs of repositories.
pub(crate) fn url_rules(environment: &Environment) -> Result<UrlRules, Problem> {
    let private_addresses = repository::private_addresses(environment)?;
    Ok(UrlRules { private_addresses, plain_http: false })
}

impl Source {
    /// Where toolchains of the project are looked for.
    pub(super) fn top(&self) -> &Path {
        match self {
            Self::Checkout(repository) => repository.top(),
            Self::Server(server) => &server.folder,
        }
    }

    pub(super) fn base(&self) -> String {
        match self {
            Self::Checkout(repository) => repository.base(),
            Self::Server(server) => server.base.clone(),
        }
    }

    pub(super) fn checks(&self, wanted: &Wanted) -> Result<Checks, Problem> {
        match self {
            Self::Checkout(repository) => checks::find(repository, wanted),
            Self::Server(_) => checks::said(wanted),
        }
    }

    pub(super) fn instructions(&self, kind: AgentKind) -> Result<Instructions, Problem> {
        match self {
            Self::Checkout(repository) => instructions::find(repository, kind),
            Self::Server(_) => Ok(Instructions::default()),
        }
    }

    pub(super) fn include_dirty(
        &mut self,
        environment: &Environment,
        wanted: &Wanted,
    ) -> Result<(), Problem> {
        match self {
            Self::Checkout(repository) if wanted.include_dirty => {
                repository.include_dirty(environment, &wanted.snapshot)
            }
            Self::Checkout(_) | Self::Server(_) => Ok(()),
        }
    }

    pub(super) fn findings(&self) -> Vec<Finding> {
        match self {
            Self::Checkout(repository) => repository.findings(),
            Self::Server(server) => {
                let from = server.login.as_ref().map_or("no login", |login| login.from);
                let base = if server.base.is_empty() { "its default branch" } else { &server.base };
                let text = format!("{}, {from}, base {base}", server.url);
                vec![Finding::new("repository", text)]
            }
        }
    }

    pub(super) fn reference(&self, environment: &Environment) -> RepositoryRef {
        match self {
            Self::Checkout(repository) => repository.reference(environment),
            Self::Server(server) => RepositoryRef::Remote(RemoteRef {
                url: server.url.to_string(),
                ssh_agent: environment.path("SSH_AUTH_SOCK"),
                private_addresses: server.private_addresses,
                // As for a checkout: empty until the server keeps it.
                login: server.login.as_ref().map(|_| String::new()),
                found: None,
            }),
        }
    }

    /// Why a branch cannot be set. A server's is checked when the task is taken.
    pub(super) fn check_branch(
        &self,
        branch: &BranchName,
        findings: &mut Vec<Finding>,
    ) -> Result<Option<Problem>, Problem> {
        match self {
            Self::Checkout(repository) => repository.check_branch(branch, findings),
            Self::Server(_) => Ok(None),
        }
    }

    /// The order in the words of the domain: every rule that needs no server.
    pub(super) fn provisional(&self) -> Option<String> {
        match self {
            Self::Checkout(_) => None,
            Self::Server(_) => Some("0".repeat(40)),
        }
    }

    pub(super) fn login(self) -> Option<Login> {
        match self {
            Self::Checkout(repository) => repository.login(),
            Self::Server(server) => server.login,
        }
    }
}
