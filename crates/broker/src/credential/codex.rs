//! codex's login file.

use std::path::Path;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::file::{read_json, seconds};
use super::{Credential, CredentialError, LoginKind};

/// What to do when there is no valid login.
const LOGIN: &str = "run `codex login`, or set OPENAI_API_KEY";

/// The parts of `$CODEX_HOME/auth.json` that we read. The refresh token is none of them.
#[derive(Deserialize)]
struct LoginFile {
    auth_mode: Option<String>,
    #[serde(rename = "OPENAI_API_KEY")]
    key: Option<String>,
    tokens: Option<Tokens>,
}

#[derive(Deserialize)]
struct Tokens {
    access_token: String,
    account_id: Option<String>,
}

/// The one claim of the access token that we read. Its signature is the provider's business.
#[derive(Deserialize)]
struct Claims {
    exp: Option<i64>,
}

pub(super) fn read(path: &Path, now: SystemTime) -> Result<Credential, CredentialError> {
    let odd = |why| CredentialError::NotUnderstood { path: path.to_owned(), why, login: LOGIN };
    let LoginFile { auth_mode, key, tokens } = read_json(path, LOGIN)?;
    // Older versions wrote no mode; a key then went first, as it does in the CLI.
    let chatgpt = match auth_mode.as_deref() {
        Some("apikey") => false,
        Some("chatgpt") => true,
        Some(_) => return Err(odd("its auth_mode is neither apikey nor chatgpt")),
        None => key.is_none(),
    };
    if !chatgpt {
        let key = key.ok_or_else(|| odd("it holds no key"))?;
        return Credential::new(LoginKind::OpenAiKey, key.into(), None, None);
    }
    let Tokens { access_token, account_id } = tokens.ok_or_else(|| odd("it holds no tokens"))?;
    let expires_at = expiry(&access_token);
    match expires_at {
        Some(at) if at <= seconds(now) => {
            Err(CredentialError::Expired { path: path.to_owned(), at, login: LOGIN })
        }
        _ => Credential::new(LoginKind::ChatGpt, access_token.into(), account_id, expires_at),
    }
}

/// When a JWT expires; a token that is none does not say.
fn expiry(token: &str) -> Option<i64> {
    let claims = token.split('.').nth(1)?;
    let claims = zeroize::Zeroizing::new(URL_SAFE_NO_PAD.decode(claims).ok()?);
    serde_json::from_slice::<Claims>(&claims).ok()?.exp
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use http::HeaderMap;

    use super::*;

    fn read_text(text: &str, now: u64) -> Result<Credential, CredentialError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        read(file.path(), UNIX_EPOCH + Duration::from_secs(now))
    }

    #[test]
    fn a_key_is_a_key_with_or_without_the_mode() {
        for text in [
            r#"{"auth_mode":"apikey","OPENAI_API_KEY":"sk-1","tokens":null}"#,
            r#"{"OPENAI_API_KEY":"sk-1"}"#,
        ] {
            assert_eq!(read_text(text, 0).unwrap().kind, LoginKind::OpenAiKey);
        }
    }

    #[test]
    fn a_chatgpt_login_shows_its_account_and_expires() {
        let jwt = format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(r#"{"exp":5000}"#));
        let text = format!(
            r#"{{"auth_mode":"chatgpt","OPENAI_API_KEY":null,"tokens":{{"id_token":"i",
            "access_token":"{jwt}","refresh_token":"r","account_id":"acc-1"}}}}"#
        );
        let mut headers = HeaderMap::new();
        read_text(&text, 4999).unwrap().attachment().unwrap().attach(&mut headers);
        assert_eq!(headers["chatgpt-account-id"], "acc-1");
        assert_eq!(headers["authorization"], format!("Bearer {jwt}"));
        let error = read_text(&text, 5000).unwrap_err();
        assert!(error.to_string().contains("codex login"), "{error}");
        let opaque = text.replace(&jwt, "opaque-token");
        assert_eq!(read_text(&opaque, 5000).unwrap().expires_at, None);
    }

    #[test]
    fn odd_files_are_refused() {
        for text in [
            "{}",
            r#"{"auth_mode":"x"}"#,
            r#"{"auth_mode":"apikey"}"#,
            r#"{"auth_mode":"chatgpt"}"#,
        ] {
            assert!(
                matches!(read_text(text, 0), Err(CredentialError::NotUnderstood { .. })),
                "{text}"
            );
        }
    }
}
