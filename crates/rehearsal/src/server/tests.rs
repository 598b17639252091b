use std::io::{Read, Write};

use serde_json::{Value, json};

use super::*;
use crate::anthropic;
use crate::script::Script;

fn server() -> Server {
    Server::start_with(|_| Script::saying("bye").shell("true")).unwrap()
}

fn ask(server: &Server, head: &str, key: Option<&str>, body: &str) -> String {
    let mut stream = TcpStream::connect(server.address).unwrap();
    let key = key.map_or(String::new(), |key| format!("x-api-key: {key}\r\n"));
    let text = format!(
        "{head} HTTP/1.1\r\ncontent-length: {}\r\nanthropic-version: 2023-06-01\r\n{key}\r\n{body}",
        body.len()
    );
    stream.write_all(text.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap()
}

fn json_of(answer: &str) -> Value {
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

fn hello() -> Value {
    json!({"model": "claude-sonnet-4-5", "max_tokens": 9, "tools": [{"name": "Bash"}],
           "messages": [{"role": "user", "content": "hello"}]})
}

#[test]
fn its_own_key_and_no_other_opens_it() {
    let server = server();
    assert_eq!(server.key().len(), "rehearsal-".len() + 64);
    let body = hello().to_string();
    let fine = ask(&server, "POST /v1/messages?beta=true", Some(server.key()), &body);
    assert_eq!(json_of(&fine)["content"][0]["name"], "Bash");
    let short = &server.key()[..server.key().len() - 1];
    for key in [None, Some(""), Some("sk-ant-real"), Some(short)] {
        let refused = ask(&server, "POST /v1/messages", key, &body);
        assert_eq!(status(&refused), "401", "{key:?}");
        assert_eq!(json_of(&refused)["error"]["type"], "authentication_error");
    }
    let another = self::server();
    assert_ne!(another.key(), server.key());
    assert!(!format!("{server:?}").contains(server.key()));
}

#[test]
fn it_streams_and_counts_and_answers_a_warm_up() {
    let server = server();
    let key = Some(server.key());
    let mut body = hello();
    body["stream"] = true.into();
    let streamed = ask(&server, "POST /v1/messages", key, &body.to_string());
    assert!(streamed.contains("event: message_stop") && streamed.ends_with("0\r\n\r\n"));
    let counted = ask(&server, "POST /v1/messages/count_tokens", key, &hello().to_string());
    assert_eq!(json_of(&counted)["input_tokens"], anthropic::INPUT_TOKENS);
    body = hello();
    body["tools"] = json!([]);
    let aside = ask(&server, "POST /v1/messages", key, &body.to_string());
    assert_eq!(json_of(&aside)["content"][0]["text"], "This is a rehearsal.");
    assert_eq!(status(&ask(&server, "HEAD /", None, "")), "200");
}

#[test]
fn what_is_wrong_is_refused_in_anthropics_shape() {
    let server = server();
    let body = hello().to_string();
    for (head, body, code) in [
        ("POST /v1/responses", body.as_str(), "404"),
        ("GET /v1/messages", "", "405"),
        ("POST /v1/messages", "{", "400"),
        ("POST /v1/messages", "{}", "400"),
    ] {
        let answer = ask(&server, head, Some(server.key()), body);
        assert_eq!(status(&answer), code, "{head} {body}");
        assert_eq!(json_of(&answer)["type"], "error");
    }
}

#[test]
fn one_connection_too_many_is_closed_and_a_drop_ends_all() {
    let server = server();
    let connect = || TcpStream::connect(server.address).unwrap();
    let mut open: Vec<_> = (0..CONNECTIONS).map(|_| connect()).collect();
    let ended = |stream: &mut TcpStream| matches!(stream.read(&mut [0]), Ok(0) | Err(_));
    assert!(ended(&mut connect()), "the one too many");
    // The control: one of the others is served.
    open[0].write_all(b"HEAD / HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!(open[0].read(&mut [0]).unwrap(), 1);
    let address = server.address;
    drop(server);
    assert!(open.iter_mut().skip(1).all(ended));
    assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
}
