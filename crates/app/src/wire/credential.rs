//! From where an order says a credential is to where the broker reads it.

use midwatch_api::task::CredentialRef;
use midwatch_broker::{CredentialSource, Upstream, WireApi};
use midwatch_core::agent::CredentialKind;
use midwatch_core::input::InvalidInput;
use midwatch_local::folder::StateFolder;
use secrecy::SecretString;

/// What the broker asks for a credential. The error is one sentence and repeats nothing of it.
pub(crate) fn source(
    folder: &StateFolder,
    credential: &CredentialRef,
    kind: CredentialKind,
) -> Result<Option<CredentialSource>, String> {
    let id = match credential {
        CredentialRef::None => return Ok(None),
        CredentialRef::ClaudeLogin { path } => {
            return Ok(Some(CredentialSource::ClaudeLoginFile(path.clone())));
        }
        CredentialRef::CodexLogin { path } => {
            return Ok(Some(CredentialSource::CodexLoginFile(path.clone())));
        }
        CredentialRef::Stored { id, .. } => id,
    };
    let secret = stored(folder, id)?;
    Ok(match kind {
        CredentialKind::AnthropicKey => Some(CredentialSource::AnthropicKey(secret)),
        CredentialKind::AnthropicSubscription => {
            Some(CredentialSource::AnthropicSubscription(secret))
        }
        CredentialKind::AnthropicToken => Some(CredentialSource::AnthropicToken(secret)),
        CredentialKind::OpenAiKey => Some(CredentialSource::OpenAiKey(secret)),
        CredentialKind::GeminiKey => Some(CredentialSource::GeminiKey(secret)),
        CredentialKind::None => None,
    })
}

/// A credential that was handed over with an order.
pub(crate) fn stored(folder: &StateFolder, id: &str) -> Result<SecretString, String> {
    std::fs::read_to_string(folder.credential(id))
        .map(SecretString::from)
        .map_err(|error| format!("the key of this task cannot be read: {error}"))
}

/// What is spoken by credentials of a kind. An agent without one still may have a model server
/// of its own; those speak as OpenAI does.
pub(crate) fn wire_api(kind: CredentialKind) -> WireApi {
    match kind {
        CredentialKind::AnthropicKey
        | CredentialKind::AnthropicSubscription
        | CredentialKind::AnthropicToken => WireApi::Anthropic,
        CredentialKind::GeminiKey => WireApi::Gemini,
        CredentialKind::OpenAiKey | CredentialKind::None => WireApi::OpenAi,
    }
}

/// Where requests go.
pub(crate) fn upstream(kind: CredentialKind, url: Option<&str>) -> Result<Upstream, InvalidInput> {
    match url {
        Some(url) => Upstream::parse(url),
        None => Ok(Upstream::default_for(wire_api(kind))),
    }
}
