//! `midwatch diff`: what a task changed.

use std::io::IsTerminal as _;

use midwatch_api::view::LINE_VERSION;
use midwatch_web::PatchForm;

use super::Context;
use crate::client::Client;
use crate::output::{Ink, Output, escape, narrow};
use crate::problem::{Problem, exit};

/// Shows what a task changed against its base
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  midwatch diff fix-login\n  midwatch diff fix-login --stat\n  midwatch diff fix-login --raw | git apply"
)]
pub(crate) struct Diff {
    /// The task
    #[arg(value_name = "TASK")]
    pub(super) name: String,

    /// A line per file instead of the patch
    #[arg(long)]
    stat: bool,

    /// Every byte as it is, for `git apply`: not for a terminal, which may obey what is in it
    #[arg(long, conflicts_with = "stat")]
    raw: bool,
}

impl Diff {
    pub(super) async fn carry_out(self, context: &Context) -> Result<u8, Problem> {
        if self.raw && !context.output.is_json() && std::io::stdout().is_terminal() {
            let hint = format!("midwatch diff {} --raw | git apply", self.name);
            let wrong = Problem::wrong("--raw: a terminal may obey what is in a patch");
            return Err(wrong.with_hint(hint));
        }
        let form = match (self.stat, self.raw) {
            (true, _) => PatchForm::Stat,
            (false, true) => PatchForm::Raw,
            (false, false) => PatchForm::Patch,
        };
        let client = Client::new(&context.environment);
        let patch = client.patch(&self.name, form).await?;
        if context.output.is_json() {
            context.output.json(&serde_json::json!({
                "type": "patch", "version": LINE_VERSION, "task": self.name, "seq": 0,
                "base": patch.base, "commit": patch.commit, "text": patch.text,
            }));
            context.output.json(&client.get(&self.name).await?.result);
        } else if self.raw {
            context.output.tell_raw(&patch.text);
        } else {
            for line in patch.text.lines() {
                tell(context.output, line);
            }
            // Who passes it on would find out from `git apply`, much later.
            if context.output.columns().is_none() && patch.text.lines().any(is_escaped) {
                context
                    .output
                    .say("some characters are shown escaped; --raw gives them as they are");
            }
        }
        Ok(exit::FINE)
    }
}

fn is_escaped(line: &str) -> bool {
    escape::line(line) != line
}

/// A line of a patch in its colour, broken where a narrow terminal ends. It is somebody's text:
/// escaped first.
fn tell(output: Output, line: &str) {
    // Tabs are as wide as they like: as spaces, what follows them is counted right.
    let shown = match output.columns() {
        Some(_) => escape::line(line).replace('\t', "    "),
        None => escape::line(line),
    };
    let ink = ink(line);
    for part in narrow::code(&shown, output.columns()) {
        output.tell_painted(&match ink {
            Some(ink) => output.paint(ink, &part),
            None => part,
        });
    }
}

/// A whole line of a patch in its colour, escaped.
pub(super) fn painted(output: Output, line: &str) -> String {
    let shown = escape::line(line);
    match ink(line) {
        Some(ink) => output.paint(ink, &shown),
        None => shown,
    }
}

fn ink(line: &str) -> Option<Ink> {
    match line.as_bytes() {
        [b'+', b'+', b'+', ..] | [b'-', b'-', b'-', ..] => Some(Ink::Strong),
        [b'+', ..] => Some(Ink::Good),
        [b'-', ..] => Some(Ink::Bad),
        [b'@', b'@', ..] => Some(Ink::Notable),
        _ => None,
    }
}
