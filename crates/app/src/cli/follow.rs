//! Watching a task to its end: shared by `run`, `retry`, `wait`, `logs -f` and `demo`.

use std::cell::RefCell;
use std::time::Duration;

use midwatch_api::control::{Command, FollowFrom};
use midwatch_api::view::{ProgressLine, ResultLine};
use tokio::signal::unix::Signal;

use super::Context;
use super::decide::whoever;
use super::signals::{Cut, listen};
use crate::client::Client;
use crate::output::live::Live;
use crate::output::{Ink, ending, lines, reader_is_gone};
use crate::problem::{Problem, exit, exit_of};

/// How often a live line is drawn.
const DRAW: Duration = Duration::from_millis(200);

/// What Ctrl-C means.
#[derive(Debug)]
pub(super) struct Interrupt {
    listener: Option<Signal>,
    /// The command only watches: it ends when nobody reads it any more.
    leaves: bool,
}

impl Interrupt {
    /// The first stops the task and saves its work, the second kills. Begin to listen before the
    /// task is submitted: from then on no Ctrl-C may end only the watching.
    pub(super) fn stops() -> Self {
        Self { listener: listen(Cut::Interrupt), leaves: false }
    }

    /// It only ends the watching.
    pub(super) const fn leaves() -> Self {
        Self { listener: None, leaves: true }
    }

    /// Waits for the next one.
    async fn pressed(&mut self) {
        match &mut self.listener {
            Some(signal) => {
                signal.recv().await;
            }
            None => std::future::pending().await,
        }
    }
}

/// How much is told before the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// Everything.
    All,
    /// Nothing.
    Nothing,
}

/// Waits for a task's end or hold
///
/// Ends with the same result line and exit code as the run itself. Ctrl-C ends the waiting, not
/// the task.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  midwatch wait mend-the-tests-1a2b\n  midwatch wait mend-the-tests-1a2b --output json | tail -n 1"
)]
pub(super) struct Wait {
    /// The task
    #[arg(value_name = "NAME")]
    pub(super) name: String,
}

impl Wait {
    pub(super) async fn carry_out(self, context: &Context) -> Result<u8, Problem> {
        let client = Client::new(&context.environment);
        watch(context, &client, &self.name, Interrupt::leaves(), Told::Nothing).await
    }
}

/// Follows a task from its beginning to its end or hold, and tells the result.
pub(super) async fn watch(
    context: &Context,
    client: &Client,
    name: &str,
    mut interrupt: Interrupt,
    told: Told,
) -> Result<u8, Problem> {
    let output = context.output;
    context.signals.about(name);
    let live = RefCell::new(Live::new(output.live && !output.is_json() && told == Told::All));
    let tell = |line: &ProgressLine| {
        if output.is_json() {
            output.json(line);
            return;
        }
        let mut live = live.borrow_mut();
        live.take(line);
        if let Some(text) = lines::line(line) {
            live.clear();
            output.say(&text);
        }
        live.draw();
    };
    let from = match told {
        Told::All => FollowFrom::default(),
        Told::Nothing => FollowFrom::end(),
    };
    let follow = client.follow(name, from, tell);
    tokio::pin!(follow);
    let mut ticks = tokio::time::interval(DRAW);
    let mut interrupts = 0;
    let result = loop {
        tokio::select! {
            result = &mut follow => break result,
            _ = ticks.tick() => {
                if interrupt.leaves && reader_is_gone() {
                    return Ok(exit::UNREAD);
                }
                live.borrow_mut().draw();
            }
            () = interrupt.pressed() => {
                interrupts += 1;
                live.borrow_mut().clear();
                if interrupts > 1 {
                    return kill(context, client, name).await;
                }
                stop(context, client, name).await?;
            }
        }
    };
    live.borrow_mut().clear();
    let result = result?;
    finish(context, &result);
    Ok(exit_of(result.state.as_deref()))
}

/// Tells a result in the wanted format.
pub(super) fn finish(context: &Context, result: &ResultLine) {
    if context.output.is_json() {
        context.output.json(result);
    } else {
        ending::tell(context.output, result);
    }
}

async fn stop(context: &Context, client: &Client, name: &str) -> Result<(), Problem> {
    let cancel = Command::Cancel { by: whoever(&context.environment) };
    match client.command(name, &cancel).await {
        Ok(()) => {
            let text = "the run is told to stop and its work is saved; Ctrl-C again kills it";
            context.output.say_marked(Ink::Notable, "stopping:", text);
            Ok(())
        }
        // It is over, or being cancelled already: the result says which.
        Err(problem) if problem.exit == exit::USAGE => Ok(()),
        Err(problem) => Err(problem),
    }
}

async fn kill(context: &Context, client: &Client, name: &str) -> Result<u8, Problem> {
    let killed = client.kill(name).await?;
    let task = client.get(name).await?;
    let runs = if killed.is_empty() { "no run was left".to_owned() } else { killed.join(", ") };
    context.output.say_marked(Ink::Bad, "killed:", &runs);
    let left = match &task.result.rescue_ref {
        Some(reference) => format!("saved so far: {reference}"),
        None => "what is left in the workspace is being saved by the server".to_owned(),
    };
    context.output.say_marked(
        Ink::Faint,
        "left:",
        &format!("{left}; `midwatch wait {name}`, then `midwatch open {name}`"),
    );
    if context.output.is_json() {
        context.output.json(&task.result);
    }
    Ok(exit::CANCELLED)
}
