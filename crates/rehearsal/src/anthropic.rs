//! Anthropic messages: the request read, the answer encoded. Pure: nothing of a server.

use serde_json::{Value, json};

use crate::script::{Call, Conversation, Reply, ToolResult};

/// Tokens that every answer claims: fixed, so that metering can be compared with them.
pub const INPUT_TOKENS: u64 = 1000;
/// Tokens read from the cache, not part of [`INPUT_TOKENS`] on this wire.
pub const CACHE_READ_TOKENS: u64 = 200;
/// Tokens written to the cache, not part of [`INPUT_TOKENS`] on this wire.
pub const CACHE_WRITE_TOKENS: u64 = 30;
/// Tokens of every answer.
pub const OUTPUT_TOKENS: u64 = 40;

/// Top-level fields of a request. Others get a 400, as from the real API.
const FIELDS: &str = "model messages max_tokens system stream temperature top_p top_k stop_sequences tools \
    tool_choice metadata thinking service_tier container context_management mcp_servers \
    output_config output_format speed inference_geo cache_control";

/// Reads a request body.
///
/// # Errors
/// The message of the 400 that the real API would give.
pub fn read(body: &Value, counting: bool) -> Result<Conversation, String> {
    let object = body.as_object().ok_or("The request body must be a JSON object")?;
    if let Some(field) = object.keys().find(|field| !FIELDS.split(' ').any(|known| known == *field))
    {
        return Err(format!("{field}: Extra inputs are not permitted"));
    }
    let text = |field: &str| object.get(field).and_then(Value::as_str);
    let model = text("model").ok_or("model: Field required")?.to_owned();
    if !counting && object.get("max_tokens").and_then(Value::as_u64).is_none_or(|n| n == 0) {
        return Err("max_tokens: Field required".to_owned());
    }
    let messages =
        object.get("messages").and_then(Value::as_array).ok_or("messages: Field required")?;
    if messages.is_empty() {
        return Err("messages: at least one message is required".to_owned());
    }
    let mut conversation = Conversation {
        model,
        system: object.get("system").map(texts).unwrap_or_default(),
        tools: object
            .get("tools")
            .and_then(Value::as_array)
            .map(|tools| {
                tools.iter().filter_map(|tool| Some(tool["name"].as_str()?.to_owned())).collect()
            })
            .unwrap_or_default(),
        ..Conversation::default()
    };
    let mut open_calls = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        match message["role"].as_str() {
            Some("user") => read_user(at, message, &mut conversation, &mut open_calls)?,
            Some("assistant") => {
                open_calls = blocks(message)
                    .filter(|block| block["type"] == "tool_use")
                    .filter_map(|block| block["id"].as_str().map(str::to_owned))
                    .collect();
            }
            // Newer clients put system text between messages.
            Some("system") if at > 0 => conversation.system.push_str(&texts(&message["content"])),
            _ => {
                return Err(format!("messages.{at}.role: Input should be 'user' or 'assistant'"));
            }
        }
    }
    Ok(conversation)
}

fn read_user(
    at: usize,
    message: &Value,
    conversation: &mut Conversation,
    open_calls: &mut Vec<String>,
) -> Result<(), String> {
    if let Some(text) = message["content"].as_str() {
        conversation.user_text(text);
    }
    for block in blocks(message) {
        match block["type"].as_str() {
            Some("text") => conversation.user_text(block["text"].as_str().unwrap_or_default()),
            Some("tool_result") => {
                let id = block["tool_use_id"].as_str().unwrap_or_default();
                if !open_calls.iter().any(|open| open == id) {
                    return Err(format!(
                        "messages.{at}.content.0: unexpected `tool_use_id` found in `tool_result` blocks: {id}"
                    ));
                }
                open_calls.retain(|open| open != id);
                conversation.results.push(ToolResult {
                    text: texts(&block["content"]),
                    is_error: block["is_error"] == true,
                });
            }
            Some(_) => {}
            None => return Err(format!("messages.{at}.content.0.type: Field required")),
        }
    }
    if let Some(id) = open_calls.first() {
        return Err(format!(
            "messages.{at}: `tool_use` ids were found without `tool_result` blocks immediately after: {id}"
        ));
    }
    Ok(())
}

fn blocks(message: &Value) -> impl Iterator<Item = &Value> {
    message["content"].as_array().into_iter().flatten()
}

/// The text of a string or of a list of text blocks.
fn texts(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => String::new(),
    }
}

/// The whole message, as answered when the request did not ask for a stream.
pub fn message(conversation: &Conversation, reply: &Reply) -> Value {
    let content = content(conversation, reply);
    let mut message = shell(conversation, &usage(OUTPUT_TOKENS));
    message["stop_reason"] = stop_reason(reply).into();
    message["content"] = Value::Array(content);
    message
}

/// The events of a stream, each `event: NAME`, `data: JSON` and an empty line.
pub fn events(conversation: &Conversation, reply: &Reply) -> Vec<String> {
    let mut events =
        vec![event("message_start", json!({ "message": shell(conversation, &usage(1)) }))];
    for (index, block) in content(conversation, reply).into_iter().enumerate() {
        let (start, deltas) = split(&block);
        events.push(event("content_block_start", json!({"index": index, "content_block": start})));
        for delta in deltas {
            events.push(event("content_block_delta", json!({"index": index, "delta": delta})));
        }
        events.push(event("content_block_stop", json!({"index": index})));
    }
    events.push(event(
        "message_delta",
        json!({
            "delta": {"stop_reason": stop_reason(reply), "stop_sequence": null},
            "usage": {"output_tokens": OUTPUT_TOKENS},
        }),
    ));
    events.push(event("message_stop", json!({})));
    events
}

/// One server-sent event; the data carries its name as `type`.
pub fn event(name: &str, mut data: Value) -> String {
    data["type"] = name.into();
    format!("event: {name}\ndata: {data}\n\n")
}

/// The body of an error.
pub fn error(kind: &str, message: &str) -> Value {
    json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_scripted"})
}

fn usage(output: u64) -> Value {
    json!({
        "input_tokens": INPUT_TOKENS,
        "cache_creation_input_tokens": CACHE_WRITE_TOKENS,
        "cache_read_input_tokens": CACHE_READ_TOKENS,
        "output_tokens": output,
    })
}

fn shell(conversation: &Conversation, usage: &Value) -> Value {
    let id = format!("msg_{:03}_{:03}", conversation.prompts.len(), conversation.results.len());
    json!({
        "id": id, "type": "message", "role": "assistant", "model": conversation.model,
        "content": [], "stop_reason": null, "stop_sequence": null, "usage": usage,
    })
}

fn stop_reason(reply: &Reply) -> &'static str {
    if reply.call.is_some() { "tool_use" } else { "end_turn" }
}

fn content(conversation: &Conversation, reply: &Reply) -> Vec<Value> {
    let mut content = Vec::new();
    if !reply.say.is_empty() || reply.call.is_none() {
        // The real API never sends an empty text block, and clients refuse one.
        let text = if reply.say.is_empty() { "Done." } else { &reply.say };
        content.push(json!({"type": "text", "text": text}));
    }
    if let Some(call) = &reply.call {
        let id =
            format!("toolu_{:03}_{:03}", conversation.prompts.len(), conversation.results.len());
        let (name, input) = tool(conversation, call);
        content.push(json!({"type": "tool_use", "id": id, "name": name, "input": input}));
    }
    content
}

/// A call in the words of Claude Code's tools.
fn tool(conversation: &Conversation, call: &Call) -> (&'static str, Value) {
    let absolute = |path: &str| {
        let root = conversation.working_directory().unwrap_or("/workspace");
        if path.starts_with('/') { path.to_owned() } else { format!("{root}/{path}") }
    };
    match call {
        Call::Write { path, content } => {
            ("Write", json!({"file_path": absolute(path), "content": content}))
        }
        Call::Shell(command) => {
            ("Bash", json!({"command": command, "description": "Run a scripted command"}))
        }
        Call::Read(path) => ("Read", json!({"file_path": absolute(path)})),
    }
}

/// The start of a block and its deltas: text and input come in two halves, so that a client or
/// a gateway that takes one event for the whole is found out.
fn split(block: &Value) -> (Value, Vec<Value>) {
    let mut start = block.clone();
    if block["type"] == "text" {
        start["text"] = "".into();
        let halves = halves(block["text"].as_str().unwrap_or_default());
        return (start, halves.map(|text| json!({"type": "text_delta", "text": text})).to_vec());
    }
    start["input"] = json!({});
    let input = block["input"].to_string();
    let halves = halves(&input);
    (start, halves.map(|part| json!({"type": "input_json_delta", "partial_json": part})).to_vec())
}

fn halves(text: &str) -> [&str; 2] {
    let middle = (text.len() / 2..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let (first, second) = text.split_at(middle);
    [first, second]
}
