//! Carries out one order: the outside half, init, the inside half.
