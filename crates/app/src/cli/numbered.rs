//! Names of tasks that come of others: NAME-r2 of a retry, NAME-f2 of a follow-up, and so on.

use midwatch_core::id::TASK_NAME_MAX;

/// How many of one task get a name.
const MOST: u32 = 1000;

/// The names that may be given, in order.
pub(super) fn numbered(of: &str, mark: char) -> impl Iterator<Item = String> {
    let stem = stem(of, mark);
    (2..MOST).map(move |number| {
        let suffix = format!("-{mark}{number}");
        let kept: String = stem.chars().take(TASK_NAME_MAX - suffix.len()).collect();
        format!("{}{suffix}", kept.trim_end_matches('-'))
    })
}

/// The name without the number of an earlier one.
fn stem(name: &str, mark: char) -> &str {
    match name.rsplit_once(&format!("-{mark}")) {
        Some((stem, number))
            if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) =>
        {
            stem
        }
        Some(_) | None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_of_those_count_on() {
        let first = |of: &str, mark| numbered(of, mark).next().unwrap();
        assert_eq!(first("fix-login", 'r'), "fix-login-r2");
        assert_eq!(first("fix-login-r2", 'r'), "fix-login-r2");
        assert_eq!(first("fix-login-r2", 'f'), "fix-login-r2-f2");
        assert_eq!(first("my-run", 'r'), "my-run-r2");
        assert_eq!(first("a-fix", 'f'), "a-fix-f2");
        assert_eq!(first("x-r", 'r'), "x-r-r2");
        let long = first(&"x".repeat(63), 'r');
        assert!(long.len() == 63 && long.ends_with("x-r2"), "{long}");
    }
}
