//! `midwatch reference`: this command line as Markdown, for the generated page.

use super::{Context, json_alone};
use crate::problem::exit;

/// Prints the reference of the command line as Markdown
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(crate) struct Reference {}

/// What scripts are told, which no help text has room for.
const JSON_LINES: &str = include_str!("json-lines.md");

impl Reference {
    #[expect(clippy::unused_self, reason = "every command has the same shape")]
    pub(super) fn carry_out(self, context: &Context, root: &clap::Command) -> u8 {
        let mut root = root.clone();
        root.build();
        let mut page =
            String::from("# Commands\n\nMade from the program's own help; do not edit.\n");
        section(&mut page, &mut root, "midwatch");
        let names: Vec<String> = root
            .get_subcommands()
            .filter(|command| !command.is_hide_set() && command.get_name() != "help")
            .map(|command| command.get_name().to_owned())
            .collect();
        for name in names {
            if let Some(command) = root.find_subcommand_mut(&name) {
                section(&mut page, command, &format!("midwatch {name}"));
            }
        }
        page.push('\n');
        page.push_str(JSON_LINES);
        if context.output.is_json() {
            json_alone(context.output, &serde_json::json!({"type": "help", "text": page}));
        } else {
            context.output.tell_painted(page.trim_end());
        }
        exit::FINE
    }
}

fn section(page: &mut String, command: &mut clap::Command, title: &str) {
    let help = command.render_long_help().to_string();
    let lines: Vec<&str> = help.trim_end().lines().map(str::trim_end).collect();
    page.push_str(&["\n## `", title, "`\n\n```text\n", &lines.join("\n"), "\n```\n"].concat());
}
