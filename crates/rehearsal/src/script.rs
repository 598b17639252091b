//! What a scripted model says: a list of steps, and the conversation that decides which one is
//! next. Pure: std only, shared by every wire format.
//!
//! The state is in the request, never in the server: the number of tool results since the last
//! prompt is the number of steps done. So retries, parallel runs and resumed sessions all work.

/// One tool call of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// Writes a file. A relative path is taken from the working directory. Claude Code refuses
    /// to overwrite a file that it has not read: use [`Call::Shell`] for that.
    Write {
        /// Where.
        path: String,
        /// The whole new content.
        content: String,
    },
    /// Runs a shell command in the working directory.
    Shell(String),
    /// Reads a file.
    Read(String),
}

/// One answer of the model.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reply {
    /// Text before the call, or the last word when there is no call.
    pub say: String,
    /// The call; none ends the turn.
    pub call: Option<Call>,
}

/// What the model does for one prompt: calls in order, then a last word.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Script {
    steps: Vec<Reply>,
    end: String,
}

impl Script {
    /// A script that only says something.
    pub fn saying(text: impl Into<String>) -> Self {
        Self { steps: Vec::new(), end: text.into() }
    }

    /// Adds a file to write.
    #[must_use]
    pub fn write(self, path: impl Into<String>, content: impl Into<String>) -> Self {
        self.step("", Call::Write { path: path.into(), content: content.into() })
    }

    /// Adds a shell command.
    #[must_use]
    pub fn shell(self, command: impl Into<String>) -> Self {
        self.step("", Call::Shell(command.into()))
    }

    /// Adds a file to read.
    #[must_use]
    pub fn read(self, path: impl Into<String>) -> Self {
        self.step("", Call::Read(path.into()))
    }

    /// Adds a call with some text before it.
    #[must_use]
    pub fn step(mut self, say: impl Into<String>, call: Call) -> Self {
        self.steps.push(Reply { say: say.into(), call: Some(call) });
        self
    }

    /// Sets the last word.
    #[must_use]
    pub fn ends(mut self, text: impl Into<String>) -> Self {
        self.end = text.into();
        self
    }

    /// The answer after `done` tool results.
    pub fn reply(&self, done: usize) -> Reply {
        self.steps.get(done).cloned().unwrap_or_else(|| Reply { say: self.end.clone(), call: None })
    }
}

/// One result of a tool, as the client sent it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolResult {
    /// What the tool printed.
    pub text: String,
    /// Whether the client called it an error.
    pub is_error: bool,
}

/// What a request says, whichever wire format it came by.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Conversation {
    /// The model that is asked.
    pub model: String,
    /// System and developer text.
    pub system: String,
    /// What the user said, in order. Text that the client wraps around it (reminders,
    /// environment) is left out.
    pub prompts: Vec<String>,
    /// Results of tools since the last prompt.
    pub results: Vec<ToolResult>,
    /// Names of the tools on offer; none means a side call (a title, a probe).
    pub tools: Vec<String>,
}

impl Conversation {
    /// The last prompt.
    pub fn prompt(&self) -> &str {
        self.prompts.last().map_or("", String::as_str)
    }

    /// Takes a piece of user text: a new prompt, unless the client made it.
    pub fn user_text(&mut self, text: &str) {
        const MADE_BY_CLIENTS: [&str; 5] = [
            "<system-reminder>",
            "<environment_context>",
            "<user_instructions>",
            "<permissions instructions>",
            "# AGENTS.md instructions",
        ];
        if !MADE_BY_CLIENTS.iter().any(|start| text.trim_start().starts_with(start)) {
            self.prompts.push(text.to_owned());
            self.results.clear();
        }
    }

    /// The step and round of the last line `midwatch-step: NAME round: N` in the last prompt.
    pub fn step(&self) -> Option<(&str, u32)> {
        self.prompt().lines().rev().find_map(|line| {
            let (name, rest) =
                line.trim().strip_prefix("midwatch-step:")?.trim().split_once(' ')?;
            let round = rest.trim().strip_prefix("round:")?.trim().parse().ok()?;
            Some((name, round))
        })
    }

    /// The working directory that the system text or a prompt names, if any.
    pub fn working_directory(&self) -> Option<&str> {
        let mark = "orking directory: ";
        let start = self.system.find(mark)? + mark.len();
        let path = self.system[start..].lines().next()?.trim();
        path.starts_with('/').then_some(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_reply_follows_from_the_results_alone() {
        let script = Script::saying("done").write("a", "b").shell("true");
        assert_eq!(script.reply(1).call, Some(Call::Shell("true".into())));
        assert_eq!(script.reply(2), Reply { say: "done".into(), call: None });
        assert_eq!(script.reply(9).call, None);
    }

    #[test]
    fn a_new_prompt_starts_again_and_reminders_do_not() {
        let mut conversation = Conversation::default();
        conversation.user_text("go");
        conversation.results.push(ToolResult { text: String::new(), is_error: false });
        conversation.user_text("<system-reminder>x</system-reminder>");
        assert_eq!(conversation.results.len(), 1);
        conversation.user_text("hello\nmidwatch-step: repair round: 2\n");
        assert_eq!(conversation.results.len(), 0);
        assert_eq!(conversation.step(), Some(("repair", 2)));
    }
}
