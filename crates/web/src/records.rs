//! Questions about all tasks together: the morning's report, and what may be removed.

use std::future::Future;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Query, State};
use midwatch_api::brief::{Brief, BriefQuery, BriefRead};
use midwatch_api::control::{PauseAll, PausedAll, Refusal};
use midwatch_api::gc::{CollectOrder, Collection};

use crate::answer::Refused;

/// Who answers questions about all tasks.
pub trait Records: Send + Sync + 'static {
    /// What happened since a time, milliseconds since 1970; none means since somebody looked
    /// last.
    fn brief(&self, since_ms: Option<i64>) -> impl Future<Output = Result<Brief, Refusal>> + Send;

    /// Somebody has read a brief up to that time.
    fn brief_was_read(&self, until_ms: i64) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// Removes what is no longer needed, or says what would go.
    fn collect(
        &self,
        order: CollectOrder,
    ) -> impl Future<Output = Result<Collection, Refusal>> + Send;

    /// Stops all agents and lets no task begin, or lets everything go on.
    fn pause_all(
        &self,
        switch: PauseAll,
    ) -> impl Future<Output = Result<PausedAll, Refusal>> + Send;
}

pub(crate) async fn pause<R: Records>(
    State(records): State<Arc<R>>,
    body: Result<Json<PauseAll>, JsonRejection>,
) -> Result<Json<PausedAll>, Refused> {
    Ok(Json(records.pause_all(body?.0).await?))
}

pub(crate) async fn brief<R: Records>(
    State(records): State<Arc<R>>,
    query: Result<Query<BriefQuery>, QueryRejection>,
) -> Result<Json<Brief>, Refused> {
    Ok(Json(records.brief(query?.0.since_ms).await?))
}

pub(crate) async fn read<R: Records>(
    State(records): State<Arc<R>>,
    body: Result<Json<BriefRead>, JsonRejection>,
) -> Result<Json<()>, Refused> {
    Ok(Json(records.brief_was_read(body?.0.until_ms).await?))
}

pub(crate) async fn collect<R: Records>(
    State(records): State<Arc<R>>,
    body: Result<Json<CollectOrder>, JsonRejection>,
) -> Result<Json<Collection>, Refused> {
    Ok(Json(records.collect(body?.0).await?))
}
