//! Profiles, pipelines and repositories; and any object as the YAML that `apply` takes.

use midwatch_api::agent_task::{AgentTaskSpec, RepositoryTarget};
use midwatch_api::control::{ObjectView, TaskView};
use midwatch_api::kind::Kind;
use midwatch_api::object::{API_VERSION, Metadata};
use midwatch_api::repository::CheckSpec;
use midwatch_api::task::{RepositoryRef, TaskOrder};
use serde_json::{Value, json};

use super::super::Context;
use super::object_json;
use crate::client::Client;
use crate::discover::agent;
use crate::output::{Format, Ink, Output, escape, quantity};
use crate::problem::{Problem, exit};

/// Stands where others have their age.
const SHIPPED: &str = "shipped";

/// One object, or all of a kind.
pub(super) async fn ask(
    client: &Client,
    kind: Kind,
    name: Option<&str>,
) -> Result<Vec<ObjectView>, Problem> {
    match name {
        Some(name) => Ok(vec![client.object(kind, name).await?]),
        None => client.objects(kind).await,
    }
}

/// The same, shown.
pub(super) async fn show(
    output: Output,
    context: &Context,
    client: &Client,
    kind: Kind,
    name: Option<&str>,
) -> Result<u8, Problem> {
    let views = ask(client, kind, name).await?;
    match output.format {
        Format::Json => {
            for view in &views {
                object_json(output, view);
            }
            output.json(&Problem::nothing());
        }
        Format::Yaml => {
            for (place, view) in views.iter().enumerate() {
                print(context, place, &whole(view))?;
            }
        }
        Format::Text => table(context, kind, &views, name.is_none()),
    }
    Ok(exit::FINE)
}

fn whole(view: &ObjectView) -> Value {
    let status = if view.shipped {
        json!({"shipped": true})
    } else {
        match &view.damaged {
            None => json!({"generation": view.generation}),
            Some(why) => json!({"damaged": why}),
        }
    };
    json!({
        "apiVersion": API_VERSION, "kind": view.object.kind, "metadata": view.object.metadata,
        "spec": view.object.spec, "status": status,
    })
}

/// Tasks as `apply` takes them: as they were written, or made of their orders.
pub(super) async fn tasks(
    context: &Context,
    client: &Client,
    tasks: &[TaskView],
) -> Result<(), Problem> {
    for (place, task) in tasks.iter().enumerate() {
        let name = task.result.task.clone().unwrap_or_default();
        let stored = client.stored(Kind::Task, &name).await?;
        let (metadata, spec) = if let Some(stored) = stored {
            (stored.object.metadata, stored.object.spec)
        } else {
            let spec = short(&client.order(&name).await?);
            let spec = serde_json::to_value(spec);
            let spec = spec.map_err(|error| Problem::internal(error.to_string()))?;
            (Metadata { name, ..Metadata::default() }, spec)
        };
        let status = json!({"state": task.result.state, "reason": task.result.reason,
            "verified": task.result.verified, "branch": task.result.branch,
            "commit": task.result.commit, "base": task.result.base});
        let whole = json!({"apiVersion": API_VERSION, "kind": Kind::Task, "metadata": metadata,
            "spec": spec, "status": status});
        print(context, place, &whole)?;
    }
    Ok(())
}

/// An order in its short form.
fn short(order: &TaskOrder) -> AgentTaskSpec {
    let repository = match &order.repository {
        RepositoryRef::Checkout(checkout) => {
            RepositoryTarget { path: Some(checkout.path.clone()), ..RepositoryTarget::default() }
        }
        RepositoryRef::Remote(remote) => {
            RepositoryTarget { url: Some(remote.url.clone()), ..RepositoryTarget::default() }
        }
    };
    let wall = order.limits.wall_seconds;
    AgentTaskSpec {
        goal: order.goal.clone(),
        repository,
        base: Some(order.base.clone()),
        pipeline: Some(order.pipeline.metadata.name.clone()),
        agent: Some(order.agent.profile.clone()),
        model: order.agent.model.clone(),
        checks: order.checks.iter().map(|run| CheckSpec { run: run.clone() }).collect(),
        no_check: order.no_check,
        known_failures: order.known_failures,
        setup: order.setup.as_ref().map(|setup| setup.command.clone()),
        branch: order.branch.clone(),
        push: order.push,
        egress: Some(order.egress),
        timeout: Some(format!("{wall}s")),
        priority: order.priority,
    }
}

fn print(context: &Context, place: usize, value: &Value) -> Result<(), Problem> {
    let text = midwatch_api::document::write(value);
    let text = text.map_err(Problem::internal)?;
    let mark = if place == 0 { "" } else { "---\n" };
    context.output.tell(&format!("{mark}{}", text.trim_end()));
    Ok(())
}

/// The objects, one a line.
pub(super) fn rows(output: Output, kind: Kind, views: &[ObjectView]) {
    let now = jiff::Timestamp::now().as_millisecond();
    let width = views.iter().map(|view| view.object.metadata.name.len()).max().unwrap_or(0);
    let aged = if views.iter().any(|view| view.shipped) { SHIPPED.len() } else { 4 };
    for view in views {
        let name = escape::line(&view.object.metadata.name);
        if let Some(why) = &view.damaged {
            output.say_marked(Ink::Bad, "damaged:", why);
            continue;
        }
        let age = if view.shipped {
            SHIPPED.to_owned()
        } else {
            quantity::age(now.saturating_sub(view.changed_ms))
        };
        let said = about(kind, &view.object.spec);
        output.tell_painted(&format!(
            "{name:width$}  {age:>aged$}  {}",
            escape::shortened(&said, 60)
        ));
    }
}

fn table(context: &Context, kind: Kind, views: &[ObjectView], all: bool) {
    let output = context.output;
    rows(output, kind, views);
    if !all {
        return;
    }
    if views.is_empty() {
        output.say(&format!(
            "There are no {} here. `midwatch apply -f FILE` makes them.",
            kind.plural()
        ));
    }
    let known = match kind {
        Kind::Profile => agent::names(&context.environment).join(", "),
        Kind::Task | Kind::Pipeline | Kind::Repository => return,
    };
    output.say(&format!("Without an object: {known}."));
}

/// What matters most of an object, in a few words.
fn about(kind: Kind, spec: &Value) -> String {
    let text = |field: &str| spec[field].as_str().unwrap_or_default().to_owned();
    match kind {
        Kind::Profile => format!("{} {}", text("agent"), text("model")).trim().to_owned(),
        Kind::Pipeline => {
            let steps = spec["steps"].as_array().cloned().unwrap_or_default();
            let names = steps.iter().filter_map(|step| step["name"].as_str());
            names.collect::<Vec<_>>().join(" > ")
        }
        Kind::Repository => format!("{}{}", text("url"), text("path")),
        Kind::Task => text("goal"),
    }
}
