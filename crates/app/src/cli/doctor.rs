//! `midwatch doctor`: what this machine has, measured by using it, and how to get what it lacks.

use midwatch_api::view::LINE_VERSION;
use midwatch_local::folder::StateFolder;
use midwatch_local::store::strays_beside;
use midwatch_publish::Git;
use midwatch_runner::Found;
use rustix::fs::{Access, access};
use rustix::io::Errno;

use super::{Context, beside};
use crate::discover::registries;
use crate::environment::Environment;
use crate::output::Ink;
use crate::problem::{Problem, exit};
use agents::Call;

mod agents;
mod cache;
mod head;
mod login;
mod night;
mod own;

/// Free bytes of the state folder's disk below which runs are likely to fail: a base, its
/// dependencies and a workspace of an ordinary project take a few hundred MiB each.
const DISK_FLOOR: u64 = 2 << 30;

/// The row of the server, where none can start.
const SERVER: &str = "server";

/// Checks this machine before you leave: sandbox, agents, logins, disk, git
///
/// Each login is tried by a tiny real call, which costs about a thousandth of a cent; the answer
/// counts for an hour, but not with --night. Exit code 6 when something that every run needs is
/// missing, when the login of the agent that tasks use by default is rejected, or when anything that
/// the agents of --profile need is not there.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  midwatch doctor\n  midwatch doctor --offline\n  midwatch doctor --night --tasks 50"
)]
pub(super) struct Doctor {
    /// Call no model
    #[arg(long)]
    offline: bool,

    /// Before you leave: also disk for all tasks, the clock, tasks that wait for a limit or for
    /// you, and the checks of this repository, run on HEAD in the sandbox
    #[arg(long)]
    night: bool,

    /// The profile that tasks are going to use: its agent and those that it falls back on decide
    #[arg(long, value_name = "NAME|FILE")]
    profile: Option<String>,

    /// How many tasks are going to run this night [default: those that are open, at least one]
    #[arg(long, value_name = "COUNT", requires = "night", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    tasks: Option<u32>,
}

/// How good something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    /// As it should be.
    Good,
    /// Worth knowing; runs work.
    Notable,
    /// Missing; some runs do not work.
    Optional,
    /// Missing; no run works.
    Missing,
}

/// One row.
struct Row {
    name: String,
    health: Health,
    text: String,
    remedy: Option<String>,
    /// Of somebody to work as, and not of the machine.
    of_agents: bool,
}

impl Row {
    fn new(name: &str, health: Health, text: impl Into<String>) -> Self {
        Self { name: name.into(), health, text: text.into(), remedy: None, of_agents: false }
    }

    fn with(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// That there is nobody to ask about tasks and objects, and why.
    fn no_server(problem: Problem) -> Self {
        Self { remedy: problem.hint, ..Self::new(SERVER, Health::Missing, problem.message) }
    }
}

impl Doctor {
    pub(super) async fn carry_out(self, context: &Context) -> Result<u8, Problem> {
        let environment = &context.environment;
        let folder = StateFolder::new(environment.state_folder());
        let mut rows = Vec::new();
        let usable = match writable(&folder) {
            Ok(()) => {
                let asked = folder.clone();
                rows.extend(beside(move || layers(&asked)).await?);
                rows.push(disk(&folder));
                let asked = folder.clone();
                rows.extend(beside(move || strays(&asked)).await?);
                true
            }
            Err(error) => {
                let row = Row::new("state", Health::Missing, error);
                rows.push(row.with("set MIDWATCH_HOME to a folder that can be written"));
                false
            }
        };
        rows.push(beside(git).await?);
        let call = match (usable && !self.offline, self.night) {
            (false, _) => Call::No,
            (true, false) => Call::Recent,
            (true, true) => Call::Anew,
        };
        let mut seen = agents::look(environment, &folder, call, self.profile.as_deref()).await?;
        rows.append(&mut seen.rows);
        let asked = environment.clone();
        rows.push(beside(move || network(&asked)).await?);
        if self.night && usable {
            // Checks need nobody to work as.
            let stands = |row: &Row| row.health != Health::Missing || row.of_agents;
            let ready = rows.iter().all(stands);
            let night = night::rows(context, &folder, self.tasks, ready, &seen).await?;
            // Whoever looked at the agents may have asked before.
            let told = rows.iter().any(|row| row.name == SERVER);
            rows.extend(night.into_iter().filter(|row| !told || row.name != SERVER));
        }
        for row in &rows {
            show(context, row);
        }
        let missing: Vec<&Row> = rows.iter().filter(|row| row.health == Health::Missing).collect();
        let names: Vec<&str> = missing.iter().map(|row| row.name.as_str()).collect();
        if names.is_empty() {
            if context.output.is_json() {
                context.output.json(&Problem::nothing());
            } else {
                let (ink, word) = match seen.limits.as_slice() {
                    [] => (Ink::Good, "ready"),
                    _ => (Ink::Notable, "ready, as far as limits allow: see the notes above"),
                };
                context.output.tell_painted(&context.output.paint(ink, word));
            }
            return Ok(exit::FINE);
        }
        let (message, hint) = (format!("missing: {}", names.join(", ")), "see the rows above");
        // Everything is there but somebody to work as.
        Err(if missing.iter().all(|row| row.of_agents) {
            Problem::login(message, hint)
        } else {
            Problem::sandbox(message, hint)
        })
    }
}

fn show(context: &Context, row: &Row) {
    let output = context.output;
    let (ink, word) = match row.health {
        Health::Good => (Ink::Good, "ok"),
        Health::Notable => (Ink::Notable, "note"),
        Health::Optional => (Ink::Notable, "lacks"),
        Health::Missing => (Ink::Bad, "MISSING"),
    };
    if output.is_json() {
        output.json(&serde_json::json!({
            "type": "doctor", "version": LINE_VERSION, "task": null, "seq": 0, "name": row.name,
            "health": word, "text": row.text, "remedy": row.remedy,
        }));
        return;
    }
    let word = output.paint(ink, &format!("{word:>7}"));
    let name = crate::output::escape::line(&row.name);
    output.tell_painted(&format!("{word}  {name}: {}", crate::output::escape::line(&row.text)));
    if let Some(remedy) = &row.remedy {
        output.tell(&format!("         {remedy}"));
    }
}

fn layers(folder: &StateFolder) -> Vec<Row> {
    midwatch_runner::probe(folder.root())
        .into_iter()
        .map(|state| {
            let name = state.layer.as_str();
            match state.found {
                Found::Present { detail } => Row::new(name, Health::Good, detail),
                Found::Weaker { why, remedy } => Row::new(name, Health::Notable, why).with(remedy),
                Found::Missing { why, remedy } => {
                    let row = Row::new(name, Health::Missing, why);
                    if state.layer.may_be_missing() {
                        row.with(format!("{remedy}; or --accept-missing {name}"))
                    } else {
                        row.with(remedy)
                    }
                }
            }
        })
        .collect()
}

/// That the database knows less than there is on the disk. Where it cannot be read, a server
/// says why.
fn strays(folder: &StateFolder) -> Option<Row> {
    let strays = strays_beside(folder).ok()?;
    let first = strays.first()?;
    let text = format!(
        "{} of the runs in {} are of no task that it knows, such as {first}: a part of it was lost \
         (its -wal file was cut, or an older copy was put back)",
        strays.len(),
        folder.root().join("runs").display()
    );
    let remedy = "their work is left alone; `midwatch gc --dry-run` names it, remove what you \
                  have looked at";
    Some(Row::new("database", Health::Notable, text).with(remedy))
}

/// Makes the state folder where it is not there; why nothing can be written in it. What is
/// read-only (a file system after an error) or immutable is so for root too, by access(2).
fn writable(folder: &StateFolder) -> Result<(), String> {
    folder.make().map_err(|error| error.to_string())?;
    for path in [folder.root().to_owned(), folder.database()] {
        match access(&path, Access::WRITE_OK) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(format!("{} cannot be written: {error}", path.display())),
        }
    }
    Ok(())
}

fn disk(folder: &StateFolder) -> Row {
    let root = folder.root();
    match rustix::fs::statvfs(root) {
        Ok(found) => {
            let free = found.f_bavail.saturating_mul(found.f_frsize);
            let text = format!("{} GiB free at {}", free >> 30, root.display());
            if free < DISK_FLOOR {
                let remedy = "free some, or set MIDWATCH_HOME to another disk";
                return Row::new("disk", Health::Missing, text).with(remedy);
            }
            Row::new("disk", Health::Good, text)
        }
        Err(error) => Row::new("disk", Health::Notable, format!("{}: {error}", root.display())),
    }
}

fn git() -> Row {
    match Git::find() {
        Ok(git) => {
            let (major, minor) = git.version();
            Row::new("git", Health::Good, format!("{major}.{minor}"))
        }
        Err(error) => Row::new("git", Health::Missing, error.to_string())
            .with("install git 2.39 or later: apt-get install git"),
    }
}

fn network(environment: &Environment) -> Row {
    let clients = registries::ask(environment);
    let names = clients.registries.join(", ");
    if names.is_empty() {
        return Row::new("registries", Health::Notable, "no package client was found");
    }
    Row::new("registries", Health::Good, names)
}
