//! What aider prints: plain text for people, with its errors and counts in it.

use midwatch_core::agent::{AgentEvent, AgentOrder, AgentOutcome, Digest, Session, Usage};
use midwatch_core::reason::FailReason;

use super::failure;
use crate::adapter::{self, Ending, FINAL_TEXT_LIMIT, Stream};
use crate::clean::{self, Tail};
use crate::provider;

#[derive(Debug, Default)]
pub(super) struct Transcript {
    /// Ours: it is the name of its file of the conversation.
    session: String,
    model: Option<String>,
    started: bool,
    usage: Usage,
    /// The newest error that nothing came after.
    error: Option<(FailReason, String)>,
    /// What comes may still be that error's own: the body of a refusal has lines.
    in_error: bool,
    /// What it said last of an answer that it could not use.
    undone: Option<String>,
    attempts: u32,
    edits: u32,
    answered: bool,
    last_text: String,
    stderr: Tail,
}

impl Transcript {
    pub(super) fn new(order: &AgentOrder) -> Self {
        let (Session::Fresh { id } | Session::Resume { id }) = &order.session;
        Self { session: id.clone(), model: order.model.clone(), ..Self::default() }
    }

    /// `Tokens: 2.4k sent, 18 received. Cost: $0.0071 message, $0.0071 session.`
    fn tokens(&mut self, line: &str) -> Option<AgentEvent> {
        let rest = line.strip_prefix("Tokens: ")?;
        let before = |mark: &str| {
            let (number, _) = rest.split_once(mark)?;
            count(number.rsplit([' ', ',']).next()?)
        };
        let (sent, received) = (before(" sent")?, before(" received").unwrap_or(0));
        self.in_error = false;
        self.usage.input_tokens = self.usage.input_tokens.saturating_add(sent);
        self.usage.output_tokens = self.usage.output_tokens.saturating_add(received);
        let cost = rest.split_once(" message, $").and_then(|(_, rest)| {
            let dollars: f64 = rest.split(' ').next()?.parse().ok()?;
            crate::json::micros(&dollars.into())
        });
        if cost.is_some() {
            self.usage.cost_micros = cost;
        }
        // What it sent is counted also where nothing came back, which is no answer.
        if received > 0 {
            self.answered = true;
            self.error = None;
            self.undone = None;
        }
        Some(AgentEvent::Usage(self.usage))
    }

    /// A further line of an error whose first one says nothing, such as `… - <html>`.
    fn says_more(&mut self, line: &str) {
        if let Some((reason @ FailReason::ModelUnavailable, text)) = &mut self.error
            && self.in_error
            && let Some(better) = provider::of_words(line)
        {
            *reason = better;
            *text = clean::line(&format!("{text} {line}"));
        }
    }

    /// `Applied edit to note.txt`.
    fn edit(&mut self, line: &str) -> Option<Vec<AgentEvent>> {
        let path = line.strip_prefix("Applied edit to ")?;
        self.edits = self.edits.saturating_add(1);
        let id = format!("edit-{}", self.edits);
        // What was written is not told: a mark that is never the same, so that two edits of one
        // file are not taken for a repetition.
        let mark = Digest::of(id.as_bytes());
        let (name, summary) = ("edit".to_owned(), clean::line(path));
        Some(vec![
            AgentEvent::ToolStarted { id: id.clone(), name, summary, arguments: mark },
            AgentEvent::ToolFinished { id, ok: true, summary: "applied".into(), result: mark },
        ])
    }
}

impl Stream for Transcript {
    fn line(&mut self, line: &[u8]) -> Vec<AgentEvent> {
        let line = clean::text(&String::from_utf8_lossy(line));
        let line = line.trim_end();
        let mut events = Vec::new();
        if !std::mem::replace(&mut self.started, true) && clean::is_session_id(&self.session) {
            let (session, model) = (self.session.clone(), self.model.clone());
            events.push(AgentEvent::Started { session, model });
        }
        if let Some(usage) = self.tokens(line) {
            events.push(usage);
        } else if let Some(edit) = self.edit(line) {
            events.extend(edit);
        } else if let Some(reason) = failure::of_line(line) {
            self.error = Some((reason, clean::line(line)));
            self.in_error = true;
        } else if line.starts_with("Retrying in ") {
            self.in_error = false;
            self.attempts = self.attempts.saturating_add(1);
            let error = self.error.as_ref().map_or(line, |(_, text)| text);
            events.push(AgentEvent::Retrying { attempt: self.attempts, error: clean::line(error) });
        } else if !line.is_empty() {
            self.says_more(line);
            if failure::is_undone(line) {
                self.undone = Some(line.to_owned());
            }
            clean::push_line(&mut self.last_text, line, FINAL_TEXT_LIMIT);
            events.push(AgentEvent::Text(line.to_owned()));
        }
        events
    }

    fn stderr_line(&mut self, line: &[u8]) {
        self.stderr.push(line);
    }

    fn end(&mut self, ending: Ending) -> Option<AgentOutcome> {
        if ending.stopped_by_us {
            return None;
        }
        let failed =
            |reason, detail| Some(AgentOutcome::Failed { reason, detail, resets_at: None });
        if let Some((reason, text)) = self.error.clone() {
            return failed(reason, text);
        }
        if let Some(text) = self.undone.clone() {
            return failed(FailReason::AgentFailed, text);
        }
        if ending.exit == Some(0) && self.answered {
            return Some(AgentOutcome::Completed);
        }
        let said = self.last_text.lines().rev().find(|line| line.contains("rror"));
        let told = self.stderr.find("rror").or(self.stderr.last()).or(said);
        let detail = told.map_or_else(|| adapter::without_result(ending.exit), str::to_owned);
        failed(failure::of_text(&detail), clean::line(&detail))
    }

    fn trouble(&self, _: i64) -> Option<AgentOutcome> {
        let (reason, detail) = self.error.clone()?;
        Some(AgentOutcome::Failed { reason, detail, resets_at: None })
    }

    fn session(&self) -> Option<&str> {
        self.started.then_some(&*self.session).filter(|id| clean::is_session_id(id))
    }

    fn usage(&self) -> Usage {
        self.usage
    }

    fn final_text(&self) -> &str {
        self.last_text.trim_end()
    }
}

/// `647`, `2.4k`, `1.2M`: what it prints is rounded.
fn count(text: &str) -> Option<u64> {
    let (digits, unit) = match text.strip_suffix(['k', 'K']) {
        Some(digits) => (digits, 1e3),
        None => text.strip_suffix('M').map_or((text, 1.0), |digits| (digits, 1e6)),
    };
    let number: f64 = digits.parse().ok()?;
    let number = (number * unit).round();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range is checked: at most 1e15"
    )]
    (0.0..1e15).contains(&number).then_some(number as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream() -> Transcript {
        Transcript { session: "s-1".into(), ..Transcript::default() }
    }

    const FINE: Ending = Ending { exit: Some(0), stopped_by_us: false, now: 0 };

    #[test]
    fn counts_are_read_as_they_are_rounded() {
        let mut stream = stream();
        stream.line(b"Tokens: 2.4k sent, 1.1k cache hit, 18 received. Cost: $0.0071 message, $0.0071 session.");
        stream.line(b"Tokens: 100 sent, 2 received. Cost: $0.0001 message, $0.0072 session.");
        let usage = stream.usage();
        assert_eq!((usage.input_tokens, usage.output_tokens), (2500, 20));
        assert_eq!(usage.cost_micros, Some(7200));
        assert_eq!(stream.end(FINE), Some(AgentOutcome::Completed));
    }

    #[test]
    fn an_exit_of_0_without_an_answer_is_a_failure() {
        assert!(matches!(stream().end(FINE), Some(AgentOutcome::Failed { .. })));
        let mut stream = stream();
        stream.line(b"litellm.AuthenticationError: AuthenticationError: OpenAIException - no");
        assert!(matches!(
            stream.end(FINE),
            Some(AgentOutcome::Failed { reason: FailReason::Authentication, .. })
        ));
    }

    #[test]
    fn an_empty_answer_is_none() {
        const EMPTY: &[u8] = b"Empty response received from LLM. Check your provider account?";
        let unavailable = |stream: &mut Transcript| {
            let reason = FailReason::ModelUnavailable;
            matches!(stream.end(FINE), Some(AgentOutcome::Failed { reason: found, .. }) if found == reason)
        };
        let mut stream = stream();
        stream.line(EMPTY);
        stream.line(b"Tokens: 1.9k sent, 0 received. Cost: $0.0024 message, $0.0024 session.");
        assert_eq!(stream.usage().input_tokens, 1900);
        assert!(unavailable(&mut stream));
        stream.line(b"Tokens: 2k sent, 9 received. Cost: $0.0024 message, $0.0048 session.");
        assert_eq!(stream.end(FINE), Some(AgentOutcome::Completed));
    }

    /// The count of a turn is printed before what was wrong with it.
    const ANSWERED: &[u8] = b"Tokens: 2k sent, 9 received. Cost: $0.0024 message, $0.0048 session.";

    fn reason(stream: &mut Transcript) -> Option<FailReason> {
        match stream.end(FINE) {
            Some(AgentOutcome::Failed { reason, .. }) => Some(reason),
            Some(AgentOutcome::Completed) | None => None,
        }
    }

    #[test]
    fn a_full_context_after_an_answer_is_no_success() {
        let mut stream = stream();
        stream.line(ANSWERED);
        stream.line(ANSWERED);
        stream.line(b"Model openai/gpt-5 has hit a token limit!");
        stream.line(b"Total tokens: ~300,000 of 272,000 -- possibly exhausted context window!");
        assert_eq!(reason(&mut stream), Some(FailReason::TokenLimit));
    }

    #[test]
    fn a_refusal_of_several_lines_is_known_by_the_one_that_says_it() {
        const HEAD: &[u8] = b"<head><title>413 Payload Too Large</title></head>";
        let mut stream = stream();
        stream.line(b"litellm.APIError: APIError: OpenAIException - <html>");
        assert_eq!(reason(&mut stream), Some(FailReason::ModelUnavailable));
        stream.line(HEAD);
        assert_eq!(reason(&mut stream), Some(FailReason::TokenLimit));
        // The control: what the model says in the next try is no part of the error.
        stream.line(b"litellm.APIError: APIError: OpenAIException - <html>");
        stream.line(b"Retrying in 0.2 seconds...");
        stream.line(HEAD);
        assert_eq!(reason(&mut stream), Some(FailReason::ModelUnavailable));
    }

    #[test]
    fn edits_that_were_given_up_are_no_success() {
        let mut stream = stream();
        stream.line(ANSWERED);
        stream.line(b"The LLM did not conform to the edit format.");
        stream.line(b"# 1 SEARCH/REPLACE block failed to match!");
        assert_eq!(reason(&mut stream), Some(FailReason::AgentFailed));
        assert_eq!(stream.trouble(0), None, "nothing is tried again for want of a provider");
        // The control: the next answer could be used.
        stream.line(ANSWERED);
        assert_eq!(stream.end(FINE), Some(AgentOutcome::Completed));
        stream.line(b"Only 3 reflections allowed, stopping.");
        assert_eq!(reason(&mut stream), Some(FailReason::AgentFailed));
    }

    #[test]
    fn an_edit_is_a_call() {
        let events = stream().line(b"Applied edit to src/a.rs");
        assert!(
            matches!(&events[1], AgentEvent::ToolStarted { summary, .. } if summary == "src/a.rs")
        );
    }
}
