//! Which agents are here, and whether their logins work.

use std::process::Command;
use std::time::Duration;

use midwatch_core::agent::AgentKind;
use midwatch_local::folder::StateFolder;

use super::login::{self, Answer, Network};
use super::{Health, Row, own};
use crate::discover::agent::{self, Chosen};
use crate::discover::{ca, credential, program, proxy};
use crate::environment::Environment;
use crate::problem::Problem;

/// How long a CLI may take to say its version: a large binary on a cold disk.
const VERSION_WAIT: Duration = Duration::from_secs(20);

/// One row per agent and login. One agent that can work is needed.
pub(super) async fn rows(environment: &Environment, folder: &StateFolder, call: bool) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut works = false;
    for name in AgentKind::built_in().map(AgentKind::as_str) {
        let chosen = match agent::choose(environment, Some(name), None) {
            Ok(chosen) => chosen,
            Err(problem) => {
                rows.push(Row::new(name, Health::Optional, problem.message));
                continue;
            }
        };
        let here = installed(environment, &chosen).await;
        let login = logged_in(environment, folder, &chosen, call).await;
        works |= here.health == Health::Good && login.health != Health::Optional;
        rows.extend([here, login]);
    }
    let own = own::rows(environment).await;
    works |= own.iter().any(|row| row.health == Health::Good);
    rows.extend(own);
    if !works {
        let row = Row::new("agent", Health::Missing, "no agent is installed and logged in");
        rows.push(row.with("install one and log in, or declare one of your own in a profile"));
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

async fn logged_in(
    environment: &Environment,
    folder: &StateFolder,
    chosen: &Chosen,
    call: bool,
) -> Row {
    let name = format!("{} login", chosen.name);
    let found = match credential::find(environment, chosen) {
        Ok(found) => found,
        Err(problem) => {
            let row = Row::new(&name, Health::Optional, problem.message);
            return row.with(problem.hint.unwrap_or_default());
        }
    };
    let what = format!("{} from {}", found.kind.as_str(), found.from);
    if !call {
        return Row::new(&name, Health::Notable, format!("{what}, not tried"));
    }
    let network = match network(environment) {
        Ok(network) => network,
        Err(problem) => {
            let row = Row::new(&name, Health::Optional, problem.message);
            return row.with(problem.hint.unwrap_or_default());
        }
    };
    match login::try_it(folder, &found, network).await {
        Answer::Works { note } => Row::new(&name, Health::Good, format!("{what}: {note}")),
        Answer::Rejected { why } => {
            let row = Row::new(&name, Health::Optional, format!("{what} is rejected: {why}"));
            row.with("log in again, or set another key")
        }
        Answer::Unclear { why } => {
            Row::new(&name, Health::Notable, format!("{what} could not be tried: {why}"))
        }
    }
}

fn network(environment: &Environment) -> Result<Network, Problem> {
    let proxy = proxy::find(environment)?.map(|found| found.proxy);
    Ok(Network { ca: ca::find(environment)?, proxy })
}
