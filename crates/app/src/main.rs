//! The binary: arguments, finding what a user has, wiring. Decides nothing.
//!
//! ```text
//! midwatch run ─► discover ─► client ─► server.sock ─► web ─► wire: local, broker, publish
//! midwatch runner | init | inside: one run, without a runtime or a thread
//! ```

use std::process::ExitCode;

mod cli;
mod client;
mod discover;
mod environment;
mod output;
mod problem;
mod wire;

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().collect();
    // A runner and what it starts are told apart before any thread or runtime exists.
    if let Some(code) = midwatch_runner::dispatch(&words) {
        return ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX));
    }
    ExitCode::from(cli::main(words))
}
