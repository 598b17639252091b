//! Tries a login by the smallest real call, through a gateway of its own: only an answer of the
//! model proves a login, and only the broker ever shows one.

use std::path::{Path, PathBuf};

use midwatch_api::task::CredentialRef;
use midwatch_broker::{
    Broker, BrokerConfig, CaBundle, CredentialSource, Egress, Grant, Limits, ModelGrant,
    OperatorProxy, Refusal, RefusalReason, ServerKey,
};
use midwatch_core::agent::CredentialKind;
use midwatch_local::folder::StateFolder;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::cache;
use super::head::Head;
use crate::client::exchange;
use crate::discover::credential::Login;
use crate::wire::credential::{upstream, wire_api};

/// The name of the run whose gateway is used.
const RUN: &str = "doctor-login-1";

/// What the provider said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// It answers to this login.
    Works {
        /// What else is worth knowing.
        note: String,
    },
    /// It answers to this login, and nothing more until a reset.
    Limited {
        /// What it said.
        why: String,
    },
    /// It does not.
    Rejected {
        /// What it said.
        why: String,
    },
    /// It was not reached, or did not say.
    Unclear {
        /// What was seen.
        why: String,
    },
}

/// What stands between this machine and a provider.
#[derive(Debug, Default)]
pub(super) struct Network {
    /// The operator's CA bundle.
    pub(super) ca: Option<PathBuf>,
    /// The operator's own proxy.
    pub(super) proxy: Option<OperatorProxy>,
}

/// Tries it; unless `anew`, what worked within the last hour is not tried again.
pub(super) async fn try_it(
    folder: &StateFolder,
    login: &Login,
    network: Network,
    anew: bool,
) -> (Answer, Head) {
    if let Some(minutes) = cache::recent(folder, login).filter(|_| !anew) {
        let note = format!("answered {minutes} minutes ago");
        return (Answer::Works { note }, Head::default());
    }
    let socket_dir = folder.door(&format!("{RUN}-{}", std::process::id()));
    let answer = call(login, network, &socket_dir).await;
    // Left behind it does no harm.
    let _ = std::fs::remove_dir_all(&socket_dir);
    let (answer, head) = answer.unwrap_or_else(|why| (Answer::Unclear { why }, Head::default()));
    if matches!(answer, Answer::Works { .. }) {
        cache::remember(folder, login);
    }
    (answer, head)
}

async fn call(
    login: &Login,
    network: Network,
    socket_dir: &Path,
) -> Result<(Answer, Head), String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let mut key = [0; 32];
    let filled = rustix::rand::getrandom(&mut key, rustix::rand::GetRandomFlags::empty());
    filled.map_err(|error| text(&error))?;
    let mut config = BrokerConfig::new(ServerKey::new(key));
    config.ca = network.ca.map_or(CaBundle::System, CaBundle::File);
    config.operator_proxy = network.proxy;
    let broker = Broker::new(config).map_err(|e| text(&e))?;
    let upstream = upstream(login.kind, login.upstream.as_deref()).map_err(|e| text(&e))?;
    let opened = broker.open(Grant {
        run: RUN.into(),
        socket_dir: socket_dir.to_owned(),
        model: Some(ModelGrant {
            credential: Some(source(login)?),
            upstream,
            api: wire_api(login.kind),
        }),
        egress: Egress::None,
        limits: Limits { requests: Some(1), ..Limits::default() },
        sink: None,
    });
    let opened = opened.map_err(|error| text(&error))?;
    let (path, headers, body) = request(login.kind, &opened.token);
    let gateway = socket_dir.join("gateway.sock");
    let answered = exchange(&gateway, path, &headers, &body).await;
    let seen = broker.close(RUN).await.unwrap_or_default();
    if let Some(refusal) = seen.refusals.back() {
        return Ok((refused(refusal), Head::default()));
    }
    let (status, headers, body) = answered?;
    Ok((judge(status, &body), Head::of(&headers, seen.limit)))
}

fn source(login: &Login) -> Result<CredentialSource, String> {
    let secret = || login.secret.clone().ok_or_else(|| "the key is not at hand".to_owned());
    Ok(match &login.reference {
        CredentialRef::ClaudeLogin { path } => CredentialSource::ClaudeLoginFile(path.clone()),
        CredentialRef::CodexLogin { path } => CredentialSource::CodexLoginFile(path.clone()),
        CredentialRef::Stored { .. } | CredentialRef::None => match login.kind {
            CredentialKind::AnthropicKey => CredentialSource::AnthropicKey(secret()?),
            CredentialKind::AnthropicSubscription => {
                CredentialSource::AnthropicSubscription(secret()?)
            }
            CredentialKind::AnthropicToken => CredentialSource::AnthropicToken(secret()?),
            CredentialKind::OpenAiKey => CredentialSource::OpenAiKey(secret()?),
            CredentialKind::GeminiKey => CredentialSource::GeminiKey(secret()?),
            CredentialKind::None => return Err("there is none".into()),
        },
    })
}

type Headers = Vec<(&'static str, SecretString)>;

/// One token is asked for: about a thousandth of a cent with either provider.
fn request(kind: CredentialKind, token: &SecretString) -> (&'static str, Headers, Value) {
    let bearer = || SecretString::from(format!("Bearer {}", token.expose_secret()));
    let version = ("anthropic-version", SecretString::from("2023-06-01"));
    // A subscription answers only to the words that Claude Code itself begins with.
    let messages = json!({
        "model": "claude-haiku-4-5",
        "max_tokens": 1,
        "system": [{
            "type": "text",
            "text": "You are Claude Code, Anthropic's official CLI for Claude.",
        }],
        "messages": [{"role": "user", "content": "hi"}],
    });
    match kind {
        CredentialKind::AnthropicKey => {
            ("/v1/messages", vec![("x-api-key", token.clone()), version], messages)
        }
        CredentialKind::AnthropicSubscription | CredentialKind::AnthropicToken => {
            ("/v1/messages", vec![("authorization", bearer()), version], messages)
        }
        CredentialKind::GeminiKey => {
            let body = json!({
                "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
                "generationConfig": {"maxOutputTokens": 1},
            });
            let path = "/v1beta/models/gemini-2.5-flash:generateContent";
            (path, vec![("x-goog-api-key", token.clone())], body)
        }
        CredentialKind::OpenAiKey | CredentialKind::None => {
            let body = json!({
                "model": "gpt-5-codex",
                "instructions": "Answer with one word.",
                "input": [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}],
                "store": false,
                "stream": true,
            });
            ("/v1/responses", vec![("authorization", bearer())], body)
        }
    }
}

/// What our own gateway refused: no provider has seen it.
fn refused(refusal: &Refusal) -> Answer {
    let why = refusal.message.clone();
    // The login's file has expired or cannot be read.
    if refusal.reason == RefusalReason::Login {
        Answer::Rejected { why }
    } else {
        Answer::Unclear { why }
    }
}

/// What a status of the provider means for the login. That a model is not known, or a request not liked, is
/// said only to those who are let in.
fn judge(status: u16, body: &str) -> Answer {
    let said = serde_json::from_str::<Value>(body).ok();
    let said = said.and_then(|body| Some(body["error"]["message"].as_str()?.to_owned()));
    let said = said.unwrap_or_else(|| format!("status {status}"));
    match status {
        200..=299 => Answer::Works { note: "it answers (about a thousandth of a cent)".into() },
        401 | 403 => Answer::Rejected { why: said },
        // In the words of Google's.
        400 if said.contains("API key not valid") => Answer::Rejected { why: said },
        429 => Answer::Limited { why: said },
        400 | 404 => Answer::Works { note: format!("it is let in: {said}") },
        _ => Answer::Unclear { why: said },
    }
}

#[cfg(test)]
mod tests {
    use midwatch_broker::Door;

    use super::*;

    #[test]
    fn only_the_provider_says_no_to_a_login() {
        let error = |message: &str| json!({"error": {"message": message}}).to_string();
        assert!(matches!(judge(200, "{}"), Answer::Works { .. }));
        assert_eq!(judge(401, &error("bad key")), Answer::Rejected { why: "bad key".into() });
        assert_eq!(judge(429, &error("slow")), Answer::Limited { why: "slow".into() });
        assert_eq!(judge(502, "<html>"), Answer::Unclear { why: "status 502".into() });
        // Of what our gateway refuses, with whatever status, only a bad file of a login counts.
        for reason in RefusalReason::ALL.iter().copied() {
            let refusal = Refusal {
                door: Door::Gateway,
                reason,
                target: String::new(),
                message: "no".into(),
            };
            let rejected = matches!(refused(&refusal), Answer::Rejected { .. });
            assert_eq!(rejected, reason == RefusalReason::Login, "{reason:?}");
        }
    }
}
