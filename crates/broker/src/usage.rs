//! Tokens, counted from the provider's answer while it passes by.

mod json;
mod sse;

use json::JsonScan;
use sse::SseScan;

use crate::trouble::Trouble;

/// Tokens of one answer, or of many. Cached and written ones are part of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TokenCount {
    /// Tokens sent, cached ones included.
    pub input: u64,
    /// Tokens received.
    pub output: u64,
    /// Tokens of the input that were read from the provider's cache.
    pub cached: u64,
    /// Tokens of the input that were written to the provider's cache (Anthropic only).
    pub cache_written: u64,
}

impl TokenCount {
    /// Adds another count; never overflows.
    pub fn add(&mut self, other: Self) {
        let Self { input, output, cached, cache_written } = other;
        self.input = self.input.saturating_add(input);
        self.output = self.output.saturating_add(output);
        self.cached = self.cached.saturating_add(cached);
        self.cache_written = self.cache_written.saturating_add(cache_written);
    }
}

/// The numbers that we look for, as the provider names them. Later ones replace earlier ones:
/// both providers send running totals.
#[derive(Debug, Clone, Copy, Default)]
struct Found {
    /// Anthropic: without the cached ones. OpenAI and Gemini: with them.
    input: Option<u64>,
    output: Option<u64>,
    /// Anthropic.
    cache_read: Option<u64>,
    /// Anthropic.
    cache_written: Option<u64>,
    /// OpenAI and Gemini, part of `input`.
    cached: Option<u64>,
    /// Gemini: thoughts, beside the output.
    thoughts: Option<u64>,
    /// OpenAI's body of a 429.
    resets_at: Option<u64>,
    /// The first of the errors that we know.
    trouble: Option<Trouble>,
}

/// Reads a response body piece by piece, in constant memory.
#[derive(Debug)]
pub(crate) struct UsageScan {
    form: Form,
    found: Found,
}

#[derive(Debug)]
enum Form {
    Events(SseScan),
    Document(Box<JsonScan>),
    Other,
}

impl UsageScan {
    /// Chooses the reader by the content type.
    pub(crate) fn for_content_type(content_type: &str) -> Self {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        let form = if essence.eq_ignore_ascii_case("text/event-stream") {
            Form::Events(SseScan::default())
        } else if essence.eq_ignore_ascii_case("application/json") {
            Form::Document(Box::default())
        } else {
            Form::Other
        };
        Self { form, found: Found::default() }
    }

    /// Takes the next piece.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        match &mut self.form {
            Form::Events(scan) => scan.feed(bytes, &mut self.found),
            Form::Document(scan) => scan.feed(bytes, &mut self.found),
            Form::Other => {}
        }
    }

    /// What was counted so far.
    pub(crate) fn count(&self) -> TokenCount {
        let found = self.found;
        let read = found.cache_read.unwrap_or_default();
        let written = found.cache_written.unwrap_or_default();
        TokenCount {
            input: found.input.unwrap_or_default().saturating_add(read).saturating_add(written),
            output: found
                .output
                .unwrap_or_default()
                .saturating_add(found.thoughts.unwrap_or_default()),
            cached: read.saturating_add(found.cached.unwrap_or_default()),
            cache_written: written,
        }
    }

    /// When a usage limit resets, in seconds since 1970, where the body says so.
    pub(crate) fn resets_at(&self) -> Option<u64> {
        self.found.resets_at
    }

    /// The error that the body tells of.
    pub(crate) fn trouble(&self) -> Option<Trouble> {
        self.found.trouble
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANTHROPIC: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"content\":[],\
        \"usage\":{\"input_tokens\":10,\"cache_creation_input_tokens\":3,\"cache_read_input_tokens\":200,\"output_tokens\":1}}}\n\n\
        event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\
        \"text\":\"\\\"usage\\\":{\\\"output_tokens\\\":999}} \\\\\"}}\n\n\
        event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":55}}\n\n\
        event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

    const RESPONSES: &str = "event: response.created\r\ndata: {\"type\":\"response.created\",\"response\":{\"usage\":null}}\r\n\r\n\
        data: {\"type\":\"response.completed\",\"response\":{\"output\":[{\"usage\":{\"input_tokens\":7}}],\
        \"usage\":{\"input_tokens\":120,\"input_tokens_details\":{\"cached_tokens\":100},\"output_tokens\":9,\
        \"output_tokens_details\":{\"reasoning_tokens\":4},\"total_tokens\":129}}}\r\n\r\n";

    const CHAT: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}],\"usage\":null}\n\n\
        data: {\"choices\":[],\"usage\":{\"prompt_tokens\":30,\"completion_tokens\":4,\"prompt_tokens_details\":{\"cached_tokens\":16}}}\n\n\
        data: [DONE]\n\n";

    const GEMINI: &str = "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\\\"usageMetadata\\\":{}\"}]}}],\
        \"usageMetadata\":{\"promptTokenCount\":12,\"totalTokenCount\":12}}\r\n\r\n\
        data: {\"candidates\":[],\"usageMetadata\":{\"promptTokenCount\":12,\"cachedContentTokenCount\":5,\
        \"candidatesTokenCount\":7,\"thoughtsTokenCount\":3,\"totalTokenCount\":22,\
        \"promptTokensDetails\":[{\"modality\":\"TEXT\",\"tokenCount\":12}]}}\r\n\r\n";

    fn count(content_type: &str, body: &str, step: usize) -> TokenCount {
        let mut scan = UsageScan::for_content_type(content_type);
        for piece in body.as_bytes().chunks(step) {
            scan.feed(piece);
        }
        scan.count()
    }

    #[test]
    fn streams_of_every_api_are_counted_however_they_are_cut() {
        for step in [1, 2, 3, 7, 64, 100_000] {
            let sse = "text/event-stream; charset=utf-8";
            let expected = TokenCount { input: 213, output: 55, cached: 200, cache_written: 3 };
            assert_eq!(count(sse, ANTHROPIC, step), expected, "{step}");
            let expected = TokenCount { input: 120, output: 9, cached: 100, cache_written: 0 };
            assert_eq!(count(sse, RESPONSES, step), expected, "{step}");
            let expected = TokenCount { input: 30, output: 4, cached: 16, cache_written: 0 };
            assert_eq!(count(sse, CHAT, step), expected, "{step}");
            let expected = TokenCount { input: 12, output: 10, cached: 5, cache_written: 0 };
            assert_eq!(count(sse, GEMINI, step), expected, "{step}");
        }
    }

    #[test]
    fn plain_documents_are_counted() {
        let body = "{\"content\":[{\"text\":\"x\"}], \"usage\" : {\"input_tokens\": 5 ,\"output_tokens\":6}}";
        let expected = TokenCount { input: 5, output: 6, ..TokenCount::default() };
        assert_eq!(count("application/json", body, 3), expected);
        assert_eq!(count("application/json", "{\"input_tokens\":14}", 3), TokenCount::default());
        assert_eq!(count("text/html", body, 3), TokenCount::default());
    }

    #[test]
    fn a_limit_in_the_body_has_its_reset() {
        let mut scan = UsageScan::for_content_type("application/json");
        scan.feed(b"{\"error\":{\"type\":\"usage_limit_reached\",\"resets_at\":1700000000}}");
        assert_eq!(scan.resets_at(), Some(1_700_000_000));
    }

    #[test]
    fn errors_are_known_by_their_words_and_nothing_that_a_model_wrote_is_one() {
        let sse = "text/event-stream";
        let json = "application/json";
        for (content_type, body, trouble) in [
            (
                sse,
                r#"data: {"type":"error","error":{"type":"rate_limit_error","message":"x"}}"#,
                Some(Trouble::Limit),
            ),
            (
                sse,
                r#"data: {"type":"error","error":{"type":"overloaded_error"}}"#,
                Some(Trouble::Down),
            ),
            (
                sse,
                r#"data: {"type":"response.failed","response":{"error":{"code":"insufficient_quota"}}}"#,
                Some(Trouble::Limit),
            ),
            (sse, r#"data: {"type":"error","code":"rate_limit_exceeded"}"#, Some(Trouble::Limit)),
            (
                json,
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to \u0041"}}"#,
                Some(Trouble::Limit),
            ),
            (
                json,
                r#"{"error":{"code":400,"message":"API key not valid. Please pass","status":"INVALID_ARGUMENT"}}"#,
                Some(Trouble::Login),
            ),
            (
                json,
                r#"{"error":{"code":503,"message":"x","status":"UNAVAILABLE"}}"#,
                Some(Trouble::Down),
            ),
            (json, r#"{"error":{"message":"Your \n credit balance is too low"}}"#, None),
            (json, r#"{"message":{"error":{"type":"rate_limit_error"}}}"#, None),
            (
                sse,
                r#"data: {"delta":{"text":"{\"error\":{\"type\":\"rate_limit_error\"}}"}}"#,
                None,
            ),
            (
                sse,
                r#"data: {"response":{"output":[{"error":{"code":"insufficient_quota"}}]}}"#,
                None,
            ),
        ] {
            for step in [1, 3, 100_000] {
                let mut scan = UsageScan::for_content_type(content_type);
                body.as_bytes().chunks(step).for_each(|piece| scan.feed(piece));
                scan.feed(b"\n\n");
                assert_eq!(scan.trouble(), trouble, "{body}");
            }
        }
    }

    #[test]
    fn nonsense_is_survived_in_constant_memory() {
        let deep = "[{\"a\":".repeat(10_000);
        let text = format!("{{\"usage\":{{\"input_tokens\":{}", "9".repeat(100_000));
        for body in [
            deep.as_str(),
            &text,
            "}}}}]]]]\"",
            "{\"usage\":{\"input_tokens\":-5,\"output_tokens\":1.5}}",
        ] {
            assert_eq!(count("application/json", body, 11).output, 0);
            assert_eq!(count("text/event-stream", &format!("data: {body}\n\n"), 11).output, 0);
        }
    }
}
