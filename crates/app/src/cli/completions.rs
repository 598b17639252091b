//! `midwatch completions`: for bash, zsh and fish. Task names are asked of a server that runs.

use std::time::Duration;

use clap_complete::Shell;
use midwatch_api::control::Asked;

use super::{Context, json_alone};
use crate::client::Client;
use crate::problem::{Problem, exit};

/// The most names that are offered.
const NAMES_MAX: u32 = 200;

/// Prints completions for a shell
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  midwatch completions bash > ~/.local/share/bash-completion/completions/midwatch\n  midwatch completions zsh > ~/.zfunc/_midwatch\n  midwatch completions fish > ~/.config/fish/completions/midwatch.fish"
)]
pub(super) struct Completions {
    /// bash, zsh or fish; `names` prints what can be completed now, one a line
    #[arg(value_name = "SHELL", value_enum)]
    shell: Wanted,
}

/// What is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Wanted {
    Bash,
    Zsh,
    Fish,
    /// Names of tasks, of a server that runs; nothing where none does
    Names,
}

/// How long somebody waits who pressed a key.
const ANSWER: Duration = Duration::from_secs(2);

/// Commands whose first word is a task.
const OF_TASKS: &str = "get describe explain wait logs diff open approve reject answer message pause publish resume retry cancel delete";

impl Completions {
    pub(super) async fn carry_out(
        self,
        context: &Context,
        mut root: clap::Command,
    ) -> Result<u8, Problem> {
        let mut generated = |shell: Shell| {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut root, "midwatch", &mut script);
            String::from_utf8_lossy(&script).trim_end().to_owned()
        };
        let script = match self.shell {
            Wanted::Names => return names(context).await,
            Wanted::Bash => format!("{}\n{}", generated(Shell::Bash), bash()),
            Wanted::Zsh => zsh(&generated(Shell::Zsh)),
            Wanted::Fish => format!("{}\n{}", generated(Shell::Fish), fish()),
        };
        if context.output.is_json() {
            json_alone(context.output, &serde_json::json!({"type": "help", "text": script}));
        } else {
            context.output.tell_painted(&script);
        }
        Ok(exit::FINE)
    }
}

/// No server is started for a key that somebody pressed, and no error is shown.
async fn names(context: &Context) -> Result<u8, Problem> {
    let client = Client::new(&context.environment);
    let asked = Asked { limit: NAMES_MAX, after: None, states: vec![] };
    let page = tokio::time::timeout(ANSWER, client.list_if_running(&asked)).await;
    let tasks = page.ok().and_then(Result::ok).map(|page| page.tasks).unwrap_or_default();
    let names: Vec<String> = tasks.into_iter().filter_map(|task| task.result.task).collect();
    if context.output.is_json() {
        let text = names.join("\n");
        json_alone(context.output, &serde_json::json!({"type": "help", "text": text}));
    } else {
        for name in &names {
            context.output.tell(name);
        }
    }
    Ok(exit::FINE)
}

fn bash() -> String {
    format!(
        r#"
# Names of tasks, where a command takes one.
_midwatch_tasks() {{
    _midwatch "$@"
    local verb="${{COMP_WORDS[1]}}" word="${{COMP_WORDS[COMP_CWORD]}}"
    if [[ "$COMP_CWORD" -ge 2 && "$word" != -* && " {OF_TASKS} " == *" $verb "* ]]; then
        COMPREPLY+=( $(compgen -W "$(midwatch completions names 2>/dev/null)" -- "$word") )
    fi
}}
complete -F _midwatch_tasks -o nosort -o bashdefault -o default midwatch"#
    )
}

/// How a script of clap's ends: the file is loaded as a function of its name, when it is needed
/// first, or sourced.
const ZSH_END: &str = "if [ \"$funcstack[1]\" = \"_midwatch\" ]; then";

/// Ours in the place of clap's end: what stands behind it would come too late for the first key.
fn zsh(generated: &str) -> String {
    let own = generated.rsplit_once(ZSH_END).map_or(generated, |(own, _)| own);
    format!(
        r#"{own}# Names of tasks, where a command takes one.
_midwatch_tasks() {{
    local verb="${{words[2]}}" place=$CURRENT
    _midwatch "$@"
    if (( place > 2 )) && [[ " {OF_TASKS} " == *" $verb "* ]]; then
        compadd -- ${{(f)"$(midwatch completions names 2>/dev/null)"}}
    fi
}}

compdef _midwatch_tasks midwatch
{ZSH_END}
    _midwatch_tasks "$@"
fi"#
    )
}

fn fish() -> String {
    format!(
        "\n# Names of tasks, where a command takes one.\ncomplete -c midwatch -f -n '__fish_seen_subcommand_from {OF_TASKS}' -a '(midwatch completions names 2>/dev/null)'"
    )
}
