//! `midwatch open`: a result, or rescued work, in a worktree.

use std::path::PathBuf;

use midwatch_api::view::LINE_VERSION;

use super::Context;
use crate::client::Client;
use crate::output::Ink;
use crate::problem::{Problem, exit};

/// Puts a task's result, or what was saved of it, into a worktree
///
/// The worktree belongs to your repository and is on no branch; your checkout stays as it is.
/// Nothing of the repository runs while it is made.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  midwatch open fix-login\n  midwatch open fix-login /tmp/look\n  git worktree remove /tmp/look"
)]
pub(crate) struct Open {
    /// The task
    #[arg(value_name = "TASK")]
    pub(super) name: String,

    /// Where; a folder that does not exist. Without it, beside the repository
    #[arg(value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

impl Open {
    pub(super) async fn carry_out(self, context: &Context) -> Result<u8, Problem> {
        let client = Client::new(&context.environment);
        let folder = match self.folder {
            Some(folder) => std::path::absolute(&folder).map_err(|error| {
                Problem::usage(
                    "FOLDER",
                    &folder.to_string_lossy(),
                    &error.to_string(),
                    "give another",
                )
            })?,
            None => usual(context, &client, &self.name).await?,
        };
        if folder.to_str().is_none() {
            return Err(Problem::usage(
                "FOLDER",
                &folder.to_string_lossy(),
                "is not UTF-8",
                "give another",
            ));
        }
        if folder.symlink_metadata().is_ok() {
            return Err(Problem::usage(
                "FOLDER",
                &folder.to_string_lossy(),
                "exists",
                "name one that does not, or remove it with `git worktree remove`",
            ));
        }
        let opened = client.open(&self.name, &folder, umask()).await?;
        if context.output.is_json() {
            context.output.json(&serde_json::json!({
                "type": "opened", "version": LINE_VERSION, "task": self.name, "seq": 0,
                "folder": opened.folder, "commit": opened.commit, "from": opened.from,
            }));
            context.output.json(&client.get(&self.name).await?.result);
        } else {
            let from = format!("{} ({})", opened.from, opened.commit);
            context.output.say_marked(Ink::Good, "open:", &from);
            context.output.tell(&opened.folder.to_string_lossy());
        }
        Ok(exit::FINE)
    }
}

/// What this process leaves out of modes, as the system tells it: asking the usual way would
/// change it.
fn umask() -> Option<u32> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:"))?;
    u32::from_str_radix(line.trim(), 8).ok()
}

/// Beside the repository; of one on a server there is nothing here to be beside.
async fn usual(context: &Context, client: &Client, task: &str) -> Result<PathBuf, Problem> {
    match client.order(task).await?.repository.path() {
        Some(path) => beside(path, task),
        None => Ok(context.environment.folder().join(task)),
    }
}

fn beside(repository: &std::path::Path, task: &str) -> Result<PathBuf, Problem> {
    let name = repository.file_name().and_then(|name| name.to_str());
    let parent = repository.parent();
    match (parent, name) {
        (Some(parent), Some(name)) => Ok(parent.join(format!("{name}-{task}"))),
        (None | Some(_), None | Some(_)) => Err(Problem::usage(
            "FOLDER",
            "",
            "is needed: there is no place beside the repository",
            "name a folder that does not exist",
        )),
    }
}
