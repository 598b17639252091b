//! The model gateway.

mod attack;
mod login;
mod openai;
mod stream;
pub(crate) mod tls;
mod token;
