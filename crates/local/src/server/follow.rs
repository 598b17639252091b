//! Watching a task: its log from a place on, then what happens, then the result.

use std::sync::Arc;

use midwatch_api::control::Refusal;
use midwatch_api::view::{LINE_VERSION, Progress, ProgressLine, ResultLine};
use midwatch_core::ports::{ActOnLand, Clock as _, Stored};
use midwatch_core::task::{State, Task};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;

use super::{Server, internal, refused};
use crate::access::Access;
use crate::launcher::{Shown, SystemClock};
use crate::store::TaskRow;
use crate::view;

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
    lines: mpsc::Sender<Line>,
}

impl<A: Access, L: ActOnLand> Server<A, L> {
    /// Lines of a task after a place in its log; ends with the result when it is over or held.
    pub fn follow(
        self: &Arc<Self>,
        name: &str,
        after: u64,
    ) -> Result<mpsc::Receiver<Line>, Refusal> {
        let row = self.row(name)?;
        let spec = row.order.to_spec(&row.name).map_err(refused)?;
        let (lines, receiver) = mpsc::channel(LINES_AHEAD);
        let watcher = Watcher { row, task: Task::new(spec), seq: 0, lines };
        let server = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(error) = server.watch(watcher, after).await {
                tracing::warn!(error = %error.message, "a watcher was cut off");
            }
        });
        Ok(receiver)
    }

    async fn watch(&self, mut watcher: Watcher, after: u64) -> Result<(), Refusal> {
        // Subscribed before the log is read: nothing falls in between.
        let mut changes = self.engine.changes();
        let mut shown = self.shown.subscribe();
        loop {
            if !self.catch_up(&mut watcher, after).await? {
                return Ok(());
            }
            if matches!(watcher.task.state, State::Ended(_) | State::Held(_)) {
                let result = view::result(&watcher.task, &watcher.row, &self.folder);
                // The client may be gone.
                let _ = watcher.lines.send(Line::Result(Box::new(result))).await;
                return Ok(());
            }
            // Waits until there is something new in the log of this task.
            loop {
                tokio::select! {
                    change = changes.recv() => match change {
                        Ok(change) if change.before.spec.name == watcher.task.spec.name => break,
                        Ok(_) => {}
                        Err(RecvError::Lagged(_)) => break,
                        Err(RecvError::Closed) => return Ok(()),
                    },
                    event = shown.recv() => match event {
                        Ok(event) if event.task == watcher.task.spec.name => {
                            if !watcher.show(event).await {
                                return Ok(());
                            }
                        }
                        Ok(_) | Err(RecvError::Lagged(_)) => {}
                        Err(RecvError::Closed) => return Ok(()),
                    },
                    () = watcher.lines.closed() => return Ok(()),
                }
            }
        }
    }

    /// Tells what the log has gained; false when the client is gone.
    async fn catch_up(&self, watcher: &mut Watcher, after: u64) -> Result<bool, Refusal> {
        let events = self.store.events(&watcher.row.name, watcher.seq);
        for stored in events.map_err(|e| internal(&e))? {
            watcher.task.apply(&stored.event).map_err(|e| internal(&e))?;
            watcher.seq = stored.seq;
            if stored.seq > after && !watcher.tell(&stored).await {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Watcher {
    async fn tell(&self, stored: &Stored) -> bool {
        match view::progress(&self.task, &stored.event) {
            Some(progress) => self.send(stored.seq, stored.at.0, progress).await,
            None => true,
        }
    }

    async fn show(&self, shown: Shown) -> bool {
        let run = shown.run.as_str().to_owned();
        let progress = Progress::Agent { run, event: shown.event };
        self.send(self.seq, SystemClock.now().0, progress).await
    }

    async fn send(&self, seq: u64, at_ms: i64, progress: Progress) -> bool {
        let line = ProgressLine {
            version: LINE_VERSION,
            task: self.row.name.clone(),
            seq,
            at_ms,
            progress,
        };
        self.lines.send(Line::Progress(Box::new(line))).await.is_ok()
    }
}
