//! The runner alone, for the tests of this crate. People have the same in `midwatch`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().collect();
    let code = midwatch_runner::dispatch(&words).unwrap_or(2);
    ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
}
