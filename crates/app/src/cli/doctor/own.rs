//! Agents that the user declared: profiles in files, and those that were applied.

use midwatch_api::kind::{AnyObject, Kind};
use midwatch_core::agent::{AgentKind, CredentialKind};

use super::{Health, Row};
use crate::client::Client;
use crate::discover::agent::{self, Chosen};
use crate::discover::{credential, program};
use crate::environment::Environment;

/// One row for each. Their programs are looked for and not started: what they do with a word such
/// as `--version` is known to the user only.
pub(super) async fn rows(environment: &Environment) -> Vec<Row> {
    let built_in = |name: &String| AgentKind::built_in().any(|kind| kind.as_str() == name);
    let names = agent::names(environment).into_iter().filter(|name| !built_in(name));
    // What is wrong with a file is said when it is used: it may be of no agent at all.
    let chosen = names
        .filter_map(|name| agent::choose(environment, None, Some(&name)).ok())
        .chain(applied(environment).await)
        .filter(|chosen| chosen.kind() == AgentKind::Custom);
    chosen.map(|chosen| row(environment, &chosen)).collect()
}

/// Those that were applied, where anything ever was; a file of the same name goes before one.
async fn applied(environment: &Environment) -> Vec<Chosen> {
    let client = Client::new(environment);
    if !client.knows_tasks() {
        return vec![];
    }
    // A server that does not answer is told of by whatever needs it.
    let views = client.objects(Kind::Profile).await.unwrap_or_default();
    let read = views.into_iter().filter_map(|view| AnyObject::try_from(view.object).ok());
    let profiles = read.filter_map(|object| match object {
        AnyObject::Profile(found) => {
            let name = found.metadata.name;
            (!agent::has_file(environment, &name)).then_some(Chosen { name, spec: found.spec })
        }
        AnyObject::Task(_) | AnyObject::Pipeline(_) | AnyObject::Repository(_) => None,
    });
    profiles.collect()
}

/// The row of one.
pub(super) fn row(environment: &Environment, chosen: &Chosen) -> Row {
    let found = program::find(environment, chosen)
        .and_then(|found| Ok((found, credential::find(environment, chosen)?)));
    match found {
        Ok((program, login)) => {
            let login = match login.kind {
                CredentialKind::None => "needs no login of ours".to_owned(),
                kind => format!("{} from {}, not tried", kind.as_str(), login.from),
            };
            let program = program.found.display();
            let text = format!("an agent of your own, {program}, {login}; it was not started");
            Row::new(&chosen.name, Health::Good, text)
        }
        Err(problem) => {
            let row = Row::new(&chosen.name, Health::Optional, problem.message);
            row.with(problem.hint.unwrap_or_default())
        }
    }
}
