//! `midwatch get`: tasks, runs and objects, or one of them.

use midwatch_api::control::{Asked, ObjectView, PAGE_MAX, RunView, TaskView, state};
use midwatch_api::kind::Kind;
use midwatch_api::view::LINE_VERSION;

use super::Context;
use super::watch::{Row, watch};
use crate::client::Client;
use crate::output::{Format, Output};
use crate::problem::{Problem, exit};

mod object;
mod table;

pub(super) use table::{came_to, ink};

/// Lists tasks, newest first, or shows one; and profiles, pipelines, repositories, runs
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  midwatch get\n  midwatch get fix-login --output json\n  midwatch get tasks --state held,failed\n  midwatch get profiles\n  midwatch get profile fast -o yaml\n  midwatch get runs fix-login\n  midwatch get --watch\n  midwatch get runs fix-login --watch\n\nExit codes: 0 found, 2 no such task or object."
)]
pub(crate) struct Get {
    /// A task; or a kind (tasks, profiles, pipelines, repositories, runs) and perhaps a name; all
    /// tasks without it
    #[arg(value_name = "[KIND] [NAME]", num_args = 0..=2)]
    words: Vec<String>,

    /// How many at most
    #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,

    /// Only tasks in these states, joined by commas: queued, running, waiting (those that
    /// wait for their next attempt), held, done, unverified, answered, noChange, failed, cancelled
    #[arg(long, value_name = "STATE", value_delimiter = ',')]
    state: Vec<String>,

    /// Show whatever of it is new or has changed, until Ctrl-C
    #[arg(short, long)]
    watch: bool,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Target<'a> {
    Tasks(Option<&'a str>),
    Runs(Option<&'a str>),
    Objects(Kind, Option<&'a str>),
}

impl Get {
    fn target(&self) -> Result<Target<'_>, Problem> {
        let kind = |word: &str| match word {
            "run" | "runs" => Some(Target::Runs(None)),
            word => Kind::spoken(word).map(|kind| match kind {
                Kind::Task => Target::Tasks(None),
                Kind::Profile | Kind::Pipeline | Kind::Repository => Target::Objects(kind, None),
            }),
        };
        match self.words.as_slice() {
            [] => Ok(Target::Tasks(None)),
            [word] => Ok(kind(word).unwrap_or(Target::Tasks(Some(word)))),
            [word, name, ..] => match kind(word) {
                Some(Target::Tasks(_)) => Ok(Target::Tasks(Some(name))),
                Some(Target::Runs(_)) => Ok(Target::Runs(Some(name))),
                Some(Target::Objects(kind, _)) => Ok(Target::Objects(kind, Some(name))),
                None => {
                    let known = "known: tasks, profiles, pipelines, repositories, runs";
                    Err(Problem::usage("KIND", word, "is unknown", known))
                }
            },
        }
    }

    /// The task, when it is one.
    pub(super) fn task(&self) -> Option<&str> {
        match self.target() {
            Ok(Target::Tasks(name) | Target::Runs(name)) => name,
            Ok(Target::Objects(..)) | Err(_) => None,
        }
    }

    pub(super) async fn carry_out(self, context: &Context) -> Result<u8, Problem> {
        let client = Client::new(&context.environment);
        let target = self.target()?;
        let states = self.state.iter().map(|text| state(text).map_err(|e| e.of("--state")));
        let states = states.collect::<Result<Vec<_>, _>>()?;
        if self.watch {
            return self.watched(context, &client, &target, &states).await;
        }
        match target {
            Target::Objects(kind, name) => {
                object::show(context.output, context, &client, kind, name).await
            }
            Target::Runs(name) => {
                let (tasks, older) = tasks(&client, name, &states, self.limit).await?;
                table::runs(context.output, &runs_of(&tasks));
                if context.output.is_json() {
                    context.output.json(&Problem::nothing());
                }
                self.tell_older(context, older);
                Ok(exit::FINE)
            }
            Target::Tasks(name) => {
                let (tasks, older) = tasks(&client, name, &states, self.limit).await?;
                let code = show(context, &client, name, &tasks).await?;
                if tasks.is_empty() {
                    table::nothing(context.output, &self.state);
                }
                self.tell_older(context, older);
                Ok(code)
            }
        }
    }

    /// Lines of JSON for scripts, lines of text for everybody else.
    async fn watched(
        &self,
        context: &Context,
        client: &Client,
        target: &Target<'_>,
        states: &[String],
    ) -> Result<u8, Problem> {
        let (output, limit) = (context.output, self.limit);
        match *target {
            Target::Tasks(name) => {
                let ask = async || Ok(marked_tasks(tasks(client, name, states, limit).await?.0));
                watch(context, ask, |changed| match output.format {
                    Format::Json => changed.iter().for_each(|task| json(output, task)),
                    Format::Text | Format::Yaml => table::tasks(output, changed),
                })
                .await
            }
            Target::Runs(name) => {
                let ask = async || {
                    let (tasks, _) = tasks(client, name, states, limit).await?;
                    Ok(runs_of(&tasks).into_iter().map(marked_run).collect())
                };
                watch(context, ask, |changed| table::runs(output, changed)).await
            }
            Target::Objects(kind, name) => {
                let ask = async || {
                    let views = object::ask(client, kind, name).await?;
                    Ok(views.into_iter().map(marked_object).collect())
                };
                watch(context, ask, |changed| match output.format {
                    Format::Json => changed.iter().for_each(|view| object_json(output, view)),
                    Format::Text | Format::Yaml => object::rows(output, kind, changed),
                })
                .await
            }
        }
    }

    /// What is not shown is not silently left away.
    fn tell_older(&self, context: &Context, older: bool) {
        if older {
            let shown = self.limit;
            context.output.say(&format!("the newest {shown} are shown; --limit COUNT shows more"));
        }
    }
}

/// One task, or the newest of them, page by page; and whether there are older ones.
async fn tasks(
    client: &Client,
    name: Option<&str>,
    states: &[String],
    limit: u32,
) -> Result<(Vec<TaskView>, bool), Problem> {
    if let Some(name) = name {
        return Ok((vec![client.get(name).await?], false));
    }
    let mut all = Vec::new();
    let mut asked = Asked { limit: limit.min(PAGE_MAX), after: None, states: states.to_vec() };
    loop {
        let page = client.list(&asked).await?;
        let last = page.tasks.last().map(table::cursor);
        all.extend(page.tasks);
        let left = limit.saturating_sub(u32::try_from(all.len()).unwrap_or(u32::MAX));
        if left == 0 || page.next.is_none() || last.is_none() {
            return Ok((all, page.next.is_some()));
        }
        asked = Asked { limit: left.min(PAGE_MAX), after: last, states: states.to_vec() };
    }
}

async fn show(
    context: &Context,
    client: &Client,
    name: Option<&str>,
    tasks: &[TaskView],
) -> Result<u8, Problem> {
    let output = context.output;
    match output.format {
        Format::Json => {
            for task in tasks {
                json(output, task);
            }
            // The list itself has no state; its last line is there for those who wait for it.
            match (name, tasks.first()) {
                (Some(_), Some(task)) => output.json(&task.result),
                (Some(_) | None, _) => output.json(&Problem::nothing()),
            }
        }
        Format::Yaml => object::tasks(context, client, tasks).await?,
        Format::Text => table::tasks(output, tasks),
    }
    Ok(exit::FINE)
}

/// Every run of the tasks, oldest first in each, with its task's name.
fn runs_of(tasks: &[TaskView]) -> Vec<(String, RunView)> {
    let name = |task: &TaskView| task.result.task.clone().unwrap_or_default();
    let of = |task: &TaskView| task.runs.iter().map(|run| (name(task), run.clone())).collect();
    tasks.iter().flat_map::<Vec<_>, _>(of).collect()
}

fn marked_tasks(tasks: Vec<TaskView>) -> Vec<Row<TaskView>> {
    let marked = |task: TaskView| {
        let result = &task.result;
        let mark = format!("{:?} {:?} {}", result.state, result.reason, task.explain);
        Row { name: result.task.clone().unwrap_or_default(), mark, shown: task }
    };
    tasks.into_iter().map(marked).collect()
}

fn marked_run((task, run): (String, RunView)) -> Row<(String, RunView)> {
    let mark = format!("{} {:?}", run.open, run.outcome);
    Row { name: run.run.clone(), mark, shown: (task, run) }
}

fn marked_object(view: ObjectView) -> Row<ObjectView> {
    let mark = format!("{} {} {:?}", view.generation, view.changed_ms, view.damaged);
    Row { name: view.object.metadata.name.clone(), mark, shown: view }
}

/// All of one object: YAML for people, too, since that is how it was written.
pub(super) async fn object(
    context: &Context,
    client: &Client,
    kind: Kind,
    name: &str,
) -> Result<u8, Problem> {
    let output = context.output;
    let format = match output.format {
        Format::Json => Format::Json,
        Format::Text | Format::Yaml => Format::Yaml,
    };
    object::show(output.written_as(format), context, client, kind, Some(name)).await
}

/// A task as YAML that `apply` takes.
pub(super) async fn yaml(
    context: &Context,
    client: &Client,
    task: &TaskView,
) -> Result<(), Problem> {
    object::tasks(context, client, std::slice::from_ref(task)).await
}

/// A task as a line of type `task`, with all that is known.
pub(super) fn json(output: Output, task: &TaskView) {
    output.json(&serde_json::json!({
        "type": "task", "version": LINE_VERSION, "task": task.result.task, "seq": 0,
        "state": task.result.state, "goal": task.goal, "agent": task.agent,
        "pipeline": task.pipeline, "repository": task.repository, "explain": task.explain,
        "waiting": task.waiting, "plan": task.plan, "toApprove": task.to_approve,
        "submittedMs": task.submitted_ms, "endedMs": task.ended_ms, "runs": task.runs,
        "result": task.result,
    }));
}

/// An object as a line of type `object`.
pub(super) fn object_json(output: Output, view: &ObjectView) {
    output.json(&serde_json::json!({
        "type": "object", "version": LINE_VERSION, "task": null, "seq": 0,
        "kind": view.object.kind, "metadata": view.object.metadata, "spec": view.object.spec,
        "shipped": view.shipped, "generation": view.generation, "createdMs": view.created_ms,
        "changedMs": view.changed_ms, "damaged": view.damaged,
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_names_every_state_that_can_be_asked_for() {
        use clap::Args as _;
        let mut get = Get::augment_args(clap::Command::new("get"));
        let help = get.render_long_help().to_string().to_ascii_lowercase();
        let states = midwatch_core::task::StateName::ALL.iter().map(|state| state.as_str());
        for name in states.chain([midwatch_api::control::WAITING]) {
            assert!(help.contains(&name.to_ascii_lowercase()), "{name}: {help}");
            assert_eq!(state(&name.to_ascii_lowercase()), Ok(name.to_owned()));
        }
    }

    #[test]
    fn words_are_tasks_unless_they_name_a_kind() {
        let get = |words: &[&str]| Get {
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            limit: 1,
            state: vec![],
            watch: false,
        };
        for (words, expected) in [
            (&[][..], Target::Tasks(None)),
            (&["fix-login"], Target::Tasks(Some("fix-login"))),
            (&["tasks"], Target::Tasks(None)),
            (&["task", "profiles"], Target::Tasks(Some("profiles"))),
            (&["profiles"], Target::Objects(Kind::Profile, None)),
            (&["pipeline", "x"], Target::Objects(Kind::Pipeline, Some("x"))),
            (&["runs", "fix-login"], Target::Runs(Some("fix-login"))),
        ] {
            assert_eq!(get(words).target().unwrap(), expected, "{words:?}");
        }
        assert_eq!(get(&["pods", "x"]).target().unwrap_err().exit, 2);
    }
}
