//! `midwatch demo`: not wired yet.

use super::Context;
use crate::problem::Problem;

/// Shows the whole path on a sample repository, with no account
#[derive(Debug, clap::Args)]
pub(super) struct Demo {}

impl Demo {
    pub(super) async fn carry_out(self, _: &Context) -> Result<u8, Problem> {
        Err(Problem::internal("the demo is not wired yet"))
    }
}
