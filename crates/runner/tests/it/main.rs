//! Stories of the runner, told with real programs.

mod inside;
mod outside;
