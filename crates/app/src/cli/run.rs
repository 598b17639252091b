//! `midwatch run`: from a sentence to a verified branch.

use std::ffi::OsString;
use std::path::PathBuf;

use midwatch_api::duration;
use midwatch_api::task::{Egress, Spoken};
use midwatch_api::view::LINE_VERSION;
use midwatch_core::id::TaskName;

use super::follow::{Interrupt, Told, watch};
use super::{Context, applied, beside, goal};
use crate::client::Client;
use crate::discover::agent;
use crate::discover::{self, Finding, Given, Wanted};
use crate::output::Ink;
use crate::problem::{Problem, exit};
use crate::wire;

/// Runs a task in this repository, with live progress
///
/// Finds repository, agent, login, setup and checks by itself and says what it found. Ends with a
/// verified branch in this repository, or with a reason and the next command. Ctrl-C stops and
/// saves; a second one kills. A closed terminal stops nothing.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  midwatch run \"make the tests pass\"\n  midwatch run --goal-file issue.md --check \"npm test\" --branch fix/issue-7\n  echo \"add a --quiet flag\" | midwatch run --goal-file - --detach\n  midwatch run \"update the docs\" --no-check --output json"
)]
pub(super) struct Run {
    /// What you want, in a sentence or more
    #[arg(value_name = "GOAL")]
    goal: Option<OsString>,

    /// Read the goal from a file, - for standard input
    #[arg(long, value_name = "FILE")]
    goal_file: Option<PathBuf>,

    /// The task's name; the same name with the same order attaches to it [default: from the goal]
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    pub(super) name: Option<String>,

    /// Who works: claude-code, codex, opencode, gemini-cli, aider, qwen-code, or a profile of
    /// yours [default: claude-code]
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,

    /// A profile by name or file: of your profiles folder, else one that was applied
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,

    /// The model [default: the profile's, else the agent's]
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,

    /// The steps: change, quick, approved-change, answer, one that was applied, or a YAML file
    #[arg(long, value_name = "NAME", default_value = "change")]
    pipeline: String,

    /// The commit to start from: a branch, tag or id [default: HEAD]
    #[arg(long, value_name = "REF", allow_hyphen_values = true)]
    base: Option<String>,

    /// A command that judges the result; may be given more than once [default: midwatch.yaml, else
    /// detected]
    #[arg(long, value_name = "CMD")]
    check: Vec<String>,

    /// Judge nothing: the result is Unverified everywhere
    #[arg(long)]
    no_check: bool,

    /// Accept exactly the tests that fail on the base
    #[arg(long)]
    known_failures: bool,

    /// The command that installs dependencies; empty for none [default: midwatch.yaml, else detected]
    #[arg(long, value_name = "CMD")]
    setup: Option<String>,

    /// The branch to leave the result in [default: midwatch/NAME]
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    branch: Option<String>,

    /// Push the verified branch to origin
    #[arg(long)]
    push: bool,

    /// Take uncommitted work along
    #[arg(long)]
    include_dirty: bool,

    /// What the sandbox may reach beside the model [default: registries]
    #[arg(long, value_name = "MODE", value_enum)]
    egress: Option<EgressMode>,

    /// The longest that one agent run may take, such as 30m; 10s to 24h [default: 60m]
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    timeout: Option<String>,

    /// Go without a layer of the sandbox: landlock, seccomp, cgroup, overlay
    #[arg(long, value_name = "LAYER")]
    accept_missing: Vec<String>,

    /// Print the task's name and leave it running
    #[arg(long)]
    detach: bool,
}

/// What a sandbox may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum EgressMode {
    /// Nothing
    None,
    /// The package registries that your clients use
    Registries,
    /// Any public address, ports 80 and 443
    Public,
}

impl From<EgressMode> for Egress {
    fn from(mode: EgressMode) -> Self {
        match mode {
            EgressMode::None => Self::None,
            EgressMode::Registries => Self::Registries,
            EgressMode::Public => Self::Public,
        }
    }
}

impl Run {
    pub(super) async fn carry_out(self, context: &Context) -> Result<u8, Problem> {
        let detach = self.detach;
        let client = Client::new(&context.environment);
        let wanted = self.wanted(context, &client).await?;
        submit_and_watch(context, &client, wanted, detach).await
    }

    /// Checks every flag before anything is looked for.
    async fn wanted(self, context: &Context, client: &Client) -> Result<Wanted, Problem> {
        // Standard input may stay open for long: a signal is heard meanwhile.
        let environment = context.environment.clone();
        let (words, file) = (self.goal, self.goal_file);
        let read =
            move || goal::read(Spoken::Goal, &environment, words.as_deref(), file.as_deref());
        let goal = beside(read).await??;
        let wall_seconds = self.timeout.as_deref().map(|text| duration::parse("--timeout", text));
        let wall_seconds = wall_seconds.transpose()?;
        let accept_missing = wire::accepted(&self.accept_missing)?;
        let (agent, profile) = (self.agent.as_deref(), self.profile.as_deref());
        let profile = match agent::stored_name(&context.environment, agent, profile) {
            Some(name) => applied::profile(client, name).await?,
            None => None,
        };
        // What is wrong with the flags is said when all is looked for.
        let chosen = match &profile {
            Some(chosen) => Some(chosen.clone()),
            None => agent::choose(&context.environment, agent, self.profile.as_deref()).ok(),
        };
        let fallbacks = match &chosen {
            Some(chosen) => {
                let find = async |name: &str| applied::profile(client, name).await;
                applied::fallbacks(&context.environment, chosen, find).await?
            }
            None => vec![],
        };
        let pipeline = applied::named_pipeline(client, &self.pipeline).await?;
        let name = match &self.name {
            Some(name) => TaskName::parse(name).map_err(|error| error.of("--name"))?,
            None => TaskName::from_goal(&goal, &suffix()?),
        };
        // A snapshot under the name of a task that goes on would take that task's base away.
        let asked = self.include_dirty && self.name.is_some() && client.knows_tasks();
        let taken = asked && client.get(name.as_str()).await.is_ok();
        let snapshot = if taken { TaskName::from_goal(&goal, &suffix()?) } else { name.clone() };
        Ok(Wanted {
            goal,
            name,
            named: self.name.is_some(),
            agent: self.agent,
            profile: self.profile,
            model: self.model,
            pipeline: self.pipeline,
            base: self.base,
            checks: self.check,
            no_check: self.no_check,
            known_failures: self.known_failures,
            setup: self.setup,
            branch: self.branch,
            push: self.push,
            include_dirty: self.include_dirty,
            egress: self.egress.map(Into::into),
            wall_seconds,
            accept_missing,
            snapshot,
            rehearsal: None,
            given: Given { profile, fallbacks, pipeline, ..Given::default() },
        })
    }
}

/// Keeps two tasks with one goal apart.
pub(super) fn suffix() -> Result<String, Problem> {
    let mut bytes = [0; 3];
    let got = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    match got {
        Ok(3) => Ok(midwatch_local::folder::hex(&bytes)),
        Ok(_) | Err(_) => Err(Problem::internal("the system gives no random bytes")),
    }
}

/// Finds everything, says it, submits, and watches.
pub(super) async fn submit_and_watch(
    context: &Context,
    client: &Client,
    wanted: Wanted,
    detach: bool,
) -> Result<u8, Problem> {
    let environment = context.environment.clone();
    let (name, named) = (wanted.name.clone(), wanted.named);
    let mut found = beside(move || discover::order(&environment, &wanted)).await??;
    if let Some(problem) = found.taken.take() {
        // The branch may be there because this very task left it: then the server compares. Where
        // there was never a task, no server has to be started to know.
        if !named || !client.knows_tasks() || client.get(name.as_str()).await.is_err() {
            return Err(problem);
        }
    }
    say(context, name.as_str(), &found.findings);
    let submit = found.submit(name.as_str());
    let interrupt = Interrupt::stops();
    if !detach {
        context.signals.leave_interrupts();
    }
    let submitted = client.submit(&submit).await?;
    drop(submit);
    context.signals.about(&submitted.task);
    let output = context.output;
    let text = if submitted.attached { "attached to task" } else { "task" };
    output.say_marked(Ink::Strong, text, &submitted.task);
    if detach {
        if output.is_json() {
            let task = client.get(&submitted.task).await?;
            output.json(&task.result);
        } else {
            output.tell(&submitted.task);
        }
        return Ok(exit::FINE);
    }
    watch(context, client, &submitted.task, interrupt, Told::All).await
}

/// Says what was found: people on stderr, scripts as lines of type `found`.
fn say(context: &Context, task: &str, findings: &[Finding]) {
    for Finding { what, text } in findings {
        context.output.say_marked(Ink::Faint, &format!("{what}:"), text);
        if context.output.is_json() {
            context.output.json(&serde_json::json!({
                "type": "found", "version": LINE_VERSION, "task": task, "seq": 0,
                "what": what, "text": text,
            }));
        }
    }
}
