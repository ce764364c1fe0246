//! `/v2/metadefs/namespaces/{namespace}/objects`.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;
use serde_json::Value;

use super::{
    PartPath, create_part, delete_part, delete_parts, get_namespace, get_part, get_writable,
    list_parts, part_page, update_part,
};
use crate::api::caller::Caller;
use crate::api::error::Error;
use crate::api::extract::{JsonObject, NamePath, NoBody};
use crate::api::no_content;
use crate::api::paging;
use crate::catalog::{Catalog, Direction};
use crate::metadef::{Dated, Object, namespace_path, object_view};
use crate::policy::Rule;

/// The schema of a page, without the slash that every other such link begins with: so the reference service writes it.
const SCHEMA: &str = "v2/schemas/metadefs/objects";

/// What asks for a page. The reference service passes over all of these, so its clients send none of them.
const PAGING: [&str; 4] = ["limit", "marker", "sort_key", "sort_dir"];

#[derive(Serialize)]
struct Objects {
    objects: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    schema: &'static str,
}

/// Every object, or a page of them with its links when the query asks for one.
pub(in crate::api) async fn list(
    State(catalog): State<Catalog>,
    caller: Caller,
    _: NoBody,
    NamePath(name): NamePath,
    RawQuery(text): RawQuery,
) -> Result<Response, Error> {
    let namespace = get_namespace(&catalog, &caller, &name, Rule::GetMetadefObjects).await?;
    let pairs = paging::pairs(text.as_deref().unwrap_or_default())?;
    let page = part_page(&pairs, Direction::Ascending)?;
    let limit = page.limit.map(|limit| limit as usize);
    let shown = (&namespace, Rule::GetMetadefObject);
    let objects: Vec<Dated<Object>> = list_parts(&catalog, &caller, shown, page).await?;
    let path = format!("{}/objects", namespace_path(namespace.name()));
    let is_paged = pairs.iter().any(|(key, _)| PAGING.contains(&key.as_str()));
    let last = objects.last().filter(|_| limit == Some(objects.len()));
    let view = |object| object_view(namespace.name(), object);
    let body = Objects {
        objects: objects.iter().map(view).collect(),
        first: is_paged.then(|| paging::link(&path, &pairs, None)),
        next: last.map(|last| paging::link(&path, &pairs, Some(&last.part.name))),
        schema: SCHEMA,
    };
    Ok(Json(body).into_response())
}

/// A new object.
pub(in crate::api) async fn create(
    State(catalog): State<Catalog>,
    caller: Caller,
    NamePath(name): NamePath,
    JsonObject(body, _held): JsonObject,
) -> Result<Response, Error> {
    let object = Object::parse(&body)?;
    let writable = get_writable(&catalog, &caller, &name, &[Rule::AddMetadefObject]).await?;
    let created = create_part(&catalog, writable, object).await?;
    let view = Json(object_view(&name, &created));
    Ok((StatusCode::CREATED, view).into_response())
}

/// Every object disappears.
pub(in crate::api) async fn delete_all(
    State(catalog): State<Catalog>,
    caller: Caller,
    _: NoBody,
    NamePath(name): NamePath,
) -> Result<Response, Error> {
    let writable = get_writable(&catalog, &caller, &name, &[Rule::DeleteMetadefNamespace]).await?;
    delete_parts::<Object>(&catalog, writable).await?;
    Ok(no_content())
}

/// An object.
pub(in crate::api) async fn show(
    State(catalog): State<Catalog>,
    caller: Caller,
    _: NoBody,
    path: PartPath,
) -> Result<Response, Error> {
    let namespace =
        get_namespace(&catalog, &caller, &path.namespace, Rule::GetMetadefObject).await?;
    let object = get_part(&catalog, &namespace, &path.part).await?;
    Ok(Json(object_view(namespace.name(), &object)).into_response())
}

/// Replaces an object, its name included.
pub(in crate::api) async fn update(
    State(catalog): State<Catalog>,
    caller: Caller,
    path: PartPath,
    JsonObject(body, _held): JsonObject,
) -> Result<Response, Error> {
    let object = Object::parse(&body)?;
    let writable = get_writable(
        &catalog,
        &caller,
        &path.namespace,
        &[Rule::ModifyMetadefObject],
    )
    .await?;
    let updated = update_part(&catalog, writable, &path.part, object).await?;
    Ok(Json(object_view(&path.namespace, &updated)).into_response())
}

/// An object disappears.
pub(in crate::api) async fn delete(
    State(catalog): State<Catalog>,
    caller: Caller,
    _: NoBody,
    path: PartPath,
) -> Result<Response, Error> {
    let writable = get_writable(
        &catalog,
        &caller,
        &path.namespace,
        &[Rule::DeleteMetadefObject],
    )
    .await?;
    delete_part::<Object>(&catalog, writable, &path.part).await?;
    Ok(no_content())
}
