//! What `start.cjs` of qwen-code tells of a refusal, as the adapter reads it.

use std::path::Path;
use std::process::Command;

use midwatch_agents::Ending;
use midwatch_core::agent::AgentOutcome;
use midwatch_core::reason::FailReason;
use midwatch_testkit::agent_clis::Cli;
use serde_json::{Value, json};

use crate::recorded;

/// A provider that refuses with a body, asked until the file that is loaded before gives up.
const REFUSES: &str = "
    const [start, body] = process.argv.slice(1);
    globalThis.fetch = async () => new Response(body, { status: 429 });
    require(start);
    (async () => { for (;;) await fetch('http://provider/'); })()
        .catch((error) => process.stdout.write(error.message));
";

/// The last line of a run that the provider refused so.
#[expect(clippy::print_stdout, reason = "what could not run must not look as if it had")]
fn refused(body: &Value) -> Option<(String, String)> {
    let start = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/qwen_code/start.cjs");
    let output =
        Command::new("node").args(["-e", REFUSES]).arg(start).arg(body.to_string()).output();
    match output {
        Ok(output) => {
            let text = |bytes| String::from_utf8(bytes).unwrap();
            Some((text(output.stdout), text(output.stderr)))
        }
        Err(why) => {
            println!("NOT RUN: node: {why}");
            None
        }
    }
}

fn reason(outcome: Option<AgentOutcome>) -> Option<FailReason> {
    match outcome {
        Some(AgentOutcome::Failed { reason, .. }) => Some(reason),
        Some(AgentOutcome::Completed) | None => None,
    }
}

#[test]
fn a_long_refusal_keeps_what_it_means() {
    let long = "Please look at your plan and at your bills. ".repeat(20);
    let sides = [
        ("insufficient_quota", FailReason::UsageLimit),
        // The control: the same words mean something else.
        ("slow_down", FailReason::RateLimit),
    ];
    for ((code, expected), message) in
        sides.into_iter().flat_map(|side| [&*long, "Look."].map(|message| (side, message)))
    {
        let body = json!({"error": {"message": message, "code": code}});
        let Some((ended, told)) = refused(&body) else { return };
        assert_eq!(told.lines().count(), 3, "{told}");
        let mut stream = recorded::stream(Cli::QwenCode);
        for line in told.lines() {
            stream.stderr_line(line.as_bytes());
        }
        assert_eq!(reason(stream.trouble(0)), Some(expected), "{told}");
        // As the CLI tells of a request that was ended, in the place of an answer.
        let said = format!("[API Error: Connection error. (cause: {ended})]");
        let line =
            json!({"type": "result", "subtype": "success", "is_error": false, "result": said});
        stream.line(line.to_string().as_bytes());
        let ending = Ending { exit: Some(0), stopped_by_us: false, now: 0 };
        assert_eq!(reason(stream.end(ending)), Some(expected), "{said}");
    }
}
