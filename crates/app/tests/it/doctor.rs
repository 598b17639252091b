//! Doctor and what providers answer: a rejected login, a limit, what is used, and what time it is.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{SystemTime, UNIX_EPOCH};

use midwatch_testkit::model_server::{Credential, Failure, ModelServer};
use serde_json::Value;

use crate::house::socket::contains;
use crate::house::{House, Told};

const TOKEN: &str = "sk-ant-oat01-right";
const KEY: &str = "sk-proj-right";

/// A user with programs of these names, who answer what doctor asks them. The logins are of
/// providers at these URLs.
fn house(programs: &[&str], claude: &str, codex: &str) -> House {
    let house = House::new();
    let bin = house.folder("bin");
    for name in programs {
        let path = bin.join(name);
        std::fs::write(&path, "#!/bin/sh\necho 1.2.3\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    house
        .with("PATH", format!("{}:/usr/bin:/bin", bin.display()))
        .with("CLAUDE_CODE_OAUTH_TOKEN", TOKEN)
        .with("ANTHROPIC_BASE_URL", claude)
        .with("OPENAI_API_KEY", KEY)
        .with("OPENAI_BASE_URL", format!("{codex}/v1"))
}

fn doctor(house: &House, more: &[&str]) -> Told {
    let folder = house.folder("anywhere");
    house.midwatch(&folder, &[&["doctor", "--night"][..], more].concat())
}

/// How a row stands, and what it says.
#[track_caller]
fn row(told: &Told, name: &str) -> (String, String) {
    let rows = told.of("doctor");
    let found = rows.into_iter().find(|row| row["name"] == name);
    let found = found.unwrap_or_else(|| panic!("no row {name}: {}", told.stdout));
    let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
    (text("health"), text("text"))
}

/// A provider that gives every request the same answer.
fn provider(fields: &[(&str, &str)]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let lines = fields.iter().map(|(name, value)| [*name, ": ", *value, "\r\n"].concat());
    let fields = lines.collect::<Vec<_>>().concat();
    let body = "{}";
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n{fields}\r\n{body}",
        body.len()
    );
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = vec![];
            let mut part = [0; 4096];
            // Its head and its body, which is one JSON object and ends with it.
            while !(contains(&request, b"\r\n\r\n") && request.ends_with(b"}")) {
                match stream.read(&mut part) {
                    Ok(read) if read > 0 => request.extend_from_slice(&part[..read]),
                    Ok(_) | Err(_) => break,
                }
            }
            // Who asked may be gone.
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    url
}

/// A moment as a provider says it.
fn date(seconds: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let at = i64::try_from(now).unwrap() + seconds;
    let mut date = std::process::Command::new("date");
    let said = date.args(["-u", "-d", &format!("@{at}"), "+%a, %d %b %Y %H:%M:%S GMT"]);
    let said = said.env("LC_ALL", "C").output().unwrap().stdout;
    String::from_utf8(said).unwrap().trim().to_owned()
}

#[test]
fn the_agent_that_tasks_use_by_default_decides() {
    let model = ModelServer::builder()
        .credential(Credential::AnthropicSubscription(TOKEN.into()))
        .credential(Credential::OpenAiKey(KEY.into()))
        .start()
        .unwrap();
    let house = house(&["claude", "codex"], &model.url(), &model.url());
    // The control: both are let in.
    let told = doctor(&house, &[]);
    assert_eq!(told.code, Some(0), "{}", told.stdout);
    assert_eq!(row(&told, "claude-code login").0, "ok", "{}", told.stdout);
    let house = house.with("CLAUDE_CODE_OAUTH_TOKEN", "sk-ant-oat01-wrong");
    let told = doctor(&house, &[]);
    assert_eq!(row(&told, "codex login").0, "ok", "{}", told.stdout);
    assert_eq!(row(&told, "claude-code login").0, "MISSING", "{}", told.stdout);
    assert_eq!((told.code, &told.result["reason"]), (Some(6), &Value::from("NeedsLogin")));
    // Who is going to name another one is ready, unless that one falls back on it.
    let alone = house.profile("alone", "{agent: codex}");
    let told = doctor(&house, &["--profile", alone.to_str().unwrap()]);
    assert_eq!(told.code, Some(0), "{}", told.stdout);
    let both = house.profile("both", "{agent: codex, fallback: [{profile: claude-code}]}");
    let told = doctor(&house, &["--profile", both.to_str().unwrap()]);
    assert_eq!(told.code, Some(6), "{}", told.stdout);
    // An agent that is not here at all is nobody to work as, and no fault of the machine.
    let absent = house.profile("absent", "{agent: gemini-cli}");
    let told = doctor(&house, &["--profile", absent.to_str().unwrap()]);
    assert_eq!(row(&told, "absent").0, "MISSING", "{}", told.stdout);
    assert_eq!((told.code, &told.result["reason"]), (Some(6), &Value::from("NeedsLogin")));
    // With another model it is the same login, which is tried once.
    let twice = "{agent: codex, fallback: [{profile: codex}, {profile: codex, model: gpt-5-mini}]}";
    let twice = house.profile("twice", twice);
    let told = doctor(&house, &["--profile", twice.to_str().unwrap()]);
    let rows = told.of("doctor").into_iter().filter(|row| row["name"] == "codex login").count();
    assert_eq!((told.code, rows), (Some(0), 1), "{}", told.stdout);
}

#[test]
fn a_limit_is_told_with_its_reset() {
    let model = ModelServer::builder()
        .failure(Failure::UsageLimit)
        .resets_at(1_900_000_000)
        .start()
        .unwrap();
    let told = doctor(&house(&["claude"], &model.url(), "http://127.0.0.1:1"), &[]);
    let (health, text) = row(&told, "claude-code login");
    assert_eq!(health, "note", "{text}");
    assert!(text.contains("is limited until 2030-03-17T17:46:40Z"), "{text}");
    let (health, text) = row(&told, "quota");
    assert_eq!(health, "note", "{text}");
    assert!(text.contains("claude-code login is limited until 2030-03-17T17:46:40Z"), "{text}");
}

#[test]
fn what_is_used_is_told_and_nearly_all_of_it_is_notable() {
    let used = |week: &str| {
        let url = provider(&[
            ("anthropic-ratelimit-unified-status", "allowed"),
            ("anthropic-ratelimit-unified-5h-utilization", "0.42"),
            ("anthropic-ratelimit-unified-7d-utilization", week),
        ]);
        doctor(&house(&["claude"], &url, "http://127.0.0.1:1"), &[])
    };
    let told = used("0.95");
    let (health, text) = row(&told, "claude-code login");
    assert_eq!(health, "note", "{text}");
    assert!(text.contains("5h 42 % used, 7d 95 % used"), "{text}");
    let quota = ("note".to_owned(), "claude-code login has used 95 % of the 7d limit".to_owned());
    assert_eq!(row(&told, "quota"), quota);
    // The control: most of it is left.
    let told = used("0.1");
    let (health, text) = row(&told, "claude-code login");
    assert!(health == "ok" && text.contains("7d 10 % used"), "{health} {text}");
    assert_eq!(row(&told, "quota").0, "ok");
}

#[test]
fn a_clock_is_held_against_the_providers() {
    for (ahead, health, code) in [
        (0, "ok", 0),
        (150, "note", 0),
        (-150, "note", 0),
        (7200, "MISSING", 6),
        (-7200, "MISSING", 6),
    ] {
        let url = provider(&[("date", &date(ahead))]);
        let told = doctor(&house(&["claude"], &url, "http://127.0.0.1:1"), &[]);
        let (seen, text) = row(&told, "clock");
        assert_eq!((seen.as_str(), told.code), (health, Some(code)), "{ahead}: {text}");
        let side = if ahead > 0 { "behind" } else { "ahead of" };
        assert!(health == "ok" || text.contains(side), "{text}");
        assert!(text.contains("the clock of a provider"), "{text}");
    }
    // The control: what our own gateway says of providers that it does not reach tells no time.
    let nowhere = "http://127.0.0.1:1";
    let (_, text) = row(&doctor(&house(&["claude"], nowhere, nowhere), &[]), "clock");
    assert!(!text.contains("of a provider"), "{text}");
}
