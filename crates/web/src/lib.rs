//! The HTTP API on the control socket: one file per part, and the port it speaks to.
//!
//! ```text
//! midwatch get ──► server.sock ─ peer's uid ─► guard ─► router ─► Desk (made by app)
//! ```
//!
//! Knows neither the store behind the desk nor any secret's place: it reads requests within
//! bounds, asks the desk, and writes answers as JSON.

mod answer;
mod desk;
mod guard;
mod places;
mod records;
mod routes;
mod serve;
mod socket;
mod stream;

pub use desk::{CLOSING, Desk, Line, Lines};
pub use midwatch_api::control::{Opened, Patch, PatchForm};
pub use records::Records;
pub use routes::router;
pub use serve::{Bounds, serve};
pub use socket::{ControlSocket, SocketError, address_of, peer_of};
