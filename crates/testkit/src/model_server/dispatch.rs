//! From a request to an answer: path, failure, credential, body, script, in that order.

use midwatch_rehearsal::http::{Answer, Request};
use serde_json::{Value, json};

use super::gemini::{self, Verb};
use super::refusal::{self, no_such_model, refuse};
use super::{Api, Credential, Failure, Shared, anthropic, chat, responses};
use crate::script::{Call, Conversation, Reply, Script};

/// The beta that a subscription token needs beside it.
const OAUTH_BETA: &str = "oauth-2025-04-20";

/// What a path asks for.
enum Endpoint {
    Generate(Api),
    CountTokens,
    CountGeminiTokens,
    Models,
}

pub(crate) fn answer(request: &Request, shared: &Shared) -> Answer {
    let (failure, path) = split_prefix(request.path());
    let failure = failure.or(shared.builder.failure);
    match (request.method.as_str(), path) {
        // Clients warm up their connection so.
        ("HEAD" | "GET", "" | "/") => {
            return Answer::Whole { status: 200, headers: Vec::new(), body: String::new() };
        }
        // codex tries a WebSocket first and falls back on this answer.
        ("GET", "/v1/responses") => {
            return Answer::Whole { status: 426, headers: Vec::new(), body: String::new() };
        }
        _ => {}
    }
    let endpoint = match path {
        "/v1/messages" => Endpoint::Generate(Api::Anthropic),
        "/v1/messages/count_tokens" => Endpoint::CountTokens,
        "/v1/responses" => Endpoint::Generate(Api::Responses),
        "/v1/chat/completions" => Endpoint::Generate(Api::Chat),
        "/v1/models" => Endpoint::Models,
        _ => match gemini::path(path) {
            Some((_, Verb::Count)) => Endpoint::CountGeminiTokens,
            Some((_, Verb::Generate | Verb::Stream)) => Endpoint::Generate(Api::Gemini),
            None => return unknown(request, path),
        },
    };
    let (api, method) = match endpoint {
        Endpoint::Generate(api) => (api, "POST"),
        Endpoint::CountTokens => (Api::Anthropic, "POST"),
        Endpoint::CountGeminiTokens => (Api::Gemini, "POST"),
        Endpoint::Models if request.header("anthropic-version").is_some() => {
            (Api::Anthropic, "GET")
        }
        Endpoint::Models => (Api::Responses, "GET"),
    };
    if request.method != method {
        return refuse(
            api,
            405,
            "invalid_request_error",
            "method_not_allowed",
            "Method Not Allowed",
        );
    }
    if let Err(refusal) = authenticate(request, api, &shared.builder.credentials) {
        return refusal;
    }
    if let Some(failure) =
        failure.filter(|f| *f != Failure::RetryAfterOnce || shared.first_refusal())
    {
        let resets_at = shared.builder.resets_at;
        let good = || endpoint_answer(&endpoint, api, request, path, shared);
        return failure.answer(api, resets_at, good);
    }
    endpoint_answer(&endpoint, api, request, path, shared)
}

/// Takes `/m/NAME` off a path.
fn split_prefix(path: &str) -> (Option<Failure>, &str) {
    let Some(rest) = path.strip_prefix("/m/") else {
        return (None, path);
    };
    let (name, tail) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    match Failure::parse(name) {
        Some(failure) => (Some(failure), tail),
        None => (None, path),
    }
}

fn unknown(request: &Request, path: &str) -> Answer {
    if request.header("anthropic-version").is_some() {
        return Answer::json(404, &anthropic::error("not_found_error", "Not Found"));
    }
    let message = format!("Invalid URL ({} {path})", request.method);
    refuse(Api::Responses, 404, "", "invalid_url", &message)
}

fn authenticate(request: &Request, api: Api, accepted: &[Credential]) -> Result<(), Answer> {
    let key = request.header("x-api-key");
    let bearer = request
        .header("authorization")
        .and_then(|value| value.strip_prefix("Bearer "))
        .map(str::trim);
    let refused =
        |message: &str| Err(refuse(api, 401, "authentication_error", "invalid_api_key", message));
    let known = |offered: Credential| accepted.is_empty() || accepted.contains(&offered);
    match api {
        Api::Anthropic => {
            match request.header("anthropic-version") {
                Some("2023-06-01") => {}
                Some(other) => {
                    let message = format!("anthropic-version: \"{other}\" is not a valid version");
                    return Err(refuse(api, 400, "invalid_request_error", "", &message));
                }
                None => {
                    let message = "anthropic-version: header is required";
                    return Err(refuse(api, 400, "invalid_request_error", "", message));
                }
            }
            match (key, bearer) {
                // Stricter than the real one on purpose: two credentials are a fault of ours.
                (Some(_), Some(_)) => refused("more than one credential"),
                (Some(key), None) if known(Credential::AnthropicKey(key.into())) => Ok(()),
                (Some(_), None) => refused("invalid x-api-key"),
                // A gateway that is not Anthropic's; the real one refuses a bare bearer.
                (None, Some(token))
                    if accepted.contains(&Credential::AnthropicToken(token.into())) =>
                {
                    Ok(())
                }
                (None, Some(_))
                    if !request
                        .header("anthropic-beta")
                        .is_some_and(|it| it.contains(OAUTH_BETA)) =>
                {
                    refused("OAuth authentication is currently not supported.")
                }
                (None, Some(token)) if known(Credential::AnthropicSubscription(token.into())) => {
                    Ok(())
                }
                (None, Some(_)) => refused("Invalid bearer token"),
                (None, None) => refused("x-api-key header is required"),
            }
        }
        Api::Gemini => match request.header("x-goog-api-key") {
            // Stricter than the real one on purpose, as above.
            Some(_) if bearer.is_some() => refused("more than one credential"),
            Some(key) if known(Credential::GeminiKey(key.into())) => Ok(()),
            Some(_) => Err(refusal::unauthorized(api)),
            None => {
                let message = "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or other form of API consumer identity to call this API.";
                Err(refuse(api, 403, "", "", message))
            }
        },
        Api::Responses | Api::Chat => match bearer {
            Some(token) if known(Credential::OpenAiKey(token.into())) => Ok(()),
            Some(_) => Err(refusal::unauthorized(api)),
            None => refused("Missing bearer or basic authentication in header"),
        },
    }
}

fn endpoint_answer(
    endpoint: &Endpoint,
    api: Api,
    request: &Request,
    path: &str,
    shared: &Shared,
) -> Answer {
    if matches!(endpoint, Endpoint::Models) {
        return Answer::json(200, &models(api));
    }
    let counting = matches!(endpoint, Endpoint::CountTokens);
    let body: Value = match serde_json::from_slice(&request.body) {
        Ok(body) => body,
        Err(error) => {
            let message = format!("The request body is not valid JSON: {error}");
            return refuse(api, 400, "invalid_request_error", "invalid_json", &message);
        }
    };
    let conversation = match api {
        Api::Anthropic => anthropic::read(&body, counting),
        Api::Responses => responses::read(&body),
        Api::Chat => chat::read(&body),
        Api::Gemini => {
            let model = gemini::path(path).map_or("", |(model, _)| model);
            gemini::read(model, &body)
        }
    };
    let conversation = match conversation {
        Ok(conversation) => conversation,
        Err(message) => {
            return refuse(api, 400, "invalid_request_error", "unknown_parameter", &message);
        }
    };
    if !known_model(api, &conversation.model) {
        return no_such_model(api, &conversation.model);
    }
    if counting {
        return Answer::json(200, &json!({"input_tokens": anthropic::INPUT_TOKENS}));
    }
    if matches!(endpoint, Endpoint::CountGeminiTokens) {
        return Answer::json(200, &json!({"totalTokens": gemini::INPUT_TOKENS}));
    }
    let reply = reply(&conversation, shared);
    if body["stream"] == true || gemini::path(path).is_some_and(|it| it.1 == Verb::Stream) {
        let events = match api {
            Api::Anthropic => anthropic::events(&conversation, &reply),
            Api::Responses => responses::events(&conversation, &reply),
            Api::Chat => chat::events(&conversation, &reply),
            Api::Gemini => gemini::events(&conversation, &reply),
        };
        return Answer::Stream { headers: Vec::new(), events, cut: false };
    }
    let whole = match api {
        Api::Anthropic => anthropic::message(&conversation, &reply),
        Api::Responses => responses::whole(&conversation, &reply),
        Api::Chat => chat::whole(&conversation, &reply),
        Api::Gemini => gemini::whole(&conversation, &reply),
    };
    Answer::json(200, &whole)
}

/// A request without tools is a side call (a title, a probe) and gets no part of the script.
fn reply(conversation: &Conversation, shared: &Shared) -> Reply {
    // aider has no tools: it edits by blocks in the text.
    if conversation.tools.is_empty() && conversation.system.contains("SEARCH/REPLACE") {
        return edits(&(shared.builder.choose)(conversation));
    }
    if conversation.tools.is_empty() {
        return Reply { say: "Scripted".to_owned(), call: None };
    }
    (shared.builder.choose)(conversation).reply(conversation.results.len())
}

/// Every file of a script in one answer, as blocks that add to it; commands are left out.
fn edits(script: &Script) -> Reply {
    let mut say = String::new();
    for done in 0.. {
        let reply = script.reply(done);
        match reply.call {
            Some(Call::Write { path, content }) => {
                let content = content.trim_end_matches('\n');
                let block = format!("<<<<<<< SEARCH\n=======\n{content}\n>>>>>>> REPLACE");
                say.extend([path.as_str(), "\n```\n", &block, "\n```\n\n"]);
            }
            Some(Call::Shell(_) | Call::Read(_)) => {}
            None => {
                say.push_str(&reply.say);
                break;
            }
        }
    }
    Reply { say, call: None }
}

/// By prefix, since the pinned ids change: `claude-` for Anthropic, `gpt-` and friends for `OpenAI`.
fn known_model(api: Api, model: &str) -> bool {
    let prefixes: &[&str] = match api {
        Api::Anthropic => &["claude-"],
        Api::Responses | Api::Chat => &["gpt-", "o1", "o3", "o4", "codex-", "qwen"],
        Api::Gemini => &["gemini-"],
    };
    prefixes.iter().any(|prefix| model.starts_with(prefix))
}

fn models(api: Api) -> Value {
    match api {
        Api::Anthropic => json!({
            "data": [{"type": "model", "id": "claude-sonnet-4-5", "display_name": "Scripted", "created_at": "2025-01-01T00:00:00Z"}],
            "has_more": false, "first_id": "claude-sonnet-4-5", "last_id": "claude-sonnet-4-5",
        }),
        Api::Responses | Api::Chat | Api::Gemini => json!({
            "object": "list",
            "data": [{"id": "gpt-5", "object": "model", "created": 0, "owned_by": "scripted"}],
        }),
    }
}
