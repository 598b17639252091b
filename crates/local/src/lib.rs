//! One machine: the SQLite store, and the starting and adopting of runners.
//!
//! ```text
//! Server ─► engine ─► Store (SQLite)
//!                  ─► Launcher ── order.json ──► runner process ── report.json ──► event
//! ```
//!
//! Knows nothing of git, sandboxes, models or forges: it hands orders to runner processes and
//! reads their reports.

pub mod access;
mod bases;
pub mod brief;
pub mod folder;
pub mod launcher;
pub mod machine;
pub mod point;
pub mod reserve;
pub mod retain;
pub mod segment;
pub mod server;
pub mod store;
pub mod sweep;
pub mod view;
