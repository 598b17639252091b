//! Where a base URL's name leads is looked at again at every dial.

use std::sync::Arc;

use midwatch_broker::{AddressCheck, BrokerConfig, CaBundle, Egress, Limits};

use super::tls::Authority;
use crate::proxy::Names;
use crate::world::{Provider, Reply, World, key, model, whole};

async fn ask(config: BrokerConfig, url: &str) -> Reply {
    let world = World::with(config, Some(model(url)), Egress::None, Limits::default());
    world.ask("POST", "/v1/messages", "{}").await
}

/// 0.0.0.0 is refused with the metadata addresses, and the kernel takes it for this machine: so
/// the control can be reached.
#[tokio::test]
async fn a_name_that_leads_to_what_is_never_asked_is_refused_at_the_dial() {
    let authority = Authority::new();
    let steps = vec![whole("200 OK", "", "{}")];
    let acceptor = authority.acceptor("llm.example");
    let provider = Provider::start_tls(Arc::new(move |_, _| steps.clone()), acceptor).await;
    let url = format!("https://llm.example:{}", provider.port);
    let config = |addresses, names: &[(&str, &str)]| BrokerConfig {
        ca: CaBundle::Pem(authority.pem().as_bytes().to_vec()),
        resolver: Names::of(names),
        addresses,
        ..BrokerConfig::new(key())
    };
    for (names, range) in [
        (&[("llm.example", "0.0.0.0")][..], "0.0.0.0/8"),
        (&[("llm.example", "169.254.169.254")], "169.254.0.0/16"),
        (&[("llm.example", "fe80::1")], "fe80::/10"),
        (&[("llm.example", "::ffff:169.254.169.254")], "169.254.0.0/16"),
        (&[("llm.example", "127.0.0.1"), ("llm.example", "169.254.169.254")], "169.254.0.0/16"),
    ] {
        let reply = ask(config(AddressCheck::Enforced, names), &url).await;
        assert_eq!((reply.status, reply.refusal()), (403, Some("Address")), "{}", reply.body);
        assert!(reply.body.contains(range) && reply.body.contains("llm.example"), "{}", reply.body);
    }
    assert!(provider.heads().is_empty());
    let off = config(AddressCheck::Off, &[("llm.example", "0.0.0.0")]);
    assert_eq!(ask(off, &url).await.status, 200, "the control");
    let own = config(AddressCheck::Enforced, &[("llm.example", "127.0.0.1")]);
    assert_eq!(ask(own, &url).await.status, 200, "a name of this machine is the operator's");
}

#[tokio::test]
async fn plain_http_stays_on_this_machine_whatever_localhost_resolves_to() {
    let provider = Provider::answering(vec![whole("200 OK", "", "{}")]).await;
    let url = format!("http://localhost:{}", provider.port);
    let config = |address| BrokerConfig {
        resolver: Names::of(&[("localhost", address)]),
        ..BrokerConfig::new(key())
    };
    let reply = ask(config("203.0.113.9"), &url).await;
    assert_eq!((reply.status, reply.refusal()), (403, Some("Address")), "{}", reply.body);
    assert_eq!(ask(config("127.0.0.1"), &url).await.status, 200);
    assert_eq!(provider.heads().len(), 1);
}
