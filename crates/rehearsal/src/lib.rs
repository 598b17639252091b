//! A scripted model for demos and tests: speaks Anthropic's messages.
//!
//! ```text
//! script     what the model says, chosen from the request alone
//! anthropic  the request read, the answer encoded
//! http       requests and answers on a blocking socket
//! server     a listener on loopback that plays the provider
//! demo       the sample repository of `midwatch demo`, and what the model does with it
//! ```

pub mod anthropic;
pub mod demo;
pub mod http;
pub mod script;
mod server;

pub use server::Server;
