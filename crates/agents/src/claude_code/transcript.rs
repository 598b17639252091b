//! `--output-format stream-json`, line by line.

use std::collections::BTreeSet;

use midwatch_core::agent::{AgentEvent, AgentOutcome, Usage};
use midwatch_core::reason::FailReason;
use serde_json::{Map, Value};

use super::failure::{self, Clues};
use super::tools::Tools;
use crate::adapter::{self, Ending, FINAL_TEXT_LIMIT, Stream};
use crate::clean::{self, Tail};
use crate::clock;
use crate::json;

/// The most messages that are remembered; a hostile stream must not grow us.
const REMEMBERED: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct Transcript {
    read_only: bool,
    session: Option<String>,
    /// Messages whose usage was counted: one message comes as several lines.
    counted: BTreeSet<String>,
    usage: Usage,
    tools: Tools,
    error: Option<String>,
    /// Calls are refused until the subscription's limit resets.
    limit_resets_at: Option<i64>,
    retrying: Option<Retry>,
    result: Option<Outcome>,
    last_text: String,
    stderr: Tail,
}

#[derive(Debug)]
struct Retry {
    error: String,
    status: Option<u64>,
}

/// The last line.
#[derive(Debug)]
struct Outcome {
    subtype: String,
    terminal: String,
    is_error: bool,
    status: Option<u64>,
    text: String,
}

impl Transcript {
    pub(super) fn new(read_only: bool) -> Self {
        Self { read_only, ..Self::default() }
    }

    fn system(&mut self, event: &Map<String, Value>) -> Vec<AgentEvent> {
        match json::text(event, "subtype") {
            Some("init") => self.init(event),
            Some("api_retry") => {
                let error = clean::line(json::text(event, "error").unwrap_or("unknown"));
                let status = event.get("error_status").and_then(Value::as_u64);
                let attempt = event.get("attempt").and_then(Value::as_u64).unwrap_or(1);
                let shown =
                    status.map_or_else(|| error.clone(), |code| format!("{error} ({code})"));
                self.retrying = Some(Retry { error, status });
                vec![AgentEvent::Retrying {
                    attempt: u32::try_from(attempt).unwrap_or(u32::MAX),
                    error: shown,
                }]
            }
            Some("model_fallback") => {
                let text = json::text(event, "content").or(json::text(event, "message"));
                vec![AgentEvent::Warning(clean::line(text.unwrap_or("another model took over")))]
            }
            Some(_) | None => Vec::new(),
        }
    }

    fn init(&mut self, event: &Map<String, Value>) -> Vec<AgentEvent> {
        let mut events = Vec::new();
        let id = json::text(event, "session_id").filter(|id| clean::is_session_id(id));
        if let (Some(id), None) = (id, &self.session) {
            self.session = Some(id.to_owned());
            let model = json::text(event, "model").map(clean::line);
            events.push(AgentEvent::Started { session: id.to_owned(), model });
        }
        let servers = event.get("mcp_servers").and_then(Value::as_array);
        for server in servers.into_iter().flatten().take(16) {
            if server["status"] == "failed" {
                let name = clean::line(server["name"].as_str().unwrap_or("?"));
                events.push(AgentEvent::Warning(format!("the MCP server {name} did not start")));
            }
        }
        events
    }

    fn assistant(&mut self, event: &Map<String, Value>) -> Vec<AgentEvent> {
        let mut events = Vec::new();
        let Some(message) = event.get("message") else {
            return vec![AgentEvent::Malformed];
        };
        if let Some(error) = json::text(event, "error") {
            self.error = Some(clean::line(error));
        }
        // The CLI's own words on an error come again in the result.
        if message["model"] == "<synthetic>" {
            return events;
        }
        self.retrying = None;
        let main = event.get("parent_tool_use_id").is_none_or(Value::is_null);
        for block in blocks(message) {
            match block["type"].as_str() {
                Some("text") if main => {
                    let text = block["text"].as_str().unwrap_or_default();
                    self.last_text = clean::bounded(text, FINAL_TEXT_LIMIT);
                    events.push(AgentEvent::Text(clean::text(text)));
                }
                Some("tool_use") => events.extend(self.tools.started(block)),
                Some(_) | None => {}
            }
        }
        events.extend(self.count(message));
        events
    }

    /// Adds the usage of a message once. Its output tokens are those of the message's start,
    /// so the sum is too low until the result corrects it.
    fn count(&mut self, message: &Value) -> Option<AgentEvent> {
        let id = message["id"].as_str()?;
        let usage = message.get("usage")?;
        if self.counted.len() >= REMEMBERED || !self.counted.insert(clean::line(id)) {
            return None;
        }
        let usage = tokens(usage);
        self.usage.input_tokens = self.usage.input_tokens.saturating_add(usage.input_tokens);
        self.usage.output_tokens = self.usage.output_tokens.saturating_add(usage.output_tokens);
        Some(AgentEvent::Usage(self.usage))
    }

    fn user(&mut self, event: &Map<String, Value>) -> Vec<AgentEvent> {
        let Some(message) = event.get("message") else {
            return vec![AgentEvent::Malformed];
        };
        blocks(message).filter_map(|block| self.tools.finished(block)).collect()
    }

    fn rate_limit(&mut self, event: &Map<String, Value>) -> Vec<AgentEvent> {
        let Some(info) = event.get("rate_limit_info") else {
            return vec![AgentEvent::Malformed];
        };
        let refused = info["status"] == "rejected";
        let resets_at = info["resetsAt"].as_i64();
        if refused && resets_at.is_none() {
            // Also said of a plain 429, which is no limit of the subscription.
            return vec![AgentEvent::Warning("the provider asks to slow down".to_owned())];
        }
        if refused {
            self.limit_resets_at = resets_at;
        }
        vec![AgentEvent::Limit { reached: refused, resets_at }]
    }

    fn result(&mut self, event: &Map<String, Value>) -> Vec<AgentEvent> {
        let mut events = Vec::new();
        self.retrying = None;
        if let Some(models) = event.get("modelUsage").and_then(Value::as_object) {
            // All models: sub-agents and side calls are paid for as well.
            let mut sum = Usage::default();
            for model in models.values() {
                let input = json::count(model, "inputTokens")
                    .saturating_add(json::count(model, "cacheReadInputTokens"))
                    .saturating_add(json::count(model, "cacheCreationInputTokens"));
                sum.input_tokens = sum.input_tokens.saturating_add(input);
                sum.output_tokens =
                    sum.output_tokens.saturating_add(json::count(model, "outputTokens"));
            }
            sum.cost_micros = event.get("total_cost_usd").and_then(json::micros);
            self.usage = sum;
            events.push(AgentEvent::Usage(sum));
        }
        let denials = event.get("permission_denials").and_then(Value::as_array);
        for denial in denials.into_iter().flatten().take(16) {
            self.tools.denied();
            let tool = clean::line(denial["tool_name"].as_str().unwrap_or("a tool"));
            events.push(AgentEvent::Warning(format!("{tool} was denied")));
        }
        let errors = event.get("errors").and_then(Value::as_array);
        let error = errors.into_iter().flatten().find_map(Value::as_str);
        let said = json::text(event, "result").or(error).unwrap_or_default();
        let text = clean::bounded(said, FINAL_TEXT_LIMIT);
        let field = |name: &str| clean::line(json::text(event, name).unwrap_or_default());
        let outcome = Outcome {
            subtype: field("subtype"),
            terminal: field("terminal_reason"),
            is_error: event.get("is_error").is_none_or(|it| it != false),
            status: event.get("api_error_status").and_then(Value::as_u64),
            text: clean::line(said),
        };
        let ok = !outcome.is_error && outcome.subtype == "success";
        if ok {
            self.last_text.clone_from(&text);
        }
        self.result = Some(outcome);
        events.push(AgentEvent::Finished { ok, text: clean::text(&text) });
        events
    }

    fn failed(&self, clues: &Clues<'_>, now: i64) -> AgentOutcome {
        let reason = failure::reason(clues);
        let resets_at = match reason {
            FailReason::UsageLimit => {
                self.limit_resets_at.or_else(|| clock::after(clues.text, "resets ", now))
            }
            _ => None,
        };
        let detail = if clues.text.is_empty() { clues.subtype } else { clues.text };
        AgentOutcome::Failed { reason, detail: clean::line(detail), resets_at }
    }
}

impl Stream for Transcript {
    fn line(&mut self, line: &[u8]) -> Vec<AgentEvent> {
        let Some(event) = json::object(line) else {
            return vec![AgentEvent::Malformed];
        };
        match json::text(&event, "type") {
            Some("system") => self.system(&event),
            Some("assistant") => self.assistant(&event),
            Some("user") => self.user(&event),
            Some("rate_limit_event") => self.rate_limit(&event),
            Some("result") => self.result(&event),
            // A newer version may say more; that is no fault.
            Some(_) => Vec::new(),
            None => vec![AgentEvent::Malformed],
        }
    }

    fn stderr_line(&mut self, line: &[u8]) {
        self.stderr.push(line);
    }

    fn end(&mut self, ending: Ending) -> Option<AgentOutcome> {
        if ending.stopped_by_us {
            return None;
        }
        let Some(result) = &self.result else {
            let told = self.stderr.find("Error").or(self.stderr.last());
            let text = told.map_or_else(|| adapter::without_result(ending.exit), str::to_owned);
            let clues = Clues {
                error: self.error.as_deref(),
                text: &text,
                limit_reached: self.limit_resets_at.is_some(),
                ..Clues::default()
            };
            return Some(self.failed(&clues, ending.now));
        };
        let success = !result.is_error && result.subtype == "success";
        if success && ending.exit == Some(0) {
            let hollow = self.tools.hollow(self.read_only);
            return Some(hollow.map_or(AgentOutcome::Completed, |(reason, detail)| {
                AgentOutcome::Failed { reason, detail, resets_at: None }
            }));
        }
        if success {
            // The last word was a success and the process still failed: it was killed late.
            let detail = adapter::without_result(ending.exit);
            return Some(AgentOutcome::Failed {
                reason: FailReason::AgentFailed,
                detail,
                resets_at: None,
            });
        }
        let clues = Clues {
            status: result.status,
            error: self.error.as_deref(),
            subtype: &result.subtype,
            terminal: &result.terminal,
            text: &result.text,
            limit_reached: self.limit_resets_at.is_some(),
        };
        Some(self.failed(&clues, ending.now))
    }

    fn trouble(&self, now: i64) -> Option<AgentOutcome> {
        let retry = self.retrying.as_ref()?;
        let error = Some(retry.error.as_str()).filter(|error| *error != "unknown");
        let text = format!("API Error: retrying: {}", retry.error);
        let clues = Clues { status: retry.status, error, text: &text, ..Clues::default() };
        Some(self.failed(&clues, now))
    }

    fn session(&self) -> Option<&str> {
        self.session.as_deref()
    }

    fn usage(&self) -> Usage {
        self.usage
    }

    fn final_text(&self) -> &str {
        &self.last_text
    }
}

fn blocks(message: &Value) -> impl Iterator<Item = &Value> {
    // One in practice; the bound is against a hostile line.
    message["content"].as_array().into_iter().flatten().take(64)
}

fn tokens(usage: &Value) -> Usage {
    let input = json::count(usage, "input_tokens")
        .saturating_add(json::count(usage, "cache_read_input_tokens"))
        .saturating_add(json::count(usage, "cache_creation_input_tokens"));
    Usage {
        input_tokens: input,
        output_tokens: json::count(usage, "output_tokens"),
        cost_micros: None,
    }
}
