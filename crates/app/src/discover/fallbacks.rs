//! Who works when the first agent cannot: found like the first one, and handed over with it.

use midwatch_api::order::Toolchain;
use midwatch_api::task::AgentRef;

use super::agent::Chosen;
use super::{agent, credential, program};
use crate::environment::Environment;
use crate::problem::Problem;

/// Finds the fallbacks of a profile. `toolchains` finds those of another agent's program; what is
/// new among them joins `all`.
pub(super) fn find(
    environment: &Environment,
    chosen: &Chosen,
    first: &AgentRef,
    all: &mut Vec<Toolchain>,
    toolchains: impl Fn(&Chosen, &program::Program) -> Result<Vec<Toolchain>, Problem>,
) -> Result<Vec<AgentRef>, Problem> {
    let mut found = Vec::new();
    for wanted in &chosen.spec.fallback {
        let Some(name) = &wanted.profile else {
            let model = agent::model(chosen, wanted.model.as_deref())?;
            found.push(AgentRef { model, ..first.clone() });
            continue;
        };
        let other = agent::choose(environment, Some(name), None)?;
        let login = credential::find(environment, &other)?;
        if login.secret.is_some() && login.reference != first.credential {
            return Err(Problem::usage(
                "spec.fallback",
                name,
                "takes a key of its own from the environment, and only the first agent may",
                "log in with that agent's own command, or leave it away",
            ));
        }
        let program = program::find(environment, &other)?;
        let its = toolchains(&other, &program)?;
        let mut custom = other.spec.custom.clone();
        if let Some(word) = custom.as_mut().and_then(|custom| custom.argv.first_mut()) {
            *word = program::inside(&program, &its).to_string_lossy().into_owned();
        }
        let model = agent::model(&other, wanted.model.as_deref())?;
        let model = model.or_else(|| agent::model_for(other.kind(), &login).map(ToOwned::to_owned));
        for one in its {
            if !all.contains(&one) {
                all.push(one);
            }
        }
        found.push(AgentRef {
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
        });
    }
    Ok(found)
}
