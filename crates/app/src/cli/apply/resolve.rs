//! From a task's object to what is wanted: names of other objects are looked up beside it, then
//! in the store, then among files and what is built in.

use std::path::Path;

use midwatch_api::agent_task::AgentTaskSpec;
use midwatch_api::document::{Document, Fault};
use midwatch_api::kind::{AnyObject, Kind};
use midwatch_api::nearest::known;
use midwatch_api::object::Object;
use midwatch_api::pipeline::{is_shipped, shipped_names};
use midwatch_api::repository::{AgentRepositorySpec, CheckSpec};
use midwatch_core::id::TaskName;
use midwatch_core::input::InvalidInput;
use midwatch_core::pipeline::{Pipeline, Said, SaidIn};

use super::super::applied;
use super::{Context, among};
use crate::client::Client;
use crate::discover::agent::{self, Chosen};
use crate::discover::hosts::check_hosts;
use crate::discover::source::url_rules;
use crate::discover::{DEFAULT_PIPELINE, Given, Wanted, pipeline as pipelines};
use crate::environment::Environment;
use crate::problem::Problem;

/// A task, ready to be looked for on this machine; nothing where it is stored already.
pub(super) struct Resolved {
    pub(super) environment: Environment,
    pub(super) wanted: Option<Wanted>,
}

/// Rules of URLs and hosts.
pub(super) fn hosts(
    environment: &Environment,
    documents: &[Document],
) -> Result<Vec<Fault>, Problem> {
    let rules = url_rules(environment)?;
    let checked = documents.iter().map(|document| (document, check_hosts(&document.object, rules)));
    Ok(checked.filter_map(|(document, told)| Some(document.fault(told.err()?))).collect())
}

/// Every task of the documents, in their order.
pub(super) async fn tasks(
    context: &Context,
    client: &Client,
    documents: &[Document],
    faults: &mut Vec<Fault>,
) -> Result<Vec<Resolved>, Problem> {
    let mut resolved = Vec::new();
    for document in documents {
        let AnyObject::Task(task) = &document.object else { continue };
        if let Some(stored) = client.stored(Kind::Task, &task.metadata.name).await? {
            let ours = document.object.to_wire();
            let ours = ours.map_err(|error| Problem::internal(error.to_string()))?;
            if stored.object.spec == ours.spec {
                resolved.push(Resolved { environment: context.environment.clone(), wanted: None });
            } else {
                let rule = "was submitted with another spec, and a task is immutable";
                let fix =
                    "give another name, or `midwatch delete` it where none of its work was saved";
                let name = &task.metadata.name;
                let what = InvalidInput::new("metadata.name", name, rule, fix);
                faults.push(document.fault(what));
            }
            continue;
        }
        let looked_up = Lookup { context, client, documents };
        match looked_up.wanted(task).await? {
            Ok(found) => resolved.push(found),
            Err(what) => faults.push(document.fault(what)),
        }
    }
    Ok(resolved)
}

struct Lookup<'a> {
    context: &'a Context,
    client: &'a Client,
    documents: &'a [Document],
}

type Found<T> = Result<Result<T, InvalidInput>, Problem>;

impl Lookup<'_> {
    /// An object by name: of this command, else stored.
    async fn object(&self, kind: Kind, name: &str) -> Result<Option<AnyObject>, Problem> {
        if let Some(object) = among(self.documents, kind, name) {
            return Ok(Some(object.clone()));
        }
        let Some(stored) = self.client.stored(kind, name).await? else { return Ok(None) };
        Ok(Some(AnyObject::try_from(stored.object)?))
    }

    async fn wanted(&self, task: &Object<AgentTaskSpec>) -> Found<Resolved> {
        let AgentTaskSpec {
            goal,
            repository,
            base,
            pipeline,
            agent,
            model,
            checks,
            no_check,
            known_failures,
            setup,
            branch,
            push,
            egress,
            timeout: _,
            priority,
        } = &task.spec;
        let mut given = Given { priority: *priority, ..Given::default() };
        let mut place = AgentRepositorySpec {
            url: repository.url.clone(),
            path: repository.path.clone(),
            ..AgentRepositorySpec::default()
        };
        if let Some(name) = &repository.name {
            match self.object(Kind::Repository, name).await? {
                Some(AnyObject::Repository(found)) => place = found.spec,
                Some(_) | None => return Ok(Err(self.unknown(Kind::Repository, name).await?)),
            }
        }
        let environment = match &place.path {
            Some(path) => match checkout(path) {
                Ok(()) => self.context.environment.at(path),
                Err(what) => return Ok(Err(what)),
            },
            None => self.context.environment.clone(),
        };
        given.url.clone_from(&place.url);
        if let Some(name) = pipeline
            && !is_shipped(name)
        {
            match self.object(Kind::Pipeline, name).await? {
                Some(AnyObject::Pipeline(found)) => given.pipeline = Some(found),
                Some(_) | None => return Ok(Err(self.unknown(Kind::Pipeline, name).await?)),
            }
        }
        let name = pipeline.as_deref().unwrap_or(DEFAULT_PIPELINE);
        let steps = match &given.pipeline {
            Some(found) => Pipeline::try_from(found)?,
            None => Pipeline::try_from(&pipelines::find(&environment, name)?)?,
        };
        // What a repository says is for all its tasks, and may be of use to others only.
        let own = commands(checks);
        let said = Said {
            checks: &own,
            setup: setup.as_deref(),
            known_failures: *known_failures,
            branch: branch.as_deref(),
            push: *push,
        };
        if let Err(what) = steps.uses(&said, SaidIn::Object) {
            return Ok(Err(what));
        }
        if let Some(name) = agent {
            match self.object(Kind::Profile, name).await? {
                Some(AnyObject::Profile(found)) => {
                    given.profile = Some(Chosen { name: name.clone(), spec: found.spec });
                }
                Some(_) | None if agent::names(&environment).contains(name) => {}
                Some(_) | None => return Ok(Err(self.unknown(Kind::Profile, name).await?)),
            }
        }
        let chosen = match &given.profile {
            Some(chosen) => Some(chosen.clone()),
            None => agent::choose(&environment, agent.as_deref(), None).ok(),
        };
        if let Some(chosen) = &chosen {
            let find = async |name: &str| match self.object(Kind::Profile, name).await? {
                Some(object) => applied::of(object),
                None => Ok(None),
            };
            given.fallbacks = applied::fallbacks(&environment, chosen, find).await?;
        }
        let named = if checks.is_empty() { &place.checks } else { checks };
        given.from = match (&repository.name, checks.is_empty() && setup.is_none()) {
            (Some(name), true) => Some(format!("AgentRepository {name}")),
            (Some(_) | None, _) => Some("the task's spec".to_owned()),
        };
        let name = TaskName::parse(&task.metadata.name)?;
        let wanted = Wanted {
            goal: goal.clone(),
            snapshot: name.clone(),
            name,
            named: true,
            agent: agent.clone(),
            profile: None,
            model: model.clone(),
            pipeline: pipeline.clone().unwrap_or_else(|| DEFAULT_PIPELINE.to_owned()),
            base: base.clone().or(place.base),
            checks: if *no_check { vec![] } else { commands(named) },
            no_check: *no_check,
            known_failures: *known_failures,
            setup: setup.clone().or(place.setup),
            branch: branch.clone(),
            push: *push,
            include_dirty: false,
            egress: *egress,
            wall_seconds: task.spec.wall_seconds()?,
            accept_missing: vec![],
            rehearsal: None,
            given,
        };
        Ok(Ok(Resolved { environment, wanted: Some(wanted) }))
    }

    /// A name that nobody knows, and those that are known.
    async fn unknown(&self, kind: Kind, name: &str) -> Result<InvalidInput, Problem> {
        let mut names: Vec<String> = match kind {
            Kind::Profile => agent::names(&self.context.environment),
            Kind::Pipeline => shipped_names().map(ToOwned::to_owned).collect(),
            Kind::Task | Kind::Repository => vec![],
        };
        let documents = self.documents.iter().map(|document| &document.object);
        let beside = documents.filter(|object| object.kind() == kind);
        names.extend(beside.map(|object| object.name().to_owned()));
        if self.client.knows_tasks() {
            let stored = self.client.objects(kind).await?;
            names.extend(stored.into_iter().map(|stored| stored.object.metadata.name));
        }
        names.sort();
        names.dedup();
        let field = match kind {
            Kind::Profile => "spec.agent",
            Kind::Pipeline => "spec.pipeline",
            Kind::Task | Kind::Repository => "spec.repository.name",
        };
        let known = if names.is_empty() { "none is known".to_owned() } else { known(name, &names) };
        Ok(InvalidInput::new(field, name, &format!("names no {kind}"), &known))
    }
}

fn commands(checks: &[CheckSpec]) -> Vec<String> {
    checks.iter().map(|check| check.run.clone()).collect()
}

/// A folder that is there; whether it is a repository is seen when it is looked at.
fn checkout(path: &Path) -> Result<(), InvalidInput> {
    if path.is_dir() {
        return Ok(());
    }
    let shown = path.to_string_lossy();
    let rule = "is no folder on this machine";
    Err(InvalidInput::new("spec.repository.path", &shown, rule, "name a checkout, or give its url"))
}
