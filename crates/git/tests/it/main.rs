//! Real repositories, real git.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up should stop at that line")]

mod deliver;
mod gates;
mod hostile;
mod import;
mod mirror;
mod owner;
mod packs;
mod proxied;
mod remote;
mod rescued;
mod sandbox;
mod stash;
mod world;
