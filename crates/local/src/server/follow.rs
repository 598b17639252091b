//! Watching a task: its log from a place on, then what happens, then the result. What runs say is
//! read from their own files, so that nobody misses a line by coming late or by being slow.

use std::sync::Arc;

use midwatch_api::control::{FollowFrom, Refusal};
use midwatch_api::view::{ApprovalLine, LINE_VERSION, Progress, ProgressLine, ResultLine};
use midwatch_core::event::{Action, Event, RunWork};
use midwatch_core::id::RunName;
use midwatch_core::ports::{ActOnLand, Stored};
use midwatch_core::task::{State, Task};
use midwatch_core::time::Time;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;

use super::Server;
use super::refusal::{internal, refused};
use crate::access::Access;
use crate::launcher::process::was_started;
use crate::launcher::tail::{PACE, Tail};
use crate::store::TaskRow;
use crate::view;

mod heard;

/// Lines that a slow client may lag behind before the task's log waits for it.
const LINES_AHEAD: usize = 256;

/// One line for a watcher.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    /// Something happened.
    Progress(Box<ProgressLine>),
    /// The last line: how it stands now that it is over or held.
    Result(Box<ResultLine>),
}

/// Who is told.
struct Watcher {
    row: TaskRow,
    /// The task up to `seq`, so that each event is shown in its time's words.
    task: Task,
    seq: u64,
    from: FollowFrom,
    /// The start of a setup, which is told when something is seen of it: a layer that was kept
    /// from before is found a moment after the run was wanted, and then there is no run.
    start: Option<(RunName, Box<ProgressLine>)>,
    /// The runs that go on at this place of the log, and how far each was heard.
    runs: Vec<(RunName, Tail)>,
    approvals: Vec<ApprovalLine>,
    lines: mpsc::Sender<Line>,
}

impl<A: Access, L: ActOnLand> Server<A, L> {
    /// Lines of a task from a place on; ends with the result when it is over or held.
    pub fn follow(
        self: &Arc<Self>,
        name: &str,
        from: FollowFrom,
    ) -> Result<mpsc::Receiver<Line>, Refusal> {
        self.unreadable(name)?;
        let row = self.row(name)?;
        let spec = row.order.to_spec(&row.name).map_err(refused)?;
        let (lines, receiver) = mpsc::channel(LINES_AHEAD);
        let task = Task::new(spec);
        let (start, runs, approvals) = (None, vec![], vec![]);
        let watcher = Watcher { row, task, seq: 0, from, start, runs, approvals, lines };
        let server = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(error) = server.watch(watcher).await {
                tracing::warn!(error = %error.message, "a watcher was cut off");
            }
        });
        Ok(receiver)
    }

    async fn watch(&self, mut watcher: Watcher) -> Result<(), Refusal> {
        // Subscribed before the log is read: nothing falls in between.
        let mut changes = self.engine.changes();
        let mut pace = tokio::time::interval(PACE);
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            if !self.catch_up(&mut watcher).await? {
                return Ok(());
            }
            let begun = |run: &RunName| was_started(&self.folder.run(run.as_str()));
            if watcher.start.as_ref().is_some_and(|(run, _)| begun(run)) && !watcher.begin().await {
                return Ok(());
            }
            if !watcher.hear().await {
                return Ok(());
            }
            if matches!(watcher.task.state, State::Ended(_) | State::Held(_)) {
                let transcript = self.get_unnoted(&watcher.row.name)?.result.transcript;
                let Watcher { task, row, approvals, .. } = &watcher;
                let mut result = view::result(task, row, approvals, transcript);
                view::place(&mut result, &self.folder);
                self.note_files(&watcher.row, &mut result);
                // The client may be gone.
                let _ = watcher.lines.send(Line::Result(Box::new(result))).await;
                return Ok(());
            }
            // Waits until there may be something new in the log of this task, or of its runs.
            loop {
                tokio::select! {
                    change = changes.recv() => match change {
                        Ok(change) if change.before.spec.name == watcher.task.spec.name => break,
                        Ok(_) => {}
                        Err(RecvError::Lagged(_)) => break,
                        Err(RecvError::Closed) => return Ok(()),
                    },
                    _ = pace.tick(), if !watcher.runs.is_empty() => break,
                    () = watcher.lines.closed() => return Ok(()),
                }
            }
        }
    }

    /// Tells what the log has gained; false when the client is gone.
    async fn catch_up(&self, watcher: &mut Watcher) -> Result<bool, Refusal> {
        let events = self.store.events(&watcher.row.name, watcher.seq);
        for stored in events.map_err(|e| internal(&e))? {
            watcher.task.apply(&stored.event).map_err(|e| internal(&e))?;
            view::follow_approvals(&mut watcher.approvals, &stored);
            // All that a run has said comes before its end.
            if let Event::RunEnded { run, .. } = &stored.event
                && !watcher.hear_out(run, stored.seq, stored.at).await
            {
                return Ok(false);
            }
            watcher.seq = stored.seq;
            if let Event::Intended(Action::Run(order)) = &stored.event
                && !watcher.from.is_end()
            {
                watcher.runs.push((order.run.clone(), self.tail(&order.run, &watcher.from)));
            }
            if stored.seq > watcher.from.after && !watcher.tell(&stored).await {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Watcher {
    async fn tell(&mut self, stored: &Stored) -> bool {
        let Some(progress) = view::progress(&self.task, &stored.event, stored.at) else {
            return true;
        };
        if let Event::Intended(Action::Run(order)) = &stored.event
            && matches!(order.work, RunWork::Setup { .. })
        {
            let line = self.line(stored.seq, stored.at, progress);
            return match self.start.replace((order.run.clone(), line)) {
                Some((_, before)) => self.send(before).await,
                None => true,
            };
        }
        if matches!(progress, Progress::RunEnded { kept: true, .. }) {
            self.start = None;
        }
        self.begin().await && self.send(self.line(stored.seq, stored.at, progress)).await
    }

    /// Tells the start that was held back, if there is one.
    async fn begin(&mut self) -> bool {
        match self.start.take() {
            Some((_, line)) => self.send(line).await,
            None => true,
        }
    }

    fn line(&self, seq: u64, at: Time, progress: Progress) -> Box<ProgressLine> {
        let task = self.row.name.clone();
        Box::new(ProgressLine { version: LINE_VERSION, task, seq, at_ms: at.0, progress })
    }

    async fn send(&self, line: Box<ProgressLine>) -> bool {
        self.lines.send(Line::Progress(line)).await.is_ok()
    }
}
