//! Who works when the first agent cannot: found like the first one, and handed over with it.

use midwatch_api::order::Toolchain;
use midwatch_api::task::AgentRef;
use secrecy::SecretString;

use super::agent::Chosen;
use super::{agent, credential, program, toolchains};
use crate::environment::Environment;
use crate::problem::Problem;

/// A fallback, and its key where that is one of its own from the environment.
pub(super) type Found = (AgentRef, Option<SecretString>);

/// Finds the fallbacks of a profile; those `given` are objects. `its` finds the toolchains of another agent's program,
/// which join `all`.
pub(super) fn find(
    environment: &Environment,
    given: &[Chosen],
    chosen: &Chosen,
    first: &AgentRef,
    all: &mut Vec<Toolchain>,
    its: impl Fn(&Chosen, &program::Program) -> Result<Vec<Toolchain>, Problem>,
) -> Result<Vec<Found>, Problem> {
    let mut found = Vec::new();
    for wanted in &chosen.spec.fallback {
        let Some(name) = &wanted.profile else {
            let model = agent::model(chosen, wanted.model.as_deref())?;
            found.push((AgentRef { model, ..first.clone() }, None));
            continue;
        };
        let other = match given.iter().find(|object| object.name == *name) {
            Some(object) => object.clone(),
            None => agent::choose(environment, Some(name), None)?,
        };
        let login = credential::find(environment, &other)?;
        let program = program::find(environment, &other)?;
        toolchains::join(all, its(&other, &program)?);
        let mut custom = other.spec.custom.clone();
        if let Some(word) = custom.as_mut().and_then(|custom| custom.argv.first_mut()) {
            *word = program::inside(&program, all).to_string_lossy().into_owned();
        }
        let model = agent::model(&other, wanted.model.as_deref())?;
        let model = model.or_else(|| agent::model_for(other.kind(), &login).map(ToOwned::to_owned));
        let agent = AgentRef {
            adapter: other.kind().as_str().to_owned(),
            profile: other.name.clone(),
            program: program.real.clone(),
            model,
            instructions: first.instructions.clone(),
            credential_kind: login.kind.as_str().to_owned(),
            credential: login.reference.clone(),
            upstream: login.upstream.clone(),
            max_turns: other.spec.limits.max_turns,
            max_cost_cents: other.spec.limits.max_cost_cents,
            custom,
            rehearsal: first.rehearsal,
        };
        // The first agent's key is handed over once.
        let secret = login.secret.filter(|_| agent.credential != first.credential);
        found.push((agent, secret));
    }
    Ok(found)
}
