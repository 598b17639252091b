//! The broker through its sockets, as a sandbox sees it.

#![expect(clippy::unwrap_used, reason = "a test ends where it is wrong")]
#![expect(clippy::print_stdout, reason = "figures, and what could not run")]

mod bypass;
mod gateway;
mod operator_proxy;
mod proxy;
mod world;
