//! Which agents are here, and whether their logins work.

use std::process::Command;
use std::time::Duration;

use midwatch_core::agent::AgentKind;
use midwatch_local::folder::StateFolder;

use super::super::applied;
use super::login::{self, Answer, Network};
use super::{Health, Row, own};
use crate::client::{Client, Start};
use crate::discover::agent::{self, Chosen};
use crate::discover::{ca, credential, program, proxy};
use crate::environment::Environment;
use crate::problem::Problem;

/// How long a CLI may take to say its version: a large binary on a cold disk.
const VERSION_WAIT: Duration = Duration::from_secs(20);

/// How logins are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    /// Not at all.
    No,
    /// Unless they worked within the last hour.
    Recent,
    /// In any case: before a night it counts what is used up now, and what time it is.
    Anew,
}

/// What agents and logins told.
#[derive(Default)]
pub(super) struct Seen {
    /// One per agent and login.
    pub(super) rows: Vec<Row>,
    /// Limits that were met or come near, a sentence each.
    pub(super) limits: Vec<String>,
    /// How many seconds the clock of a provider is ahead of ours.
    pub(super) ahead: Option<i64>,
}

/// One row per agent and login. One agent that can work is needed; where tasks name no other, the
/// login of the first one must not be rejected. With a profile, all that it uses have to work.
pub(super) async fn look(
    environment: &Environment,
    folder: &StateFolder,
    call: Call,
    profile: Option<&str>,
) -> Result<Seen, Problem> {
    let used = match profile {
        Some(name) => used_by(environment, name).await,
        None => Ok(vec![]),
    };
    let (deciding, no_server) = match used {
        Ok(used) => (used, None),
        Err(Unfound::Server(problem)) => (vec![], Some(problem)),
        Err(Unfound::Profile(problem)) => return Err(problem),
    };
    let mut seen = Seen::default();
    let mut works = false;
    let default = AgentKind::ClaudeCode.as_str();
    for name in AgentKind::built_in().map(AgentKind::as_str) {
        let chosen = match agent::choose(environment, Some(name), None) {
            Ok(chosen) => chosen,
            Err(problem) => {
                seen.rows.push(Row::new(name, Health::Optional, problem.message));
                continue;
            }
        };
        if deciding.iter().any(|other| other.name == chosen.name) {
            continue;
        }
        let here = installed(environment, &chosen).await;
        let (mut login, rejected) = logged_in(environment, folder, &chosen, call, &mut seen).await;
        works |= here.health == Health::Good && login.health != Health::Optional;
        if rejected && here.health == Health::Good && name == default && deciding.is_empty() {
            login.health = Health::Missing;
        }
        seen.rows.extend([here, login]);
    }
    let own = own::rows(environment).await;
    works |= own.iter().any(|row| row.health == Health::Good);
    let decides = |row: &Row| deciding.iter().any(|chosen| chosen.name == row.name);
    seen.rows.extend(own.into_iter().filter(|row| !decides(row)));
    for chosen in &deciding {
        let rows = needed(environment, folder, chosen, call, &mut seen).await;
        seen.rows.extend(rows);
    }
    if !works && deciding.is_empty() {
        let row = Row::new("agent", Health::Missing, "no agent is installed and logged in");
        seen.rows.push(row.with("install one and log in, or declare one of your own in a profile"));
    }
    for row in &mut seen.rows {
        row.of_agents = true;
    }
    seen.rows.extend(no_server.map(Row::no_server));
    Ok(seen)
}

/// Why a profile is not there to be looked at.
enum Unfound {
    /// There is no server to ask, which says nothing about the rest of the machine.
    Server(Problem),
    /// It is no profile, or one that cannot be.
    Profile(Problem),
}

/// A profile and those that it falls back on, each once: with another model it is the same login.
async fn used_by(environment: &Environment, name: &str) -> Result<Vec<Chosen>, Unfound> {
    let first = find(environment, name).await?;
    let others = first.spec.fallback.iter().filter_map(|other| other.profile.clone());
    let others: Vec<String> = others.collect();
    let mut used = vec![first];
    for name in others {
        let other = find(environment, &name).await?;
        if used.iter().all(|chosen| chosen.name != other.name) {
            used.push(other);
        }
    }
    Ok(used)
}

/// The profile that `midwatch run` would find by this name.
async fn find(environment: &Environment, name: &str) -> Result<Chosen, Unfound> {
    let client = Client::new(environment);
    if client.knows_tasks()
        && let Some(stored) = agent::stored_name(environment, None, Some(name))
    {
        client.ready(Start::Any).await.map_err(Unfound::Server)?;
        if let Some(chosen) = applied::profile(&client, stored).await.map_err(Unfound::Profile)? {
            return Ok(chosen);
        }
    }
    agent::choose(environment, None, Some(name)).map_err(Unfound::Profile)
}

/// The rows of an agent that is going to be used: what it lacks is missing.
async fn needed(
    environment: &Environment,
    folder: &StateFolder,
    chosen: &Chosen,
    call: Call,
    seen: &mut Seen,
) -> Vec<Row> {
    let mut rows = if chosen.kind() == AgentKind::Custom {
        vec![own::row(environment, chosen)]
    } else {
        let here = installed(environment, chosen).await;
        vec![here, logged_in(environment, folder, chosen, call, seen).await.0]
    };
    for row in rows.iter_mut().filter(|row| row.health == Health::Optional) {
        row.health = Health::Missing;
    }
    rows
}

async fn installed(environment: &Environment, chosen: &Chosen) -> Row {
    let found = match program::find(environment, chosen) {
        Ok(found) => found,
        Err(problem) => {
            let row = Row::new(&chosen.name, Health::Optional, problem.message);
            return row.with(problem.hint.unwrap_or_default());
        }
    };
    let mut command = Command::new(&found.found);
    environment.apply(&mut command);
    command.arg("--version").current_dir("/").stdin(std::process::Stdio::null());
    let mut command = tokio::process::Command::from(command);
    command.kill_on_drop(true);
    let said = tokio::time::timeout(VERSION_WAIT, command.output()).await;
    let shown = found.found.display();
    match said {
        Ok(Ok(output)) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stdout);
            let version = text.lines().next().unwrap_or_default().trim();
            Row::new(&chosen.name, Health::Good, format!("{version}, {shown}"))
        }
        Ok(Ok(output)) => {
            let text = String::from_utf8_lossy(&output.stderr);
            let said = text.lines().next().unwrap_or_default().trim();
            Row::new(&chosen.name, Health::Optional, format!("{shown} does not work: {said}"))
                .with("install it again")
        }
        Ok(Err(error)) => {
            Row::new(&chosen.name, Health::Optional, format!("{shown} does not start: {error}"))
                .with("install it again, for this machine")
        }
        Err(_) => Row::new(&chosen.name, Health::Optional, format!("{shown} does not answer")),
    }
}

/// The row of a login, and whether the provider rejects it.
async fn logged_in(
    environment: &Environment,
    folder: &StateFolder,
    chosen: &Chosen,
    call: Call,
    seen: &mut Seen,
) -> (Row, bool) {
    let name = format!("{} login", chosen.name);
    let lacks = |problem: Problem| {
        let row = Row::new(&name, Health::Optional, problem.message);
        (row.with(problem.hint.unwrap_or_default()), false)
    };
    let found = match credential::find(environment, chosen) {
        Ok(found) => found,
        Err(problem) => return lacks(problem),
    };
    let what = format!("{} from {}", found.kind.as_str(), found.from);
    let anew = match call {
        Call::No => return (Row::new(&name, Health::Notable, format!("{what}, not tried")), false),
        Call::Recent => false,
        Call::Anew => true,
    };
    let network = match network(environment) {
        Ok(network) => network,
        Err(problem) => return lacks(problem),
    };
    let (answer, head) = login::try_it(folder, &found, network, anew).await;
    // The worst of all clocks that were seen: one of them is wrong, and it may be ours.
    seen.ahead = [seen.ahead, head.ahead].into_iter().flatten().max_by_key(|ahead| ahead.abs());
    match answer {
        Answer::Works { note } => {
            let nearly = head.nearly();
            let health = if nearly.is_some() { Health::Notable } else { Health::Good };
            seen.limits.extend(nearly.map(|nearly| format!("{name} {nearly}")));
            (Row::new(&name, health, format!("{what}: {note}{}", head.used())), false)
        }
        Answer::Limited { why } => {
            let until = head.until();
            seen.limits.push(format!("{name} is limited {until}"));
            let used = head.used();
            let row =
                Row::new(&name, Health::Notable, format!("{what} is limited {until}{used}: {why}"));
            (row.with("tasks wait for the reset, and go on by themselves"), false)
        }
        Answer::Rejected { why } => {
            let row = Row::new(&name, Health::Optional, format!("{what} is rejected: {why}"));
            (row.with("log in again, or set another key"), true)
        }
        Answer::Unclear { why } => {
            let text = format!("{what} could not be tried: {why}");
            (Row::new(&name, Health::Notable, text), false)
        }
    }
}

fn network(environment: &Environment) -> Result<Network, Problem> {
    let proxy = proxy::find(environment)?.map(|found| found.proxy);
    Ok(Network { ca: ca::find(environment)?, proxy })
}
