//! `midwatch answer`: decides what an agent asked.

use midwatch_api::control::Command;

use super::Context;
use super::decide::{hand_over, whoever};
use crate::problem::Problem;

/// Answers a question that an agent asked
///
/// The questions, their names and their choices stand in `midwatch explain TASK`. When all are
/// answered the task goes on; a plan still waits for its approval.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  midwatch explain fix-login\n  midwatch answer fix-login store file"
)]
pub(crate) struct Answer {
    /// The task
    #[arg(value_name = "TASK")]
    pub(super) name: String,

    /// The question's name
    #[arg(value_name = "QUESTION")]
    question: String,

    /// One of its choices, or text where it has none
    #[arg(value_name = "CHOICE")]
    choice: String,
}

impl Answer {
    pub(super) async fn carry_out(self, context: &Context) -> Result<u8, Problem> {
        let by = whoever(&context.environment);
        let command = Command::Answer { question: self.question, choice: self.choice, by };
        hand_over(context, &self.name, &command, "answered").await
    }
}
