//! Paths and methods. Each handler reads its input, asks the desk, and answers.

use std::sync::Arc;

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post};
use axum::{Json, Router};
use http::StatusCode;
use midwatch_api::control::{
    Applied, Apply, Asked, Command, DamageQuery, DeleteTaskQuery, Deleted, EventsQuery, FollowFrom,
    ListQuery, ObjectView, OpenBody, Opened, Patch, PatchQuery, ServerInfo, Submit, Submitted,
    TaskPage, TaskView,
};
use midwatch_api::endpoint::Endpoint;
use midwatch_api::kind::Kind;
use midwatch_api::openapi;
use midwatch_api::task::TaskOrder;
use serde_json::Value;

use crate::answer::Refused;
use crate::desk::Desk;
use crate::records::{self, Records};
use crate::{guard, places, stream};

/// The largest request: a goal of 256 KiB as JSON at its worst (six bytes for one), and room for
/// an order around it.
const BODY_MAX: usize = 4 << 20;
/// The same for many tasks at once.
const APPLY_MAX: usize = 64 << 20;

type Answer<T> = Result<Json<T>, Refused>;
type Name = Result<Path<String>, PathRejection>;
type KindAndName = Result<Path<(String, String)>, PathRejection>;

/// Every path of the control socket, from the table that the `OpenAPI` document is made from.
pub fn router<D: Desk + Records>(desk: Arc<D>) -> Router {
    Endpoint::ALL
        .into_iter()
        .fold(Router::new(), |router, endpoint| {
            router.route(endpoint.path(), handler::<D>(endpoint))
        })
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(from_fn(guard::check))
        .with_state(desk)
}

fn handler<D: Desk + Records>(endpoint: Endpoint) -> MethodRouter<Arc<D>> {
    match endpoint {
        Endpoint::Server => get(info::<D>),
        Endpoint::OpenApi => get(document),
        Endpoint::Shutdown => post(shutdown::<D>),
        Endpoint::ListTasks => get(list::<D>),
        Endpoint::Submit => post(submit::<D>),
        Endpoint::GetTask => get(task::<D>),
        Endpoint::DeleteTask => delete(delete_task::<D>),
        Endpoint::GetOrder => get(order::<D>),
        Endpoint::Events => get(events::<D>).layer(from_fn(places::follower)),
        Endpoint::Damage => get(damage::<D>),
        Endpoint::Command => post(command::<D>),
        Endpoint::Kill => post(kill::<D>),
        Endpoint::Patch => get(patch::<D>),
        Endpoint::Open => post(open::<D>),
        Endpoint::Apply => post(apply::<D>).layer(DefaultBodyLimit::max(APPLY_MAX)),
        Endpoint::ListObjects => get(objects::<D>),
        Endpoint::GetObject => get(object::<D>),
        Endpoint::DeleteObject => delete(delete_object::<D>),
        Endpoint::Brief => get(records::brief::<D>),
        Endpoint::BriefRead => post(records::read::<D>),
        Endpoint::Collect => post(records::collect::<D>),
        Endpoint::Pause => post(records::pause::<D>),
    }
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

async fn document() -> Json<Value> {
    Json(openapi::document())
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

async fn list<D: Desk>(
    State(desk): State<Arc<D>>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Answer<TaskPage> {
    Ok(Json(desk.list(Asked::try_from(query?.0)?).await?))
}

async fn task<D: Desk>(State(desk): State<Arc<D>>, name: Name) -> Answer<TaskView> {
    Ok(Json(desk.get(&name?.0).await?))
}

async fn delete_task<D: Desk>(
    State(desk): State<Arc<D>>,
    name: Name,
    query: Result<Query<DeleteTaskQuery>, QueryRejection>,
) -> Answer<Deleted> {
    Ok(Json(desk.delete_task(&name?.0, query?.0.by.into()).await?))
}

async fn order<D: Desk>(State(desk): State<Arc<D>>, name: Name) -> Answer<TaskOrder> {
    Ok(Json(desk.order(&name?.0).await?))
}

async fn events<D: Desk>(
    State(desk): State<Arc<D>>,
    name: Name,
    query: Result<Query<EventsQuery>, QueryRejection>,
) -> Result<Response, Refused> {
    let lines = desk.follow(&name?.0, FollowFrom::try_from(query?.0)?).await?;
    Ok(stream::answer(lines).into_response())
}

async fn damage<D: Desk>(
    State(desk): State<Arc<D>>,
    name: Name,
    query: Result<Query<DamageQuery>, QueryRejection>,
) -> Answer<Vec<String>> {
    Ok(Json(desk.damage(&name?.0, query?.0).await?))
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

async fn patch<D: Desk>(
    State(desk): State<Arc<D>>,
    name: Name,
    query: Result<Query<PatchQuery>, QueryRejection>,
) -> Answer<Patch> {
    Ok(Json(desk.patch(&name?.0, query?.0.form).await?))
}

async fn open<D: Desk>(
    State(desk): State<Arc<D>>,
    name: Name,
    body: Result<Json<OpenBody>, JsonRejection>,
) -> Answer<Opened> {
    let OpenBody { folder, umask } = body?.0;
    Ok(Json(desk.open(&name?.0, folder, umask).await?))
}

async fn apply<D: Desk>(
    State(desk): State<Arc<D>>,
    body: Result<Json<Apply>, JsonRejection>,
) -> Answer<Applied> {
    let Json(apply) = body?;
    Ok(Json(desk.apply(apply).await?))
}

/// A kind by any of its names.
fn kind(text: &str) -> Result<Kind, Refused> {
    Kind::spoken(text).ok_or_else(|| {
        let shown = midwatch_core::input::shown(text);
        let known = Kind::ALL.map(Kind::plural).join(", ");
        let text = format!("kind '{shown}' is unknown; known: {known}");
        Refused::new(StatusCode::UNPROCESSABLE_ENTITY, text)
    })
}

async fn objects<D: Desk>(State(desk): State<Arc<D>>, name: Name) -> Answer<Vec<ObjectView>> {
    Ok(Json(desk.objects(kind(&name?.0)?).await?))
}

async fn object<D: Desk>(State(desk): State<Arc<D>>, path: KindAndName) -> Answer<ObjectView> {
    let Path((kind_name, name)) = path?;
    Ok(Json(desk.object(kind(&kind_name)?, &name).await?))
}

async fn delete_object<D: Desk>(State(desk): State<Arc<D>>, path: KindAndName) -> Answer<Deleted> {
    let Path((kind_name, name)) = path?;
    Ok(Json(desk.delete_object(kind(&kind_name)?, &name).await?))
}
