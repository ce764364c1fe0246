//! `/v2/metadefs/namespaces/{namespace}/objects`.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use super::PartPath;
use crate::api::caller::Caller;
use crate::api::error::Error;
use crate::api::extract::{JsonObject, NamePath, NoBody};
use crate::api::{SharedState, no_content};
use crate::metadef::{Object, object_view};
use crate::policy::Rule;

/// The schema of a page, without the slash that every other such link begins with: so the reference service writes it.
const SCHEMA: &str = "v2/schemas/metadefs/objects";

/// A page of objects.
pub(in crate::api) async fn list(
    State(shared): State<SharedState>,
    caller: Caller,
    _: NoBody,
    NamePath(name): NamePath,
    RawQuery(text): RawQuery,
) -> Result<Response, Error> {
    let namespace = shared
        .namespace(&caller, &name, Rule::GetMetadefObjects)
        .await?;
    let query = text.as_deref().unwrap_or_default();
    let shown = (&namespace, Rule::GetMetadefObject);
    let view = |object: &_| object_view(namespace.name(), object);
    let page = shared.page_of_parts(&caller, shown, query, ("objects", SCHEMA), view);
    Ok(Json(page.await?).into_response())
}

/// A new object.
pub(in crate::api) async fn create(
    State(shared): State<SharedState>,
    caller: Caller,
    NamePath(name): NamePath,
    JsonObject(body): JsonObject,
) -> Result<Response, Error> {
    let object = Object::parse(&body)?;
    let namespace = shared
        .namespace(&caller, &name, Rule::AddMetadefObject)
        .await?;
    let created = shared.create_part(&namespace, object).await?;
    let view = Json(object_view(namespace.name(), &created));
    Ok((StatusCode::CREATED, view).into_response())
}

/// Every object disappears.
pub(in crate::api) async fn delete_all(
    State(shared): State<SharedState>,
    caller: Caller,
    _: NoBody,
    NamePath(name): NamePath,
) -> Result<Response, Error> {
    let namespace = shared
        .namespace(&caller, &name, Rule::DeleteMetadefNamespace)
        .await?;
    shared.delete_parts::<Object>(&namespace).await?;
    Ok(no_content())
}

/// An object.
pub(in crate::api) async fn show(
    State(shared): State<SharedState>,
    caller: Caller,
    _: NoBody,
    path: PartPath,
) -> Result<Response, Error> {
    let namespace = shared
        .namespace(&caller, &path.namespace, Rule::GetMetadefObject)
        .await?;
    let object = shared.part(&namespace, &path.part).await?;
    Ok(Json(object_view(namespace.name(), &object)).into_response())
}

/// Replaces an object, its name included.
pub(in crate::api) async fn update(
    State(shared): State<SharedState>,
    caller: Caller,
    path: PartPath,
    JsonObject(body): JsonObject,
) -> Result<Response, Error> {
    let object = Object::parse(&body)?;
    let namespace = shared
        .namespace(&caller, &path.namespace, Rule::ModifyMetadefObject)
        .await?;
    let updated = shared.update_part(&namespace, &path.part, object).await?;
    Ok(Json(object_view(namespace.name(), &updated)).into_response())
}

/// An object disappears.
pub(in crate::api) async fn delete(
    State(shared): State<SharedState>,
    caller: Caller,
    _: NoBody,
    path: PartPath,
) -> Result<Response, Error> {
    let namespace = shared
        .namespace(&caller, &path.namespace, Rule::DeleteMetadefObject)
        .await?;
    shared.delete_part::<Object>(&namespace, &path.part).await?;
    Ok(no_content())
}
