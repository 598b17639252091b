//! The trusted way out of a sandbox: model gateway and egress proxy.
//!
//! ```text
//!  sandbox (hostile)                     broker (holds the model's credential)
//!  agent ── 127.0.0.1 ── forwarder ──► gateway.sock ─ token ─ path ─ credential ─ TLS ─► provider
//!  npm, cargo, git ───── forwarder ──► proxy.sock ─── name ─ resolve ─ check ─ dial ───► registry
//! ```
//!
//! A [`Broker`] is made once; [`Broker::open`] makes the two sockets of a run and
//! [`Broker::close`] takes them away. The run token works at that run's gateway only, and only
//! while the run is open. Whatever is refused is answered with a sentence and recorded.
//!
//! The broker knows nothing of tasks, repositories or git, and reads no environment variable.

mod address;
mod broker;
mod credential;
mod dial;
mod door;
mod egress;
mod gateway;
mod grant;
mod hop;
mod intake;
mod meter;
mod operator_proxy;
mod proxy;
mod refusal;
mod resolve;
mod socket;
mod tls;
mod token;
mod trouble;
mod upstream;
mod usage;
mod way;

pub use address::{AddressCheck, BlockedAddress};
pub use broker::{Broker, BrokerConfig, BrokerError, Opened};
pub use credential::{
    Attachment, Credential, CredentialError, CredentialSource, LoginFacts, LoginKind,
};
pub use egress::{Egress, Registries};
pub use grant::{Grant, Limits, ModelGrant, Waits, WireApi};
pub use meter::{LimitState, Record, Sink, Totals};
pub use operator_proxy::{OperatorProxy, ProxyServer, UnknownNames};
pub use proxy::host::{Host, HostError, Target};
pub use refusal::{Door, Refusal, RefusalReason};
pub use resolve::{Resolve, Resolving, SystemResolver};
pub use tls::{CaBundle, TlsError};
pub use token::ServerKey;
pub use trouble::Trouble;
pub use upstream::Upstream;
pub use usage::TokenCount;
pub use way::Speech;
