//! What runs say, for whoever watches their task: from each run's files, each line once.

use midwatch_api::control::FollowFrom;
use midwatch_api::report::EVENTS_FILE;
use midwatch_api::view::Progress;
use midwatch_core::id::RunName;
use midwatch_core::ports::{ActOnLand, Clock as _};
use midwatch_core::time::Time;

use super::Watcher;
use crate::access::Access;
use crate::launcher::SystemClock;
use crate::launcher::tail::Tail;
use crate::segment::Stream;
use crate::server::Server;

impl<A: Access, L: ActOnLand> Server<A, L> {
    /// What a run says behind the line up to which it was seen.
    pub(super) fn tail(&self, run: &RunName, from: &FollowFrom) -> Tail {
        let (folder, run) = (self.folder.run(run.as_str()), run.as_str());
        let rows = Stream::new(&self.store, &folder, run, EVENTS_FILE).index(false);
        // Without rows all is read from the beginning: slower, and the same lines.
        let rows = rows.unwrap_or_default();
        Tail::after(folder, from.line_of(run), rows)
    }
}

impl Watcher {
    /// Tells what the runs that go on have said; false when the client is gone.
    pub(super) async fn hear(&mut self) -> bool {
        let mut runs = std::mem::take(&mut self.runs);
        for (run, tail) in &mut runs {
            if !self.pass_on(run, tail, self.seq, SystemClock.now()).await {
                return false;
            }
        }
        self.runs = runs;
        true
    }

    /// Tells what is left of a run that ended at a place of the log, and at that time.
    pub(super) async fn hear_out(&mut self, run: &RunName, seq: u64, at: Time) -> bool {
        let Some(place) = self.runs.iter().position(|(name, _)| name == run) else { return true };
        let (_, mut tail) = self.runs.swap_remove(place);
        // Who has seen its end has seen all of it.
        seq <= self.from.after || self.pass_on(run, &mut tail, self.seq, at).await
    }

    async fn pass_on(&mut self, run: &RunName, tail: &mut Tail, seq: u64, at: Time) -> bool {
        loop {
            let heard = match tail.next() {
                Ok(Some(heard)) => heard,
                Ok(None) => return true,
                Err(error) => {
                    // Tried again with the next look.
                    tracing::warn!(%run, %error, "what a run says cannot be read");
                    return true;
                }
            };
            let run = run.as_str().to_owned();
            let progress = Progress::Agent { run, line: heard.line, event: heard.event };
            if !self.begin().await || !self.send(self.line(seq, at, progress)).await {
                return false;
            }
        }
    }
}
