//! `midwatch doctor`: not wired yet.

use super::Context;
use crate::problem::Problem;

/// Checks this machine
#[derive(Debug, clap::Args)]
pub(super) struct Doctor {}

impl Doctor {
    pub(super) async fn carry_out(self, _: &Context) -> Result<u8, Problem> {
        Err(Problem::internal("the doctor is not wired yet"))
    }
}
