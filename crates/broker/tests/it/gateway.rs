//! The model gateway.

mod address;
mod attack;
mod login;
mod openai;
mod stream;
pub(crate) mod tls;
mod token;
