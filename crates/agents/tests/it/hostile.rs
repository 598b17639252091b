//! Whatever the inside prints: no panic, no growth, nothing unclean in an event.

use midwatch_agents::{Ending, LINE_LIMIT, Line, Lines, Stream, adapter};
use midwatch_core::agent::{
    AgentEvent, AgentKind, AgentOrder, CredentialKind, CustomAgent, EventMapping, PromptBy,
    Session, Usage,
};
use midwatch_testkit::agent_clis::Cli;
use proptest::prelude::*;

use crate::recorded;
use crate::rows::rows;

fn custom(mapped: bool) -> Box<dyn Stream> {
    let mapping = EventMapping {
        session: Some("/id".into()),
        text: Some("/text".into()),
        tool: Some("/tool".into()),
        input_tokens: Some("/in".into()),
        output_tokens: Some("not a pointer".into()),
    };
    let order = AgentOrder {
        kind: AgentKind::Custom,
        program: "a".into(),
        model: None,
        prompt: String::new(),
        preamble: String::new(),
        session: Session::Fresh { id: "s".into() },
        read_only: false,
        max_turns: None,
        max_cost_cents: None,
        credential: CredentialKind::None,
        run_token: String::new(),
        gateway: String::new(),
        home: "/".into(),
        workspace: "/".into(),
        custom: Some(CustomAgent {
            argv: vec!["a".into()],
            prompt_by: PromptBy::Stdin,
            env: std::collections::BTreeMap::new(),
            mapping: mapped.then_some(mapping),
        }),
    };
    adapter(AgentKind::Custom).stream(&order, Usage::default())
}

fn streams() -> Vec<Box<dyn Stream>> {
    let mut streams: Vec<_> = Cli::ALL.into_iter().map(recorded::stream).collect();
    streams.extend([custom(false), custom(true)]);
    streams
}

fn texts(event: &AgentEvent) -> Vec<&str> {
    match event {
        AgentEvent::Started { session, model } => {
            vec![session, model.as_deref().unwrap_or_default()]
        }
        AgentEvent::Text(text) | AgentEvent::Warning(text) | AgentEvent::Finished { text, .. } => {
            vec![text]
        }
        AgentEvent::ToolStarted { id, name, summary, arguments: _ } => vec![id, name, summary],
        AgentEvent::ToolFinished { id, summary, .. } => vec![id, summary],
        AgentEvent::Retrying { error, .. } => vec![error],
        AgentEvent::Usage(_) | AgentEvent::Limit { .. } | AgentEvent::Malformed => Vec::new(),
    }
}

/// Feeds it to every stream and looks at all that comes out.
fn feed(bytes: &[u8]) {
    for mut stream in streams() {
        for line in Lines::default().push(bytes) {
            let Line::Whole(line) = line else { continue };
            let events = stream.line(&line);
            assert!(events.len() <= 200, "{} events of one line", events.len());
            for text in events.iter().flat_map(texts) {
                assert!(text.len() <= 40 * 1024, "{} bytes", text.len());
                let unclean = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
                assert!(!text.contains(unclean), "{text:?}");
            }
            stream.stderr_line(&line);
        }
        assert!(stream.final_text().len() <= 256 * 1024 + 3);
        for exit in [None, Some(0), Some(1), Some(143), Some(i32::MIN)] {
            stream.trouble(i64::MAX / 2);
            stream.end(Ending { exit, stopped_by_us: false, now: 0 });
        }
    }
}

fn corpus() -> Vec<Vec<u8>> {
    let mut lines: Vec<Vec<u8>> = Vec::new();
    for cli in Cli::ALL {
        for row in rows(cli) {
            let path = recorded::folder(cli).join(format!("{}.jsonl", row.name));
            let bytes = std::fs::read(path).unwrap();
            let new = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            // The first line of claude-code is long and always the same.
            lines.extend(new.filter(|line| line.len() < 1500).map(<[u8]>::to_vec));
        }
    }
    lines.sort();
    lines.dedup();
    lines
}

#[test]
fn bombs_of_every_kind() {
    let deep =
        |open: &str, close: &str| format!("{}{}", open.repeat(100_000), close.repeat(100_000));
    let mut lines = vec![
        deep("[", "]"),
        deep("{\"type\":", "}"),
        format!("{{\"type\":\"assistant\",\"message\":{}}}", deep("[", "]")),
        "{\"type\":\"result\",\"total_cost_usd\":1e999}".to_owned(),
        "{\"type\":\"result\",\"total_cost_usd\":-5,\"modelUsage\":{\"m\":{\"inputTokens\":18446744073709551615,\"cacheReadInputTokens\":18446744073709551615}}}".to_owned(),
        "{\"type\":\"system\",\"subtype\":\"init\",\"session_id\":\"--help\"}".to_owned(),
        "{\"type\":\"thread.started\",\"thread_id\":\"../../etc\"}".to_owned(),
        "{\"type\":\"turn.completed\",\"usage\":{\"input_tokens\":-1}}".to_owned(),
        "null\n\"x\"\n[]\n{}\n{\"type\":5}\n\u{0}\u{1b}[2J\n\u{202e}".to_owned(),
    ];
    let block = r#"{"type":"text","text":"\u0000\u001b]0;x\u0007\u202e"},"#.repeat(10_000);
    let block = block.trim_end_matches(',');
    lines.push(format!("{{\"type\":\"assistant\",\"message\":{{\"content\":[{block}]}}}}"));
    for line in lines {
        feed(line.as_bytes());
    }
    feed(&[0xff, 0xfe, 0, b'{', b'\n', 0x80]);
    let mut splitter = Lines::default();
    assert_eq!(splitter.push(&vec![b'x'; LINE_LIMIT + 1]), []);
    assert_eq!(splitter.push(b"\n"), [Line::TooLong(LINE_LIMIT as u64 + 1)]);
}

#[test]
fn ids_without_end_are_not_all_remembered() {
    let mut stream = recorded::stream(Cli::ClaudeCode);
    for at in 0..20_000 {
        let line = format!(
            r#"{{"type":"assistant","message":{{"id":"m{at}","usage":{{"input_tokens":1}},"content":[{{"type":"tool_use","id":"t{at}","name":"Bash","input":{{}}}}]}}}}"#
        );
        stream.line(line.as_bytes());
    }
    assert_eq!(stream.usage().input_tokens, 4096, "what is not remembered is not counted twice");
}

/// The control is who stops at the first thing that is no JSON.
#[test]
fn what_cannot_be_read_takes_nothing_with_it() {
    let rubbish: &[u8] = b"{\"type\":\"assi";
    // What aider prints is for people: to it nothing is rubbish.
    for cli in Cli::ALL.into_iter().filter(|cli| *cli != Cli::Aider) {
        let bytes = std::fs::read(recorded::folder(cli).join("success.jsonl")).unwrap();
        let lines: Vec<&[u8]> =
            bytes.split(|byte| *byte == b'\n').filter(|l| !l.is_empty()).collect();
        let broken: Vec<&[u8]> = lines.iter().flat_map(|line| [rubbish, line]).collect();
        let read = |lines: &[&[u8]]| -> Vec<AgentEvent> {
            let mut stream = recorded::stream(cli);
            lines.iter().flat_map(|line| stream.line(line)).collect()
        };
        let (told, malformed): (Vec<_>, Vec<_>) =
            read(&broken).into_iter().partition(|event| *event != AgentEvent::Malformed);
        assert_eq!(told, read(&lines), "{}", cli.as_str());
        assert_eq!(malformed.len(), lines.len(), "{}", cli.as_str());
        let parsed = broken[1..]
            .iter()
            .map_while(|line| serde_json::from_slice::<serde_json::Value>(line).ok());
        assert_eq!(parsed.count(), 1, "{}", cli.as_str());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        feed(&bytes);
    }

    #[test]
    fn real_lines_with_something_wrong(
        picks in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>(), 0_u8..4), 1..12),
    ) {
        let corpus = corpus();
        let mut bytes = Vec::new();
        for (line, at, byte, how) in picks {
            let mut line = line.get(&corpus).clone();
            let at = at.index(line.len());
            match how {
                0 => line[at] = byte,
                1 => line.truncate(at),
                2 => line.insert(at, byte),
                // A field's value becomes a number: the shape stays JSON, the type does not.
                _ => {
                    let text = String::from_utf8_lossy(&line).replacen(":\"", ":7,\"x\":\"", usize::from(byte % 3) + 1);
                    line = text.into_bytes();
                }
            }
            bytes.extend(line);
            bytes.push(b'\n');
        }
        feed(&bytes);
    }
}
