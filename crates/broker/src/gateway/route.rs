//! Which requests are the provider's API, and nothing else.

use http::{HeaderMap, Method, Uri, header};

use crate::grant::WireApi;
use crate::hop::is_trace;
use crate::refusal::{No, RefusalReason};

/// The longest query in bytes.
const QUERY_MAX: usize = 1024;

/// The longest model id in a path, in bytes.
const MODEL_MAX: usize = 128;

/// What may be asked of a model of Google's.
const GEMINI_VERBS: [&str; 3] = ["generateContent", "streamGenerateContent", "countTokens"];

/// Where a request goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// `GET /`, answered here: clients ask it to see that somebody is there.
    Home,
    /// The provider.
    Upstream {
        /// The path below the base URL.
        path: String,
        /// The query, in its own spelling.
        query: Option<String>,
    },
}

/// What a path is.
enum Known {
    Home,
    /// A path below the base URL, and its only method.
    Api(Method, String),
}

impl Route {
    /// Finds the route of a request in origin form. Paths are compared byte by byte, so every
    /// other spelling of an allowed path is simply unknown.
    pub(super) fn find(
        api: WireApi,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<Self, No> {
        if uri.authority().is_some() {
            let text = "send the path only; this is no proxy, the proxy is another port";
            return Err((RefusalReason::Path, text.into()));
        }
        if is_trace(method) {
            return Err((RefusalReason::Method, "this method would echo the credential".into()));
        }
        let Some(known) = known(api, uri.path()) else {
            let text = "not one of the model API's paths; only those pass through this gateway";
            return Err((RefusalReason::Path, text.into()));
        };
        if api == WireApi::OpenAi && *method == Method::GET && headers.contains_key(header::UPGRADE)
        {
            return Err((
                RefusalReason::WebSocket,
                "WebSockets are not spoken here; use POST".into(),
            ));
        }
        match known {
            Known::Home if *method == Method::GET => Ok(Self::Home),
            Known::Home => Err((RefusalReason::Method, "only GET and HEAD here".into())),
            Known::Api(allowed, path) if *method == allowed => {
                Ok(Self::Upstream { path, query: query(uri)? })
            }
            // codex tries the WebSocket first and falls back on this very status.
            Known::Api(_, path) if path == "/responses" && *method == Method::GET => {
                Err((RefusalReason::WebSocket, "WebSockets are not spoken here; use POST".into()))
            }
            Known::Api(allowed, _) => Err((RefusalReason::Method, format!("only {allowed} here"))),
        }
    }
}

fn known(api: WireApi, path: &str) -> Option<Known> {
    match api {
        WireApi::Anthropic => match path {
            "/" => Some(Known::Home),
            "/v1/messages" | "/v1/messages/count_tokens" => {
                Some(Known::Api(Method::POST, path.into()))
            }
            _ => models(path.strip_prefix("/v1")?).map(|_| Known::Api(Method::GET, path.into())),
        },
        WireApi::Gemini => match path {
            "/" => Some(Known::Home),
            _ => match path.strip_prefix("/v1beta")?.split_once(':') {
                Some((model, verb)) if GEMINI_VERBS.contains(&verb) => {
                    // The list itself takes no verb.
                    models(model).filter(|model| *model != "/models")?;
                    Some(Known::Api(Method::POST, path.into()))
                }
                // In the ids of this API there is no colon.
                Some(_) => None,
                None => models(path.strip_prefix("/v1beta")?)
                    .map(|_| Known::Api(Method::GET, path.into())),
            },
        },
        WireApi::OpenAi => {
            // The base URL ends in the provider's version, which adapters may or may not repeat.
            let path = path.strip_prefix("/v1").unwrap_or(path);
            match path {
                // Nobody's API: how the runner's self-test sees that the gateway is alive.
                "/" => Some(Known::Home),
                "/responses" | "/responses/compact" | "/chat/completions" => {
                    Some(Known::Api(Method::POST, path.into()))
                }
                _ => models(path).map(|path| Known::Api(Method::GET, path.into())),
            }
        }
    }
}

/// `/models` and `/models/ID`.
fn models(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("/models")?;
    let Some(id) = rest.strip_prefix('/') else {
        return rest.is_empty().then_some(path);
    };
    let plain = id.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_.:".contains(&c));
    let dots = id.bytes().all(|c| c == b'.');
    (plain && !dots && id.len() <= MODEL_MAX).then_some(path)
}

fn query(uri: &Uri) -> Result<Option<String>, No> {
    let Some(query) = uri.query() else {
        return Ok(None);
    };
    let plain = query.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_.~=&%:,+[]".contains(&c));
    if plain && query.len() <= QUERY_MAX {
        Ok(Some(query.to_owned()))
    } else {
        Err((RefusalReason::Path, "the query is too long or holds odd characters".into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(api: WireApi, method: &str, uri: &str) -> Result<Route, RefusalReason> {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        Route::find(api, &method, &uri.parse().unwrap(), &HeaderMap::new()).map_err(|no| no.0)
    }

    #[test]
    fn the_api_and_nothing_else() {
        use RefusalReason::{Method as M, Path as P, WebSocket as W};
        use WireApi::{Anthropic as A, Gemini as G, OpenAi as O};
        for (api, method, uri, expected) in [
            (A, "POST", "/v1/messages", Ok("/v1/messages")),
            (A, "POST", "/v1/messages?beta=true", Ok("/v1/messages")),
            (A, "POST", "/v1/messages/count_tokens", Ok("/v1/messages/count_tokens")),
            (A, "GET", "/v1/models", Ok("/v1/models")),
            (A, "GET", "/v1/models/claude-opus-4-5", Ok("/v1/models/claude-opus-4-5")),
            (A, "GET", "/v1/messages", Err(M)),
            (A, "DELETE", "/v1/models", Err(M)),
            (A, "TRACE", "/v1/messages", Err(M)),
            (A, "TRACK", "/nowhere", Err(M)),
            (A, "POST", "/", Err(M)),
            (A, "POST", "/v1/messages/", Err(P)),
            (A, "POST", "/v1//messages", Err(P)),
            (A, "POST", "//v1/messages", Err(P)),
            (A, "POST", "/v1/./messages", Err(P)),
            (A, "POST", "/v1/x/../messages", Err(P)),
            (A, "POST", "/v1/%6dessages", Err(P)),
            (A, "POST", "/V1/messages", Err(P)),
            (A, "POST", "/v1/messages;x", Err(P)),
            (A, "POST", "/v1/messages/batches", Err(P)),
            (A, "POST", "/v1/files", Err(P)),
            (A, "GET", "/v1/organizations/api_keys", Err(P)),
            (A, "GET", "/v1/models/..", Err(P)),
            (A, "GET", "/v1/models/a/b", Err(P)),
            (A, "GET", "/v1/models/%2e%2e", Err(P)),
            (A, "GET", "/v1/modelsx", Err(P)),
            (A, "POST", "/v1/responses", Err(P)),
            (A, "POST", "http://evil.example/v1/messages", Err(P)),
            (A, "POST", "/v1/messages?a=b;c", Err(P)),
            (O, "POST", "/v1/responses", Ok("/responses")),
            (O, "POST", "/responses", Ok("/responses")),
            (O, "POST", "/responses/compact", Ok("/responses/compact")),
            (O, "POST", "/v1/chat/completions", Ok("/chat/completions")),
            (O, "GET", "/v1/models?client_version=0.169.0", Ok("/models")),
            (O, "GET", "/v1/responses", Err(W)),
            (O, "POST", "/v1/v1/responses", Err(P)),
            (O, "POST", "/v1/files", Err(P)),
            (O, "POST", "/", Err(M)),
            (O, "GET", "/v1/responses/resp_1", Err(P)),
            (
                G,
                "POST",
                "/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
                Ok("/v1beta/models/gemini-2.5-pro:streamGenerateContent"),
            ),
            (G, "POST", "/v1beta/models/g:generateContent", Ok("/v1beta/models/g:generateContent")),
            (G, "POST", "/v1beta/models/g:countTokens", Ok("/v1beta/models/g:countTokens")),
            (G, "GET", "/v1beta/models/g", Ok("/v1beta/models/g")),
            (G, "GET", "/v1beta/models/g:generateContent", Err(M)),
            (G, "POST", "/v1beta/models:generateContent", Err(P)),
            (G, "POST", "/v1beta/models/..:generateContent", Err(P)),
            (G, "POST", "/v1beta/models/g:batchGenerateContent", Err(P)),
            (G, "POST", "/v1beta/models/g:generateContent:countTokens", Err(P)),
            (G, "POST", "/v1beta/tunedModels/g:generateContent", Err(P)),
            (G, "POST", "/v1beta/files", Err(P)),
            (G, "POST", "/v1/models/g:generateContent", Err(P)),
        ] {
            let found = find(api, method, uri).map(|route| match route {
                Route::Upstream { path, .. } => path,
                Route::Home => "home".into(),
            });
            assert_eq!(found, expected.map(str::to_owned), "{method} {uri}");
        }
        for api in [A, O, G] {
            assert_eq!(find(api, "GET", "/"), Ok(Route::Home));
        }
    }
}
