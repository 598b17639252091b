//! The broker through its sockets, as a sandbox sees it.

mod gateway;
mod world;
