//! Real sandboxes, started as root and as an ordinary user.
//!
//! Where these tests are not run by root, only the second half is run, and says so.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod basics;
mod depth;
mod escapes;
mod honest;
mod lifecycle;
mod limits;
mod probing;
mod stand;
