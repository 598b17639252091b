//! Figures that tests count and that a page shows: a page that says something else is stale.

/// One figure a line, as the tests say it; a rule of `xtask` compares the page with it.
const TOLD: &str = include_str!("../../../docs/counts.txt");

/// Fails where a figure that was counted is not the one that is told.
///
/// # Panics
/// The figure is another.
#[track_caller]
pub fn are_told(count: &str) {
    let is_told = TOLD.lines().any(|line| line == count);
    assert!(
        is_told,
        "counted: {count}. docs/counts.txt says something else: mend it, and the table of \
         docs/BENCHMARKS.md"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_that_is_told_is_fine_and_no_other() {
        let first = TOLD.lines().find(|line| !line.starts_with('#')).unwrap();
        are_told(first);
        for other in [format!("{first}0"), first.replace(' ', ""), String::from("escapes")] {
            assert!(std::panic::catch_unwind(|| are_told(&other)).is_err(), "{other}");
        }
    }
}
