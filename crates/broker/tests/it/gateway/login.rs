//! The CLIs' own login files, and the headers of each kind of credential.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use midwatch_broker::{CredentialSource, Egress, LoginKind, ModelGrant, Record, Trouble, WireApi};

use crate::world::{Provider, World, model, whole};

fn claude_login(path: &Path, token: &str, expires_in: i64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let at = i64::try_from(now.as_millis()).unwrap() + expires_in * 1000;
    let text = format!(
        "{{\"claudeAiOauth\":{{\"accessToken\":\"{token}\",\"refreshToken\":\"rt\",\"expiresAt\":{at},\
         \"scopes\":[],\"subscriptionType\":\"max\"}}}}"
    );
    // As the CLI does it: a new file in the place of the old one.
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, path).unwrap();
}

async fn provider() -> Provider {
    Provider::answering(vec![whole("200 OK", "", "{}")]).await
}

/// A provider that takes one token only, which the test may renew: what was good before is
/// refused.
async fn strict(good: &Arc<Mutex<&'static str>>) -> Provider {
    let good = Arc::clone(good);
    Provider::start(Arc::new(move |_, head| {
        let shown = format!("authorization: bearer {}\r\n", good.lock().unwrap());
        let status = if head.contains(&shown) { "200 OK" } else { "401 Unauthorized" };
        vec![whole(status, "", "{}")]
    }))
    .await
}

#[tokio::test]
async fn a_claude_login_is_read_afresh_and_an_expired_one_says_how_to_log_in() {
    let provider = provider().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(".credentials.json");
    claude_login(&path, "sk-ant-oat01-first", 3600);
    let source = CredentialSource::ClaudeLoginFile(path.clone());
    let grant = ModelGrant { credential: Some(source.clone()), ..model(&provider.url()) };
    let world = World::new(Some(grant), Egress::None);
    assert_eq!(world.ask("POST", "/v1/messages", "{}").await.status, 200);
    claude_login(&path, "sk-ant-oat01-second", 3600);
    assert_eq!(world.ask("POST", "/v1/messages", "{}").await.status, 200);
    let heads = provider.heads();
    assert!(heads[0].contains("authorization: bearer sk-ant-oat01-first\r\n"), "{}", heads[0]);
    assert!(heads[1].contains("authorization: bearer sk-ant-oat01-second\r\n"), "{}", heads[1]);
    assert!(heads[1].contains("oauth-2025-04-20") && !heads[1].contains("x-api-key"));

    claude_login(&path, "sk-ant-oat01-third", -1);
    let reply = world.ask("POST", "/v1/messages", "{}").await;
    assert_eq!((reply.status, reply.refusal()), (401, Some("Login")));
    assert!(reply.body.contains("authentication_error"), "{}", reply.body);
    assert!(reply.body.contains("log in with /login"), "{}", reply.body);
    assert!(!reply.body.contains("third"));
    std::fs::remove_file(&path).unwrap();
    let reply = world.ask("POST", "/v1/messages", "{}").await;
    assert!(reply.body.contains("there is no login file"), "{}", reply.body);
    assert_eq!(provider.heads().len(), 2);
    // What doctor asks.
    claude_login(&path, "sk-ant-oat01-fourth", 60);
    let facts = source.facts(SystemTime::now()).unwrap();
    assert_eq!(facts.kind, LoginKind::AnthropicSubscription);
    assert!(source.facts(SystemTime::now() + Duration::from_secs(61)).is_err());
}

/// The control of reading it afresh: the token that the file held when the run began.
#[tokio::test]
async fn a_login_that_is_read_once_is_refused_as_soon_as_it_is_renewed() {
    let good = Arc::new(Mutex::new("sk-ant-oat01-first"));
    let provider = strict(&good).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(".credentials.json");
    claude_login(&path, "sk-ant-oat01-first", 3600);
    let begun = std::fs::read_to_string(&path).unwrap();
    let begun: serde_json::Value = serde_json::from_str(&begun).unwrap();
    let token = begun["claudeAiOauth"]["accessToken"].as_str().unwrap();
    let of = |source| {
        let grant = ModelGrant { credential: Some(source), ..model(&provider.url()) };
        World::new(Some(grant), Egress::None)
    };
    let afresh = of(CredentialSource::ClaudeLoginFile(path.clone()));
    let once = of(CredentialSource::AnthropicSubscription(token.into()));
    let answers = async || {
        let afresh = afresh.ask("POST", "/v1/messages", "{}").await.status;
        (afresh, once.ask("POST", "/v1/messages", "{}").await.status)
    };
    assert_eq!(answers().await, (200, 200));
    // The user's own CLI renews it, and the provider forgets the old one.
    claude_login(&path, "sk-ant-oat01-second", 3600);
    *good.lock().unwrap() = "sk-ant-oat01-second";
    assert_eq!(answers().await, (200, 401));
}

#[tokio::test]
async fn a_chatgpt_login_shows_its_account_and_not_the_sandboxs() {
    let provider = provider().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("auth.json");
    let text = "{\"auth_mode\":\"chatgpt\",\"tokens\":{\"access_token\":\"opaque-real-token\",\
                \"refresh_token\":\"rt\",\"account_id\":\"acc-real\"}}";
    std::fs::write(&path, text).unwrap();
    let grant = ModelGrant {
        credential: Some(CredentialSource::CodexLoginFile(path)),
        api: WireApi::OpenAi,
        ..model(&format!("{}/backend-api/codex", provider.url()))
    };
    let world = World::new(Some(grant), Egress::None);
    let headers =
        format!("authorization: Bearer {}\r\nchatgpt-account-id: acc-fake\r\n", world.token);
    let reply = crate::world::ask(&world.gateway(), "POST", "/v1/responses", &headers, "{}").await;
    assert_eq!(reply.status, 200);
    let head = &provider.heads()[0];
    assert!(head.starts_with("post /backend-api/codex/responses "), "{head}");
    assert!(head.contains("authorization: bearer opaque-real-token\r\n"), "{head}");
    assert!(head.contains("chatgpt-account-id: acc-real\r\n") && !head.contains("acc-fake"));
}

/// What the record of an answer says is what a task's credential is held by.
#[tokio::test]
async fn a_rejected_login_is_recorded_as_one() {
    let words = r#"{"type":"error","error":{"type":"authentication_error","message":"no"}}"#;
    for (status, body, trouble) in [
        ("401 Unauthorized", "", Some(Trouble::Login)),
        ("401 Unauthorized", words, Some(Trouble::Login)),
        ("400 Bad Request", words, Some(Trouble::Login)),
        ("403 Forbidden", "{}", Some(Trouble::Denied)),
        // The controls: one that is taken, and a request that is wrong.
        ("200 OK", "{}", None),
        ("400 Bad Request", "{}", None),
    ] {
        let headers = "content-type: application/json\r\n";
        let provider = Provider::answering(vec![whole(status, headers, body)]).await;
        let mut world = World::new(Some(model(&provider.url())), Egress::None);
        let reply = world.ask("POST", "/v1/messages", "{}").await;
        assert!(status.starts_with(&reply.status.to_string()), "{reply:?}");
        let Record::Answer { trouble: recorded, .. } = world.record().await else {
            panic!("{status}: no answer was recorded")
        };
        assert_eq!(recorded, trouble, "{status} {body}");
    }
}
