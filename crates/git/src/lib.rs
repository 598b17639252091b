//! Typed git subprocesses: mirror, checkout, bundle, import, gates.
//!
//! ```text
//!  user's repository ──pack──► upstream.git ◄─alternate─ work.git ◄── import ── bundle of a
//!   (read as its owner)             │                       │    quarantine+gates   sandbox
//!        ▲                          └─packs─► base, sandbox │
//!        └───────────── pack + ref, no hook ────────────────┘──► push to a remote
//! ```
//!
//! Everything is synchronous: callers use a blocking thread. A credential is an argument of the
//! call that needs it and is kept nowhere.

mod authored;
pub mod bundle;
pub mod command;
pub mod credential;
pub mod deliver;
pub mod diff;
pub mod error;
pub mod gates;
mod hex;
pub mod import;
pub mod inspect;
mod listing;
pub mod mirror;
pub mod objects;
pub mod pack;
pub mod push;
mod quarantine;
pub mod refs;
pub mod remote;
mod revisions;
mod scratch;
pub mod self_test;
pub mod snapshot;
pub mod stash;
pub mod url;
pub mod worktree;

pub use command::Git;
pub use credential::Credential;
pub use error::GitError;
pub use inspect::Checkout;
pub use mirror::Mirror;
