//! Runs the matrix of failures with the pinned CLIs, for real, and writes what was seen:
//! `docs/matrix/<agent>-<version>.md` and the recordings that the transcript tests read.
//!
//! ```text
//! cargo run -p midwatch-agents --example matrix              all of it
//! cargo run -p midwatch-agents --example matrix -- codex 529 rows of one agent, only they anew
//! ```
//!
//! Ends with 1 when a row is taken for something else than it must be.
#![expect(clippy::print_stdout, reason = "a program for people")]
#![expect(
    clippy::unwrap_used,
    reason = "a tool of the repository says where it broke by panicking"
)]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use midwatch_core::agent::{AgentEvent, AgentOutcome};
use midwatch_testkit::agent_clis::Cli;

#[path = "../tests/it/drive.rs"]
mod drive;
#[path = "../tests/it/rows.rs"]
mod rows;

use drive::Finished;
use rows::{Row, as_expected, rows};

/// Rows that run at once.
const BESIDE: usize = 5;

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let named = |cli: Cli| wanted.is_empty() || wanted[0] == cli.as_str();
    let mut good = true;
    for cli in Cli::ALL.into_iter().filter(|cli| named(*cli)) {
        let mut seen = Vec::new();
        let mut rows = rows(cli);
        rows.retain(|row| wanted.len() < 2 || wanted[1..].iter().any(|name| name == row.name));
        for (row, done) in run(cli, rows) {
            let done = match done {
                Ok(done) => done,
                Err(why) => {
                    println!("NOT RUN: {} {}: {why}", cli.as_str(), row.name);
                    good = false;
                    continue;
                }
            };
            let fits = as_expected(row.expected, &done);
            good &= fits;
            let mark = if fits { "ok  " } else { "BAD " };
            println!("{mark} {} {}: {}", cli.as_str(), row.name, outcome(&done));
            if !fits {
                let stdout = String::from_utf8_lossy(&done.stdout);
                println!("expected {:?}\n{stdout}\n{}", row.expected, done.stderr);
            }
            seen.push((row, done));
        }
        write(cli, &seen, wanted.len() < 2);
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs rows beside each other, since most of them wait, and gives them back in their order.
fn run(cli: Cli, rows: Vec<Row>) -> Vec<(Row, Result<Finished, String>)> {
    let next = AtomicUsize::new(0);
    let done: Vec<OnceLock<_>> = rows.iter().map(|_| OnceLock::new()).collect();
    std::thread::scope(|scope| {
        for _ in 0..BESIDE {
            scope.spawn(|| {
                while let Some(at) = Some(next.fetch_add(1, Ordering::Relaxed))
                    && let Some(row) = rows.get(at)
                {
                    let _ = done[at].set(row.run(cli));
                }
            });
        }
    });
    let done = done.into_iter().map(|done| done.into_inner().unwrap());
    rows.into_iter().zip(done).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn write(cli: Cli, seen: &[(Row, Finished)], all: bool) {
    let version = cli.pinned();
    let folder = root().join("docs/matrix");
    std::fs::create_dir_all(&folder).unwrap();
    let page = folder.join(format!("{}-{version}.md", cli.as_str()));
    let before = if all { None } else { std::fs::read_to_string(&page).ok() };
    std::fs::write(&page, self::page(cli, &version, seen, before.as_deref())).unwrap();
    let module = cli.as_str().replace('-', "_");
    let folder = root().join(format!("crates/agents/src/{module}/fixtures/{version}"));
    if all {
        let _ = std::fs::remove_dir_all(&folder);
    }
    std::fs::create_dir_all(&folder).unwrap();
    for (row, done) in seen {
        let stdout = steady(&String::from_utf8_lossy(&done.stdout));
        std::fs::write(folder.join(format!("{}.jsonl", row.name)), stdout).unwrap();
        let end = serde_json::json!({
            "exit": done.ending.exit,
            "stopped_by_us": done.ending.stopped_by_us,
            "now": done.ending.now,
            "stderr": done.stderr.lines().collect::<Vec<_>>(),
        });
        let end = serde_json::to_string_pretty(&end).unwrap() + "\n";
        std::fs::write(folder.join(format!("{}.end.json", row.name)), steady(&end)).unwrap();
    }
    println!("written: {}", page.display());
}

/// The ports of a run are of no interest, and would differ in every recording.
fn steady(text: &str) -> String {
    let mut parts = text.split("127.0.0.1:");
    let mut steady = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        steady.push_str("127.0.0.1:8787");
        steady.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    steady
}

/// The page, with the lines of an earlier one for rows that were not run.
fn page(cli: Cli, version: &str, seen: &[(Row, Finished)], before: Option<&str>) -> String {
    let mut page = format!(
        "# How {} {version} ends\n\n\
         Written by `make matrix`: the pinned CLI, started by our adapter, against the scripted model server on\n\
         loopback. `reason` is what Midwatch takes the run for; `tries` counts the retries that the CLI told; seconds\n\
         are those of an instant model. `stopped` was ended by us, and in brackets stands what it was retrying.\n\
         Only one wait is shorter than in production: `API_TIMEOUT_MS` is 3 seconds instead of 5 minutes.\n\n\
         | row | what happens | reason | resets | exit | tries | seconds | what it says |\n\
         |---|---|---|---|---|---|---|---|\n",
        cli.as_str()
    );
    let mut lines = BTreeMap::new();
    for line in before.unwrap_or_default().lines() {
        if let Some((name, _)) = line.strip_prefix("| ").and_then(|line| line.split_once(" |")) {
            lines.insert(name.to_owned(), format!("{line}\n"));
        }
    }
    for (row, done) in seen {
        let mut line = String::new();
        let tries =
            done.events.iter().filter(|event| matches!(event, AgentEvent::Retrying { .. })).count();
        let (detail, resets) = match done.outcome.as_ref().or(done.trouble.as_ref()) {
            Some(AgentOutcome::Failed { detail, resets_at, .. }) => (detail.as_str(), *resets_at),
            Some(AgentOutcome::Completed) | None => (done.final_text.as_str(), None),
        };
        let exit = done.exit.map_or_else(|| "?".to_owned(), |code| code.to_string());
        let resets = resets.map_or_else(String::new, |at| at.to_string());
        let detail = steady(detail).replace('|', "\\|").replace('\n', " ");
        writeln!(
            line,
            "| {} | {} | {} | {resets} | {exit} | {tries} | {:.0} | {detail} |",
            row.name,
            row.what,
            outcome(done),
            done.seconds,
        )
        .unwrap();
        lines.insert(row.name.to_owned(), line);
    }
    for row in rows(cli) {
        page.push_str(lines.get(row.name).map_or("", String::as_str));
    }
    page
}

fn outcome(done: &Finished) -> String {
    let reason = |outcome: &Option<AgentOutcome>| match outcome {
        Some(AgentOutcome::Completed) => Some("Completed"),
        Some(AgentOutcome::Failed { reason, .. }) => Some(reason.as_str()),
        None => None,
    };
    match (reason(&done.outcome), reason(&done.trouble)) {
        (Some(reason), _) => reason.to_owned(),
        (None, Some(trouble)) => format!("stopped ({trouble})"),
        (None, None) => "stopped".to_owned(),
    }
}
