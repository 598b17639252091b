//! What a run is allowed: the order that opens its sockets.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::credential::CredentialSource;
use crate::egress::Egress;
use crate::meter::Sink;
use crate::upstream::Upstream;

/// Which provider's API a gateway speaks; it decides the allowed paths, the shape of errors and
/// where tokens are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireApi {
    /// Anthropic messages.
    Anthropic,
    /// OpenAI responses and chat completions.
    OpenAi,
    /// Google's Gemini.
    Gemini,
}

/// A model that a run may use.
#[derive(Debug, Clone)]
pub struct ModelGrant {
    /// Whence the real credential comes; `None` for a model server that asks for none, such as
    /// one on the user's own machine. The run token is never passed on.
    pub credential: Option<CredentialSource>,
    /// Where requests go.
    pub upstream: Upstream,
    /// What is spoken there.
    pub api: WireApi,
}

/// What one run may do.
#[derive(Clone)]
pub struct Grant {
    /// The run's name, as `midwatch_core::id::RunName` has it.
    pub run: String,
    /// The folder for `gateway.sock` and `proxy.sock`. It is bound read-only into the sandbox, as
    /// a folder: a bound socket file is dead for ever after a restart.
    pub socket_dir: PathBuf,
    /// The model; `None` for checks, setups and agents without one.
    pub model: Option<ModelGrant>,
    /// What the proxy lets through.
    pub egress: Egress,
    /// Caps.
    pub limits: Limits,
    /// Told of every answer and refusal as it happens.
    pub sink: Option<Arc<dyn Sink>>,
}

/// Caps of one run. Whatever is over them is refused with a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections to the gateway at once; more wait. 256 by default: an agent with many
    /// sub-agents uses some dozens.
    pub gateway_connections: usize,
    /// Connections to the proxy at once; more wait. 128 by default: npm opens about 50.
    pub proxy_connections: usize,
    /// Bytes of one request's body. 64 MiB by default: twice what Anthropic takes.
    pub request_bytes: u64,
    /// Bytes of one response's body. 256 MiB by default.
    pub response_bytes: u64,
    /// Model requests in all; `None` is no cap.
    pub requests: Option<u64>,
    /// Input and output tokens in all, counted when a response ends, so that requests under way
    /// may overshoot; `None` is no cap.
    pub tokens: Option<u64>,
    /// Deadlines.
    pub waits: Waits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            gateway_connections: 256,
            proxy_connections: 128,
            request_bytes: 64 << 20,
            response_bytes: 256 << 20,
            requests: None,
            tokens: None,
            waits: Waits::default(),
        }
    }
}

/// Deadlines of one run's connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits {
    /// From a connection's start, or the end of its last answer, to the end of a request's head.
    /// 75 s by default: it is also how long a client may keep an idle connection.
    pub head: Duration,
    /// Between two pieces of a request's body. 60 s by default.
    pub body: Duration,
    /// For the provider's first byte and between two pieces of its answer. 15 minutes by default:
    /// over the 600 s after which the CLIs give up themselves.
    pub upstream: Duration,
    /// For a look-up, and for each dial. 15 s by default.
    pub dial: Duration,
    /// For the TLS greeting of a tunnel. 15 s by default.
    pub hello: Duration,
    /// A tunnel without a byte in either direction. 10 minutes by default.
    pub tunnel: Duration,
}

impl Default for Waits {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(75),
            body: Duration::from_mins(1),
            upstream: Duration::from_mins(15),
            dial: Duration::from_secs(15),
            hello: Duration::from_secs(15),
            tunnel: Duration::from_mins(10),
        }
    }
}
