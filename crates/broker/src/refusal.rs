//! What the broker says no to, in one closed set for both sockets.

use midwatch_core::input::shown;

/// The socket that refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// The model gateway.
    Gateway,
    /// The egress proxy.
    Proxy,
}

impl Door {
    /// The name in records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "Gateway",
            Self::Proxy => "Proxy",
        }
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident => $status:literal),+ $(,)?) => {
        /// Why something was refused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum RefusalReason { $($(#[$doc])* $variant),+ }

        impl RefusalReason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name in records and in the header `x-midwatch-refusal`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant)),+ }
            }

            /// The HTTP status of the answer.
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status),+ }
            }
        }
    };
}

reasons! {
    /// The request is not HTTP as we read it.
    Malformed => 400,
    /// Something that two readers may read in two ways, such as two hosts.
    Framing => 400,
    /// No run token.
    TokenMissing => 401,
    /// Not this run's token.
    TokenWrong => 401,
    /// The login file has expired, is missing or cannot be read.
    Login => 401,
    /// The run has no model.
    NoModel => 403,
    /// Not one of the provider's API paths.
    Path => 404,
    /// The path is known, the method is not allowed there.
    Method => 405,
    /// A switch to the `WebSocket` protocol, which is not spoken here.
    WebSocket => 426,
    /// A body over its cap.
    TooLarge => 413,
    /// A body that stopped arriving.
    Slow => 408,
    /// The run's cap of requests or tokens.
    Budget => 429,
    /// The other side sent us elsewhere; redirects are not followed.
    Redirect => 502,
    /// The other side compressed its answer although we asked it not to.
    Encoded => 502,
    /// The other side cannot be reached, or broke off before it answered.
    Unreachable => 502,
    /// The other side did not answer in time.
    UpstreamSlow => 504,
    /// The run has no egress.
    NoEgress => 403,
    /// The name is not on the run's list.
    NotListed => 403,
    /// The name or the address breaks the grammar.
    Host => 400,
    /// The port is not allowed.
    Port => 403,
    /// The address is private, our own or otherwise not public.
    Address => 403,
    /// The name has no address.
    Unresolved => 502,
    /// The operator's own HTTP proxy does not let it through, or wants another login.
    OperatorProxy => 502,
    /// TLS greeting or Host header names another host than the request.
    Mismatch => 421,
    /// A tunnel that does not begin with TLS.
    NotTls => 421,
}

/// A refusal before it has its target.
pub(crate) type No = (RefusalReason, String);

/// One refusal, as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Where.
    pub door: Door,
    /// Why.
    pub reason: RefusalReason,
    /// What was asked for, escaped and shortened: a path or a host and port.
    pub target: String,
    /// One sentence for people.
    pub message: String,
}

impl Refusal {
    /// Makes a refusal; the target may be hostile.
    pub(crate) fn new(
        door: Door,
        reason: RefusalReason,
        target: &str,
        message: impl Into<String>,
    ) -> Self {
        Self { door, reason, target: shown(target), message: message.into() }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "midwatch refused {}: {}", self.target, self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_errors_and_targets_are_escaped() {
        for reason in RefusalReason::ALL {
            assert!((400..600).contains(&reason.status()), "{}", reason.as_str());
        }
        let refusal = Refusal::new(Door::Proxy, RefusalReason::Host, "a\x1b[2Jb", "odd");
        assert_eq!(refusal.to_string(), "midwatch refused a\\u{1b}[2Jb: odd");
    }
}
