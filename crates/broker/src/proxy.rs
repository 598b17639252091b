//! The egress proxy: what a sandbox may reach besides its model.
//!
//! Plain HTTP in absolute form, and CONNECT for TLS. For each request: read the target by a
//! strict grammar, ask the run's egress mode, resolve the name here, check **every** address,
//! dial an address that was checked, and see that what is said inside names the same host.
//! There is no token: the socket belongs to one run, and what it lets through is no secret.
//!
//! What remains: a host that is allowed can carry data out, and behind one TLS name a server may
//! have others (domain fronting, encrypted greetings), because TLS is not opened here.

mod answer;
mod hello;
pub(crate) mod host;
mod plain;
mod policy;
mod tunnel;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use self::answer::Answer;
use self::host::Target;
use self::tunnel::Tunnel;
use crate::broker::{Run, Shared};
use crate::door;
use crate::egress::Egress;
use crate::hop::is_trace;
use crate::refusal::{Door, No, Refusal, RefusalReason};
use crate::way::NamedBy;

/// Serves one connection from the sandbox.
pub(crate) async fn connection(
    shared: Arc<Shared>,
    run: Arc<Run>,
    head_wait: Duration,
    io: TokioIo<UnixStream>,
) {
    let state = run.clone();
    let (tunnels, mut agreed) = mpsc::channel(1);
    let service = service_fn(move |request| {
        let (shared, run, tunnels) = (shared.clone(), state.clone(), tunnels.clone());
        async move { Ok::<_, Infallible>(serve(&shared, &run, &tunnels, request).await) }
    });
    let served = door::http(head_wait).serve_connection(io, service).with_upgrades().await;
    match served {
        Err(error) if error.is_parse() => {
            let text = format!("not HTTP as it is read here: {error}");
            run.refuse(Refusal::new(Door::Proxy, RefusalReason::Malformed, "", text));
        }
        // Other ends of a connection are the client's business.
        Err(_) | Ok(()) => {}
    }
    // In this task and not in one of its own, so that it ends with the run.
    if let Ok(tunnel) = agreed.try_recv() {
        tunnel.run(&run).await;
    }
}

async fn serve(
    shared: &Shared,
    run: &Arc<Run>,
    tunnels: &mpsc::Sender<Tunnel>,
    request: Request<Incoming>,
) -> Response<Answer> {
    let asked = match request.uri().authority() {
        Some(authority) => authority.to_string(),
        None => request.uri().to_string(),
    };
    let answered = match *request.method() {
        Method::CONNECT => connect(shared, run, tunnels, request).await,
        _ => forward(shared, run, request).await,
    };
    answered.unwrap_or_else(|(reason, message)| {
        let refusal = run.refuse(Refusal::new(Door::Proxy, reason, &asked, message));
        answer::refusal(&refusal)
    })
}

fn read_target(text: &str, default_port: Option<u16>) -> Result<Target, No> {
    Target::parse(text, default_port).map_err(|error| {
        let reason = match error {
            host::HostError::Port => RefusalReason::Port,
            _ => RefusalReason::Host,
        };
        (reason, format!("the host {error}"))
    })
}

async fn connect(
    shared: &Shared,
    run: &Run,
    tunnels: &mpsc::Sender<Tunnel>,
    mut request: Request<Incoming>,
) -> Result<Response<Answer>, No> {
    let uri = request.uri();
    let (None, Some(authority)) = (uri.scheme(), uri.authority()) else {
        return Err((RefusalReason::Host, "CONNECT takes a host and a port".into()));
    };
    let target = read_target(authority.as_str(), None)?;
    let grant = run.grant();
    policy::permit(&grant.egress, &target)?;
    let server =
        shared.ways.to_tls(&target, named_by(&grant.egress), grant.limits.waits.dial).await?;
    let client = hyper::upgrade::on(&mut request);
    let tunnel = Tunnel { target, client, server, waits: grant.limits.waits };
    // One CONNECT ends the HTTP of a connection, so there is room.
    tunnels.try_send(tunnel).map_err(|_| {
        (RefusalReason::Malformed, "a second CONNECT on the same connection".to_owned())
    })?;
    Ok(answer::empty())
}

async fn forward(
    shared: &Shared,
    run: &Arc<Run>,
    request: Request<Incoming>,
) -> Result<Response<Answer>, No> {
    if is_trace(request.method()) {
        return Err((RefusalReason::Method, "this method is not passed on".into()));
    }
    let target = plain::target(&request)?;
    let grant = run.grant();
    policy::permit(&grant.egress, &target)?;
    let wait = grant.limits.waits.dial;
    let way = shared.ways.to_plain(&target, named_by(&grant.egress), wait).await?;
    plain::pass(run, target, way, &grant.limits, request).await
}

/// Who named what the policy permits in a mode.
fn named_by(egress: &Egress) -> NamedBy {
    match egress {
        Egress::Registries(_) => NamedBy::Operator,
        Egress::Public | Egress::None => NamedBy::Sandbox,
    }
}
