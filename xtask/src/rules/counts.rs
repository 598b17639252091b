//! The page of figures shows what the tests count.

use crate::repository::Repository;
use crate::rules::Finding;

/// What the tests count: a figure a line, compared by the tests themselves.
const COUNTS: &str = "docs/counts.txt";
const PAGE: &str = "docs/BENCHMARKS.md";
const SECTION: &str = "\n## Counts\n";

/// Each figure stands in one row of the table: `escapes known 110` as `110 known`.
pub fn are_shown(repository: &Repository) -> Vec<Finding> {
    let Some(counts) = repository.file(COUNTS) else {
        return vec![Finding::about(COUNTS, "is not there")];
    };
    let page = repository.file(PAGE).unwrap_or_default();
    let section = page.split_once(SECTION).map_or("", |(_, section)| section);
    let rows: Vec<&str> = section.lines().filter(|line| line.starts_with('|')).collect();
    let mut findings = Vec::new();
    for (at, line) in counts.lines().enumerate().filter(|(_, line)| !line.starts_with('#')) {
        let mut say = |what: String| findings.push(Finding::at(COUNTS, at + 1, what));
        match phrases(line) {
            None => say(format!("`{line}` is no figure, such as `escapes known 110`")),
            Some(phrases) => {
                let shows = |row: &&str| phrases.iter().all(|phrase| has(row, phrase));
                if !rows.iter().any(shows) {
                    let wanted = phrases.join("` and `");
                    say(format!("no row under Counts in {PAGE} has `{wanted}`"));
                }
            }
        }
    }
    findings
}

/// `words known 64 / tried 90` as `64 known` and `90 tried`.
fn phrases(line: &str) -> Option<Vec<String>> {
    let parts = line.split(" / ").map(|part| {
        let (words, number) = part.rsplit_once(' ')?;
        let number: u64 = number.parse().ok()?;
        Some(format!("{number} {}", words.rsplit(' ').next()?))
    });
    parts.collect()
}

/// Whether a row has a phrase that is not the end of a greater number.
fn has(row: &str, phrase: &str) -> bool {
    row.match_indices(phrase)
        .any(|(at, _)| !row[..at].ends_with(|c: char| c.is_ascii_digit() || c == ','))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        "x\n## Counts\n\n| points | 64 known, 90 tried, 0 lost |\n| escapes | 110 known |\n";

    fn found(counts: &str, page: &str) -> usize {
        are_shown(&Repository::of(&[(COUNTS, counts), (PAGE, page)])).len()
    }

    #[test]
    fn what_is_counted_is_shown_and_nothing_stale() {
        let counts = "# said\nescapes known 110\nserver crash points known 64 / tried 90\n";
        assert_eq!(found(counts, GOOD), 0);
        assert_eq!(found(counts, &GOOD.replace("110", "1,110")), 1);
        assert_eq!(found(counts, &GOOD.replace("90 tried", "89 tried")), 1);
        assert_eq!(found(&counts.replace("110", "111"), GOOD), 1);
        assert_eq!(found(counts, &GOOD.replace("## Counts", "## Others")), 2);
        assert_eq!(found("escapes\n", GOOD), 1);
        assert_eq!(are_shown(&Repository::of(&[(PAGE, GOOD)])).len(), 1);
    }
}
