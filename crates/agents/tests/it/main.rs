//! The real CLIs, driven by their adapters against a scripted model server on loopback.

mod drive;
mod real;
mod scripted;
