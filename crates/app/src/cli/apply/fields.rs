//! What is wrong with a task of a file, in words of the file: what a user has is looked for by the
//! same code as for `midwatch run`, whose flags `apply` does not have.

use crate::problem::Problem;

/// Flags of `run` with the fields that say the same.
const FIELDS: [(&str, &str); 14] = [
    ("--agent", "spec.agent"),
    ("--base", "spec.base"),
    ("--branch", "spec.branch"),
    ("--check", "spec.checks"),
    ("--egress", "spec.egress"),
    ("--known-failures", "spec.knownFailures"),
    ("--model", "spec.model"),
    ("--name", "metadata.name"),
    ("--no-check", "spec.noCheck"),
    ("--pipeline", "spec.pipeline"),
    ("--profile", "spec.agent"),
    ("--push", "spec.push"),
    ("--setup", "spec.setup"),
    ("--timeout", "spec.timeout"),
];

/// The same problem with the names of fields in the place of flags.
pub(super) fn named(problem: Problem) -> Problem {
    let (message, hint) = (told(&problem.message), problem.hint.as_deref().map(told));
    Problem { message, hint, ..problem }
}

/// Flags stand between blanks, quotes and punctuation; what has a slash beside it is a part of
/// somebody's path.
fn told(text: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let is_edge = |c: Option<char>| c.is_none_or(|c| c != '/' && c != '_' && !c.is_alphanumeric());
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| is_part(c) != is_part(first)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let is_word = is_edge(out.chars().next_back()) && is_edge(after.chars().next());
        let field = FIELDS.iter().find(|(flag, _)| is_word && *flag == word);
        out.push_str(field.map_or(word, |(_, field)| field));
        rest = after;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_fields_and_everything_else_stays() {
        for (flags, fields) in [
            ("choose another with --branch", "choose another with spec.branch"),
            ("`--check`, or --no-check;", "`spec.checks`, or spec.noCheck;"),
            ("a--branch --branches -- x", "a--branch --branches -- x"),
            ("no '/opt/--model/x', my --push/r", "no '/opt/--model/x', my --push/r"),
        ] {
            assert_eq!(told(flags), fields);
        }
    }
}
