//! Paths and methods. Each handler reads its input, asks the desk, and answers.

use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use midwatch_api::control::{Command, ServerInfo, Submit, Submitted, TaskView};
use midwatch_api::task::TaskOrder;
use serde::Deserialize;

use crate::answer::Refused;
use crate::desk::{Desk, Opened, Patch, PatchForm};
use crate::stream;

/// The largest request: a goal of 256 KiB as JSON at its worst (six bytes for one), and room for
/// an order around it.
const BODY_MAX: usize = 4 << 20;
/// Tasks in a list, unless asked for fewer.
const LIST_MAX: u32 = 1000;

type Answer<T> = Result<Json<T>, Refused>;
type Name = Result<Path<String>, PathRejection>;

/// Every path of the control socket.
pub fn router<D: Desk>(desk: Arc<D>) -> Router {
    Router::new()
        .route("/v1/server", get(info::<D>))
        .route("/v1/shutdown", post(shutdown::<D>))
        .route("/v1/tasks", get(list::<D>).post(submit::<D>))
        .route("/v1/tasks/{name}", get(task::<D>))
        .route("/v1/tasks/{name}/order", get(order::<D>))
        .route("/v1/tasks/{name}/events", get(events::<D>))
        .route("/v1/tasks/{name}/commands", post(command::<D>))
        .route("/v1/tasks/{name}/kill", post(kill::<D>))
        .route("/v1/tasks/{name}/patch", get(patch::<D>))
        .route("/v1/tasks/{name}/open", post(open::<D>))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state(desk)
}

async fn unknown() -> Refused {
    Refused::new(StatusCode::NOT_FOUND, "there is no such path")
}

async fn wrong_method() -> Refused {
    let text = "this path is not for that method";
    Refused::new(StatusCode::METHOD_NOT_ALLOWED, text)
}

async fn info<D: Desk>(State(desk): State<Arc<D>>) -> Json<ServerInfo> {
    Json(desk.info().await)
}

async fn shutdown<D: Desk>(State(desk): State<Arc<D>>) -> Answer<()> {
    Ok(Json(desk.shutdown().await?))
}

async fn submit<D: Desk>(
    State(desk): State<Arc<D>>,
    body: Result<Json<Submit>, JsonRejection>,
) -> Answer<Submitted> {
    let Json(submit) = body?;
    Ok(Json(desk.submit(submit).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    #[serde(default)]
    limit: Option<u32>,
}

async fn list<D: Desk>(
    State(desk): State<Arc<D>>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Answer<Vec<TaskView>> {
    let Query(ListQuery { limit }) = query?;
    let limit = limit.unwrap_or(LIST_MAX);
    if !(1..=LIST_MAX).contains(&limit) {
        let text = format!("limit {limit} is not 1 to {LIST_MAX}");
        return Err(Refused::new(StatusCode::UNPROCESSABLE_ENTITY, text));
    }
    Ok(Json(desk.list(limit).await?))
}

async fn task<D: Desk>(State(desk): State<Arc<D>>, name: Name) -> Answer<TaskView> {
    Ok(Json(desk.get(&name?.0).await?))
}

async fn order<D: Desk>(State(desk): State<Arc<D>>, name: Name) -> Answer<TaskOrder> {
    Ok(Json(desk.order(&name?.0).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventsQuery {
    #[serde(default)]
    after: u64,
}

async fn events<D: Desk>(
    State(desk): State<Arc<D>>,
    name: Name,
    query: Result<Query<EventsQuery>, QueryRejection>,
) -> Result<Response, Refused> {
    let lines = desk.follow(&name?.0, query?.0.after).await?;
    Ok(stream::answer(lines).into_response())
}

async fn command<D: Desk>(
    State(desk): State<Arc<D>>,
    name: Name,
    body: Result<Json<Command>, JsonRejection>,
) -> Answer<()> {
    Ok(Json(desk.command(&name?.0, body?.0).await?))
}

async fn kill<D: Desk>(State(desk): State<Arc<D>>, name: Name) -> Answer<Vec<String>> {
    Ok(Json(desk.kill(&name?.0).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PatchQuery {
    #[serde(default)]
    form: PatchForm,
}

async fn patch<D: Desk>(
    State(desk): State<Arc<D>>,
    name: Name,
    query: Result<Query<PatchQuery>, QueryRejection>,
) -> Answer<Patch> {
    Ok(Json(desk.patch(&name?.0, query?.0.form).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OpenBody {
    folder: PathBuf,
    #[serde(default)]
    umask: Option<u32>,
}

async fn open<D: Desk>(
    State(desk): State<Arc<D>>,
    name: Name,
    body: Result<Json<OpenBody>, JsonRejection>,
) -> Answer<Opened> {
    let OpenBody { folder, umask } = body?.0;
    Ok(Json(desk.open(&name?.0, folder, umask).await?))
}
