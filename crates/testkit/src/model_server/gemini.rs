//! Google's Gemini API, as gemini-cli speaks it: the model and the verb stand in the path.

use serde_json::{Value, json};

use super::openai;
use crate::script::{Conversation, Reply, ToolResult};

/// Tokens that every answer claims, cached ones included on this wire.
pub const INPUT_TOKENS: u64 = 1000;
/// The part of [`INPUT_TOKENS`] that came from the cache.
pub const CACHED_TOKENS: u64 = 200;
/// Tokens of every answer, thoughts aside.
pub const OUTPUT_TOKENS: u64 = 40;

const FIELDS: &str = "contents systemInstruction tools toolConfig generationConfig safetySettings \
    cachedContent labels model generateContentRequest";

/// What is asked of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Generate,
    Stream,
    Count,
}

/// Reads `/v1beta/models/MODEL:VERB`.
pub(crate) fn path(path: &str) -> Option<(&str, Verb)> {
    let (model, verb) = path.strip_prefix("/v1beta/models/")?.split_once(':')?;
    let verb = match verb {
        "generateContent" => Verb::Generate,
        "streamGenerateContent" => Verb::Stream,
        "countTokens" => Verb::Count,
        _ => return None,
    };
    Some((model, verb))
}

/// The body of an error. The status goes by a name, too.
pub(crate) fn error(code: u16, message: &str) -> Value {
    let status = match code {
        400 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        503 => "UNAVAILABLE",
        _ => "INTERNAL",
    };
    json!({"error": {"code": code, "message": message, "status": status}})
}

pub(crate) fn read(model: &str, body: &Value) -> Result<Conversation, String> {
    openai::unknown_field(body, FIELDS)?;
    let contents = body["contents"].as_array().filter(|contents| !contents.is_empty());
    let contents =
        contents.ok_or("* GenerateContentRequest.contents: contents is not specified")?;
    let declared = body["tools"].as_array().into_iter().flatten();
    let declared = declared.filter_map(|tool| tool["functionDeclarations"].as_array()).flatten();
    let mut conversation = Conversation {
        model: model.to_owned(),
        system: texts(&body["systemInstruction"]),
        tools: declared.filter_map(|tool| tool["name"].as_str().map(str::to_owned)).collect(),
        ..Conversation::default()
    };
    for content in contents {
        match content["role"].as_str().unwrap_or("user") {
            "user" | "function" => read_user(content, &mut conversation),
            "model" => {}
            _ => return Err("Please use a valid role: user, model.".to_owned()),
        }
    }
    Ok(conversation)
}

fn read_user(content: &Value, conversation: &mut Conversation) {
    for part in content["parts"].as_array().into_iter().flatten() {
        if let Some(text) = part["text"].as_str() {
            conversation.user_text(text);
        }
        if let Some(response) = part.get("functionResponse") {
            let response = &response["response"];
            let is_error = response.get("error").is_some();
            let text = response["output"].as_str().or_else(|| response["error"].as_str());
            let text = text.unwrap_or_default().to_owned();
            conversation.results.push(ToolResult { text, is_error });
        }
    }
}

fn texts(content: &Value) -> String {
    let parts = content["parts"].as_array().into_iter().flatten();
    parts.filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n")
}

/// The whole answer.
pub(crate) fn whole(conversation: &Conversation, reply: &Reply) -> Value {
    let mut parts = Vec::new();
    if !reply.say.is_empty() || reply.call.is_none() {
        parts.push(json!({"text": reply.say}));
    }
    if let Some(call) = &reply.call {
        let (name, args) = openai::tool(conversation, call);
        parts.push(json!({"functionCall": {"name": name, "args": args}}));
    }
    json!({
        "candidates": [{
            "index": 0,
            "content": {"role": "model", "parts": parts},
            "finishReason": "STOP",
        }],
        "modelVersion": conversation.model,
        "responseId": "scripted",
        "usageMetadata": {
            "promptTokenCount": INPUT_TOKENS,
            "cachedContentTokenCount": CACHED_TOKENS,
            "candidatesTokenCount": OUTPUT_TOKENS,
            "totalTokenCount": INPUT_TOKENS + OUTPUT_TOKENS,
        },
    })
}

pub(crate) fn events(conversation: &Conversation, reply: &Reply) -> Vec<String> {
    let mut answers = Vec::new();
    if !reply.say.is_empty() && reply.call.is_none() {
        // In two pieces, as the real one does.
        let middle = reply.say.floor_char_boundary(reply.say.len() / 2);
        for piece in [&reply.say[..middle], &reply.say[middle..]] {
            let piece = Reply { say: piece.to_owned(), call: None };
            answers.push(whole(conversation, &piece));
        }
        if let Some(first) = answers.first_mut() {
            first["candidates"][0].as_object_mut().map(|it| it.remove("finishReason"));
            first.as_object_mut().map(|it| it.remove("usageMetadata"));
        }
    } else {
        answers.push(whole(conversation, reply));
    }
    answers.into_iter().map(|answer| format!("data: {answer}\r\n\r\n")).collect()
}
