//! `OpenAI` chat completions.

use serde_json::{Value, json};

use super::openai;
use crate::script::{Conversation, Reply, ToolResult};

/// Tokens that every answer claims.
pub const INPUT_TOKENS: u64 = 1000;
/// Tokens of every answer.
pub const OUTPUT_TOKENS: u64 = 40;

const FIELDS: &str = "model messages stream stream_options tools tool_choice parallel_tool_calls \
    temperature top_p max_tokens max_completion_tokens stop n seed user response_format \
    reasoning_effort frequency_penalty presence_penalty logprobs top_logprobs logit_bias \
    metadata store service_tier modalities prediction verbosity prompt_cache_key \
    safety_identifier";

pub(crate) fn read(body: &Value) -> Result<Conversation, String> {
    openai::unknown_field(body, FIELDS)?;
    let model = body["model"].as_str().ok_or("you must provide a model parameter")?.to_owned();
    let messages = body["messages"].as_array().filter(|messages| !messages.is_empty());
    let messages = messages.ok_or("Missing required parameter: 'messages'.")?;
    let mut conversation = Conversation {
        model,
        tools: body["tools"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|tool| tool["function"]["name"].as_str().map(str::to_owned))
            .collect(),
        ..Conversation::default()
    };
    for (at, message) in messages.iter().enumerate() {
        let text = texts(&message["content"]);
        match message["role"].as_str() {
            Some("system" | "developer") => {
                conversation.system.push_str(&text);
                conversation.system.push('\n');
            }
            Some("user") => conversation.user_text(&text),
            Some("tool") => conversation.results.push(ToolResult { text, is_error: false }),
            Some("assistant") => {}
            _ => return Err(format!("Invalid value for 'messages[{at}].role'.")),
        }
    }
    Ok(conversation)
}

fn texts(value: &Value) -> String {
    value.as_str().map_or_else(
        || {
            let parts = value.as_array().into_iter().flatten();
            parts.filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n")
        },
        str::to_owned,
    )
}

fn finish_reason(reply: &Reply) -> &'static str {
    if reply.call.is_some() { "tool_calls" } else { "stop" }
}

fn calls(conversation: &Conversation, reply: &Reply) -> Option<Value> {
    let (name, arguments) = openai::tool(conversation, reply.call.as_ref()?);
    let id = format!("call_{:03}_{:03}", conversation.prompts.len(), conversation.results.len());
    let function = json!({"name": name, "arguments": arguments.to_string()});
    Some(json!([{"index": 0, "id": id, "type": "function", "function": function}]))
}

fn usage() -> Value {
    json!({
        "prompt_tokens": INPUT_TOKENS,
        "completion_tokens": OUTPUT_TOKENS,
        "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
    })
}

/// The whole completion, as answered when the request did not ask for a stream.
pub(crate) fn whole(conversation: &Conversation, reply: &Reply) -> Value {
    let mut message = json!({"role": "assistant", "content": reply.say});
    if let Some(calls) = calls(conversation, reply) {
        message["tool_calls"] = calls;
    }
    json!({
        "id": "chatcmpl-scripted", "object": "chat.completion", "created": 0,
        "model": conversation.model,
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason(reply)}],
        "usage": usage(),
    })
}

pub(crate) fn events(conversation: &Conversation, reply: &Reply) -> Vec<String> {
    let chunk = |delta: Value, finish: Option<&str>| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
        data(&conversation.model, &json!([choice]), None)
    };
    let mut events = vec![chunk(json!({"role": "assistant", "content": ""}), None)];
    if !reply.say.is_empty() {
        events.push(chunk(json!({"content": reply.say}), None));
    }
    if let Some(calls) = calls(conversation, reply) {
        events.push(chunk(json!({"tool_calls": calls}), None));
    }
    events.push(chunk(json!({}), Some(finish_reason(reply))));
    events.push(data(&conversation.model, &json!([]), Some(&usage())));
    events.push("data: [DONE]\n\n".to_owned());
    events
}

fn data(model: &str, choices: &Value, usage: Option<&Value>) -> String {
    let chunk = json!({
        "id": "chatcmpl-scripted", "object": "chat.completion.chunk", "created": 0,
        "model": model, "choices": choices, "usage": usage,
    });
    format!("data: {chunk}\n\n")
}
