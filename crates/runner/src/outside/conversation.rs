//! An agent's order as its adapter understands it, and what its stream came to.

use std::fs;
use std::path::{Path, PathBuf};

use midwatch_agents::{Adapter, Ending, Line, Lines, Stream, adapter};
use midwatch_api::order::{self, AgentWork, inside};
use midwatch_api::report::{AgentReport, STDOUT_FILE};
use midwatch_core::agent::{
    AgentCommand, AgentEvent, AgentKind, AgentOrder, AgentOutcome, CredentialKind, CustomAgent,
    EventMapping, PromptBy, Session, Usage,
};
use serde::{Deserialize, Serialize};

use super::environment::program_inside;
use super::escape;

/// Bytes of the last message, as the report says.
const FINAL_TEXT_BYTES: usize = 64 << 10;
/// Characters of what the CLI said about its end.
const DETAIL_CHARACTERS: usize = 500;

/// One run of an agent CLI.
pub(super) struct Conversation {
    adapter: &'static dyn Adapter,
    order: AgentOrder,
    stream: Box<dyn Stream>,
    stdout: Lines,
    stderr: Lines,
    totals: PathBuf,
}

/// What a conversation used up to now, beside its HOME: codex counts over the whole thread.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Totals {
    session: String,
    input_tokens: u64,
    output_tokens: u64,
}

impl Conversation {
    /// Takes the order apart. `home` holds HOME's layer: totals are kept in it beside the upper
    /// folder, where nothing inside can reach them.
    pub(super) fn new(
        work: &AgentWork,
        toolchains: &[(PathBuf, PathBuf)],
        gateway: bool,
        home: &Path,
    ) -> Result<Self, String> {
        let order = to_core(work, toolchains, gateway)?;
        let adapter = adapter(order.kind);
        let totals = home.join("totals.json");
        let earlier = match &order.session {
            Session::Fresh { .. } => Usage::default(),
            Session::Resume { id } => earlier(&totals, id),
        };
        let stream = adapter.stream(&order, earlier);
        Ok(Self {
            adapter,
            order,
            stream,
            stdout: Lines::default(),
            stderr: Lines::default(),
            totals,
        })
    }

    /// The command to start inside.
    pub(super) fn command(&self) -> Result<AgentCommand, String> {
        self.adapter.command(&self.order).map_err(|error| error.to_string())
    }

    /// Arguments that make the CLI print its version; none are known for a custom agent.
    pub(super) fn version_args(&self) -> Vec<String> {
        self.adapter.version_args(&self.order)
    }

    /// Bytes of the CLI's stdout.
    pub(super) fn stdout(&mut self, bytes: &[u8]) -> Vec<AgentEvent> {
        let lines = self.stdout.push(bytes);
        lines.iter().flat_map(|line| take(&mut *self.stream, line)).collect()
    }

    /// Bytes of its stderr.
    pub(super) fn stderr(&mut self, bytes: &[u8]) {
        for line in self.stderr.push(bytes) {
            if let Line::Whole(line) = line {
                self.stream.stderr_line(&line);
            }
        }
    }

    /// What a last line without a line feed held.
    pub(super) fn last_events(&mut self) -> Vec<AgentEvent> {
        if let Some(Line::Whole(line)) = self.stderr.finish() {
            self.stream.stderr_line(&line);
        }
        let last = self.stdout.finish();
        last.iter().flat_map(|line| take(&mut *self.stream, line)).collect()
    }

    /// Judges the end. `stalled` asks what the CLI was last waiting for.
    pub(super) fn report(
        mut self,
        exit: Option<i32>,
        stopped_by_us: bool,
        stalled: bool,
        now: i64,
    ) -> AgentReport {
        let mut outcome = self.stream.end(Ending { exit, stopped_by_us, now });
        if stalled {
            outcome = self.stream.trouble(now).or(outcome);
        }
        let (completed, reason, detail, resets_at) = match outcome {
            Some(AgentOutcome::Completed) => (true, None, String::new(), None),
            Some(AgentOutcome::Failed { reason, detail, resets_at }) => {
                let detail = escape::line(detail.as_bytes(), DETAIL_CHARACTERS);
                (false, Some(reason.as_str().to_owned()), detail, resets_at)
            }
            None => (false, None, String::new(), None),
        };
        let usage = self.stream.usage();
        let session =
            self.stream.session().map(|id| escape::line(id.as_bytes(), DETAIL_CHARACTERS));
        if let Some(session) = &session {
            self.remember(session, usage);
        }
        AgentReport {
            completed,
            reason,
            detail,
            resets_at,
            session,
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            cost_micros: usage.cost_micros,
            final_text: cut(self.stream.final_text(), FINAL_TEXT_BYTES).to_owned(),
            outputs: Vec::new(),
            outputs_refused: None,
        }
    }

    /// Best effort: without it a resumed run shows the whole conversation's tokens.
    fn remember(&self, session: &str, usage: Usage) {
        let before = earlier(&self.totals, session);
        let totals = Totals {
            session: session.to_owned(),
            input_tokens: before.input_tokens + usage.input_tokens,
            output_tokens: before.output_tokens + usage.output_tokens,
        };
        if let Ok(bytes) = serde_json::to_vec(&totals) {
            let _ = fs::write(&self.totals, bytes);
        }
    }
}

fn earlier(file: &Path, session: &str) -> Usage {
    let totals: Totals = fs::read(file)
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default();
    if totals.session != session {
        return Usage::default();
    }
    Usage {
        input_tokens: totals.input_tokens,
        output_tokens: totals.output_tokens,
        cost_micros: None,
    }
}

fn take(stream: &mut dyn Stream, line: &Line) -> Vec<AgentEvent> {
    match line {
        Line::Whole(line) => stream.line(line),
        // Whoever reads the transcript misses it otherwise; what is no event at all is noise.
        Line::TooLong(bytes) => vec![AgentEvent::Warning(format!(
            "a line of {bytes} bytes is left out here; {STDOUT_FILE} of this run has it"
        ))],
    }
}

/// The longest beginning that fits.
fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

fn to_core(
    work: &AgentWork,
    toolchains: &[(PathBuf, PathBuf)],
    gateway: bool,
) -> Result<AgentOrder, String> {
    let kind = AgentKind::parse(&work.adapter)
        .ok_or_else(|| format!("adapter '{}' is not known", work.adapter.escape_default()))?;
    let credential = CredentialKind::parse(&work.credential_kind).ok_or_else(|| {
        format!("credential kind '{}' is not known", work.credential_kind.escape_default())
    })?;
    let program = match (kind, program_inside(&work.program, toolchains)) {
        (_, Some(program)) => program,
        // Its argv names the program itself.
        (AgentKind::Custom, None) => PathBuf::new(),
        (
            AgentKind::ClaudeCode
            | AgentKind::Codex
            | AgentKind::OpenCode
            | AgentKind::GeminiCli
            | AgentKind::Aider
            | AgentKind::QwenCode,
            None,
        ) => {
            return Err(format!("{} is in no toolchain of the order", work.program.display()));
        }
    };
    if credential != CredentialKind::None && !gateway {
        return Err("the agent needs the model gateway, and the order has no door to it".into());
    }
    let session = if work.resume {
        Session::Resume { id: work.session.clone() }
    } else {
        Session::Fresh { id: work.session.clone() }
    };
    Ok(AgentOrder {
        kind,
        program,
        model: work.model.clone(),
        prompt: work.prompt.clone(),
        preamble: work.preamble.clone(),
        session,
        read_only: work.read_only,
        max_turns: work.max_turns,
        max_cost_cents: work.max_cost_cents,
        credential,
        run_token: work.run_token.clone(),
        gateway: format!("http://127.0.0.1:{}", inside::GATEWAY_PORT),
        home: inside::HOME.into(),
        workspace: inside::WORKSPACE.into(),
        custom: work.custom.as_ref().map(|custom| declared(custom, toolchains)),
    })
}

fn declared(custom: &order::CustomAgent, toolchains: &[(PathBuf, PathBuf)]) -> CustomAgent {
    let mut argv = custom.argv.clone();
    // A program of the host's by its path: inside it stands elsewhere.
    if let Some(first) = argv.first_mut()
        && let Some(seen) = program_inside(Path::new(first.as_str()), toolchains)
    {
        *first = seen.to_string_lossy().into_owned();
    }
    CustomAgent {
        argv,
        prompt_by: match custom.prompt_by {
            order::PromptBy::Stdin => PromptBy::Stdin,
            order::PromptBy::File => PromptBy::File,
            order::PromptBy::Argument => PromptBy::Argument,
        },
        env: custom.env.clone(),
        mapping: custom.mapping.clone().map(|mapping| EventMapping {
            session: mapping.session,
            text: mapping.text,
            tool: mapping.tool,
            input_tokens: mapping.input_tokens,
            output_tokens: mapping.output_tokens,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(resume: bool) -> AgentWork {
        AgentWork {
            adapter: "custom".into(),
            program: "/bin/sh".into(),
            model: None,
            prompt: "p".into(),
            preamble: String::new(),
            session: "s-1".into(),
            resume,
            read_only: false,
            credential_kind: "None".into(),
            run_token: String::new(),
            max_turns: None,
            max_cost_cents: None,
            checkpoint_seconds: 0,
            custom: Some(order::CustomAgent {
                argv: vec!["sh".into(), "{session}".into()],
                prompt_by: order::PromptBy::Stdin,
                env: std::collections::BTreeMap::new(),
                mapping: Some(order::EventMapping {
                    session: Some("/id".into()),
                    input_tokens: Some("/in".into()),
                    output_tokens: Some("/out".into()),
                    ..order::EventMapping::default()
                }),
            }),
        }
    }

    #[test]
    fn totals_of_a_conversation_are_kept_beside_its_home() {
        let home = tempfile::tempdir().unwrap();
        for (resume, before) in [(false, 0), (true, 7), (true, 14)] {
            assert_eq!(earlier(&home.path().join("totals.json"), "s-1").input_tokens, before);
            let mut talk = Conversation::new(&work(resume), &[], false, home.path()).unwrap();
            talk.stdout(b"{\"id\":\"s-1\",\"in\":7,\"out\":2}\n");
            let report = talk.report(Some(0), false, false, 0);
            assert_eq!((report.input_tokens, report.output_tokens), (7, 2));
        }
        assert_eq!(earlier(&home.path().join("totals.json"), "another").input_tokens, 0);
    }

    #[test]
    fn an_order_for_a_gateway_needs_a_door_to_it() {
        let home = tempfile::tempdir().unwrap();
        let mut wanted = work(false);
        wanted.credential_kind = "AnthropicKey".into();
        assert!(Conversation::new(&wanted, &[], false, home.path()).is_err());
        wanted.credential_kind = "Gold".into();
        assert!(Conversation::new(&wanted, &[], true, home.path()).is_err());
        wanted.credential_kind = "None".into();
        wanted.adapter = "unknown".into();
        assert!(Conversation::new(&wanted, &[], true, home.path()).is_err());
    }

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(cut("aé", 2), "a");
        assert_eq!(cut("aé", 3), "aé");
    }
}
