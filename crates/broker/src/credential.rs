//! The real credentials: whence they come and how they are shown to the provider.

mod claude;
mod codex;
mod file;

use std::path::PathBuf;
use std::time::SystemTime;

use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

/// The beta that must be named when a Claude subscription token is shown.
const OAUTH_BETA: &str = "oauth-2025-04-20";

const ANTHROPIC_BETA: HeaderName = HeaderName::from_static("anthropic-beta");
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const GOOGLE_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");
const CHATGPT_ACCOUNT: HeaderName = HeaderName::from_static("chatgpt-account-id");

/// Whence a run's credential comes.
#[derive(Debug, Clone)]
pub enum CredentialSource {
    /// A key of the Anthropic API.
    AnthropicKey(SecretString),
    /// A Claude subscription token, as `claude setup-token` makes it.
    AnthropicSubscription(SecretString),
    /// A bearer token of a gateway that speaks Anthropic's API.
    AnthropicToken(SecretString),
    /// A key of the OpenAI API.
    OpenAiKey(SecretString),
    /// A key of Google's Gemini API.
    GeminiKey(SecretString),
    /// Claude Code's own login file, `~/.claude/.credentials.json`. Read afresh at each request
    /// and never refreshed: only the CLI itself may do that.
    ClaudeLoginFile(PathBuf),
    /// codex's own login file, `~/.codex/auth.json`: a key or a `ChatGPT` login. Read afresh at
    /// each request and never refreshed.
    CodexLoginFile(PathBuf),
}

/// How a login is shown to a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginKind {
    /// `x-api-key`.
    AnthropicKey,
    /// `authorization: Bearer` with the OAuth beta.
    AnthropicSubscription,
    /// `authorization: Bearer`, and no beta.
    AnthropicToken,
    /// `authorization: Bearer`.
    OpenAiKey,
    /// `x-goog-api-key`.
    GeminiKey,
    /// `authorization: Bearer` with the account's id; its upstream is `Upstream::CHATGPT`.
    ChatGpt,
}

/// What may be said aloud about a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginFacts {
    /// How it is shown to the provider.
    pub kind: LoginKind,
    /// When it expires, in seconds since 1970, where it says so.
    pub expires_at: Option<i64>,
}

/// Why there is no credential. None of the texts repeats what a file holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// There is no login file.
    #[error("there is no login file {}; {login}", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// What to do.
        login: &'static str,
    },
    /// The login file cannot be read.
    #[error("the login file {} cannot be read: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: String,
    },
    /// The login file is not what the CLI writes.
    #[error("the login file {} is not understood ({why}); {login}", path.display())]
    NotUnderstood {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
        /// What to do.
        login: &'static str,
    },
    /// The login has expired.
    #[error("the login in {} expired at {at} (seconds since 1970); {login}", path.display())]
    Expired {
        /// The file.
        path: PathBuf,
        /// When, in seconds since 1970.
        at: i64,
        /// What to do.
        login: &'static str,
    },
    /// Empty, or with characters that no header can hold.
    #[error("the credential is empty or holds characters that no header can carry; copy it again")]
    Malformed,
}

/// A credential, ready to be shown to its provider. Nothing of it is ever printed.
pub struct Credential {
    kind: LoginKind,
    secret: SecretString,
    account: Option<String>,
    expires_at: Option<i64>,
}

impl CredentialSource {
    /// Reads the credential as it is now.
    pub fn read(&self, now: SystemTime) -> Result<Credential, CredentialError> {
        let (kind, secret) = match self {
            Self::AnthropicKey(secret) => (LoginKind::AnthropicKey, secret),
            Self::AnthropicSubscription(secret) => (LoginKind::AnthropicSubscription, secret),
            Self::AnthropicToken(secret) => (LoginKind::AnthropicToken, secret),
            Self::OpenAiKey(secret) => (LoginKind::OpenAiKey, secret),
            Self::GeminiKey(secret) => (LoginKind::GeminiKey, secret),
            Self::ClaudeLoginFile(path) => return claude::read(path, now),
            Self::CodexLoginFile(path) => return codex::read(path, now),
        };
        Credential::new(kind, secret.clone(), None, None)
    }

    /// What may be said about it; the same errors as [`CredentialSource::read`].
    pub fn facts(&self, now: SystemTime) -> Result<LoginFacts, CredentialError> {
        self.read(now).map(|credential| LoginFacts {
            kind: credential.kind,
            expires_at: credential.expires_at,
        })
    }
}

/// The headers of a credential, and the text that must not come back.
pub struct Attachment {
    headers: Vec<(HeaderName, HeaderValue)>,
    oauth_beta: bool,
    secret: SecretString,
}

impl Credential {
    fn new(
        kind: LoginKind,
        secret: SecretString,
        account: Option<String>,
        expires_at: Option<i64>,
    ) -> Result<Self, CredentialError> {
        // A key that was copied with its line's end is meant without it.
        let trimmed = secret.expose_secret().trim();
        let printable = trimmed.bytes().all(|c| c.is_ascii_graphic());
        if trimmed.is_empty() || !printable {
            return Err(CredentialError::Malformed);
        }
        let secret = SecretString::from(trimmed);
        Ok(Self { kind, secret, account, expires_at })
    }

    /// How it is shown to the provider.
    pub fn kind(&self) -> LoginKind {
        self.kind
    }

    /// The headers to send.
    pub fn attachment(self) -> Result<Attachment, CredentialError> {
        let secret = self.secret.expose_secret();
        let value = |text: &str| {
            let mut value = HeaderValue::from_str(text).map_err(|_| CredentialError::Malformed)?;
            value.set_sensitive(true);
            Ok(value)
        };
        let bearer = || Ok((AUTHORIZATION, value(&format!("Bearer {secret}"))?));
        let mut headers = match self.kind {
            LoginKind::AnthropicKey => vec![(API_KEY, value(secret)?)],
            LoginKind::GeminiKey => vec![(GOOGLE_KEY, value(secret)?)],
            LoginKind::AnthropicSubscription
            | LoginKind::AnthropicToken
            | LoginKind::OpenAiKey
            | LoginKind::ChatGpt => vec![bearer()?],
        };
        if let Some(account) = &self.account {
            headers.push((CHATGPT_ACCOUNT, value(account)?));
        }
        let oauth_beta = self.kind == LoginKind::AnthropicSubscription;
        Ok(Attachment { headers, oauth_beta, secret: self.secret })
    }
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credential").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Attachment {
    /// Puts the credential into a request whose own credentials are already gone.
    pub(crate) fn attach(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.headers {
            headers.insert(name.clone(), value.clone());
        }
        if self.oauth_beta && !names_oauth(headers) {
            headers.append(ANTHROPIC_BETA, HeaderValue::from_static(OAUTH_BETA));
        }
    }

    /// The text that must not come back in an answer.
    pub(crate) fn secret(&self) -> &SecretString {
        &self.secret
    }
}

fn names_oauth(headers: &HeaderMap) -> bool {
    headers.get_all(ANTHROPIC_BETA).iter().any(|value| {
        value.to_str().is_ok_and(|list| list.split(',').any(|beta| beta.trim() == OAUTH_BETA))
    })
}

/// The headers by which a client shows a credential. All are taken off what comes from a sandbox.
pub(crate) const CREDENTIAL_HEADERS: [HeaderName; 7] = [
    AUTHORIZATION,
    API_KEY,
    CHATGPT_ACCOUNT,
    HeaderName::from_static("api-key"),
    GOOGLE_KEY,
    http::header::PROXY_AUTHORIZATION,
    http::header::COOKIE,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(source: &CredentialSource, beta: Option<&'static str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(beta) = beta {
            headers.insert(ANTHROPIC_BETA, HeaderValue::from_static(beta));
        }
        let credential = source.read(SystemTime::now()).unwrap();
        credential.attachment().unwrap().attach(&mut headers);
        headers
    }

    #[test]
    fn each_kind_has_its_headers() {
        let h = headers(&CredentialSource::AnthropicKey("sk-ant-key\n".into()), Some("a"));
        assert_eq!(h[API_KEY], "sk-ant-key");
        assert_eq!(
            (h.get(AUTHORIZATION), &h[ANTHROPIC_BETA]),
            (None, &HeaderValue::from_static("a"))
        );
        let h = headers(&CredentialSource::AnthropicToken("gateway".into()), None);
        assert_eq!(
            (&h[AUTHORIZATION], h.get(ANTHROPIC_BETA), h.get(API_KEY)),
            (&HeaderValue::from_static("Bearer gateway"), None, None)
        );
        let h = headers(&CredentialSource::OpenAiKey("sk-openai".into()), None);
        assert_eq!(h[AUTHORIZATION], "Bearer sk-openai");
        let h = headers(&CredentialSource::GeminiKey("AIza-key".into()), None);
        assert_eq!((&h[GOOGLE_KEY], h.len()), (&HeaderValue::from_static("AIza-key"), 1));
    }

    #[test]
    fn a_subscription_always_names_the_beta_and_never_twice() {
        let source = CredentialSource::AnthropicSubscription("sk-ant-oat".into());
        for (sent, lines) in [(None, 1), (Some("x,y"), 2), (Some("x, oauth-2025-04-20"), 1)] {
            let h = headers(&source, sent);
            assert!(names_oauth(&h));
            assert_eq!(h.get_all(ANTHROPIC_BETA).iter().count(), lines);
            assert_eq!(h[AUTHORIZATION], "Bearer sk-ant-oat");
        }
    }

    #[test]
    fn secrets_are_not_printed_and_bad_ones_refused() {
        let source = CredentialSource::AnthropicKey("sk-hidden-value".into());
        let credential = source.read(SystemTime::now()).unwrap();
        assert!(!format!("{source:?} {credential:?}").contains("hidden"));
        for bad in ["", " \n", "a\nb", "a b", "sch\u{fc}ssel"] {
            let read = CredentialSource::OpenAiKey(bad.into()).read(SystemTime::now());
            assert_eq!(read.unwrap_err(), CredentialError::Malformed);
        }
    }
}
