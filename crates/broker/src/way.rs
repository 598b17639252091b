//! The ways out of this machine: straight, or through the operator's own proxy.
//!
//! Every name is resolved here and every address checked before anything is dialled, also where
//! the proxy is asked by name and resolves once more. A name that only the proxy can resolve is
//! handed to it unchecked where an operator named it: a provider, a listed registry. Any other
//! name only where the operator said so.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::address::{AddressCheck, BlockedAddress};
use crate::dial;
use crate::operator_proxy::{OperatorProxy, ProxyServer, UnknownNames};
use crate::proxy::host::{Host, Target};
use crate::refusal::{No, RefusalReason};
use crate::resolve::Resolve;

/// What all dials of a broker share.
pub(crate) struct Ways {
    pub(crate) resolver: Arc<dyn Resolve>,
    pub(crate) addresses: AddressCheck,
    pub(crate) operator: Option<OperatorProxy>,
}

/// What is spoken to a target, which decides whose proxy it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speech {
    /// TLS.
    Tls,
    /// Plain HTTP.
    Plain,
}

/// Who named a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NamedBy {
    /// The operator, in a list.
    Operator,
    /// The sandbox.
    Sandbox,
}

/// A connection on which a plain HTTP request is sent.
pub(crate) struct PlainWay<'a> {
    pub(crate) stream: TcpStream,
    /// Whoever is at its other end, when that is the operator's proxy.
    pub(crate) proxy: Option<&'a ProxyServer>,
}

impl Ways {
    /// Connects to a provider. Its address may be private, but is no metadata service's; plain
    /// HTTP stays on this machine.
    pub(crate) async fn to_provider(
        &self,
        target: &Target,
        speech: Speech,
        wait: Duration,
    ) -> Result<TcpStream, No> {
        let proxy = self.proxy_for(target, speech);
        let found = match (self.resolve(&target.host, wait).await, proxy) {
            (Ok(found), _) => found,
            // The operator named it, and the proxy can resolve it.
            (Err(_), Some(server)) => return self.tunnel(server, target, wait).await,
            (Err(no), None) => return Err(no),
        };
        let checked = self.named(found)?;
        if speech == Speech::Plain && !checked.iter().all(IpAddr::is_loopback) {
            let text = "a plain http base URL leads to another machine, which would show the \
                        credential";
            return Err((RefusalReason::Address, text.into()));
        }
        match proxy {
            Some(server) => self.tunnel(server, target, wait).await,
            None => dial::first_of(checked, target.port, wait).await,
        }
    }

    /// Connects to what a sandbox asked for and the policy permits, for TLS.
    pub(crate) async fn to_tls(
        &self,
        target: &Target,
        named_by: NamedBy,
        wait: Duration,
    ) -> Result<TcpStream, No> {
        let proxy = self.proxy_for(target, Speech::Tls);
        let checked = self.checked(target, proxy, named_by, wait).await?;
        match proxy {
            Some(server) => self.tunnel(server, target, wait).await,
            None => dial::first_of(checked, target.port, wait).await,
        }
    }

    /// The same for plain HTTP, which the operator's proxy is asked for without a tunnel: many
    /// let tunnels through to port 443 only.
    pub(crate) async fn to_plain(
        &self,
        target: &Target,
        named_by: NamedBy,
        wait: Duration,
    ) -> Result<PlainWay<'_>, No> {
        let proxy = self.proxy_for(target, Speech::Plain);
        let checked = self.checked(target, proxy, named_by, wait).await?;
        let stream = match proxy {
            Some(server) => self.to_proxy(server, wait).await?,
            None => dial::first_of(checked, target.port, wait).await?,
        };
        Ok(PlainWay { stream, proxy })
    }

    fn proxy_for(&self, target: &Target, speech: Speech) -> Option<&ProxyServer> {
        self.operator.as_ref()?.server_for(target, speech)
    }

    /// Every address of a target, each of them public; none where only the proxy knows the name.
    async fn checked(
        &self,
        target: &Target,
        proxy: Option<&ProxyServer>,
        named_by: NamedBy,
        wait: Duration,
    ) -> Result<Vec<IpAddr>, No> {
        let found = match (self.resolve(&target.host, wait).await, proxy) {
            (Ok(found), _) => found,
            (Err(no), None) => return Err(no),
            (Err((reason, text)), Some(_)) => {
                let unknown = self.operator.as_ref().map(OperatorProxy::unknown_names);
                return match (named_by, unknown) {
                    (NamedBy::Operator, _) | (NamedBy::Sandbox, Some(UnknownNames::Passed)) => {
                        Ok(vec![])
                    }
                    (NamedBy::Sandbox, Some(UnknownNames::Refused) | None) => Err((
                        reason,
                        format!(
                            "{text} here, so its address cannot be checked; where only the \
                             operator's proxy can resolve names, MIDWATCH_PROXY_RESOLVES=1 \
                             hands them to it unchecked"
                        ),
                    )),
                };
            }
        };
        // One bad address among good ones is how rebinding begins: then none is dialled.
        found
            .into_iter()
            .map(|address| self.addresses.check(address))
            .collect::<Result<_, _>>()
            .map_err(|blocked| (RefusalReason::Address, explain(&blocked)))
    }

    /// Addresses of what the operator named.
    fn named(&self, found: Vec<IpAddr>) -> Result<Vec<IpAddr>, No> {
        let checked = found.into_iter().map(|address| self.addresses.check_named(address));
        checked.collect::<Result<_, _>>().map_err(|range| {
            let text = format!("it leads to an address in {range}, which is never dialled");
            (RefusalReason::Address, text)
        })
    }

    async fn resolve(&self, host: &Host, wait: Duration) -> Result<Vec<IpAddr>, No> {
        let name = match host {
            Host::Address(address) => return Ok(vec![*address]),
            Host::Name(name) => name,
        };
        let unresolved = |text: String| Err((RefusalReason::Unresolved, text));
        match timeout(wait, self.resolver.resolve(name)).await {
            Ok(Ok(found)) if found.is_empty() => unresolved("the name has no address".into()),
            Ok(Ok(found)) => Ok(found),
            Ok(Err(error)) => unresolved(format!("the name has no address ({error})")),
            Err(_) => unresolved("the name's look-up hangs".into()),
        }
    }

    async fn to_proxy(&self, server: &ProxyServer, wait: Duration) -> Result<TcpStream, No> {
        let Target { host, port } = server.target();
        let dialled = async {
            let found = self.resolve(host, wait).await?;
            dial::first_of(self.named(found)?, *port, wait).await
        };
        dialled.await.map_err(|(reason, text)| {
            tracing::warn!(proxy = %server.target(), text, "operator_proxy.unreachable");
            (reason, format!("the operator's proxy: {text}"))
        })
    }

    async fn tunnel(
        &self,
        server: &ProxyServer,
        target: &Target,
        wait: Duration,
    ) -> Result<TcpStream, No> {
        let mut stream = self.to_proxy(server, wait).await?;
        match timeout(wait, server.open_tunnel(&mut stream, target)).await {
            Ok(Ok(())) => Ok(stream),
            Ok(Err(no)) => Err(no),
            Err(_) => {
                let text = "the operator's proxy does not answer";
                Err((RefusalReason::UpstreamSlow, text.into()))
            }
        }
    }
}

/// Says which range, but not which address: a sandbox must not read the site's internal names.
fn explain(blocked: &BlockedAddress) -> String {
    match blocked {
        BlockedAddress::Range { address: _, range } => {
            format!("it leads to an address in {range}, which is not public")
        }
        BlockedAddress::Own(_) => "it leads to this machine".into(),
        BlockedAddress::Unknown(why) => {
            format!(
                "nothing is dialled, because this machine's own addresses cannot be read: {why}"
            )
        }
    }
}
