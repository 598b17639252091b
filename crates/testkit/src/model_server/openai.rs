//! `OpenAI`'s two wires have one way to say no, and one set of tools by clients' names.

use serde_json::{Value, json};

use crate::script::{Call, Conversation};

/// The body of an error.
pub(crate) fn error(message: &str, kind: &str, code: Option<&str>) -> Value {
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
}

/// Refuses a field that is not in the list, which has spaces between, in the real API's words.
pub(crate) fn unknown_field(body: &Value, fields: &str) -> Result<(), String> {
    let object = body.as_object().ok_or("We could not parse the JSON body of your request.")?;
    match object.keys().find(|field| !fields.split(' ').any(|known| known == *field)) {
        Some(field) => Err(format!("Unknown parameter: '{field}'.")),
        None => Ok(()),
    }
}

/// A call by the names that this client offers: codex has only a shell, others have both.
pub(crate) fn tool(conversation: &Conversation, call: &Call) -> (String, Value) {
    let offered = |name: &str| conversation.tools.iter().any(|tool| tool == name);
    match call {
        Call::Write { path, content } if offered("write") => {
            ("write".into(), json!({"filePath": path, "content": content}))
        }
        Call::Write { path, content } if offered("write_file") => {
            // Only absolute ones are taken.
            let root = conversation.working_directory().unwrap_or("/workspace");
            let path = if path.starts_with('/') { path.clone() } else { format!("{root}/{path}") };
            ("write_file".into(), json!({"file_path": path, "content": content}))
        }
        Call::Write { path, content } => {
            let path = quoted(path);
            let content = quoted(content);
            shell(
                conversation,
                &format!("mkdir -p \"$(dirname {path})\" && printf %s {content} > {path}"),
            )
        }
        Call::Shell(command) => shell(conversation, command),
        Call::Read(path) => shell(conversation, &format!("cat {}", quoted(path))),
    }
}

fn shell(conversation: &Conversation, command: &str) -> (String, Value) {
    let offered = |name: &str| conversation.tools.iter().any(|tool| tool == name);
    let description = "Run a scripted command";
    if offered("exec_command") {
        ("exec_command".into(), json!({"cmd": command}))
    } else if offered("run_shell_command") {
        let input = json!({"command": command, "description": description, "is_background": false});
        ("run_shell_command".into(), input)
    } else {
        ("bash".into(), json!({"command": command, "description": description}))
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
