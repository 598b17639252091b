//! The rules of a profile that need no machine.

use std::collections::BTreeMap;

use midwatch_core as core;

use core::agent::{AgentKind, CredentialKind};
use core::input::InvalidInput;

use super::{LimitsSpec, ProfileSpec, ToolchainSpec};
use crate::order::{CustomAgent, PromptBy};

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
    let custom = spec.adapter() == AgentKind::Custom;
    match &spec.custom {
        None if custom => {
            return bad("custom", "", "is required for a custom agent", "give custom.argv");
        }
        Some(_) if !custom => {
            return bad("custom", "", "is only for agent: custom", "leave it away");
        }
        Some(declared) => {
            check_custom(declared)?;
            check_env("spec.custom.env", &declared.env)?;
        }
        None => {}
    }
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
        let field = |rest: &str| format!("spec.toolchains[{number}].{rest}");
        let inner = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        if name.is_empty() || name.starts_with('.') || !name.bytes().all(inner) {
            let fix = "use letters, digits, '.', '_', '-'";
            return Err(InvalidInput::new(&field("name"), name, "is no plain name", fix));
        }
        crate::agent_task::check_path(&field("folder"), folder)?;
        for part in path {
            let text = part.to_string_lossy();
            let up = part.components().any(|part| part == std::path::Component::ParentDir);
            if part.is_absolute() || up || text.contains(char::is_control) {
                let rule = "leaves the toolchain's folder";
                let fix = "give a path below it, such as bin";
                return Err(InvalidInput::new(&field("path"), &text, rule, fix));
            }
        }
        check_env(&field("env"), env)?;
    }
    if spec.fallback.len() > FALLBACKS {
        let (count, rule) = (spec.fallback.len().to_string(), "is more than 5");
        return bad("fallback", &count, rule, "keep those that are likely to work");
    }
    if spec.fallback.iter().any(|one| one.profile.is_none() && one.model.is_none()) {
        return bad("fallback", "", "names neither profile nor model", "give one of the two");
    }
    check_limits(&spec.limits)
}

/// How variables begin that are ours to set, or that make programs run others.
const RESERVED: [&str; 4] = ["LD_", "DYLD_", "GIT_", "MIDWATCH_"];
/// The same, whole.
const RESERVED_NAMES: [&str; 8] =
    ["BASH_ENV", "ENV", "HOME", "IFS", "SHELLOPTS", "PROMPT_COMMAND", "http_proxy", "https_proxy"];
/// How keys begin that people have.
const KEYS: [&str; 7] = ["sk-", "ghp_", "gho_", "github_pat_", "glpat-", "AKIA", "xoxb-"];

/// Names that a process can have, that are not reserved, and no key in a value.
fn check_env(field: &str, env: &BTreeMap<String, String>) -> Result<(), InvalidInput> {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    for (name, value) in env {
        let begins = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
        if !begins || !name.bytes().all(inner) {
            let rule = "is no name of a variable";
            let fix = "use letters, digits and '_', a letter in front";
            return Err(InvalidInput::new(field, name, rule, fix));
        }
        let reserved = RESERVED.iter().any(|prefix| name.starts_with(prefix));
        if reserved || RESERVED_NAMES.contains(&name.as_str()) {
            let rule = "is reserved: it is ours to set, or makes programs run others";
            return Err(InvalidInput::new(field, name, rule, "leave it away"));
        }
        let named = format!("{field}.{name}");
        if KEYS.iter().any(|key| value.trim_start().starts_with(key)) {
            let rule = "looks like a key, and the sandbox holds none";
            let fix = "name the variable that holds it in spec.credential.variable";
            return Err(InvalidInput::unshown(&named, rule, fix));
        }
        if value.contains('\0') {
            return Err(InvalidInput::unshown(&named, "holds a NUL", "remove it"));
        }
    }
    Ok(())
}

/// A command that can be started, and a prompt that has its place in it.
fn check_custom(declared: &CustomAgent) -> Result<(), InvalidInput> {
    // Somebody may have put a key into it: the words are not repeated.
    let bad = |rule: &str, fix: &str| Err(InvalidInput::unshown("spec.custom.argv", rule, fix));
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

fn check_limits(limits: &LimitsSpec) -> Result<(), InvalidInput> {
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
    for (field, value, least, most) in ranges {
        if let Some(value) = value
            && !(least..=most).contains(&value)
        {
            let rule = format!("is not {least} to {most}");
            let field = format!("spec.limits.{field}");
            let fix = "give a number in the range";
            return Err(InvalidInput::new(&field, &value.to_string(), &rule, fix));
        }
    }
    Ok(())
}
