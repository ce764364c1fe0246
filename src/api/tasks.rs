//! `/v2/tasks` and `/v2/images/{id}/tasks` (contract 6.6): reading them.

use std::borrow::Cow;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::caller::Caller;
use super::error::Error;
use super::extract::{ImagePath, NamePath, NoBody};
use super::images::get_visible;
use super::paging::{self, PageLimits, Pairs, bad};
use crate::catalog::{Catalog, Direction, Task, TaskPage, TaskSortKey};
use crate::image::{ImageId, Micros, ProjectId, rfc3339};
use crate::policy::{Fields, Rule, Value as Attribute};
use crate::task::TaskStatus;

const PATH: &str = "/v2/tasks";

const MIB: u64 = 1024 * 1024;

#[derive(Serialize)]
struct TaskView<'a> {
    id: &'a str,
    r#type: &'static str,
    status: &'static str,
    owner: Option<&'a ProjectId>,
    created_at: String,
    updated_at: String,
    #[serde(rename = "self")]
    path: String,
    schema: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
    #[serde(flatten)]
    detail: Option<Detail<'a>>,
}

#[derive(Serialize)]
struct Detail<'a> {
    input: Option<Value>,
    result: Option<&'a Value>,
    message: Cow<'a, str>,
}

impl<'a> TaskView<'a> {
    fn listed(task: &'a Task) -> Self {
        Self {
            id: &task.id,
            r#type: task.kind.as_str(),
            status: task.status.as_str(),
            owner: task.owner.as_ref(),
            created_at: rfc3339(task.created_at),
            updated_at: rfc3339(task.updated_at),
            path: format!("{PATH}/{}", task.id),
            schema: "/v2/schemas/task",
            expires_at: task.expires_at.map(rfc3339),
            image_id: task.image.as_deref(),
            request_id: task.request_id.as_deref(),
            user_id: task.user_id.as_deref(),
            detail: None,
        }
    }

    fn whole(task: &'a Task) -> Self {
        Self {
            detail: Some(Detail {
                input: told(task),
                result: task.result.as_ref(),
                message: message(task),
            }),
            ..Self::listed(task)
        }
    }
}

#[derive(Serialize)]
struct Tasks<'a> {
    tasks: Vec<TaskView<'a>>,
    first: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    schema: &'static str,
}

/// `GET /v2/tasks`: a page of tasks.
pub(super) async fn list(
    State(catalog): State<Catalog>,
    State(pages): State<PageLimits>,
    caller: Caller,
    RawQuery(text): RawQuery,
) -> Result<Response, Error> {
    caller.enforce_own(Rule::TasksApiAccess)?;
    caller.enforce_own(Rule::GetTasks)?;
    let pairs = paging::pairs(text.as_deref().unwrap_or_default())?;
    let page = page_of(&catalog, &pages, &caller, &pairs).await?;
    let limit = page.limit;
    let found = catalog.list_tasks(page).await?;
    let is_full = limit > 0 && found.len() == limit as usize;
    let last = found.last().filter(|_| is_full);
    let body = Tasks {
        first: paging::link(PATH, &pairs, None),
        next: last.map(|task| paging::link(PATH, &pairs, Some(&task.id))),
        schema: "/v2/schemas/tasks",
        tasks: found.iter().map(TaskView::listed).collect(),
    };
    Ok(Json(body).into_response())
}

/// `GET /v2/tasks/{id}`.
pub(super) async fn show(
    State(catalog): State<Catalog>,
    caller: Caller,
    _: NoBody,
    NamePath(id): NamePath,
) -> Result<Response, Error> {
    let task = get_task(&catalog, &caller, &id).await?;
    Ok(Json(TaskView::whole(&task)).into_response())
}

/// `DELETE /v2/tasks/{id}`: a task cannot be deleted, but its absence is told first.
pub(super) async fn delete(
    State(catalog): State<Catalog>,
    caller: Caller,
    NamePath(id): NamePath,
) -> Result<Response, Error> {
    get_task(&catalog, &caller, &id).await?;
    Err(Error::MethodNotAllowed {
        method: "DELETE".into(),
        allow: "GET",
    })
}

/// `GET /v2/images/{id}/tasks`: in the raw form that the reference service has here, other than that of `/v2/tasks`.
pub(super) async fn list_of_image(
    State(catalog): State<Catalog>,
    caller: Caller,
    _: NoBody,
    path: ImagePath,
) -> Result<Response, Error> {
    let image = get_visible(&catalog, &caller, &path.id()?).await?;
    caller.enforce_image(Rule::GetImage, &image)?;
    let owner = caller.project().filter(|_| !caller.viewer.is_admin);
    let found = if owner.is_none() && !caller.viewer.is_admin {
        Vec::new()
    } else {
        catalog.list_image_tasks(&image.id, owner).await?
    };
    let tasks: Vec<Value> = found.iter().map(raw).collect();
    Ok(Json(json!({"tasks": tasks})).into_response())
}

async fn get_task(catalog: &Catalog, caller: &Caller, id: &str) -> Result<Task, Error> {
    caller.enforce_own(Rule::TasksApiAccess)?;
    let absent = || Error::NotFound(format!("No task found with ID {id}"));
    let task = catalog.find_task(id).await?.ok_or_else(absent)?;
    let owner = Attribute::text_or_null(task.owner.as_ref().map(ProjectId::as_str));
    let target = [("project_id", owner.clone()), ("owner", owner)];
    let is_theirs = caller.viewer.is_admin || task.owner.as_ref() == caller.project();
    if !is_theirs || !caller.may(Rule::GetTask, &Fields(&target)) {
        return Err(absent());
    }
    Ok(task)
}

async fn page_of(
    catalog: &Catalog,
    limits: &PageLimits,
    caller: &Caller,
    pairs: &Pairs,
) -> Result<TaskPage, Error> {
    let mut page = TaskPage {
        owner: None,
        status: None,
        kind: None,
        sort_key: TaskSortKey::CreatedAt,
        direction: Direction::Descending,
        after: None,
        limit: limits.default,
    };
    for (key, value) in pairs {
        match key.as_str() {
            "limit" => page.limit = paging::limit(key, value)?.min(limits.max),
            "marker" => page.after = Some(marker(catalog, value).await?),
            "sort_key" => {
                page.sort_key = TaskSortKey::find(value).ok_or_else(|| {
                    bad(
                        key,
                        "must be id, type, status, created_at, updated_at or expires_at",
                    )
                })?;
            }
            "sort_dir" => page.direction = paging::direction(key, value)?,
            "status" => {
                page.status =
                    Some(value.parse().map_err(|_| {
                        bad(key, "must be pending, processing, success or failure")
                    })?);
            }
            "type" => {
                page.kind = Some(value.parse().map_err(|_| {
                    bad(key, "must be import, api_image_import or location_import")
                })?);
            }
            "owner" => page.owner = Some(value.as_str().into()),
            _ => return Err(bad(key, "is not known")),
        }
    }
    // Whoever is let in without being an administrator sees its own project's.
    if !caller.viewer.is_admin {
        page.owner = Some(caller.project().cloned().unwrap_or_else(|| "".into()));
    }
    Ok(page)
}

async fn marker(catalog: &Catalog, id: &str) -> Result<String, Error> {
    let is_uuid = id.parse::<ImageId>().is_ok();
    if is_uuid && catalog.find_task(id).await?.is_some() {
        Ok(id.to_owned())
    } else {
        Err(bad("marker", "must be the id of a task"))
    }
}

/// How a task has ended, or how far it is.
fn message(task: &Task) -> Cow<'_, str> {
    match task.progress {
        Some((done, total)) if task.status == TaskStatus::Processing => {
            format!("Copied {} of {} MiB", done / MIB, total.div_ceil(MIB)).into()
        }
        _ => task.message.as_str().into(),
    }
}

/// What the task was told, without what this service has made of it.
fn told(task: &Task) -> Option<Value> {
    let mut input = task.input.clone();
    if let Some(Value::Object(input)) = &mut input {
        input.remove("plan");
    }
    input
}

/// A row as it stands in the reference service's database: times with their fraction and without a zone.
fn raw(task: &Task) -> Value {
    json!({
        "id": task.id,
        "type": task.kind.as_str(),
        "status": task.status.as_str(),
        "owner": task.owner,
        "expires_at": task.expires_at.map(without_zone),
        "created_at": without_zone(task.created_at),
        "updated_at": without_zone(task.updated_at),
        "deleted_at": null,
        "deleted": false,
        "image_id": task.image,
        "request_id": task.request_id,
        "user_id": task.user_id,
        "input": told(task),
        "result": task.result,
        "message": message(task),
    })
}

fn without_zone(micros: Micros) -> String {
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let date = at.date();
    let (hour, minute, second, micro) = at.time().as_hms_micro();
    format!("{date}T{hour:02}:{minute:02}:{second:02}.{micro:06}")
}
