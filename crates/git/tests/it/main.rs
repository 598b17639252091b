//! Real repositories, real git.

mod mirror;
mod world;
