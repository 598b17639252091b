//! Questions about all tasks together.

use midwatch_api::brief::{Brief, BriefRead};
use midwatch_api::control::{PauseAll, PausedAll};
use midwatch_api::gc::{CollectOrder, Collection};

use super::{Client, NO_BODY};
use crate::problem::Problem;

impl Client {
    /// What happened since a time, or since somebody looked last.
    pub(crate) async fn brief(&self, since_ms: Option<i64>) -> Result<Brief, Problem> {
        let query = since_ms.map_or_else(String::new, |since| format!("?sinceMs={since}"));
        self.ask("GET", &format!("/v1/brief{query}"), NO_BODY).await
    }

    /// Says that a brief was read.
    pub(crate) async fn brief_was_read(&self, until_ms: i64) -> Result<(), Problem> {
        self.ask("POST", "/v1/brief/read", Some(&BriefRead { until_ms })).await
    }

    /// Stops all agents and lets no task begin, or lets everything go on.
    pub(crate) async fn pause_all(&self, switch: &PauseAll) -> Result<PausedAll, Problem> {
        self.ask("POST", "/v1/pause", Some(switch)).await
    }

    /// Removes what is no longer needed, or says what would go.
    pub(crate) async fn collect(&self, order: CollectOrder) -> Result<Collection, Problem> {
        self.ask("POST", "/v1/gc", Some(&order)).await
    }
}
