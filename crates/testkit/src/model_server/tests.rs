use std::io::{Read, Write};

use serde_json::json;

use super::*;

fn ask(server: &ModelServer, head: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    let mut text = format!("{head} HTTP/1.1\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        text = format!("{text}{name}: {value}\r\n");
    }
    stream.write_all(format!("{text}\r\n{body}").as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer)
}

const KEY: [(&str, &str); 2] = [("x-api-key", "real"), ("anthropic-version", "2023-06-01")];
const BEARER: [(&str, &str); 1] = [("authorization", "Bearer real")];

fn server() -> ModelServer {
    ModelServer::builder()
        .credential(Credential::AnthropicKey("real".into()))
        .credential(Credential::AnthropicSubscription("sub".into()))
        .credential(Credential::OpenAiKey("real".into()))
        .script(Script::saying("bye").shell("true"))
        .start()
        .unwrap()
}

fn hello() -> Value {
    json!({"model": "claude-sonnet-4-5", "max_tokens": 9, "tools": [{"name": "Bash"}],
           "messages": [{"role": "user", "content": "hello"}]})
}

#[test]
fn anthropic_answers_what_is_right_and_refuses_the_rest() {
    let server = server();
    let post = "POST /v1/messages?beta=true";
    let status =
        |head: &str, headers: &[(&str, &str)], body: &str| ask(&server, head, headers, body).0;
    let good = hello().to_string();
    assert_eq!(status(post, &KEY, &good), 200);
    assert_eq!(status("HEAD /", &[], ""), 200);
    assert_eq!(status(post, &KEY[1..], &good), 401);
    assert_eq!(status(post, &[("x-api-key", "other"), KEY[1]], &good), 401);
    assert_eq!(status(post, &[KEY[0], KEY[1], BEARER[0]], &good), 401);
    assert_eq!(status(post, &[("authorization", "Bearer sub"), KEY[1]], &good), 401);
    let beta = ("anthropic-beta", "claude-code-20250219,oauth-2025-04-20");
    assert_eq!(status(post, &[("authorization", "Bearer sub"), KEY[1], beta], &good), 200);
    assert_eq!(status(post, &KEY[..1], &good), 400);
    assert_eq!(status(post, &[KEY[0], ("anthropic-version", "2019-01-01")], &good), 400);
    assert_eq!(status(post, &KEY, "{"), 400);
    assert_eq!(status("POST /v1/complete", &KEY, &good), 404);
    assert_eq!(status("GET /v1/messages", &KEY, ""), 405);
    for (field, value, expected) in [
        ("colour", json!("red"), 400),
        ("max_tokens", Value::Null, 400),
        ("messages", json!([]), 400),
        ("messages", json!([{"role": "robot", "content": "x"}]), 400),
        (
            "messages",
            json!([{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t"}]}]),
            400,
        ),
        ("model", json!("gpt-5"), 404),
    ] {
        let mut body = hello();
        body[field] = value;
        assert_eq!(status(post, &KEY, &body.to_string()), expected, "{field}");
    }
}

#[test]
fn openai_answers_what_is_right_and_refuses_the_rest() {
    let server = server();
    let status =
        |head: &str, headers: &[(&str, &str)], body: &str| ask(&server, head, headers, body).0;
    let responses = json!({"model": "gpt-5", "input": "hello", "stream": true}).to_string();
    let chat =
        json!({"model": "gpt-5", "messages": [{"role": "user", "content": "x"}]}).to_string();
    assert_eq!(status("POST /v1/responses", &BEARER, &responses), 200);
    assert_eq!(status("POST /v1/chat/completions", &BEARER, &chat), 200);
    assert_eq!(status("GET /v1/responses", &BEARER, ""), 426);
    assert_eq!(status("POST /v1/responses", &[], &responses), 401);
    assert_eq!(status("POST /v1/responses", &[("authorization", "Bearer x")], &responses), 401);
    assert_eq!(status("POST /responses", &BEARER, &responses), 404);
    assert_eq!(status("POST /v1/responses", &BEARER, &chat), 400);
    assert_eq!(status("POST /v1/chat/completions", &BEARER, &responses), 400);
    let unknown = json!({"model": "claude-x", "input": "hello"}).to_string();
    assert_eq!(status("POST /v1/responses", &BEARER, &unknown), 404);
}

#[test]
fn a_script_goes_on_with_the_results_of_the_conversation() {
    let server = server();
    let mut body = hello();
    let (_, first) = ask(&server, "POST /v1/messages", &KEY, &body.to_string());
    assert!(first.contains("tool_use") && first.contains("toolu_001_000"), "{first}");
    body["stream"] = true.into();
    body["messages"] = json!([
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "Bash", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "ok"}]},
    ]);
    let (_, second) = ask(&server, "POST /v1/messages", &KEY, &body.to_string());
    assert!(second.contains("\"by\"") || second.contains("\"b\""), "{second}");
    assert!(second.contains("message_stop"));
    let recorded = server.requests();
    assert_eq!((recorded.len(), recorded[0].header("x-api-key")), (2, Some("real")));
}

#[test]
fn failures_are_chosen_by_prefix() {
    let server = server();
    let mut body = hello();
    body["stream"] = true.into();
    let at = |failure: Failure| {
        let head = format!("POST /m/{}/v1/messages", failure.as_str());
        ask(&server, &head, &KEY, &body.to_string())
    };
    for (failure, status) in [
        (Failure::Unauthorized, 401),
        (Failure::Forbidden, 403),
        (Failure::NotFound, 404),
        (Failure::BadRequest, 400),
        (Failure::TooLarge, 413),
        (Failure::RateLimited, 429),
        (Failure::ServerError, 500),
        (Failure::Overloaded, 529),
        (Failure::Malformed, 200),
        (Failure::SseError, 200),
    ] {
        assert_eq!(at(failure).0, status, "{failure:?}");
    }
    assert!(at(Failure::UsageLimit).1.contains("anthropic-ratelimit-unified-reset"));
    assert!(at(Failure::RetryAfter).1.contains("retry-after: 2"));
    assert_eq!((at(Failure::RetryAfterOnce).0, at(Failure::RetryAfterOnce).0), (429, 200));
    let cut = at(Failure::CutStream).1;
    assert!(cut.contains("message_start") && !cut.contains("message_stop"));
    for failure in Failure::ALL {
        assert_eq!(Failure::parse(failure.as_str()), Some(failure));
    }
}

/// No client of one provider ever reads another's words.
#[test]
fn each_provider_refuses_in_its_own_words() {
    let server = ModelServer::builder().start().unwrap();
    let chat = json!({"model": "gpt-5", "messages": [{"role": "user", "content": "x"}]});
    let responses = json!({"model": "gpt-5", "input": "hello", "stream": true});
    let gemini = json!({"contents": [{"role": "user", "parts": [{"text": "x"}]}]});
    let stream = "/v1beta/models/gemini-2.5-pro:streamGenerateContent";
    let of = |failure: Failure, path: &str| {
        let body = match path {
            "/v1/chat/completions" => &chat,
            "/v1/responses" => &responses,
            _ => &gemini,
        };
        let head = format!("POST /m/{}{path}", failure.as_str());
        let key = ("x-goog-api-key", "real");
        let headers: &[_] = if path == stream { &[key] } else { &BEARER };
        let (status, answer) = ask(&server, &head, headers, &body.to_string());
        assert!(!answer.contains("nthropic"), "{answer}");
        (status, answer)
    };
    for (failure, status, code) in [
        (Failure::Unauthorized, 401, "invalid_api_key"),
        (Failure::NoCredit, 429, "billing_not_active"),
        (Failure::PromptTooLong, 400, "context_length_exceeded"),
        (Failure::RateLimited, 429, "rate_limit_exceeded"),
        (Failure::Quota, 429, "insufficient_quota"),
    ] {
        for path in ["/v1/chat/completions", "/v1/responses"] {
            let (found, answer) = of(failure, path);
            let code = format!(r#""code":"{code}""#);
            assert!(found == status && answer.contains(&code), "{failure:?} {answer}");
        }
    }
    for (failure, status, part) in [
        (Failure::Forbidden, 403, r#""type":"request_forbidden""#),
        (Failure::BadRequest, 400, r#""code":"decimal_above_max_value""#),
        (Failure::TooLarge, 413, "<center>cloudflare</center>"),
        (Failure::ServerError, 500, r#""type":"server_error""#),
        (Failure::Overloaded, 503, "currently overloaded with other requests"),
    ] {
        for path in ["/v1/chat/completions", "/v1/responses"] {
            let (found, answer) = of(failure, path);
            assert!(found == status && answer.contains(part), "{failure:?} {answer}");
        }
    }
    let waits = of(Failure::RetryAfter, "/v1/chat/completions").1;
    for part in ["\nretry-after: 2", "x-ratelimit-reset-tokens: 2s", "try again in 2s"] {
        assert!(waits.contains(part), "{part} in {waits}");
    }
    for (failure, status, part) in [
        (Failure::Unauthorized, 400, "API_KEY_INVALID"),
        (Failure::NoCredit, 429, "prepayment credits are depleted"),
        (Failure::PromptTooLong, 400, "exceeds the maximum number of tokens"),
        (Failure::RateLimited, 429, r#""status":"RESOURCE_EXHAUSTED""#),
        (Failure::RetryAfter, 429, r#""retryDelay":"2s""#),
        (Failure::Quota, 429, "GenerateRequestsPerDay"),
        (Failure::Forbidden, 403, r#""status":"PERMISSION_DENIED""#),
        (Failure::BadRequest, 400, "generation_config.temperature"),
        (Failure::TooLarge, 400, "Request payload size exceeds the limit"),
        (Failure::ServerError, 500, r#""status":"INTERNAL""#),
        (Failure::Overloaded, 503, r#""status":"UNAVAILABLE""#),
    ] {
        let (found, answer) = of(failure, stream);
        assert!(found == status && answer.contains(part), "{failure:?} {answer}");
    }
    for (path, part) in [
        ("/v1/chat/completions", r#""finish_reason":"length""#),
        ("/v1/responses", r#""incomplete_details":{"reason":"max_output_tokens"}"#),
        (stream, r#""finishReason":"MAX_TOKENS""#),
    ] {
        let (status, answer) = of(Failure::AtLimit, path);
        assert!(status == 200 && answer.contains(part), "{answer}");
    }
}

#[test]
fn silence_lasts_until_the_server_goes_and_a_refused_port_refuses() {
    let server = server();
    let port = server.port();
    let client = std::thread::spawn(move || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let body = hello().to_string();
        let head = "POST /m/silent/v1/messages HTTP/1.1\r\nx-api-key: real\r\nanthropic-version: 2023-06-01";
        write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map(|_| answer)
    });
    assert!(server.wait_for("/v1/messages", 1, Duration::from_secs(10)));
    drop(server);
    assert!(client.join().unwrap().map_or(true, |answer| answer.is_empty()));
    let refused = RefusedPort::new().unwrap();
    let error = TcpStream::connect(refused.url().trim_start_matches("http://")).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
}
