//! Rules of variables that a sandbox is given, wherever they are written.

use std::collections::BTreeMap;

use midwatch_core::input::InvalidInput;

/// How variables begin that are ours to set, or that make programs run others.
const RESERVED: [&str; 4] = ["LD_", "DYLD_", "GIT_", "MIDWATCH_"];
/// The same, whole.
const RESERVED_NAMES: [&str; 8] =
    ["BASH_ENV", "ENV", "HOME", "IFS", "SHELLOPTS", "PROMPT_COMMAND", "http_proxy", "https_proxy"];
/// How keys begin that people have.
const KEYS: [&str; 7] = ["sk-", "ghp_", "gho_", "github_pat_", "glpat-", "AKIA", "xoxb-"];

/// Names that a process can have, that are not reserved, and no key in a value.
pub(crate) fn check(field: &str, env: &BTreeMap<String, String>) -> Result<(), InvalidInput> {
    env.iter().try_for_each(|(name, value)| {
        free(field, name)?;
        one(field, name, value)
    })
}

/// The same for what our own client found and set, such as where an agent's packages are.
pub(crate) fn check_found(field: &str, env: &BTreeMap<String, String>) -> Result<(), InvalidInput> {
    env.iter().try_for_each(|(name, value)| {
        if !name.starts_with("MIDWATCH_") {
            free(field, name)?;
        }
        one(field, name, value)
    })
}

/// A name that is not reserved.
fn free(field: &str, name: &str) -> Result<(), InvalidInput> {
    let reserved = RESERVED.iter().any(|prefix| name.starts_with(prefix));
    if reserved || RESERVED_NAMES.contains(&name) {
        let rule = "is reserved: it is ours to set, or makes programs run others";
        return Err(InvalidInput::new(field, name, rule, "leave it away"));
    }
    Ok(())
}

/// A name that a process can have, and a value that is no key.
fn one(field: &str, name: &str, value: &str) -> Result<(), InvalidInput> {
    let begins = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    if !begins || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        let rule = "is no name of a variable";
        let fix = "use letters, digits and '_', a letter in front";
        return Err(InvalidInput::new(field, name, rule, fix));
    }
    let named = format!("{field}.{name}");
    if KEYS.iter().any(|key| value.trim_start().starts_with(key)) {
        let rule = "looks like a key, and the sandbox holds none";
        // Only an object names its login; an order is made by a client that has found one.
        let fix = if field.starts_with("spec.") {
            "name the variable that holds it in spec.credential.variable"
        } else {
            "leave it away"
        };
        return Err(InvalidInput::unshown(&named, rule, fix));
    }
    if value.contains('\0') {
        return Err(InvalidInput::unshown(&named, "holds a NUL", "remove it"));
    }
    Ok(())
}
