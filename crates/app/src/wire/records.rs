//! The desk's answers about all tasks together.

use std::sync::Arc;

use midwatch_api::brief::Brief;
use midwatch_api::control::{PauseAll, PausedAll, Refusal};
use midwatch_api::gc::{CollectOrder, Collection};
use midwatch_core::time::Time;
use midwatch_web::Records;

use super::desk::{LocalDesk, internal};

impl Records for LocalDesk {
    async fn brief(&self, since_ms: Option<i64>) -> Result<Brief, Refusal> {
        self.touch().await;
        let server = Arc::clone(&self.server);
        let work = tokio::task::spawn_blocking(move || server.brief(since_ms.map(Time)));
        work.await.map_err(internal)?
    }

    async fn brief_was_read(&self, until_ms: i64) -> Result<(), Refusal> {
        self.touch().await;
        self.server.brief_was_read(Time(until_ms))
    }

    async fn pause_all(&self, switch: PauseAll) -> Result<PausedAll, Refusal> {
        self.touch().await;
        let server = Arc::clone(&self.server);
        let work = tokio::task::spawn_blocking(move || server.pause_all(&switch));
        work.await.map_err(internal)?
    }

    async fn collect(&self, order: CollectOrder) -> Result<Collection, Refusal> {
        self.touch().await;
        let server = Arc::clone(&self.server);
        // A walk over everything on disk.
        let work = tokio::task::spawn_blocking(move || server.collect(&order));
        work.await.map_err(internal)?
    }
}
