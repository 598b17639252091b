//! Finds what a user has on this machine and makes an order of it. Everything that was found is
//! said, with its why; nothing is found twice by a server in another environment.
//!
//! ```text
//! flags ─► profile ─► agent, credential ─┐
//!          repository ─► base ─► checks, setup ─► TaskOrder
//!          PATH ─► toolchains, registries ┘
//! ```

use midwatch_api::control::Submit;
use midwatch_api::object::Object;
use midwatch_api::pipeline::PipelineSpec;
use midwatch_api::repository::check_command;
use midwatch_api::task::{AgentRef, Egress, TaskOrder};
use midwatch_core::id::{BranchName, TaskName};
use midwatch_core::pipeline::{Pipeline, Said, SaidIn};
use secrecy::{ExposeSecret as _, SecretString};

use crate::environment::Environment;
use crate::problem::Problem;
use checks::Checks;

pub(crate) mod agent;
pub(crate) mod ca;
pub(crate) mod checks;
pub(crate) mod credential;
mod fallbacks;
pub(crate) mod hosts;
mod instructions;
mod limits;
pub(crate) mod nearest;
pub(crate) mod pipeline;
pub(crate) mod program;
pub(crate) mod proxy;
pub(crate) mod registries;
pub(crate) mod repository;
pub(crate) mod server_login;
pub(crate) mod source;
pub(crate) mod toolchains;

pub(crate) use registries::Clients;

/// The pipeline of who names none.
pub(crate) const DEFAULT_PIPELINE: &str = "change";

/// What a person wants, before anything was found.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) goal: String,
    pub(crate) name: TaskName,
    /// The name was given, not made: there may be a task of that name.
    pub(crate) named: bool,
    pub(crate) agent: Option<String>,
    pub(crate) profile: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) pipeline: String,
    pub(crate) base: Option<String>,
    pub(crate) checks: Vec<String>,
    pub(crate) no_check: bool,
    pub(crate) known_failures: bool,
    pub(crate) setup: Option<String>,
    pub(crate) branch: Option<String>,
    pub(crate) push: bool,
    pub(crate) include_dirty: bool,
    pub(crate) egress: Option<Egress>,
    pub(crate) wall_seconds: Option<u64>,
    pub(crate) accept_missing: Vec<String>,
    /// Under which name a snapshot of uncommitted work is kept.
    pub(crate) snapshot: TaskName,
    /// A model that is none, instead of the user's own.
    pub(crate) rehearsal: Option<Rehearsal>,
    /// What an object says beside flags.
    pub(crate) given: Given,
}

impl Wanted {
    /// A goal, and everything else as it is usual.
    pub(crate) fn new(name: TaskName, goal: String) -> Self {
        Self {
            goal,
            snapshot: name.clone(),
            name,
            named: false,
            agent: None,
            profile: None,
            model: None,
            pipeline: DEFAULT_PIPELINE.into(),
            base: None,
            checks: vec![],
            no_check: false,
            known_failures: false,
            setup: None,
            branch: None,
            push: false,
            include_dirty: false,
            egress: None,
            wall_seconds: None,
            accept_missing: vec![],
            rehearsal: None,
            given: Given::default(),
        }
    }
}

/// What objects say that no flag does.
#[derive(Debug, Clone, Default)]
pub(crate) struct Given {
    /// The profile, when it is an object.
    pub(crate) profile: Option<agent::Chosen>,
    /// Those of its fallbacks that are objects.
    pub(crate) fallbacks: Vec<agent::Chosen>,
    /// The pipeline, when it is an object.
    pub(crate) pipeline: Option<Object<PipelineSpec>>,
    /// The repository, when it is on a server.
    pub(crate) url: Option<String>,
    /// Where the wanted checks and setup come from, when it is no flag.
    pub(crate) from: Option<String>,
    /// Higher goes first.
    pub(crate) priority: i32,
}

/// The local stand-in for a model.
#[derive(Debug, Clone)]
pub(crate) struct Rehearsal {
    /// Its base URL on loopback.
    pub(crate) url: String,
    /// What it takes for a key. Works nowhere else.
    pub(crate) key: SecretString,
}

/// Whether a name of a profile or pipeline is a file's.
fn names_file(name: &str) -> bool {
    let ends = std::path::Path::new(name).extension();
    name.contains('/') || ends.is_some_and(|end| end == "yaml" || end == "yml")
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// What, in a word.
    pub(crate) what: &'static str,
    /// What it is, and why.
    pub(crate) text: String,
}

impl Finding {
    pub(crate) fn new(what: &'static str, text: impl Into<String>) -> Self {
        Self { what, text: text.into() }
    }
}

/// An order, and what goes with it.
#[derive(Debug)]
pub(crate) struct Discovery {
    pub(crate) order: TaskOrder,
    /// The credential, when it came from the environment.
    pub(crate) secret: Option<SecretString>,
    /// The same of each fallback that has a key of its own.
    pub(crate) fallback_secrets: Vec<Option<SecretString>>,
    /// The operator's own proxy.
    pub(crate) proxy: Option<SecretString>,
    /// The login at the server that is pushed to.
    pub(crate) login: Option<server_login::Login>,
    pub(crate) findings: Vec<Finding>,
    /// Why the branch cannot be set, unless it is that of the task that this order attaches to.
    pub(crate) taken: Option<Problem>,
}

impl Discovery {
    /// What is handed over for a task of this name.
    pub(crate) fn submit(self, name: &str) -> Submit {
        let Self { order, secret, fallback_secrets, proxy, login, findings: _, taken: _ } = self;
        let shown = |secret: SecretString| secret.expose_secret().to_owned();
        Submit {
            name: Some(name.to_owned()),
            order,
            secret: secret.map(shown),
            fallback_secrets: fallback_secrets.into_iter().map(|one| one.map(shown)).collect(),
            proxy: proxy.map(shown),
            login: login.map(|login| login.handed_over()),
        }
    }
}

/// Finds everything. Cheap things that can be wrong come first; package clients, which take
/// seconds, are asked beside the rest.
pub(crate) fn order(environment: &Environment, wanted: &Wanted) -> Result<Discovery, Problem> {
    usage(wanted)?;
    let pipeline: Object<PipelineSpec> = match &wanted.given.pipeline {
        Some(pipeline) => pipeline.clone(),
        None => pipeline::find(environment, &wanted.pipeline)?,
    };
    let steps = Pipeline::try_from(&pipeline)?;
    if wanted.given.from.is_none() {
        let said = Said {
            checks: &wanted.checks,
            setup: wanted.setup.as_deref(),
            known_failures: wanted.known_failures,
            branch: wanted.branch.as_deref(),
            push: wanted.push,
        };
        steps.uses(&said, SaidIn::Flags)?;
    }
    let chosen = match &wanted.given.profile {
        Some(chosen) => {
            agent::agrees(chosen, wanted.agent.as_deref(), wanted.profile.as_deref())?;
            chosen.clone()
        }
        None => agent::choose(environment, wanted.agent.as_deref(), wanted.profile.as_deref())?,
    };
    let model = agent::model(&chosen, wanted.model.as_deref())?;
    let egress = wanted.egress.or(chosen.spec.egress).unwrap_or(Egress::Registries);
    let limits = limits::of(&chosen.spec.limits, wanted.wall_seconds);

    std::thread::scope(|scope| {
        let asked =
            (egress == Egress::Registries).then(|| scope.spawn(|| registries::ask(environment)));
        let ca = ca::find(environment)?;
        let proxy = proxy::find(environment)?;
        let mut repository = source::find(environment, wanted, ca.as_ref())?;
        let checks =
            if steps.is_answer() { Checks::of_an_answer() } else { repository.checks(wanted)? };
        let told = repository.instructions(chosen.kind())?;
        let login = match &wanted.rehearsal {
            Some(rehearsal) => credential::rehearsal(rehearsal),
            None => credential::find(environment, &chosen)?,
        };
        let model = model.or_else(|| agent::model_for(chosen.kind(), &login).map(str::to_owned));
        let program = program::find(environment, &chosen)?;
        let toolchains =
            toolchains::find(environment, repository.top(), &chosen.spec.toolchains, &program)?;
        let mut custom = chosen.spec.custom.clone();
        if let Some(first) = custom.as_mut().and_then(|custom| custom.argv.first_mut()) {
            *first = program::inside(&program, &toolchains).to_string_lossy().into_owned();
        }
        let mut clients = match asked {
            // A panic there has been shown already; there are simply no names.
            Some(asked) => asked.join().unwrap_or_default(),
            None => Clients::default(),
        };
        clients.registries.extend(chosen.spec.registries.iter().cloned());
        clients.registries.sort();
        clients.registries.dedup();

        repository.include_dirty(environment, wanted)?;
        let mut findings = repository.findings();
        findings.push(program.finding(&chosen, model.as_deref()));
        findings.extend(wanted.given.profile.as_ref().map(agent::stored_finding));
        findings.push(login.finding(&chosen));
        findings.extend(told.finding);
        findings.extend(checks.findings());
        findings.extend(toolchains::findings(&toolchains));
        findings.extend(clients.findings(egress));
        findings.extend(ca.as_deref().map(ca::finding));
        findings.extend(proxy.as_ref().map(proxy::Found::finding));

        let mut client_env = clients.env;
        client_env.extend(checks.env);
        let first = AgentRef {
            adapter: chosen.kind().as_str().to_owned(),
            profile: chosen.name.clone(),
            program: program.real.clone(),
            model,
            instructions: instructions::joined(&chosen.spec.instructions, &told.text),
            credential_kind: login.kind.as_str().to_owned(),
            credential: login.reference.clone(),
            upstream: login.upstream.clone(),
            max_turns: chosen.spec.limits.max_turns,
            max_cost_cents: chosen.spec.limits.max_cost_cents,
            custom,
            rehearsal: wanted.rehearsal.is_some(),
        };
        let mut toolchains = toolchains;
        let found = fallbacks::find(
            environment,
            &wanted.given.fallbacks,
            &chosen,
            &first,
            &mut toolchains,
            |other, program| {
                toolchains::find(environment, repository.top(), &other.spec.toolchains, program)
            },
        )?;
        let (fallbacks, fallback_secrets) = found.into_iter().unzip();
        let order = TaskOrder {
            goal: wanted.goal.clone(),
            repository: repository.reference(environment),
            base: repository.base(),
            include_dirty: wanted.include_dirty,
            branch: wanted.branch.clone(),
            push: wanted.push,
            pipeline,
            agent: first,
            checks: checks.commands,
            checks_from: checks.from,
            setup: checks.setup,
            no_check: wanted.no_check,
            known_failures: wanted.known_failures,
            egress,
            registries: clients.registries,
            toolchains,
            workspace_path: checks.path,
            ca_bundle: ca,
            proxy: proxy.as_ref().map(|found| found.reference.clone()),
            client_env,
            check_env: checks.check_env,
            client_files: clients.files,
            limits,
            accept_missing: wanted.accept_missing.clone(),
            priority: wanted.given.priority,
            fallbacks,
            questions: chosen.spec.questions.unwrap_or_default(),
            follows: None,
        };
        // The server does the same; here nothing is created yet, and no server started.
        let base = repository.provisional().unwrap_or_else(|| order.base.clone());
        order.check_new()?;
        let spec = TaskOrder { base, ..order.clone() }.to_spec(wanted.name.as_str())?;
        let taken = repository.check_branch(&spec.branch, &mut findings)?;
        let proxy = proxy.map(|found| found.secret);
        let (secret, login) = (login.secret, repository.login());
        Ok(Discovery { order, secret, fallback_secrets, proxy, login, findings, taken })
    })
}

/// Flags that cannot stand together, and names that are none.
fn usage(wanted: &Wanted) -> Result<(), Problem> {
    let together = |flag: &str, other: &str, fix: &str| {
        Err(Problem::usage(flag, "", &format!("cannot be given beside {other}"), fix))
    };
    if wanted.no_check && wanted.push {
        return together("--no-check", "--push", "only verified work is pushed");
    }
    if wanted.no_check && !wanted.checks.is_empty() {
        return together("--no-check", "--check", "give one of the two");
    }
    if wanted.include_dirty && wanted.push {
        let fix = "commit first: what is pushed must stand on a commit of yours";
        return together("--include-dirty", "--push", fix);
    }
    if wanted.include_dirty && wanted.base.is_some() {
        return together("--include-dirty", "--base", "uncommitted work stands on HEAD");
    }
    if let Some(branch) = &wanted.branch {
        BranchName::parse(branch).map_err(|error| error.of("--branch"))?;
    }
    for check in &wanted.checks {
        check_command("--check", check)?;
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The least that somebody can want.
    pub(crate) fn wanted() -> Wanted {
        Wanted::new(TaskName::parse("t").unwrap(), "g".into())
    }

    #[test]
    fn flags_that_cannot_stand_together_are_wrong_usage() {
        let check = || vec!["c".to_owned()];
        for (case, word) in [
            (Wanted { no_check: true, push: true, ..wanted() }, "--push"),
            (Wanted { no_check: true, checks: check(), ..wanted() }, "--check"),
            (Wanted { include_dirty: true, push: true, ..wanted() }, "--push"),
            (Wanted { include_dirty: true, base: Some("x".into()), ..wanted() }, "--base"),
            (Wanted { branch: Some("a..b".into()), ..wanted() }, "--branch"),
            (Wanted { branch: Some("--upload-pack=x".into()), ..wanted() }, "--branch"),
            (Wanted { branch: Some("$(id)".into()), ..wanted() }, "--branch"),
            (Wanted { checks: vec![" ".into()], ..wanted() }, "--check"),
        ] {
            let problem = usage(&case).unwrap_err();
            assert!(problem.exit == 2 && problem.message.contains(word), "{problem:?}");
        }
        assert_eq!(usage(&wanted()), Ok(()));
    }
}
