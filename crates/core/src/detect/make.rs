//! make.

use super::{Detected, Tree};

/// In the order in which GNU make looks.
const MAKEFILES: [&str; 3] = ["GNUmakefile", "makefile", "Makefile"];

pub(super) fn check(tree: &Tree<'_>) -> Option<Detected> {
    let file = tree.first(&MAKEFILES)?;
    let text = tree.text(file)?;
    let target = ["test", "check"].into_iter().find(|target| has_target(&text, target))?;
    Some(Detected::new(&format!("make {target}"), format!("{file} has a {target} target")))
}

/// A rule for the target: a line at the margin, a colon that is no assignment.
fn has_target(text: &str, target: &str) -> bool {
    text.lines().filter(|line| !line.starts_with(['\t', ' ', '#', '.'])).any(|line| {
        line.split_once(':').is_some_and(|(names, rest)| {
            !rest.trim_start_matches(':').starts_with('=')
                && names.split_whitespace().any(|name| name == target)
        })
    })
}
