//! The page of faults names tests that are there.

use crate::repository::{Repository, split_tests};
use crate::rules::Finding;

/// The page.
const PAGE: &str = "docs/FAULTS.md";
/// Its rows are counted from 1.
const ROWS: u32 = 41;
/// Rows that need a cluster or a forge, which this version does not have.
const ELSEWHERE: [u32; 11] = [3, 4, 6, 7, 9, 10, 18, 19, 22, 24, 34];
/// Says that a row has no test, and why.
const NOT_RUN: &str = "NOT RUN: ";

/// Every fault of one machine has a test and a control, and every test that is named is there.
pub fn every_fault_is_tested(repository: &Repository) -> Vec<Finding> {
    let Some(page) = repository.file(PAGE) else {
        return vec![Finding::about(PAGE, "is not there")];
    };
    let mut findings = Vec::new();
    let mut seen = Vec::new();
    for (at, line) in page.lines().enumerate() {
        let mut say = |what: String| findings.push(Finding::at(PAGE, at + 1, what));
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let Some(number) = cells.get(1).and_then(|cell| cell.parse::<u32>().ok()) else { continue };
        let [_, _, _fault, behaviour, tests, control, _] = cells[..] else {
            say(format!("row {number} has {} cells instead of 5", cells.len().saturating_sub(2)));
            continue;
        };
        seen.push(number);
        let named: Vec<&str> = names(tests).collect();
        for name in named.iter().copied().chain(names(control)) {
            if !is_test(repository, name) {
                say(format!("row {number} names {name}, which is no test"));
            }
        }
        let excused = tests.contains(NOT_RUN);
        if ELSEWHERE.contains(&number) {
            continue;
        }
        if named.is_empty() && !excused {
            say(format!("row {number} has no test, and no `{NOT_RUN}why`"));
        }
        if behaviour.is_empty() || control.is_empty() && !excused {
            say(format!("row {number} does not say what is right, or what its control is"));
        }
    }
    if seen != (1..=ROWS).collect::<Vec<_>>() {
        findings.push(Finding::about(PAGE, format!("its rows are not 1 to {ROWS}, in order")));
    }
    findings
}

/// The paths in backquotes that name a test: `room::module::test`.
fn names(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2).filter(|name| name.contains("::"))
}

/// Whether a test of that path is there: in `tests/it` of the room, or in a file of its sources.
fn is_test(repository: &Repository, path: &str) -> bool {
    let mut parts: Vec<&str> = path.split("::").collect();
    let (Some(name), false) = (parts.pop(), parts.is_empty()) else { return false };
    let room = parts.remove(0);
    let folder = if room == "xtask" { room.to_owned() } else { format!("crates/{room}") };
    let inside = parts.strip_suffix(&["tests"]).unwrap_or(&parts).join("/");
    let places = [
        format!("{folder}/tests/it/{}.rs", parts.join("/")),
        format!("{folder}/src/{}.rs", parts.join("/")),
        format!("{folder}/src/{inside}.rs"),
    ];
    places.iter().any(|place| {
        let text = repository.file(place).unwrap_or_default();
        let all_tests = place.contains("/tests/") || place.ends_with("/tests.rs");
        holds(if all_tests { text } else { split_tests(text).1 }, name)
    })
}

/// Whether a text has a test function of that name.
fn holds(text: &str, name: &str) -> bool {
    let begins = format!("fn {name}(");
    let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
    lines.iter().enumerate().any(|(at, line)| {
        let ours = line.strip_prefix("async ").unwrap_or(line).starts_with(&begins);
        let mut above = lines[..at].iter().rev().take_while(|line| line.starts_with("#["));
        ours && above.any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TESTS: &str = "#[test]\nfn it_holds() {}\n\n#[tokio::test(flavor = \"x\")]\nasync fn it_waits() {}\nfn no_test() {}\n";

    /// What is found with one row in the place of another.
    fn found(number: u32, row: &str) -> Vec<String> {
        let usual = |number: u32| {
            let test = if ELSEWHERE.contains(&number) { "" } else { "`app::a::b::it_holds`" };
            format!("| {number} | fault | right | {test} | off |\n")
        };
        let row_of = |at: u32| if at == number { row.to_owned() } else { usual(at) };
        let page: String = (1..=ROWS).map(row_of).collect();
        let unit = format!("fn code() {{}}\n\n#[cfg(test)]\nmod tests {{\n{TESTS}}}\n");
        let repository = Repository::of(&[
            (PAGE, &page),
            ("crates/app/tests/it/a/b.rs", TESTS),
            ("crates/core/src/c.rs", &unit),
            ("crates/core/src/d/tests.rs", TESTS),
        ]);
        every_fault_is_tested(&repository).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn whole_rows_are_fine() {
        assert_eq!(found(0, ""), [""; 0]);
        for tests in
            ["`app::a::b::it_waits`", "`core::c::tests::it_holds`", "`core::d::tests::it_waits`"]
        {
            assert_eq!(found(1, &format!("| 1 | f | r | {tests} | off |\n")), [""; 0], "{tests}");
        }
        assert_eq!(found(1, "| 1 | f | r | NOT RUN: no such disk | |\n"), [""; 0]);
        assert_eq!(found(3, "| 3 | f | r | later | |\n"), [""; 0]);
    }

    #[test]
    fn missing_tests_rows_and_controls_are_found() {
        for row in [
            "| 1 | f | r | `app::a::b::is_gone` | off |\n",
            "| 1 | f | r | `app::a::b::no_test` | off |\n",
            "| 1 | f | r | `app::a::it_holds` | off |\n",
            "| 1 | f | r | `core::c::it_waits_not` | off |\n",
            "| 1 | f | r | `app::a::b::it_holds` | |\n",
            "| 1 | f | r | `app::a::b::it_holds` | as `app::a::b::is_gone` |\n",
            "| 1 | f | r | by hand | off |\n",
            "| 1 | f | r |\n",
            "",
        ] {
            assert_eq!(found(1, row).len(), if row == "| 1 | f | r |\n" { 2 } else { 1 }, "{row}");
        }
    }
}
