//! Recordings of the pinned CLIs, read again: what the adapters make of each line.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use midwatch_agents::{Ending, Line, Lines, Stream, adapter};
use midwatch_core::agent::{AgentKind, AgentOrder, AgentOutcome, CredentialKind, Session, Usage};
use midwatch_core::reason::FailReason;
use midwatch_core::supervise::{Bounds, Supervisor};
use midwatch_testkit::agent_clis::Cli;
use serde_json::Value;

use crate::rows::{Expected, as_expected_outcome, rows};

/// The folder of a CLI's recordings, of its pinned version.
pub(crate) fn folder(cli: Cli) -> PathBuf {
    let module = cli.as_str().replace('-', "_");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    source.join(module).join("fixtures").join(cli.pinned())
}

/// A stream as the adapter makes it for an ordinary run.
pub(crate) fn stream(cli: Cli) -> Box<dyn Stream> {
    let kind = AgentKind::parse(cli.as_str()).unwrap();
    let order = AgentOrder {
        kind,
        program: PathBuf::new(),
        model: Some("model-1".into()),
        prompt: String::new(),
        preamble: String::new(),
        session: Session::Fresh { id: "s-1".into() },
        read_only: false,
        max_turns: None,
        max_cost_cents: None,
        credential: CredentialKind::None,
        run_token: String::new(),
        gateway: String::new(),
        home: PathBuf::new(),
        workspace: PathBuf::new(),
        custom: None,
    };
    adapter(kind).stream(&order, Usage::default())
}

fn ending(end: &Value) -> Ending {
    Ending {
        exit: end["exit"].as_i64().map(|code| i32::try_from(code).unwrap()),
        stopped_by_us: end["stopped_by_us"].as_bool().unwrap(),
        now: end["now"].as_i64().unwrap(),
    }
}

/// Reads a recording through the adapter; the text is for people to review.
fn read(cli: Cli, name: &str) -> (String, Option<AgentOutcome>, Option<AgentOutcome>) {
    let folder = folder(cli);
    let bytes = std::fs::read(folder.join(format!("{name}.jsonl"))).unwrap();
    let end = std::fs::read(folder.join(format!("{name}.end.json"))).unwrap();
    let end: Value = serde_json::from_slice(&end).unwrap();
    let mut stream = stream(cli);
    let mut text = String::new();
    for line in Lines::default().push(&bytes) {
        match line {
            Line::Whole(line) => {
                for event in stream.line(&line) {
                    writeln!(text, "{event:?}").unwrap();
                }
            }
            Line::TooLong(_) => panic!("no recording has so long a line"),
        }
    }
    for line in end["stderr"].as_array().unwrap() {
        stream.stderr_line(line.as_str().unwrap().as_bytes());
    }
    let ending = ending(&end);
    let trouble = stream.trouble(ending.now);
    let outcome = stream.end(ending);
    writeln!(text, "session: {:?}\n{:?}", stream.session(), stream.usage()).unwrap();
    writeln!(text, "trouble: {trouble:?}\noutcome: {outcome:?}").unwrap();
    (text, outcome, trouble)
}

#[test]
fn each_recording_gives_its_events_and_its_reason() {
    for cli in Cli::ALL {
        for row in rows(cli) {
            let (read, outcome, trouble) = read(cli, row.name);
            let text = format!("# {}\n{read}", row.what);
            insta::assert_snapshot!(format!("{}-{}", cli.as_str(), row.name), text);
            assert!(
                as_expected_outcome(row.expected, outcome.as_ref(), trouble.as_ref()),
                "{} {}: {outcome:?}",
                cli.as_str(),
                row.name
            );
            let malformed = text.lines().any(|line| line == "Malformed");
            assert!(!malformed, "{} {}: a line was not understood", cli.as_str(), row.name);
        }
    }
}

/// Each CLI's own words for a call that nobody allows.
#[test]
fn refused_calls_are_known_by_what_each_cli_answers() {
    let finding = |cli: Cli, name: &str| {
        let bytes = std::fs::read(folder(cli).join(format!("{name}.jsonl"))).unwrap();
        let mut watch = Supervisor::new(Bounds { loop_rounds: 0, no_change_seconds: 0 });
        // Claude Code's has two calls only.
        let found = (0..3).find_map(|_| {
            let mut stream = stream(cli);
            let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            let events: Vec<_> = lines.flat_map(|line| stream.line(line)).collect();
            events.iter().find_map(|event| watch.event(event))
        });
        found.map(|found| found.reason)
    };
    for cli in [Cli::ClaudeCode, Cli::OpenCode, Cli::GeminiCli, Cli::QwenCode] {
        let reason = Some(FailReason::PermissionNeeded);
        assert_eq!(finding(cli, "tools-denied"), reason, "{}", cli.as_str());
        assert_eq!(finding(cli, "success"), None, "{}", cli.as_str());
    }
}

#[test]
fn every_recording_read_as_stopped_by_us_is_stopped() {
    for cli in Cli::ALL {
        for row in rows(cli).into_iter().filter(|row| row.expected != Expected::Silent) {
            let mut stream = stream(cli);
            let bytes = std::fs::read(folder(cli).join(format!("{}.jsonl", row.name))).unwrap();
            for line in bytes.split(|byte| *byte == b'\n') {
                stream.line(line);
            }
            let ending = Ending { exit: Some(0), stopped_by_us: true, now: 0 };
            assert_eq!(stream.end(ending), None, "{} {}", cli.as_str(), row.name);
        }
    }
}

#[test]
fn recordings_name_nothing_of_the_machine_they_were_made_on() {
    for cli in Cli::ALL {
        for entry in std::fs::read_dir(folder(cli)).unwrap() {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            // Where opencode's own program is, inside of it.
            let text = text.replace("/$bunfs/root", "");
            for part in ["/root", "/var/tmp", "/tmp/.tmp", "target/debug"] {
                assert!(!text.contains(part), "{part} in {}", path.display());
            }
        }
    }
}
