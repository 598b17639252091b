//! Dials addresses that were checked: the next one a little after the one before, so that an
//! address family that leads nowhere costs no one a whole deadline.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::refusal::{No, RefusalReason};

/// How many of a name's addresses are tried. More would only make a dead host slower.
const TRIES: u32 = 4;

/// How long each address has for itself before the next is tried too (RFC 8305, section 5).
const HEAD_START: Duration = Duration::from_millis(250);

/// Connects to the first of the addresses that answers; `wait` is for each of them.
pub(crate) async fn first_of(
    addresses: impl IntoIterator<Item = IpAddr>,
    port: u16,
    wait: Duration,
) -> Result<TcpStream, No> {
    let mut tries = JoinSet::new();
    for (number, address) in (0..TRIES).zip(addresses) {
        tries.spawn(async move {
            sleep(HEAD_START * number).await;
            timeout(wait, TcpStream::connect((address, port))).await
        });
    }
    let mut last = (RefusalReason::Unresolved, "the name has no address".to_owned());
    // Whatever is still being tried when one has answered ends with the set.
    while let Some(tried) = tries.join_next().await {
        last = match tried {
            Ok(Ok(Ok(stream))) => {
                // Small TLS messages must not wait for each other; without it all still works.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Ok(Err(error))) => unreachable(&error),
            Ok(Err(_)) => (RefusalReason::UpstreamSlow, "it does not answer".to_owned()),
            Err(ended) => unreachable(&io::Error::other(ended)),
        };
    }
    Err(last)
}

fn unreachable(error: &io::Error) -> No {
    (RefusalReason::Unreachable, format!("it cannot be reached: {error}"))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn one_address_that_answers_is_enough_and_none_is_said() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let wait = Duration::from_secs(20);
        let both = ["127.0.0.2", "127.0.0.1"].map(|text| text.parse::<IpAddr>().unwrap());
        let stream = first_of(both, port, wait).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap().ip(), both[1]);
        let error = first_of([both[0]], port, wait).await.unwrap_err();
        assert_eq!(error.0, RefusalReason::Unreachable);
        let error = first_of([], port, wait).await.unwrap_err();
        assert_eq!(error.0, RefusalReason::Unresolved);
    }
}
