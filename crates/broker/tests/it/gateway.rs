//! The model gateway.

mod stream;
mod token;
