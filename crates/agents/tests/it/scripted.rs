//! The custom adapter with an agent of the profile's own.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use midwatch_agents::{Ending, Line, Lines, adapter};
use midwatch_core::agent::{
    AgentEvent, AgentKind, AgentOrder, AgentOutcome, CredentialKind, CustomAgent, EventMapping,
    PromptBy, Session, Usage,
};
use midwatch_testkit::scripted_agent;

#[test]
fn a_custom_agent_by_stdin_with_json_lines() {
    let folder = tempfile::tempdir().unwrap();
    let program = scripted_agent::install(folder.path()).unwrap();
    let order = AgentOrder {
        kind: AgentKind::Custom,
        program: program.clone(),
        model: None,
        prompt: "do: say {\"text\":\"hello\",\"tokens\":3}\ndo: write made.txt yes\n".into(),
        preamble: "Be brief.".into(),
        session: Session::Fresh { id: "s-1".into() },
        read_only: false,
        max_turns: None,
        max_cost_cents: None,
        credential: CredentialKind::None,
        run_token: String::new(),
        gateway: String::new(),
        home: folder.path().into(),
        workspace: folder.path().into(),
        custom: Some(CustomAgent {
            argv: vec![program.to_string_lossy().into_owned()],
            prompt_by: PromptBy::Stdin,
            env: BTreeMap::new(),
            mapping: Some(EventMapping {
                text: Some("/text".into()),
                input_tokens: Some("/tokens".into()),
                ..EventMapping::default()
            }),
        }),
    };
    let custom = adapter(AgentKind::Custom);
    let command = custom.command(&order).unwrap();
    let mut child = Command::new(&command.argv[0])
        .args(&command.argv[1..])
        .envs(&command.env)
        .current_dir(&order.workspace)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(command.stdin.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let mut stream = custom.stream(&order, Usage::default());
    let mut events = Vec::new();
    for line in Lines::default().push(&output.stdout) {
        match line {
            Line::Whole(line) => events.extend(stream.line(&line)),
            Line::TooLong(_) => panic!("{line:?}"),
        }
    }
    assert_eq!(events[0], AgentEvent::Text("hello".into()));
    assert_eq!(stream.usage().input_tokens, 3);
    let ending = Ending { exit: output.status.code(), stopped_by_us: false, now: 0 };
    assert_eq!(stream.end(ending), Some(AgentOutcome::Completed));
    assert!(folder.path().join("made.txt").exists());
}
