//! Resolve, check every address, dial one that was checked.

use std::net::IpAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::address::BlockedAddress;
use crate::broker::Shared;
use crate::proxy::No;
use crate::proxy::host::{Host, Target};
use crate::refusal::RefusalReason;

/// How many of a name's addresses are tried. More would only make a dead host slower.
const TRIES: usize = 4;

/// Connects to a target that the policy permits. `wait` is for the look-up and for each try.
pub(super) async fn dial(
    shared: &Shared,
    target: &Target,
    wait: Duration,
) -> Result<TcpStream, No> {
    let found = match &target.host {
        Host::Address(address) => vec![*address],
        Host::Name(name) => match timeout(wait, shared.resolver.resolve(name)).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                return Err((
                    RefusalReason::Unresolved,
                    format!("the name has no address: {error}"),
                ));
            }
            Err(_) => return Err((RefusalReason::Unresolved, "the name's look-up hangs".into())),
        },
    };
    // One bad address among good ones is how rebinding begins: then none is dialled.
    let checked = found
        .into_iter()
        .map(|address| shared.addresses.check(address))
        .collect::<Result<Vec<IpAddr>, _>>()
        .map_err(|blocked| (RefusalReason::Address, explain(&blocked)))?;
    let mut last = (RefusalReason::Unresolved, "the name has no address".to_owned());
    for address in checked.into_iter().take(TRIES) {
        match timeout(wait, TcpStream::connect((address, target.port))).await {
            Ok(Ok(stream)) => {
                // Small TLS messages must not wait for each other; without it all still works.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => {
                last = (RefusalReason::Unreachable, format!("it cannot be reached: {error}"));
            }
            Err(_) => last = (RefusalReason::UpstreamSlow, "it does not answer".to_owned()),
        }
    }
    Err(last)
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
