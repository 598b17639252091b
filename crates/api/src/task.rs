//! A task as it is ordered: what a person said, and what the client found on the machine.

use std::collections::BTreeMap;
use std::path::PathBuf;

use midwatch_core as core;
use serde::{Deserialize, Serialize};

use core::agent::{AgentKind, CredentialKind};
use core::id::{BranchName, CommitId, TaskName};
use core::input::InvalidInput;
use core::pipeline::{Pipeline, Said, SaidIn};
use core::task::{Follows, TaskSpec};

use crate::object::Object;
use crate::order::{CustomAgent, Limits, Toolchain};
use crate::pipeline::PipelineSpec;

mod rules;
mod talk;
mod workers;

pub use crate::place::{CheckoutRef, Found, RemoteRef, RepositoryRef};
pub use talk::{FollowsRef, GOAL_MAX, QuestionPolicy, Spoken};
use workers::fallback;

/// Everything about a task but its name. Immutable; the same name with an equal order is the
/// same task. Holds no secret: a credential is a file's path or an id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TaskOrder {
    /// What a person asks.
    pub goal: String,
    /// Where the work is done.
    pub repository: RepositoryRef,
    /// The base's full id. In an order for a server's repository also a branch, a tag, or empty
    /// for its default branch, until the order is taken.
    #[serde(default)]
    pub base: String,
    /// Uncommitted work was taken along: the base is a snapshot of ours.
    pub include_dirty: bool,
    /// The branch of ours; none: `midwatch/<task>`.
    pub branch: Option<String>,
    /// Push it to the remote.
    pub push: bool,
    /// The steps.
    pub pipeline: Object<PipelineSpec>,
    /// Who works.
    pub agent: AgentRef,
    /// The check commands.
    pub checks: Vec<String>,
    /// Where the checks come from, for people: `--check`, `midwatch.yaml`, `Cargo.toml found`.
    pub checks_from: String,
    /// How dependencies are installed.
    pub setup: Option<SetupRef>,
    /// Asked for without any check.
    pub no_check: bool,
    /// Accept exactly the base's failing set.
    pub known_failures: bool,
    /// What the sandbox may reach.
    pub egress: Egress,
    /// `host` or `host:port` of the package registries that this user's clients use.
    pub registries: Vec<String>,
    /// Toolchains outside the system folders.
    pub toolchains: Vec<Toolchain>,
    /// Folders put before PATH in checks and agents, relative to the workspace.
    pub workspace_path: Vec<String>,
    /// The operator's CA bundle.
    pub ca_bundle: Option<PathBuf>,
    /// The operator's own HTTP proxy, through which the broker dials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<ProxyRef>,
    /// Settings of package clients for agents and setup; never a secret.
    pub client_env: BTreeMap<String, String>,
    /// Settings for checks, which have no network: offline switches.
    pub check_env: BTreeMap<String, String>,
    /// Settings files under HOME.
    pub client_files: BTreeMap<PathBuf, String>,
    /// What each run may use up.
    pub limits: Limits,
    /// Layers that may be missing.
    pub accept_missing: Vec<String>,
    /// Higher goes first.
    pub priority: i32,
    /// Who works when the agent cannot, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallbacks: Vec<AgentRef>,
    /// What becomes of questions that agents ask.
    #[serde(default)]
    pub questions: QuestionPolicy,
    /// The task that this one goes on from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<Box<FollowsRef>>,
}

impl TaskOrder {
    /// The ids of everything that the server keeps for this order in `credentials`.
    pub fn kept_ids(&self) -> impl Iterator<Item = &str> {
        let credentials = self.workers().filter_map(|worker| match &worker.credential {
            CredentialRef::Stored { id, .. } => Some(id.as_str()),
            CredentialRef::None
            | CredentialRef::ClaudeLogin { .. }
            | CredentialRef::CodexLogin { .. } => None,
        });
        let proxy = self.proxy.as_ref().map(|proxy| proxy.id.as_str());
        credentials.chain(proxy).chain(self.repository.login())
    }
}

/// The agent, resolved by the client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AgentRef {
    /// The adapter.
    pub adapter: String,
    /// The profile's name.
    pub profile: String,
    /// The program's real path outside; its folder is covered by a toolchain.
    pub program: PathBuf,
    /// The model.
    pub model: Option<String>,
    /// Standing instructions.
    pub instructions: String,
    /// The kind of credential.
    pub credential_kind: String,
    /// Where the credential is.
    pub credential: CredentialRef,
    /// The provider's base URL, which may have a path.
    pub upstream: Option<String>,
    /// The most turns of a run.
    pub max_turns: Option<u32>,
    /// The most money of a run in US cents, by the CLI's estimate.
    pub max_cost_cents: Option<u32>,
    /// The declaration of a custom agent.
    pub custom: Option<CustomAgent>,
    /// The model is a local rehearsal: said beside every "verified".
    pub rehearsal: bool,
}

/// Where a credential is. Never the credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "from", rename_all = "PascalCase", rename_all_fields = "camelCase")]
pub enum CredentialRef {
    /// The agent needs none.
    None,
    /// Handed over with the order, kept by the server in `credentials/<id>`.
    Stored {
        /// The id: a digest, so that the same key is stored once.
        id: String,
        /// The variable that it stood in, for the next time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        variable: Option<String>,
    },
    /// Claude Code's own login file, read afresh.
    ClaudeLogin {
        /// Its path.
        path: PathBuf,
    },
    /// codex's own login file, read afresh.
    CodexLogin {
        /// Its path.
        path: PathBuf,
    },
}

/// The operator's own HTTP proxy. Its address may hold a password and is kept like a credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProxyRef {
    /// Kept by the server in `credentials/<id>`; empty until it is.
    pub id: String,
    /// `host:port` of each, for people.
    pub servers: Vec<String>,
}

/// How dependencies are installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetupRef {
    /// The command.
    pub command: String,
    /// Where it comes from, for people.
    pub from: String,
    /// Cache folders of HOME to keep.
    pub keep_home: Vec<PathBuf>,
}

/// What a sandbox may reach beside the model gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Egress {
    /// Nothing.
    None,
    /// The package registries.
    Registries,
    /// Any public address, ports 80 and 443.
    Public,
}

impl TaskOrder {
    /// Refuses what no step would use.
    fn uses_all(&self) -> Result<(), InvalidInput> {
        let said = Said {
            checks: &self.checks,
            setup: self.setup.as_ref().map(|setup| setup.command.as_str()),
            known_failures: self.known_failures,
            branch: self.branch.as_deref(),
            push: self.push,
        };
        Pipeline::try_from(&self.pipeline)?.uses(&said, SaidIn::Order)
    }

    /// The order in the words of the domain, whole or with the first fault.
    pub fn to_spec(&self, name: &str) -> Result<TaskSpec, InvalidInput> {
        let name = TaskName::parse(name)?;
        Spoken::Goal.check(&self.goal)?;
        let branch = match &self.branch {
            Some(branch) => BranchName::parse(branch).map_err(|e| e.of("--branch"))?,
            None => BranchName::parse(&format!("midwatch/{name}"))?,
        };
        let pipeline = Pipeline::try_from(&self.pipeline)?;
        // An answer changes nothing: there is nothing to check, to install for, or to hand over.
        let answers = pipeline.is_answer();
        if self.no_check && self.push {
            return Err(InvalidInput::new(
                "--no-check",
                "",
                "cannot be pushed: only verified work is",
                "leave --push away, or name a check",
            ));
        }
        if self.no_check != self.checks.is_empty() && !answers {
            return Err(InvalidInput::new(
                "--check",
                "",
                "is needed: no check is configured or was found",
                "pass --check CMD, write midwatch.yaml, or say --no-check",
            ));
        }
        let remote = match &self.repository {
            RepositoryRef::Checkout(_) => false,
            RepositoryRef::Remote(_) => true,
        };
        if self.repository.protected().contains(&branch.as_str()) {
            let rule = if remote {
                "is the base branch or the default branch"
            } else {
                "is the branch that you are on"
            };
            let fix = "give another name; ours is never the base branch";
            return Err(InvalidInput::new("--branch", branch.as_str(), rule, fix));
        }
        if remote && (self.no_check || self.include_dirty) {
            let field = if self.no_check { "--no-check" } else { "--include-dirty" };
            return Err(InvalidInput::new(
                field,
                "",
                "needs a checkout on this machine, and the repository is a URL",
                "leave it away, or run it in a checkout",
            ));
        }
        let agent = AgentKind::parse(&self.agent.adapter).ok_or_else(|| {
            let known = AgentKind::ALL.map(AgentKind::as_str).join(", ");
            InvalidInput::new(
                "agent",
                &self.agent.adapter,
                "is unknown",
                &format!("known: {known}"),
            )
        })?;
        let kind = &self.agent.credential_kind;
        let credential = CredentialKind::parse(kind).ok_or_else(|| {
            InvalidInput::new(
                "credentialKind",
                kind,
                "is unknown",
                "ask the client of this version",
            )
        })?;
        let wall = self.limits.wall_seconds;
        if !(10..=86_400).contains(&wall) {
            return Err(InvalidInput::new(
                "--timeout",
                &format!("{wall}s"),
                "must be 10s to 24h",
                "for example 30m",
            ));
        }
        Ok(TaskSpec {
            name,
            goal: self.goal.clone(),
            repository: self.repository.identity().to_owned(),
            base: CommitId::parse(&self.base).map_err(|e| e.of("base"))?,
            pipeline,
            agent,
            profile: self.agent.profile.clone(),
            model: self.agent.model.clone(),
            credential,
            credential_key: self.agent.credential_key(),
            resumes: self.agent.resumes(agent),
            fallbacks: self.fallbacks.iter().map(fallback).collect::<Result<_, _>>()?,
            questions: self.questions.into(),
            follows: self.follows.as_deref().map(Follows::try_from).transpose()?.map(Box::new),
            instructions: self.agent.instructions.clone(),
            checks: if answers { vec![] } else { self.checks.clone() },
            setup: self.setup.as_ref().filter(|_| !answers).map(|setup| setup.command.clone()),
            no_check: self.no_check,
            known_failures: self.known_failures,
            branch,
            // There is no other place to land in.
            push: self.push || remote,
            wall_seconds: wall,
            max_turns: self.agent.max_turns,
            priority: self.priority,
        })
    }
}
