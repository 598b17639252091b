//! Pins, recordings and the committed matrix belong together.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use midwatch_testkit::agent_clis::Cli;

use crate::recorded;
use crate::rows::{as_expected, rows};

const AGAIN: &str = "run `make matrix` and commit what it writes";

fn pages() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/matrix")
}

fn page(cli: Cli) -> String {
    let path = pages().join(format!("{}-{}.md", cli.as_str(), cli.pinned()));
    std::fs::read_to_string(&path)
        .unwrap_or_else(|_| panic!("{} is missing: {AGAIN}", path.display()))
}

/// Name and reason of each row of the page.
fn told(page: &str) -> Vec<(&str, &str)> {
    let rows = page.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    rows.filter_map(|line| {
        let mut cells = line.split(" | ");
        let name = cells.next()?.strip_prefix("| ")?;
        Some((name, cells.nth(1)?))
    })
    .collect()
}

#[test]
fn the_matrix_and_the_recordings_are_of_the_pinned_versions_and_complete() {
    for cli in Cli::ALL {
        let page = page(cli);
        let names: Vec<_> = rows(cli).iter().map(|row| row.name).collect();
        let told: Vec<_> = told(&page).into_iter().map(|(name, _)| name).collect();
        assert_eq!(told, names, "{}: {AGAIN}", cli.as_str());
        let recorded: BTreeSet<_> = std::fs::read_dir(recorded::folder(cli))
            .unwrap_or_else(|_| {
                panic!("no recordings of {} {}: {AGAIN}", cli.as_str(), cli.pinned())
            })
            .filter_map(|entry| {
                let name = entry.ok()?.file_name().into_string().ok()?;
                Some(name.strip_suffix(".jsonl")?.to_owned())
            })
            .collect();
        assert_eq!(recorded, names.iter().map(|name| (*name).to_owned()).collect(), "{AGAIN}");
    }
    let expected: BTreeSet<_> =
        Cli::ALL.iter().map(|cli| format!("{}-{}.md", cli.as_str(), cli.pinned())).collect();
    let found: BTreeSet<_> = std::fs::read_dir(pages())
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    assert_eq!(found, expected, "a page of a version that is not pinned");
}

/// The whole matrix takes minutes and is `make matrix`; one row of each is driven here, so that
/// a page that no longer tells the truth is noticed.
#[test]
fn a_row_driven_now_ends_as_the_page_says() {
    for cli in Cli::ALL {
        let page = page(cli);
        let row = rows(cli).into_iter().find(|row| row.name == "401").unwrap();
        match row.run(cli) {
            Ok(done) => {
                assert!(as_expected(row.expected, &done), "{done:?}");
                assert!(told(&page).contains(&("401", "Authentication")), "{page}");
            }
            Err(why) => println!("NOT RUN: {} could not be driven: {why}", cli.as_str()),
        }
    }
}
