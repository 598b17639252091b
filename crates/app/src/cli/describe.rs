//! `midwatch describe`: all about one task.

use midwatch_api::control::TaskView;
use midwatch_api::kind::Kind;
use midwatch_api::task::{CredentialRef, Egress, TaskOrder};
use midwatch_api::view::{LINE_VERSION, ResultLine};

use super::Context;
use super::delete::{target, task_of};
use super::get::{came_to, ink, json, object, yaml};
use crate::client::Client;
use crate::output::quantity::moment;
use crate::output::{Format, Output, approvals, escape, kept};
use crate::problem::{Problem, exit};

/// Shows all about one task: order, state, evidence, runs; or all of an object
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  midwatch describe fix-login\n  midwatch describe profile fast"
)]
pub(crate) struct Describe {
    /// A task; or a kind (task, profile, pipeline, repository) and a name
    #[arg(value_name = "[KIND] NAME", num_args = 1..=2, required = true)]
    words: Vec<String>,
}

impl Describe {
    pub(super) fn task(&self) -> Option<&str> {
        task_of(&self.words)
    }

    pub(super) async fn carry_out(self, context: &Context) -> Result<u8, Problem> {
        let client = Client::new(&context.environment);
        let (kind, name) = target(&self.words)?;
        if kind != Kind::Task {
            return object(context, &client, kind, name).await;
        }
        let (view, order) = (client.get(name).await?, client.order(name).await?);
        if context.output.format == Format::Yaml {
            yaml(context, &client, &view).await?;
        } else if context.output.is_json() {
            json(context.output, &view);
            context.output.json(&serde_json::json!({
                "type": "order", "version": LINE_VERSION, "task": name, "seq": 0,
                "order": order,
            }));
            context.output.json(&view.result);
        } else {
            describe(context.output, name, &view, &order);
        }
        Ok(exit::FINE)
    }
}

fn describe(output: Output, name: &str, view: &TaskView, order: &TaskOrder) {
    let result = &view.result;
    let state = view.shown_state().unwrap_or("?");
    output.tell_painted(&format!("{}  {}", escape::line(name), output.paint(ink(state), state)));
    output.tell(&format!("  {}", sentence(view)));
    plan(output, view);
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
    let mut lines = vec![
        ("goal", order.goal.clone()),
        ("repository", view.repository.clone()),
        ("base", text(&result.base)),
        ("pipeline", view.pipeline.clone()),
        ("commit", text(&result.commit)),
        ("branch", text(&result.branch)),
        ("changed", text(&result.diffstat)),
        ("saved work", text(&result.rescue_ref)),
        ("checks", format!("{} ({})", joined(&order.checks), order.checks_from)),
    ];
    lines.extend(sandbox(order));
    for note in &result.notes {
        lines.push(("note", note.clone()));
    }
    lines.extend(approved(result));
    lines.extend(kept(result));
    for check in &result.checks {
        let of = match (&result.commit, &check.base_outcome) {
            (None, _) => "on the base".to_owned(),
            (Some(_), Some(base)) => format!("{base} before"),
            (Some(_), None) => "not compared before".to_owned(),
        };
        let tests = check.tests_executed.map_or(String::new(), |n| format!(", {n} tests"));
        let said = format!("{} ({of}){tests}: {}", check.outcome, check.command);
        lines.push(("evidence", said));
    }
    for run in &view.runs {
        let (_, word) = came_to(run);
        lines.push(("run", format!("{} ({word}) {}", run.kind, run.folder)));
    }
    rows(output, &lines);
}

/// Why it waits or what it does, and when it goes on by itself.
pub(super) fn sentence(view: &TaskView) -> String {
    let until = view.waiting.as_ref().and_then(|waiting| waiting.until_ms);
    let until = until.and_then(moment).map(|at| format!("; it goes on at {at}"));
    let until = until.unwrap_or_default();
    format!("{}{until}", view.explain)
}

/// Who let what through. One row each, whatever somebody called themselves.
pub(super) fn approved(result: &ResultLine) -> impl Iterator<Item = (&'static str, String)> {
    approvals::sentences(result).into_iter().map(|said| ("approved", escape::line(&said)))
}

/// Work that is only in a workspace.
pub(super) fn kept(result: &ResultLine) -> impl Iterator<Item = (&'static str, String)> {
    kept::sentences(result).into_iter().map(|sentence| ("kept", sentence))
}

/// The plan that waits for an approval, apart from what is ours.
pub(super) fn plan(output: Output, view: &TaskView) {
    for line in view.plan.iter().flat_map(|plan| plan.lines()) {
        output.tell(&format!("  | {line}"));
    }
}

/// What the sandbox of a task is.
pub(super) fn sandbox(order: &TaskOrder) -> Vec<(&'static str, String)> {
    let limits = &order.limits;
    let egress = match order.egress {
        Egress::None => "the model gateway only".to_owned(),
        Egress::Registries if order.registries.is_empty() => {
            "the model gateway only: no registry was found".to_owned()
        }
        Egress::Registries => format!("the gateway and {}", joined(&order.registries)),
        Egress::Public => "the gateway and any public address, ports 80 and 443".to_owned(),
    };
    let credential = match &order.agent.credential {
        CredentialRef::None => "none".to_owned(),
        CredentialRef::Stored { .. } => "a key, held outside the sandbox".to_owned(),
        CredentialRef::ClaudeLogin { path } | CredentialRef::CodexLogin { path } => {
            format!("{}, read outside the sandbox", path.display())
        }
    };
    let setup = order.setup.as_ref();
    let tools: Vec<String> =
        order.toolchains.iter().map(|t| format!("{} ({})", t.name, t.folder.display())).collect();
    vec![
        ("agent", format!("{} as profile {}", order.agent.adapter, order.agent.profile)),
        ("model", order.agent.model.clone().unwrap_or_else(|| "the agent's own".to_owned())),
        ("credential", credential),
        ("reaches", egress),
        ("by way of", order.proxy.as_ref().map_or("no proxy".to_owned(), |p| joined(&p.servers))),
        ("checks reach", "nothing at all".to_owned()),
        ("setup", setup.map_or("none".to_owned(), |s| format!("{} ({})", s.command, s.from))),
        ("toolchains", joined(&tools)),
        (
            "limits",
            format!(
                "{} s a run, {} s without progress, {} MiB memory, {} processes, {} MiB disk",
                limits.wall_seconds,
                limits.idle_seconds,
                limits.memory_bytes >> 20,
                limits.pids,
                limits.disk_bytes >> 20
            ),
        ),
        ("may lack", joined(&order.accept_missing)),
    ]
}

fn joined(items: &[String]) -> String {
    if items.is_empty() { "none".to_owned() } else { items.join(", ") }
}

pub(super) fn rows(output: Output, rows: &[(&str, String)]) {
    for (name, value) in rows {
        let mut lines = value.lines();
        output.tell(&format!("  {name:<13}{}", lines.next().unwrap_or_default()));
        for more in lines {
            output.tell(&format!("  {:<13}{more}", ""));
        }
    }
}
