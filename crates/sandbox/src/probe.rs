//! Placeholder until the measuring lands in this file.
