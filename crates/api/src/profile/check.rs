//! The rules of a profile that need no machine.

use std::path::{Path, PathBuf};

use midwatch_core as core;

use core::agent::{AgentKind, CredentialKind};
use core::input::InvalidInput;

use super::{LimitsSpec, ProfileSpec, ToolchainSpec};
use crate::order::{CustomAgent, PromptBy};
use crate::{paths, variables};

/// The longest standing instructions, in bytes.
const INSTRUCTIONS_MAX: usize = 64 << 10;
/// The most fallbacks of a profile.
const FALLBACKS: usize = 5;

/// Every rule that needs no machine.
pub(crate) fn check(spec: &ProfileSpec) -> Result<(), InvalidInput> {
    let bad = |field: &str, value: &str, rule: &str, fix: &str| {
        Err(InvalidInput::new(&format!("spec.{field}"), value, rule, fix))
    };
    if let Some(agent) = &spec.agent
        && AgentKind::parse(agent).is_none()
    {
        let known = AgentKind::ALL.map(AgentKind::as_str).join(", ");
        return bad("agent", agent, "is unknown", &format!("known: {known}"));
    }
    check_custom("spec", spec.adapter() == AgentKind::Custom, spec.custom.as_ref())?;
    if let Some(credential) = &spec.credential {
        let kind = &credential.kind;
        if CredentialKind::parse(kind).is_none() {
            let known = CredentialKind::ALL.map(CredentialKind::as_str).join(", ");
            return bad("credential.kind", kind, "is unknown", &format!("known: {known}"));
        }
        if credential.variable.as_deref().is_some_and(|name| !is_variable(name)) {
            // Somebody may have put the key itself there.
            return Err(InvalidInput::unshown(
                "spec.credential.variable",
                "is no name of a variable (capital letters, digits and '_')",
                "name the variable that holds the key, never the key",
            ));
        }
    }
    if spec.instructions.len() > INSTRUCTIONS_MAX {
        let rule = format!("has over {INSTRUCTIONS_MAX} bytes");
        return bad("instructions", "", &rule, "put them into a file of the repository");
    }
    for (number, chain) in spec.toolchains.iter().enumerate() {
        let ToolchainSpec { name, folder, path, env } = chain;
        let field = format!("spec.toolchains[{number}]");
        check_toolchain(&field, name, folder, path)?;
        variables::check(&format!("{field}.env"), env)?;
    }
    if spec.fallback.len() > FALLBACKS {
        let (count, rule) = (spec.fallback.len().to_string(), "is more than 5");
        return bad("fallback", &count, rule, "keep those that are likely to work");
    }
    if spec.fallback.iter().any(|one| one.profile.is_none() && one.model.is_none()) {
        return bad("fallback", "", "names neither profile nor model", "give one of the two");
    }
    check_limits("spec.limits", &spec.limits)
}

/// A folder that can be shown under a plain name, and folders below it.
pub(crate) fn check_toolchain(
    field: &str,
    name: &str,
    folder: &Path,
    path: &[PathBuf],
) -> Result<(), InvalidInput> {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    if name.is_empty() || name.starts_with('.') || !name.bytes().all(inner) {
        let fix = "use letters, digits, '.', '_', '-'";
        return Err(InvalidInput::new(&format!("{field}.name"), name, "is no plain name", fix));
    }
    paths::absolute(&format!("{field}.folder"), folder, "/opt/toolchain")?;
    for part in path {
        paths::below(&format!("{field}.path"), part, "the toolchain's folder", "bin")?;
    }
    Ok(())
}

/// Declared exactly where the agent is a custom one.
pub(crate) fn check_custom(
    field: &str,
    is_custom: bool,
    declared: Option<&CustomAgent>,
) -> Result<(), InvalidInput> {
    let bad =
        |rule: &str, fix: &str| Err(InvalidInput::new(&format!("{field}.custom"), "", rule, fix));
    match declared {
        None if is_custom => bad("is required for a custom agent", "give custom.argv"),
        Some(_) if !is_custom => bad("is only for agent: custom", "leave it away"),
        Some(declared) => {
            check_declared(&format!("{field}.custom.argv"), declared)?;
            variables::check(&format!("{field}.custom.env"), &declared.env)
        }
        None => Ok(()),
    }
}

/// A command that can be started, and a prompt that has its place in it.
fn check_declared(field: &str, declared: &CustomAgent) -> Result<(), InvalidInput> {
    // Somebody may have put a key into it: the words are not repeated.
    let bad = |rule: &str, fix: &str| Err(InvalidInput::unshown(field, rule, fix));
    match declared.argv.first() {
        None => return bad("is empty", "give the command"),
        Some(first) if first.is_empty() => {
            return bad("begins with an empty word", "begin with the program");
        }
        Some(_) => {}
    }
    if declared.argv.iter().any(|word| word.contains('\0')) {
        return bad("holds a NUL", "remove it");
    }
    for (place, way) in [("{prompt}", PromptBy::Argument), ("{prompt_file}", PromptBy::File)] {
        let named = declared.argv.iter().any(|word| word.contains(place));
        if declared.prompt_by == way && !named {
            let rule = format!("has no {place}, and promptBy is {way:?}");
            let fix = format!("put {place} where the prompt goes, or leave promptBy away: stdin");
            return bad(&rule, &fix);
        }
        if declared.prompt_by != way && named {
            let rule = format!("has {place}, and promptBy is {:?}", declared.prompt_by);
            return bad(&rule, &format!("say promptBy: {way:?}"));
        }
    }
    Ok(())
}

/// Capital letters, so that a key that was put in the place of a name is none.
fn is_variable(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    name.bytes().all(inner) && !name.starts_with(|c: char| c.is_ascii_digit()) && !name.is_empty()
}

/// Ranges; what is left out has its default.
pub(crate) fn check_limits(field: &str, limits: &LimitsSpec) -> Result<(), InvalidInput> {
    let LimitsSpec {
        wall_seconds,
        idle_seconds,
        memory_mib,
        pids,
        disk_mib,
        loop_rounds,
        no_change_seconds,
        max_turns,
        max_cost_cents,
    } = limits;
    let ranges = [
        ("wallSeconds", *wall_seconds, 10, 86_400),
        ("idleSeconds", *idle_seconds, 0, 86_400),
        ("memoryMib", *memory_mib, 64, 1 << 24),
        ("pids", *pids, 16, 100_000),
        ("diskMib", *disk_mib, 16, 1 << 24),
        ("loopRounds", loop_rounds.filter(|rounds| *rounds > 0).map(u64::from), 3, 1_000),
        ("noChangeSeconds", *no_change_seconds, 0, 86_400),
        ("maxTurns", max_turns.map(u64::from), 1, 10_000),
        ("maxCostCents", max_cost_cents.map(u64::from), 1, 1 << 24),
    ];
    for (name, value, least, most) in ranges {
        if let Some(value) = value {
            check_range(&format!("{field}.{name}"), value, least, most)?;
        }
    }
    Ok(())
}

/// A number that is in its range.
pub(crate) fn check_range(
    field: &str,
    value: u64,
    least: u64,
    most: u64,
) -> Result<(), InvalidInput> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    let rule = format!("is not {least} to {most}");
    Err(InvalidInput::new(field, &value.to_string(), &rule, "give a number in the range"))
}
