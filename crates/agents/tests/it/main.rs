//! The real CLIs, driven by their adapters against a scripted model server on loopback.
#![expect(clippy::unwrap_used, reason = "a test says where it broke by panicking")]

mod drive;
mod hostile;
mod pins;
mod real;
mod recorded;
mod refused;
mod rehearsal;
mod rows;
mod scripted;
