//! A scripted model for demos and tests: speaks Anthropic's messages.

pub mod anthropic;
pub mod http;
pub mod script;
