use midwatch_api::brief::{GoingOn, Rescued};
use midwatch_api::view::{ResultLine, UsageLine};

use super::*;
use crate::output::{Format, Terminal};

fn task(name: &str, state: &str, change: impl FnOnce(&mut ResultLine)) -> BriefTask {
    let mut result = Problem::nothing();
    result.task = Some(name.into());
    result.state = Some(state.into());
    change(&mut result);
    let goal = "Make the login page work again on narrow screens\nand nothing else".into();
    BriefTask { result, goal, repository: "shop".into(), took_ms: Some(125_000) }
}

fn report() -> Report {
    let done = task("fix-login-1a2b", "Done", |result| {
        result.verified = true;
        result.branch = Some("midwatch/fix-login-1a2b".into());
        result.diffstat = Some("3 files changed, 10 insertions(+)".into());
        result.checks.push(CheckLine {
            command: "npm test".into(),
            outcome: "Pass".into(),
            exit_code: Some(0),
            tests_executed: Some(42),
            duration_ms: 900,
            base_outcome: None,
            tail: vec![],
        });
    });
    let failed = task("speed-up-3c4d", "Failed", |result| {
        result.reason = Some("Timeout".into());
        result.detail = Some("it ran into the \x1b[31mwall-clock limit\x07".into());
        result.hint = Some("raise --timeout, or cut the goal into smaller ones".into());
        result.rescue_ref = Some("refs/midwatch/rescue/speed-up-3c4d/4/snapshot".into());
    });
    let waiting = task("drop-ie-5e6f", "Held", |result| {
        result.reason = Some("Approval".into());
        result.detail = Some("a protected path is changed".into());
    });
    Report {
        kind: "brief".into(),
        version: 1,
        since_ms: 1_795_282_710_417,
        until_ms: 1_795_300_000_000,
        done: vec![done],
        failed: vec![failed],
        cancelled: vec![],
        waiting: vec![waiting],
        rescued: vec![Rescued { task: "speed-up-3c4d".into(), reference: "r".into() }],
        damaged: vec![],
        going_on: GoingOn { queued: 2, running: 1, resting: 20 },
        resting: vec![Resting {
            reason: "CredentialCoolingDown".into(),
            detail: "You've hit your \x1b[31msession limit".into(),
            until_ms: Some(1_795_300_020_000),
            count: 20,
            tasks: vec!["one-1a".into(), "two-2b".into(), "three-3c".into()],
        }],
        spent: UsageLine {
            input_tokens: Some(12_345),
            output_tokens: Some(678),
            cost_usd: Some(1.5),
        },
        left_out: 0,
    }
}

fn told(columns: usize) -> Vec<String> {
    let now = jiff::Timestamp::from_millisecond(1_795_300_000_000).unwrap();
    lines(Output::new(Format::Text, Terminal::Plain), &report(), columns, now)
}

#[test]
fn it_fits_a_terminal_of_80_columns_and_one_of_40() {
    for columns in [80, 40] {
        let lines = told(columns);
        for line in &lines {
            assert!(line.chars().count() <= columns, "{columns}: {line}");
        }
        let text = lines.join("\n");
        let order = ["Waiting for you", "Failed", "Done"].map(|part| text.find(part).unwrap());
        assert!(order.is_sorted(), "what needs somebody comes first: {text}");
        // Words of a sentence may stand on two lines.
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in [
            "1 done, 1 failed, 1 waiting for you.",
            "verified: npm test Pass, 42 tests",
            "midwatch/fix-login-1a2b: 3 files changed",
            "Timeout: it ran into the \\u{1b}[31mwall-clock limit\\u{7}",
            "next: raise --timeout",
            "saved: midwatch open speed-up-3c4d",
            "Spent: 12.3k tokens in, 678 out, $1.50.",
            "Goes on: 1 running, 2 queued, 20 resting.",
            "20 CredentialCoolingDown until ",
            "You've hit your \\u{1b}[31msession limit one-1a, two-2b, three-3c and 17 more",
            "(shop, 2m 05s)",
        ] {
            assert!(words.contains(part), "{part} is missing in {words}");
        }
        assert!(!text.contains('\x1b') && !text.contains("and nothing else"), "{text}");
    }
}

#[test]
fn an_empty_night_is_said_in_two_lines() {
    let quiet = Report {
        done: vec![],
        failed: vec![],
        waiting: vec![],
        rescued: vec![],
        going_on: GoingOn::default(),
        resting: vec![],
        spent: UsageLine::default(),
        ..report()
    };
    let now = jiff::Timestamp::from_millisecond(1_795_300_000_000).unwrap();
    let lines = lines(Output::new(Format::Text, Terminal::Plain), &quiet, 80, now);
    assert!(lines[0].ends_with("nothing ended, nothing waits."), "{lines:?}");
    assert_eq!(lines[1..], ["", "Nothing was spent."]);
}

#[test]
fn since_is_a_span_or_a_time() {
    let now = jiff::Timestamp::from_millisecond(1_795_300_000_000).unwrap();
    assert_eq!(since("12h", now), Ok(1_795_300_000_000 - 12 * 3_600_000));
    assert_eq!(since("2026-11-20T22:00:00Z", now).map(|ms| ms % 1000), Ok(0));
    assert!(since("2026-11-20", now).is_ok());
    for bad in ["", "soon", "12", "-3h", "0h", "h"] {
        let problem = since(bad, now).unwrap_err();
        assert!(problem.exit == 2 && problem.message.contains("12h"), "{bad}: {problem:?}");
    }
}
