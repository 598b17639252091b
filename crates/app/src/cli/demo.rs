//! `midwatch demo`: the whole path on a sample repository, with a real agent. The model is a
//! rehearsal unless the user's own is asked for.

use midwatch_api::task::Egress;
use midwatch_core::id::TaskName;
use midwatch_rehearsal::Server;
use midwatch_rehearsal::demo::{Sample, sample};
use midwatch_web::PatchForm;

use super::Context;
use super::run::{submit_and_watch, suffix};
use crate::client::Client;
use crate::discover::{Rehearsal, Wanted};
use crate::output::Ink;
use crate::problem::{Problem, exit};

/// Shows the whole path on a sample repository, with no account
///
/// Makes a small repository with a failing test and runs the pipeline `change` on it with the
/// real Claude Code in the real sandbox. The model is a rehearsal: a scripted endpoint on this
/// machine, which takes a wrong turn once, so that a check fails and is repaired, and whose
/// review asks for one change. With --live the model is yours.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  midwatch demo\n  midwatch demo --live")]
pub(super) struct Demo {
    /// Use your own login instead of the rehearsal
    #[arg(long)]
    live: bool,
}

impl Demo {
    pub(super) async fn carry_out(self, context: &Context) -> Result<u8, Problem> {
        let suffix = suffix()?;
        let place = std::env::temp_dir().join(format!("midwatch-demo-{suffix}"));
        let folder = place.join("bells");
        let made = sample::make(&folder).map_err(|error| {
            Problem::cannot(
                format!("the sample repository {} cannot be made: {error}", folder.display()),
                "the demo needs git, and a temporary folder that can be written",
            )
        })?;
        let Sample { folder, goal, commit: _ } = &made;
        let output = context.output;
        output.say_marked(
            Ink::Strong,
            "demo:",
            &format!("a repository with a failing test, {}", folder.display()),
        );
        // Dropped at the end of the run: until then the gateway speaks to it.
        let rehearsal = if self.live { None } else { Some(start()?) };
        let model = match &rehearsal {
            Some(_) => {
                "a rehearsal: what the model says is scripted; agent, sandbox, gateway and checks are real"
            }
            None => "yours, by your login: this costs tokens",
        };
        output.say_marked(Ink::Strong, "model:", model);
        let environment = context.environment.at(folder);
        let name = TaskName::parse(&format!("demo-{suffix}"))?;
        let wanted = Wanted {
            // Nothing has to be downloaded.
            egress: Some(Egress::None),
            rehearsal: rehearsal
                .as_ref()
                .map(|server| Rehearsal { url: server.url(), key: server.key().into() }),
            ..Wanted::new(name, (*goal).to_owned())
        };
        let task = wanted.name.clone();
        let client = Client::new(&environment);
        let here = Context { environment, output, signals: context.signals.clone() };
        let code = match submit_and_watch(&here, &client, wanted, false).await {
            Ok(code) => code,
            Err(problem) => {
                // Without a task nothing in it is anybody's. Who gets no answer does not know.
                let is_none = |problem: Problem| problem.exit == exit::USAGE;
                if !client.knows_tasks() || client.get(task.as_str()).await.is_err_and(is_none) {
                    let _ = std::fs::remove_dir_all(&place);
                }
                return Err(problem);
            }
        };
        if code == exit::FINE && !output.is_json() {
            let patch = client.patch(task.as_str(), PatchForm::Patch).await?;
            output.tell("");
            for line in patch.text.lines() {
                output.tell_painted(&super::diff::painted(output, line));
            }
            output.say(&format!("\nlook around: git -C {} log --oneline --all", folder.display()));
        }
        Ok(code)
    }
}

fn start() -> Result<Server, Problem> {
    Server::start()
        .map_err(|error| Problem::internal(format!("the rehearsal cannot start: {error}")))
}
