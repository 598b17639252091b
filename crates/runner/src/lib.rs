//! Carries out one order: the outside half, init, the inside half.

pub mod inside;
pub mod inside_order;
