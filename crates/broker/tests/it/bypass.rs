//! Ways around the egress rules, tried from the sandbox's side of the proxy.
//!
//! The test makes a network of its own: this side, and a machine on the other side of a wire that
//! answers at **every** address of both families. So each forbidden address has a live target.
//! Each attempt is made twice: at the broker, where it must not reach its target, and at a proxy
//! without rules, where it must (the control).

mod naive;
mod network;
mod table;

use std::process::{Command, Stdio};
use std::sync::Arc;

use midwatch_broker::{BrokerConfig, Egress, Limits, Registries};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use self::naive::Naive;
use self::network::Network;
use self::table::{Attack, Mode, Reached, attacks, hello, names};
use crate::world::{World, header, key, read_head};

/// Tells the roles below that they were started by the test below and not by the harness, where they do nothing.
const ROLE: &str = "MIDWATCH_BROKER_TEST_ROLE";

/// Starts one of the roles in a network namespace of its own.
fn unshared(role: &str, maps_user: bool) -> Command {
    let mut command = Command::new("unshare");
    if maps_user {
        // An ordinary user needs a user namespace first; root of an ordinary one may do it all.
        command.args(["--user", "--map-root-user"]);
    }
    let this = std::env::current_exe().unwrap();
    command.arg("--net").arg(this).env(ROLE, role);
    command.args(["--nocapture", "--exact", &format!("bypass::{role}")]);
    command
}

#[test]
fn no_bypass_reaches_its_target() {
    let may = Command::new("unshare")
        .args(["--user", "--map-root-user", "--net", "ip", "link", "set", "lo", "up"])
        .stderr(Stdio::null())
        .status();
    if !may.is_ok_and(|status| status.success()) {
        println!("NOT RUN: no user and network namespaces here (unshare --user --net, ip)");
        return;
    }
    let output = unshared("inside", true).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    print!("{text}");
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("egress bypasses tried "), "{text}");
}

/// A role: the other side of the wire, started by `inside`.
#[test]
fn peer() {
    if std::env::var(ROLE).as_deref() == Ok("peer") {
        network::peer();
    }
}

/// A role: this side of the wire, started by `no_bypass_reaches_its_target`.
#[test]
fn inside() {
    if std::env::var(ROLE).as_deref() != Ok("inside") {
        return;
    }
    let network = Network::build(unshared("peer", false));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(try_all(&network));
}

async fn try_all(network: &Network) {
    let world = |egress| {
        let config = BrokerConfig { resolver: names(), ..BrokerConfig::new(key()) };
        World::with(config, None, egress, Limits::default())
    };
    let list = Registries::parse(["good.example"]).unwrap();
    let none = world(Egress::None);
    let registries = world(Egress::Registries(list));
    let public = world(Egress::Public);
    let attacks = attacks();
    let (mut reached, mut vacuous) = (Vec::new(), Vec::new());
    for attack in &attacks {
        let world = match attack.mode {
            Mode::None => &none,
            Mode::Registries => &registries,
            Mode::Public => &public,
        };
        if attempt(network, &world.proxy(), attack).await {
            reached.push(attack.name);
        }
        let naive = Naive::start(names(), attack.routes_by_host);
        if !attempt(network, naive.socket(), attack).await {
            vacuous.push(attack.name);
        }
    }
    // The broker refuses for a reason, and not because nothing works here.
    for world in [&registries, &public] {
        for attack in table::allowed() {
            assert!(attempt(network, &world.proxy(), &attack).await, "{}", attack.name);
        }
    }
    println!("egress bypasses tried {} / reached {}", attacks.len(), reached.len());
    println!("controls tried {} / reached {}", attacks.len(), attacks.len() - vacuous.len());
    assert!(reached.is_empty(), "reached: {reached:?}");
    assert!(vacuous.is_empty(), "controls that did not reach: {vacuous:?}");
    let tried = format!("egress bypasses tried {}", attacks.len());
    midwatch_testkit::counts::are_told(&tried);
}

/// Makes one attempt at a proxy. True when the forbidden target noticed it.
async fn attempt(network: &Network, proxy: &std::path::Path, attack: &Attack) -> bool {
    let mark = network.mark();
    let location = talk(proxy, &attack.first, attack.inside.as_deref()).await;
    if let Some(location) = location {
        let host = location.trim_start_matches("http://").trim_end_matches('/');
        let next = format!("GET {location} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        talk(proxy, next.as_bytes(), None).await;
    }
    network.settle(mark).await;
    match attack.reached {
        Reached::Connection(target) => network.saw(mark, target),
        Reached::Bytes(target) => network.got(mark, target).await,
    }
}

/// Sends the first bytes; after a 200 to CONNECT the second. Reads to the end.
async fn talk(proxy: &std::path::Path, first: &[u8], inside: Option<&[u8]>) -> Option<String> {
    let mut stream = UnixStream::connect(proxy).await.unwrap();
    // Refused early, it may be closed while we write or read.
    let _ = stream.write_all(first).await;
    let talked = tokio::time::timeout(PATIENCE, async {
        let head = read_head(&mut stream).await?;
        if header(&head, "x-midwatch-refusal").is_some() {
            return None;
        }
        if head.starts_with("HTTP/1.1 200") && first.starts_with(b"CONNECT") {
            let _ = stream.write_all(inside.unwrap_or(&hello(None))).await;
        }
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        header(&head, "location").map(str::to_owned)
    });
    // A target that swallows what it gets is seen by the witness all the same.
    talked.await.ok().flatten()
}

/// How long one connection may last.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

/// What every part here resolves with.
type Resolver = Arc<dyn midwatch_broker::Resolve>;
