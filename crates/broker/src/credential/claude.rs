//! Claude Code's login file.

use std::path::Path;
use std::time::SystemTime;

use serde::Deserialize;

use super::file::{read_json, seconds};
use super::{Credential, CredentialError, LoginKind};

/// What to do when there is no valid login.
const LOGIN: &str = "run `claude` and log in with /login, or set CLAUDE_CODE_OAUTH_TOKEN from \
                     `claude setup-token`, which lasts a year";

/// The parts of `~/.claude/.credentials.json` that we read. The refresh token is none of them.
#[derive(Deserialize)]
struct LoginFile {
    #[serde(rename = "claudeAiOauth")]
    oauth: Option<Oauth>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Oauth {
    access_token: String,
    /// Milliseconds since 1970.
    expires_at: Option<i64>,
}

pub(super) fn read(path: &Path, now: SystemTime) -> Result<Credential, CredentialError> {
    let file: LoginFile = read_json(path, LOGIN)?;
    let Some(Oauth { access_token, expires_at }) = file.oauth else {
        let why = "it holds no subscription login";
        return Err(CredentialError::NotUnderstood { path: path.to_owned(), why, login: LOGIN });
    };
    let expires_at = expires_at.map(|milliseconds| milliseconds / 1000);
    match expires_at {
        Some(at) if at <= seconds(now) => {
            Err(CredentialError::Expired { path: path.to_owned(), at, login: LOGIN })
        }
        _ => {
            Credential::new(LoginKind::AnthropicSubscription, access_token.into(), None, expires_at)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn read_text(text: &str, now: u64) -> Result<Credential, CredentialError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        read(file.path(), UNIX_EPOCH + Duration::from_secs(now))
    }

    #[test]
    fn a_login_is_good_until_it_expires() {
        let text = r#"{"claudeAiOauth":{"accessToken":"sk-ant-oat01-x","refreshToken":"r",
            "expiresAt":2000000,"scopes":["user:inference"],"subscriptionType":"max"}}"#;
        let login = read_text(text, 1999).unwrap();
        assert_eq!((login.kind, login.expires_at), (LoginKind::AnthropicSubscription, Some(2000)));
        let error = read_text(text, 2000).unwrap_err();
        assert!(matches!(error, CredentialError::Expired { at: 2000, .. }), "{error}");
        assert!(error.to_string().contains("/login"));
    }

    #[test]
    fn odd_files_are_refused_without_repeating_them() {
        for text in ["", "{}", "[1]", r#"{"claudeAiOauth":{"accessToken":7}}"#, "sk-ant-secret"] {
            let error = read_text(text, 0).unwrap_err().to_string();
            assert!(
                error.contains("not understood") && !error.contains("sk-ant-secret"),
                "{error}"
            );
        }
        let missing = read(Path::new("/nonexistent/x"), SystemTime::now());
        assert!(matches!(missing, Err(CredentialError::Missing { .. })));
        let folder = read(Path::new("/"), SystemTime::now());
        assert!(matches!(folder, Err(CredentialError::NotUnderstood { .. })));
    }
}
