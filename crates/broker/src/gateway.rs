//! The model gateway: the run token comes in, the real credential goes out.
//!
//! The order is fixed: token, canonical target, the provider's own paths, caps, and only then is
//! the credential read and attached. Nothing is buffered: bytes pass as they come, in both
//! directions, and a side that stops reading stops the other.

mod answer;
mod connect;
mod headers;
mod redact;
mod relay;
mod route;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{Method, Request, Response, StatusCode};
use hyper::body::{Body as _, Incoming};
use hyper::service::service_fn;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ClientConfig;
use tokio::net::UnixStream;

use self::answer::Answer;
use self::connect::{Connect, NotConnected};
use self::redact::Redactor;
use self::relay::Relay;
use self::route::Route;
use crate::broker::{Run, Shared};
use crate::door;
use crate::grant::{Grant, ModelGrant, WireApi};
use crate::intake::{self, Intake};
use crate::refusal::{Door, No, Refusal, RefusalReason};
use crate::usage::UsageScan;
use crate::way::Ways;

/// Dials providers and keeps their connections.
pub(crate) type Client = legacy::Client<HttpsConnector<Connect>, Intake>;

/// How long an unused connection to a provider is kept. Under the 60 s after which load
/// balancers commonly drop theirs.
const IDLE_KEPT: Duration = Duration::from_secs(50);

/// How many unused connections to a provider are kept.
const IDLE_CONNECTIONS: usize = 32;

/// The largest read from a provider, and so the largest head of an answer, in bytes. Each stream
/// whose agent does not read holds as much (measured: 200 of them 20 MiB; with 64 KiB here and for
/// heads 34 MiB, and no faster).
const READ_MAX: usize = 32 << 10;

/// Makes the client that dials providers.
pub(crate) fn client(tls: ClientConfig, ways: Arc<Ways>) -> Client {
    // Plain http is for loopback only, which `Upstream` has seen to.
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(Connect(ways));
    legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_KEPT)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .http1_max_buf_size(READ_MAX)
        .build(connector)
}

/// Serves one connection from the sandbox.
pub(crate) async fn connection(
    shared: Arc<Shared>,
    run: Arc<Run>,
    head_wait: Duration,
    io: TokioIo<UnixStream>,
) {
    let state = run.clone();
    let service = service_fn(move |request| {
        let (shared, run) = (shared.clone(), state.clone());
        async move { Ok::<_, Infallible>(serve(&shared, run, request).await) }
    });
    match door::http(head_wait).serve_connection(io, service).await {
        Err(error) if error.is_parse() => {
            let text = format!("not HTTP as it is read here: {error}");
            run.refuse(Refusal::new(Door::Gateway, RefusalReason::Malformed, "", text));
        }
        // Other ends of a connection are the client's business.
        Err(_) | Ok(()) => {}
    }
}

async fn serve(shared: &Shared, run: Arc<Run>, request: Request<Incoming>) -> Response<Answer> {
    let grant = run.grant();
    let api = grant.model.as_ref().map_or(WireApi::Anthropic, |model| model.api);
    // Claude Code asks this before anything else, with or without a credential.
    if request.method() == Method::HEAD && request.uri().path() == "/" {
        return answer::empty();
    }
    let path = request.uri().path().to_owned();
    match forward(shared, &run, &grant, request).await {
        Ok(response) => response,
        Err((reason, message)) => {
            let refusal = run.refuse(Refusal::new(Door::Gateway, reason, &path, message));
            answer::refusal(api, &refusal)
        }
    }
}

async fn forward(
    shared: &Shared,
    run: &Arc<Run>,
    grant: &Grant,
    request: Request<Incoming>,
) -> Result<Response<Answer>, No> {
    authenticate(shared, &run.name, &request)?;
    let model = grant.model.as_ref().ok_or_else(|| {
        (
            RefusalReason::NoModel,
            "this run has no model; only agent and review steps have one".into(),
        )
    })?;
    let route = Route::find(model.api, request.method(), request.uri(), request.headers())?;
    within_budget(run, grant)?;
    if request.body().size_hint().lower() > grant.limits.request_bytes {
        return Err(intake::too_large(grant.limits.request_bytes));
    }
    match route {
        Route::Home => Ok(answer::home()),
        Route::Upstream { path, query } => {
            pass(shared, run, grant, model, &path, query.as_deref(), request).await
        }
    }
}

/// Every credential that is shown must be this run's token, and there must be one.
fn authenticate(shared: &Shared, run: &str, request: &Request<Incoming>) -> Result<(), No> {
    let mut shown = headers::shown_tokens(request.headers()).peekable();
    if shown.peek().is_none() {
        let text = "no run token; send it as x-api-key or as authorization: Bearer";
        return Err((RefusalReason::TokenMissing, text.into()));
    }
    // No early end: how many are right is told by nothing but the answer.
    let right =
        shown.map(|token| shared.key.is_token_of(run, token)).fold(true, |all, one| all & one);
    if right {
        Ok(())
    } else {
        let text = "not this run's token; a token works only at its own run's gateway";
        Err((RefusalReason::TokenWrong, text.into()))
    }
}

fn within_budget(run: &Run, grant: &Grant) -> Result<(), No> {
    let (requests, tokens) = run.meter.spent();
    let over = |cap: Option<u64>, used: u64| cap.filter(|cap| used >= *cap);
    if let Some(cap) = over(grant.limits.requests, requests) {
        return Err((RefusalReason::Budget, format!("this run has used its {cap} model requests")));
    }
    if let Some(cap) = over(grant.limits.tokens, tokens) {
        return Err((RefusalReason::Budget, format!("this run has used its {cap} tokens")));
    }
    Ok(())
}

async fn pass(
    shared: &Shared,
    run: &Arc<Run>,
    grant: &Grant,
    model: &ModelGrant,
    path: &str,
    query: Option<&str>,
    request: Request<Incoming>,
) -> Result<Response<Answer>, No> {
    let waits = grant.limits.waits;
    let (head, body) = request.into_parts();
    let mut headers = headers::for_upstream(&head.headers);
    let login =
        |error: crate::credential::CredentialError| (RefusalReason::Login, error.to_string());
    let attachment = match &model.credential {
        Some(source) => {
            let credential = source.read(SystemTime::now()).map_err(login)?;
            Some(credential.attachment().map_err(login)?)
        }
        None => None,
    };
    if let Some(attachment) = &attachment {
        attachment.attach(&mut headers);
    }
    let uri = model.upstream.at(path, query).map_err(|error| {
        (RefusalReason::Path, format!("the path does not fit the base URL: {error}"))
    })?;
    let (body, trouble) = Intake::new(body, grant.limits.request_bytes, waits.body);
    let mut request = Request::new(body);
    *request.method_mut() = head.method;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;

    let answered = tokio::time::timeout(waits.upstream, shared.client.request(request)).await;
    let response = match answered {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => {
            return Err(trouble.get().cloned().unwrap_or_else(|| unreachable(model, &error)));
        }
        Err(_) => {
            let text = format!("{} did not answer in time", model.upstream.authority());
            return Err((RefusalReason::UpstreamSlow, text));
        }
    };
    acceptable(&response, model)?;

    let (mut head, body) = response.into_parts();
    let limit = headers::limit(&head.headers);
    let content_type = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let scan = UsageScan::for_content_type(content_type.unwrap_or_default());
    let redactor = attachment.map(|attachment| Redactor::new(attachment.secret()));
    head.headers = headers::for_sandbox(&head.headers, redactor.as_ref());
    let ending = relay::Ending::new(run.clone(), path, head.status.as_u16(), limit, scan);
    let relay = Relay::new(body, redactor, ending, grant.limits.response_bytes, waits.upstream);
    Ok(Response::from_parts(head, answer::relayed(relay)))
}

/// Redirects would carry the credential elsewhere, and a compressed answer could carry it back.
fn acceptable(response: &Response<Incoming>, model: &ModelGrant) -> Result<(), No> {
    let host = model.upstream.authority();
    let status = response.status();
    if status.is_redirection() {
        let text =
            format!("{host} answered {status}: redirects are not followed; mend the base URL");
        return Err((RefusalReason::Redirect, text));
    }
    if status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS {
        let text = format!("{host} answered {status}, which no request asked for");
        return Err((RefusalReason::Unreachable, text));
    }
    let encodings = response.headers().get_all(CONTENT_ENCODING);
    if encodings.iter().any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        let text = format!("{host} compressed its answer although it was asked not to");
        return Err((RefusalReason::Encoded, text));
    }
    Ok(())
}

fn unreachable(model: &ModelGrant, error: &legacy::Error) -> No {
    let host = model.upstream.authority();
    let mut text = format!("{host} cannot be reached: {error}");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(NotConnected((reason, why))) = cause.downcast_ref() {
            return (*reason, format!("{host} cannot be reached: {why}"));
        }
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    (RefusalReason::Unreachable, text)
}
