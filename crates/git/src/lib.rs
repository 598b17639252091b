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

pub mod command;
pub mod credential;
pub mod error;
pub mod gates;
pub mod inspect;
mod listing;
pub mod mirror;
pub mod objects;
pub mod refs;
mod scratch;
pub mod url;

pub use command::Git;
pub use credential::Credential;
pub use error::GitError;
pub use inspect::Checkout;
pub use mirror::Mirror;
