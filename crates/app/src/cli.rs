//! The command line: words become a command, a command an exit code.

use std::ffi::OsString;

use clap::{CommandFactory as _, Parser, Subcommand};
use midwatch_api::view::LINE_VERSION;
use serde::Serialize;

use crate::discover::nearest::nearest;
use crate::environment::Environment;
use crate::output::{self, Format, Output, Terminal};
use crate::problem::{Problem, exit};
use signals::Signals;

mod answer;
mod applied;
mod apply;
mod brief;
mod completions;
mod decide;
mod delete;
mod demo;
mod describe;
mod diff;
mod doctor;
mod explain;
mod follow;
mod gc;
mod get;
mod goal;
mod install_service;
mod logs;
mod message;
mod numbered;
mod open;
mod pause;
mod publish;
mod reference;
mod retry;
mod run;
pub(crate) mod serve;
mod signals;
mod watch;

#[derive(Debug, Parser)]
#[command(
    name = "midwatch",
    version,
    about = "Runs coding agents unattended, from a sentence to a change that is verified.",
    after_help = "Examples:\n  midwatch run \"make the tests pass\"\n  midwatch get\n  midwatch logs -f make-the-tests-pass-1a2b\n  midwatch open make-the-tests-pass-1a2b\n\nExit codes: 0 done, 1 internal, 2 usage, 3 failed, 4 no change needed, 5 held,\n6 this machine or repository cannot run it, 130 cancelled.",
    max_term_width = 100
)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,

    /// How results are written: text for people, JSON lines for scripts
    #[arg(short, long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Run(Box<run::Run>),
    Apply(apply::Apply),
    Get(get::Get),
    Brief(brief::Brief),
    Describe(describe::Describe),
    Explain(explain::Explain),
    Wait(follow::Wait),
    Logs(logs::Logs),
    Diff(diff::Diff),
    Open(open::Open),
    Approve(decide::Approve),
    Reject(decide::Reject),
    Answer(answer::Answer),
    Message(message::Message),
    Pause(pause::Pause),
    Publish(publish::Publish),
    Resume(decide::Resume),
    Retry(retry::Retry),
    Cancel(decide::Cancel),
    Delete(delete::Delete),
    Gc(gc::Gc),
    Doctor(doctor::Doctor),
    Demo(demo::Demo),
    Serve(serve::Serve),
    InstallService(install_service::InstallService),
    Completions(completions::Completions),
    Runner(Runner),
    Reference(reference::Reference),
}

/// Supervises one run; not for people
///
/// It is told apart before this command line is read: see `midwatch_runner::dispatch`.
#[derive(Debug, clap::Args)]
#[command(hide = true)]
struct Runner {
    /// The run's folder
    #[arg(value_name = "FOLDER")]
    folder: OsString,
}

/// What every command works with.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) environment: Environment,
    pub(crate) output: Output,
    /// What ends it before its time.
    pub(crate) signals: Signals,
}

/// Runs a command line, its own name first. Returns the exit code.
pub(crate) fn main(words: Vec<OsString>) -> u8 {
    let code = answer(words);
    match output::lost() {
        // Whoever asked has got nothing: that is no success.
        Some(error) if code == exit::FINE => {
            Output::new(Format::Text, Terminal::Plain)
                .say(&format!("error: stdout cannot be written: {error}"));
            exit::INTERNAL
        }
        Some(_) | None => code,
    }
}

fn answer(words: Vec<OsString>) -> u8 {
    let terminal = Terminal::of_environment();
    let cli = match Cli::try_parse_from(&words) {
        Ok(cli) => cli,
        Err(error) => return misunderstood(&offering(error), &words, terminal),
    };
    let output = Output::new(cli.output, terminal);
    let context = match Environment::read() {
        Ok(environment) => Context { environment, output, signals: Signals::default() },
        Err(problem) => return refuse(output, &problem, cli.verb.task()),
    };
    let task = cli.verb.task().map(ToOwned::to_owned);
    if cli.output == Format::Yaml && !cli.verb.speaks_yaml() {
        let rule = "is only for get and describe";
        let problem = Problem::usage("--output", "yaml", rule, "use text or json");
        return refuse(output, &problem, task.as_deref());
    }
    match cli.verb.carry_out(&context) {
        Ok(code) => code,
        Err(problem) => {
            let task = context.signals.task().or(task);
            refuse(output, &problem, task.as_deref())
        }
    }
}

fn refuse(output: Output, problem: &Problem, task: Option<&str>) -> u8 {
    output.refuse(problem, task);
    problem.exit
}

/// Offers a command for people in the place of an unknown one.
fn offering(mut error: clap::Error) -> clap::Error {
    use clap::error::{ContextKind, ContextValue};
    let Some(ContextValue::String(typed)) = error.get(ContextKind::InvalidSubcommand) else {
        return error;
    };
    let root = Cli::command();
    let names: Vec<&str> = root
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
        .map(clap::Command::get_name)
        .collect();
    let near = nearest(typed, names).map(ToOwned::to_owned);
    error.remove(ContextKind::SuggestedSubcommand);
    if let Some(near) = near {
        error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(vec![near]));
    }
    error
}

/// Help and version are no errors; everything else is wrong usage, and scripts get their line.
fn misunderstood(error: &clap::Error, words: &[OsString], terminal: Terminal) -> u8 {
    let output = Output::new(format_of(words), terminal);
    let text = error.render().to_string();
    if !error.use_stderr() {
        if output.is_json() {
            json_alone(output, &serde_json::json!({"type": "help", "text": text}));
        } else {
            // Coloured where the terminal wants it; nobody may be reading any more.
            let _ = error.print();
        }
        return exit::FINE;
    }
    output.say(text.trim_end());
    if output.is_json() {
        let first = text.lines().next().unwrap_or_default();
        let first = first.trim_start_matches("error:").trim();
        let problem = Problem { exit: exit::USAGE, ..wrong_usage(first) };
        output.json(&problem.line(None));
    }
    exit::USAGE
}

fn wrong_usage(message: &str) -> Problem {
    let reason = midwatch_core::reason::FailReason::InvalidInput.as_str();
    Problem {
        message: message.into(),
        hint: Some("see `midwatch --help`".into()),
        exit: exit::USAGE,
        reason: Some(reason),
    }
}

/// The wanted format, of words that are otherwise wrong.
fn format_of(words: &[OsString]) -> Format {
    let mut words = words.iter().map_while(|word| {
        let word = word.to_string_lossy();
        (word != "--").then(|| word.into_owned())
    });
    while let Some(word) = words.next() {
        let json = match word.as_str() {
            "--output" | "-o" => words.next().as_deref() == Some("json"),
            "--output=json" | "-o=json" | "-ojson" => true,
            _ => false,
        };
        if json {
            return Format::Json;
        }
    }
    Format::Text
}

impl Verb {
    /// The task that a command is about, as far as its words say.
    fn task(&self) -> Option<&str> {
        match self {
            Self::Run(run) => run.name.as_deref(),
            Self::Get(get) => get.task(),
            Self::Describe(describe) => describe.task(),
            Self::Explain(explain) => explain.task(),
            Self::Wait(wait) => Some(&wait.name),
            Self::Logs(logs) => Some(&logs.name),
            Self::Diff(diff) => Some(&diff.name),
            Self::Open(open) => Some(&open.name),
            Self::Approve(approve) => Some(&approve.name),
            Self::Reject(reject) => Some(&reject.name),
            Self::Answer(answer) => Some(&answer.name),
            Self::Message(message) => Some(&message.name),
            Self::Pause(pause) => pause.name.as_deref(),
            Self::Resume(resume) => resume.name.as_deref(),
            Self::Retry(retry) => Some(&retry.name),
            Self::Cancel(cancel) => Some(&cancel.name),
            Self::Publish(publish) => Some(&publish.name),
            Self::Delete(delete) => delete.task(),
            Self::Apply(_)
            | Self::InstallService(_)
            | Self::Completions(_)
            | Self::Brief(_)
            | Self::Gc(_)
            | Self::Doctor(_)
            | Self::Demo(_)
            | Self::Serve(_)
            | Self::Runner(_)
            | Self::Reference(_) => None,
        }
    }

    /// Whether it can print what `apply` takes.
    fn speaks_yaml(&self) -> bool {
        matches!(self, Self::Get(_) | Self::Describe(_))
    }

    fn carry_out(self, context: &Context) -> Result<u8, Problem> {
        match self {
            Self::Run(run) => block_on(context, run.carry_out(context)),
            Self::Apply(apply) => block_on(context, apply.carry_out(context)),
            Self::Publish(publish) => block_on(context, publish.carry_out(context)),
            Self::Delete(delete) => block_on(context, delete.carry_out(context)),
            Self::InstallService(install) => install.carry_out(context),
            Self::Completions(completions) => {
                block_on(context, completions.carry_out(context, Cli::command()))
            }
            Self::Get(get) => block_on(context, get.carry_out(context)),
            Self::Describe(describe) => block_on(context, describe.carry_out(context)),
            Self::Explain(explain) => block_on(context, explain.carry_out(context)),
            Self::Wait(wait) => block_on(context, wait.carry_out(context)),
            Self::Logs(logs) => block_on(context, logs.carry_out(context)),
            Self::Diff(diff) => block_on(context, diff.carry_out(context)),
            Self::Open(open) => block_on(context, open.carry_out(context)),
            Self::Approve(approve) => block_on(context, approve.carry_out(context)),
            Self::Reject(reject) => block_on(context, reject.carry_out(context)),
            Self::Answer(answer) => block_on(context, answer.carry_out(context)),
            Self::Message(message) => block_on(context, message.carry_out(context)),
            Self::Pause(pause) => block_on(context, pause.carry_out(context)),
            Self::Resume(resume) => block_on(context, resume.carry_out(context)),
            Self::Retry(retry) => block_on(context, retry.carry_out(context)),
            Self::Cancel(cancel) => block_on(context, cancel.carry_out(context)),
            Self::Brief(brief) => block_on(context, brief.carry_out(context)),
            Self::Gc(gc) => block_on(context, gc.carry_out(context)),
            Self::Doctor(doctor) => block_on(context, doctor.carry_out(context)),
            Self::Demo(demo) => block_on(context, demo.carry_out(context)),
            Self::Serve(serve) => serve.carry_out(context),
            Self::Runner(runner) => Err(Problem::usage(
                "runner",
                &runner.folder.to_string_lossy(),
                "is not for people",
                "see `midwatch run --help`",
            )),
            Self::Reference(reference) => Ok(reference.carry_out(context, &Cli::command())),
        }
    }
}

/// Does what takes its time beside the work of this thread: a signal is heard meanwhile.
async fn beside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Problem::internal(error.to_string()))
}

/// One line about no task that holds all there is to say, and the result line that ends every
/// answer.
fn json_alone(output: Output, value: &impl Serialize) {
    let mut line = serde_json::to_value(value).unwrap_or_default();
    if let Some(fields) = line.as_object_mut() {
        fields.insert("version".into(), LINE_VERSION.into());
        fields.insert("task".into(), serde_json::Value::Null);
        fields.insert("seq".into(), 0.into());
    }
    output.json(&line);
    output.json(&Problem::nothing());
}

fn block_on(
    context: &Context,
    work: impl Future<Output = Result<u8, Problem>>,
) -> Result<u8, Problem> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Problem::internal(error.to_string()))?;
    let result = runtime.block_on(async {
        tokio::select! {
            biased;
            result = work => result,
            cut = context.signals.cut() => Err(context.signals.problem(cut)),
        }
    });
    // A blocking read of a thread of ours must not keep the process.
    runtime.shutdown_background();
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn an_unknown_command_is_answered_with_one_for_people() {
        for (typed, offered) in [("runn", "'run'"), ("cancle", "'cancel'"), ("rnu", "--help")] {
            let error = Cli::try_parse_from(["midwatch", typed]).unwrap_err();
            let text = offering(error).render().to_string();
            assert!(text.contains(offered) && !text.contains("runner'"), "{text}");
        }
    }

    #[test]
    fn json_is_seen_in_words_that_are_wrong_otherwise() {
        let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        for (text, expected) in [
            ("midwatch run --output json --wrong", Format::Json),
            ("midwatch --output=json", Format::Json),
            ("midwatch pause -o json", Format::Json),
            ("midwatch pause -ojson", Format::Json),
            ("midwatch pause -o=json", Format::Json),
            ("midwatch pause -o text json", Format::Text),
            ("midwatch run --output text", Format::Text),
            ("midwatch run -- --output=json", Format::Text),
            ("midwatch run --output", Format::Text),
        ] {
            assert_eq!(format_of(&words(text)), expected, "{text}");
        }
    }
}
