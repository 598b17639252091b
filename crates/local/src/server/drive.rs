//! Driving the engine through times in which nothing can be stored: a full disk, a folder that
//! became read-only, a database that another program holds. Nothing happens then that is not
//! written down; reading goes on, and so does everything else once the disk takes it.

use std::time::Duration;

use midwatch_core::event::Event;
use midwatch_core::id::TaskName;
use midwatch_core::ports::{ActOnLand, Clock as _};
use midwatch_engine::EngineError;
use tokio::sync::watch;

use super::{Fault, Server};
use crate::access::Access;
use crate::launcher::SystemClock;
use crate::store::Stuck;

/// Between two tries to write.
pub(super) const TRY: Duration = Duration::from_secs(1);

impl<A: Access, L: ActOnLand> Server<A, L> {
    /// Drives every task. Ends only with a fault that waiting does not mend.
    pub(super) async fn drive(&self) -> Fault {
        loop {
            let fault = self.engine.run().await;
            let Some(why) = stuck(&fault) else { return fault };
            self.wait_until_written(why).await;
        }
    }

    /// Stores what was observed, now or as soon as it can be.
    pub(super) async fn observed(&self, task: &TaskName, event: Event) -> Result<(), Fault> {
        loop {
            match self.engine.observe(task, event.clone()) {
                Err(fault) if stuck(&fault).is_some() => tokio::time::sleep(TRY).await,
                done => return done,
            }
        }
    }

    /// Why nothing can be stored, while that is so.
    pub fn stuck(&self) -> watch::Receiver<Option<Stuck>> {
        self.stuck.subscribe()
    }

    async fn wait_until_written(&self, why: Stuck) {
        tracing::error!(
            why = why.as_str(),
            "store.stuck: nothing is begun until it can be written"
        );
        self.stuck.send_replace(Some(why));
        // What is open has to be ended, saved and written down; nothing new begins without it.
        match why {
            Stuck::Full => self.reserve.release(),
            Stuck::Unwritable | Stuck::Locked => {}
        }
        while let Err(error) = self.store.probe(SystemClock.now()) {
            tracing::debug!(%error, "store.still_stuck");
            tokio::time::sleep(TRY).await;
        }
        self.stuck.send_replace(None);
        tracing::info!("store.written_again");
    }
}

/// Why it is one that waiting mends; none where it is not.
pub(super) fn stuck(fault: &Fault) -> Option<Stuck> {
    match fault {
        EngineError::Store(error) => error.stuck(),
        EngineError::Replay { .. } => None,
    }
}
