//! `OpenAI` responses, as codex speaks them.

use serde_json::{Value, json};

use super::openai;
use crate::script::{Conversation, Reply, ToolResult};

/// Tokens that every answer claims, cached ones included on this wire.
pub const INPUT_TOKENS: u64 = 1000;
/// The part of [`INPUT_TOKENS`] that came from the cache.
pub const CACHED_TOKENS: u64 = 200;
/// Tokens of every answer.
pub const OUTPUT_TOKENS: u64 = 40;

const FIELDS: &str = "model input instructions tools tool_choice parallel_tool_calls reasoning store \
    stream stream_options include service_tier prompt_cache_key prompt_cache_retention \
    text metadata client_metadata previous_response_id max_output_tokens max_tool_calls \
    temperature top_p truncation user safety_identifier background conversation prompt \
    top_logprobs";

pub(crate) fn read(body: &Value) -> Result<Conversation, String> {
    openai::unknown_field(body, FIELDS)?;
    let model = body["model"].as_str().ok_or("Missing required parameter: 'model'.")?.to_owned();
    let mut conversation = Conversation {
        model,
        system: body["instructions"].as_str().unwrap_or_default().to_owned(),
        tools: body["tools"].as_array().into_iter().flatten().filter_map(name).collect(),
        ..Conversation::default()
    };
    match &body["input"] {
        Value::String(text) => conversation.user_text(text),
        Value::Array(items) => items.iter().for_each(|item| read_item(item, &mut conversation)),
        _ => return Err("Missing required parameter: 'input'.".to_owned()),
    }
    Ok(conversation)
}

fn name(tool: &Value) -> Option<String> {
    tool["name"].as_str().map(str::to_owned)
}

fn read_item(item: &Value, conversation: &mut Conversation) {
    match item["type"].as_str().unwrap_or("message") {
        "message" => {
            let text = texts(&item["content"]);
            match item["role"].as_str() {
                Some("user") => conversation.user_text(&text),
                Some("developer" | "system") => {
                    conversation.system.push('\n');
                    conversation.system.push_str(&text);
                }
                _ => {}
            }
        }
        "function_call_output" | "custom_tool_call_output" => {
            let text = texts(&item["output"]);
            conversation.results.push(ToolResult { text, is_error: false });
        }
        _ => {}
    }
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

/// The whole response, as answered when the request did not ask for a stream.
pub(crate) fn whole(conversation: &Conversation, reply: &Reply) -> Value {
    let mut response = response(conversation, "completed");
    response["output"] = Value::Array(items(conversation, reply));
    response["usage"] = usage();
    response
}

pub(crate) fn events(conversation: &Conversation, reply: &Reply) -> Vec<String> {
    let mut events =
        vec![event("response.created", json!({"response": response(conversation, "in_progress")}))];
    for (index, item) in items(conversation, reply).into_iter().enumerate() {
        events.push(event(
            "response.output_item.added",
            json!({"output_index": index, "item": opened(&item)}),
        ));
        let id = item["id"].clone();
        if item["type"] == "message" {
            let text = item["content"][0]["text"].clone();
            let at = json!({"item_id": id, "output_index": index, "content_index": 0});
            let part = json!({"type": "output_text", "text": "", "annotations": []});
            events.push(event("response.content_part.added", with(&at, "part", part)));
            events.push(event("response.output_text.delta", with(&at, "delta", text.clone())));
            events.push(event("response.output_text.done", with(&at, "text", text)));
        } else {
            let at = json!({"item_id": id, "output_index": index});
            let arguments = item["arguments"].clone();
            events.push(event(
                "response.function_call_arguments.delta",
                with(&at, "delta", arguments.clone()),
            ));
            events.push(event(
                "response.function_call_arguments.done",
                with(&at, "arguments", arguments),
            ));
        }
        events
            .push(event("response.output_item.done", json!({"output_index": index, "item": item})));
    }
    events.push(event("response.completed", json!({"response": whole(conversation, reply)})));
    events
}

/// One server-sent event; the data carries its name as `type`.
pub(crate) fn event(name: &str, mut data: Value) -> String {
    data["type"] = name.into();
    format!("event: {name}\ndata: {data}\n\n")
}

fn with(at: &Value, key: &str, value: Value) -> Value {
    let mut data = at.clone();
    data[key] = value;
    data
}

fn usage() -> Value {
    json!({
        "input_tokens": INPUT_TOKENS,
        "input_tokens_details": {"cached_tokens": CACHED_TOKENS},
        "output_tokens": OUTPUT_TOKENS,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
    })
}

fn response(conversation: &Conversation, status: &str) -> Value {
    json!({
        "id": format!("resp_{}", suffix(conversation)), "object": "response", "status": status,
        "model": conversation.model, "output": [], "usage": null, "error": null,
    })
}

fn suffix(conversation: &Conversation) -> String {
    format!("{:03}_{:03}", conversation.prompts.len(), conversation.results.len())
}

fn opened(item: &Value) -> Value {
    let mut item = item.clone();
    item["status"] = "in_progress".into();
    if item["type"] == "message" {
        item["content"] = json!([]);
    } else {
        item["arguments"] = "".into();
    }
    item
}

fn items(conversation: &Conversation, reply: &Reply) -> Vec<Value> {
    let suffix = suffix(conversation);
    let mut items = Vec::new();
    if !reply.say.is_empty() || reply.call.is_none() {
        items.push(json!({
            "type": "message", "id": format!("msg_{suffix}"), "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": reply.say, "annotations": []}],
        }));
    }
    if let Some(call) = &reply.call {
        let (name, arguments) = openai::tool(conversation, call);
        items.push(json!({
            "type": "function_call", "id": format!("fc_{suffix}"),
            "call_id": format!("call_{suffix}"), "name": name,
            "arguments": arguments.to_string(), "status": "completed",
        }));
    }
    items
}
