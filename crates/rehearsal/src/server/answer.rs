//! From a request to an answer, in Anthropic's words.

use serde_json::{Value, json};

use crate::anthropic;
use crate::http::{Answer, Request};
use crate::script::{Conversation, Reply, Script};

/// The version of the API that is spoken.
const VERSION: &str = "2023-06-01";
/// What a request without tools is answered: a title, a probe, a login's check.
const ASIDE: &str = "This is a rehearsal.";

/// The answer to a request that has no right to another one. Only the warm-up of a connection
/// needs no key.
pub(super) fn refusal(request: &Request, key: &str) -> Option<Answer> {
    if is_home(request) {
        return None;
    }
    match request.header("x-api-key") {
        Some(shown) if same(shown, key) => None,
        Some(_) => Some(refuse(401, "authentication_error", "invalid x-api-key")),
        None => Some(refuse(401, "authentication_error", "x-api-key header is required")),
    }
}

/// Answers a request whose key was right.
pub(super) fn answer(request: &Request, choose: &dyn Fn(&Conversation) -> Script) -> Answer {
    if is_home(request) {
        return Answer::Whole { status: 200, headers: Vec::new(), body: String::new() };
    }
    let counting = match request.path() {
        "/v1/messages" => false,
        "/v1/messages/count_tokens" => true,
        _ => return refuse(404, "not_found_error", "Not Found"),
    };
    if request.method != "POST" {
        return refuse(405, "invalid_request_error", "Method Not Allowed");
    }
    match request.header("anthropic-version") {
        Some(VERSION) => {}
        Some(other) => {
            let message = format!("anthropic-version: \"{other}\" is not a valid version");
            return refuse(400, "invalid_request_error", &message);
        }
        None => {
            let message = "anthropic-version: header is required";
            return refuse(400, "invalid_request_error", message);
        }
    }
    let body: Value = match serde_json::from_slice(&request.body) {
        Ok(body) => body,
        Err(error) => {
            let message = format!("The request body is not valid JSON: {error}");
            return refuse(400, "invalid_request_error", &message);
        }
    };
    let conversation = match anthropic::read(&body, counting) {
        Ok(conversation) => conversation,
        Err(message) => return refuse(400, "invalid_request_error", &message),
    };
    if counting {
        return Answer::json(200, &json!({"input_tokens": anthropic::INPUT_TOKENS}));
    }
    let reply = if conversation.tools.is_empty() {
        Reply { say: ASIDE.to_owned(), call: None }
    } else {
        choose(&conversation).reply(conversation.results.len())
    };
    if body["stream"] == true {
        let events = anthropic::events(&conversation, &reply);
        return Answer::Stream { headers: Vec::new(), events, cut: false };
    }
    Answer::json(200, &anthropic::message(&conversation, &reply))
}

fn is_home(request: &Request) -> bool {
    matches!(request.method.as_str(), "HEAD" | "GET") && request.path() == "/"
}

fn refuse(status: u16, kind: &str, message: &str) -> Answer {
    Answer::json(status, &anthropic::error(kind, message))
}

/// Compares without an early end, so that the time tells nothing of the key.
fn same(shown: &str, key: &str) -> bool {
    let (shown, key) = (shown.as_bytes(), key.as_bytes());
    shown.len() == key.len() && shown.iter().zip(key).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}
