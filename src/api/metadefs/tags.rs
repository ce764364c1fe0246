//! `/v2/metadefs/namespaces/{namespace}/tags`.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, StatusCode};
use serde_json::json;

use super::{
    PartPath, about, create_part, delete_part, delete_parts, get_namespace, get_part, get_writable,
    list_parts, part_page, update_part,
};
use crate::api::caller::Caller;
use crate::api::error::Error;
use crate::api::extract::{JsonObject, NamePath, NoBody};
use crate::api::no_content;
use crate::api::paging;
use crate::catalog::{self, Catalog, Direction};
use crate::metadef::{Dated, Tag, parse_tags, tag_name_view, tag_view};
use crate::policy::Rule;

/// Asks that tags are added to those that are there.
const APPEND: HeaderName = HeaderName::from_static("x-openstack-append");

/// The names of the tags, newest first: all of them unless the query has a limit.
pub(in crate::api) async fn list(
    State(catalog): State<Catalog>,
    caller: Caller,
    _: NoBody,
    NamePath(name): NamePath,
    RawQuery(text): RawQuery,
) -> Result<Response, Error> {
    let namespace = get_namespace(&catalog, &caller, &name, Rule::GetMetadefTags).await?;
    let pairs = paging::pairs(text.as_deref().unwrap_or_default())?;
    let page = part_page(&pairs, Direction::Descending)?;
    let shown = (&namespace, Rule::GetMetadefTag);
    let tags: Vec<Dated<Tag>> = list_parts(&catalog, &caller, shown, page).await?;
    let names: Vec<_> = tags.iter().map(|tag| tag_name_view(&tag.part)).collect();
    Ok(Json(json!({"tags": names})).into_response())
}

/// Several tags, in the place of those that are there unless a header says otherwise.
pub(in crate::api) async fn create_all(
    State(catalog): State<Catalog>,
    caller: Caller,
    headers: HeaderMap,
    NamePath(name): NamePath,
    JsonObject(body, _held): JsonObject,
) -> Result<Response, Error> {
    let tags = parse_tags(&body)?;
    let (namespace, judge) =
        get_writable(&catalog, &caller, &name, &[Rule::AddMetadefTags]).await?;
    let names: Vec<_> = tags.iter().map(tag_name_view).collect();
    let created = catalog.create_tags(&namespace, tags, is_append(&headers), judge);
    created.await.map_err(|e| match e {
        catalog::Error::Taken => Error::Conflict(format!(
            "Namespace '{name}' has one of the tags already; none is added."
        )),
        other => about(&name, other),
    })?;
    let view = Json(json!({"tags": names}));
    Ok((StatusCode::CREATED, view).into_response())
}

/// Every tag disappears.
pub(in crate::api) async fn delete_all(
    State(catalog): State<Catalog>,
    caller: Caller,
    _: NoBody,
    NamePath(name): NamePath,
) -> Result<Response, Error> {
    let rules = &[Rule::DeleteMetadefNamespace, Rule::DeleteMetadefTags];
    let writable = get_writable(&catalog, &caller, &name, rules).await?;
    delete_parts::<Tag>(&catalog, writable).await?;
    Ok(no_content())
}

/// A tag.
pub(in crate::api) async fn show(
    State(catalog): State<Catalog>,
    caller: Caller,
    _: NoBody,
    path: PartPath,
) -> Result<Response, Error> {
    let namespace = get_namespace(&catalog, &caller, &path.namespace, Rule::GetMetadefTag).await?;
    let tag = get_part(&catalog, &namespace, &path.part).await?;
    Ok(Json(tag_view(&tag)).into_response())
}

/// A new tag of the name in the path.
pub(in crate::api) async fn create(
    State(catalog): State<Catalog>,
    caller: Caller,
    _: NoBody,
    path: PartPath,
) -> Result<Response, Error> {
    let tag = Tag::named(&path.part)?;
    let writable = get_writable(&catalog, &caller, &path.namespace, &[Rule::AddMetadefTag]).await?;
    let created = create_part(&catalog, writable, tag).await?;
    Ok((StatusCode::CREATED, Json(tag_view(&created))).into_response())
}

/// Gives a tag another name.
pub(in crate::api) async fn update(
    State(catalog): State<Catalog>,
    caller: Caller,
    path: PartPath,
    JsonObject(body, _held): JsonObject,
) -> Result<Response, Error> {
    let tag = Tag::parse(&body)?;
    let writable = get_writable(
        &catalog,
        &caller,
        &path.namespace,
        &[Rule::ModifyMetadefTag],
    )
    .await?;
    let updated = update_part(&catalog, writable, &path.part, tag).await?;
    Ok(Json(tag_view(&updated)).into_response())
}

/// A tag disappears.
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
        &[Rule::DeleteMetadefTag],
    )
    .await?;
    delete_part::<Tag>(&catalog, writable, &path.part).await?;
    Ok(no_content())
}

/// The words for yes are those of the reference service.
fn is_append(headers: &HeaderMap) -> bool {
    let value = headers.get(APPEND).and_then(|value| value.to_str().ok());
    let word = value.map(|text| text.trim().to_ascii_lowercase());
    matches!(
        word.as_deref(),
        Some("true" | "t" | "yes" | "y" | "on" | "1")
    )
}
