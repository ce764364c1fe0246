//! `/v2/metadefs/namespaces`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::header::LOCATION;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::Value;

use super::{about, enforce, enforce_own, get_namespace, get_writable, may, no_namespace};
use crate::api::caller::Caller;
use crate::api::endpoint::Endpoint;
use crate::api::error::Error;
use crate::api::extract::{JsonObject, NamePath, NoBody};
use crate::api::no_content;
use crate::api::paging::{self, PageLimits, Pairs, bad};
use crate::catalog::{self, Catalog, Direction, NamespacePage, NamespaceSortKey};
use crate::metadef::{Attributes, Contents, Definition, namespace_path, namespace_view};
use crate::policy::Rule;

const PATH: &str = "/v2/metadefs/namespaces";

#[derive(Serialize)]
struct Namespaces {
    namespaces: Vec<Value>,
    first: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    schema: &'static str,
}

/// A page of namespaces the caller sees, each with the resource types it is for.
pub(in crate::api) async fn list(
    State(catalog): State<Catalog>,
    State(pages): State<PageLimits>,
    caller: Caller,
    _: NoBody,
    RawQuery(text): RawQuery,
) -> Result<Response, Error> {
    let pairs = paging::pairs(text.as_deref().unwrap_or_default())?;
    let (mut page, marker) = page_of(&pages, &caller, &pairs)?;
    enforce_own(&caller, Rule::GetMetadefNamespaces)?;
    enforce_own(&caller, Rule::ListMetadefResourceTypes)?;
    if let Some(name) = marker {
        page.after = Some(match catalog.find_namespace(name).await? {
            Some(namespace) if namespace.is_seen_by(&caller.viewer) => namespace.id,
            // As the reference service: here, and only here, hidden and absent differ.
            Some(_) => {
                return Err(Error::Forbidden(format!(
                    "You are not authorized to use namespace '{name}' as a marker."
                )));
            }
            None => return Err(no_namespace(name)),
        });
    }
    let limit = page.limit.unwrap_or_default();
    let found = catalog.list_namespaces(page).await?;
    // A full page may be the last one; the next is then empty. Clients expect just that.
    let is_full = limit > 0 && found.len() == limit as usize;
    let last = found.last().filter(|_| is_full);
    let seen = found
        .iter()
        .filter(|(namespace, _)| may(&caller, Rule::GetMetadefNamespace, &namespace.attributes));
    let body = Namespaces {
        namespaces: seen
            .map(|(namespace, contents)| namespace_view(namespace, contents))
            .collect(),
        next: last.map(|(namespace, _)| paging::link(PATH, &pairs, Some(namespace.name()))),
        first: paging::link(PATH, &pairs, None),
        schema: "/v2/schemas/metadefs/namespaces",
    };
    Ok(Json(body).into_response())
}

/// A new namespace with what is in it, all or nothing.
pub(in crate::api) async fn create(
    State(catalog): State<Catalog>,
    State(endpoint): State<Arc<Endpoint>>,
    caller: Caller,
    headers: HeaderMap,
    JsonObject(body, _held): JsonObject,
) -> Result<Response, Error> {
    let definition = Definition::parse(&body, caller.project().cloned())?;
    let rules = [
        (Rule::AddMetadefNamespace, true),
        (
            Rule::AddMetadefResourceTypeAssociation,
            !definition.associations.is_empty(),
        ),
        (Rule::AddMetadefObject, !definition.objects.is_empty()),
        (Rule::AddMetadefProperty, !definition.properties.is_empty()),
        (Rule::AddMetadefTag, !definition.tags.is_empty()),
    ];
    for (rule, is_asked) in rules {
        if is_asked && !may(&caller, rule, &definition.attributes) {
            // What is not there yet cannot be hidden: who may read definitions of his own learns that he may not write.
            enforce_own(&caller, Rule::GetMetadefNamespace)?;
            return Err(Error::not_allowed(rule));
        }
    }
    let name = definition.attributes.name.clone();
    let created = catalog.create_namespace(definition).await;
    let (namespace, contents) = created.map_err(|e| about(&name, e))?;
    let view = Json(namespace_view(&namespace, &contents));
    let mut response = (StatusCode::CREATED, view).into_response();
    let location = format!(
        "{}{}",
        endpoint.request_url(&headers),
        namespace_path(&name)
    );
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// A namespace with everything in it; for a resource type, with its prefix.
pub(in crate::api) async fn show(
    State(catalog): State<Catalog>,
    caller: Caller,
    _: NoBody,
    NamePath(name): NamePath,
    RawQuery(text): RawQuery,
) -> Result<Response, Error> {
    let pairs = paging::pairs(text.as_deref().unwrap_or_default())?;
    let namespace = get_namespace(&catalog, &caller, &name, Rule::GetMetadefNamespace).await?;
    for rule in [
        Rule::ListMetadefResourceTypes,
        Rule::GetMetadefObjects,
        Rule::GetMetadefProperties,
        Rule::GetMetadefTags,
    ] {
        enforce(&caller, rule, &namespace.attributes)?;
    }
    let mut contents = catalog.namespace_contents(&namespace).await?;
    // As the list of tags has them: newest first.
    contents.tags.reverse();
    if let Some(resource_type) = resource_type(&pairs) {
        contents.prefix_for(resource_type);
    }
    Ok(Json(namespace_view(&namespace, &contents)).into_response())
}

/// Replaces the attributes; what is in the namespace stays.
pub(in crate::api) async fn update(
    State(catalog): State<Catalog>,
    caller: Caller,
    NamePath(name): NamePath,
    JsonObject(body, _held): JsonObject,
) -> Result<Response, Error> {
    let attributes = Attributes::parse(&body, caller.project().cloned())?;
    let (namespace, judge) =
        get_writable(&catalog, &caller, &name, &[Rule::ModifyMetadefNamespace]).await?;
    // Of the namespace as it will be as well: else it could be given to a project where the caller has no say.
    if !may(&caller, Rule::ModifyMetadefNamespace, &attributes) {
        return Err(Error::not_allowed(Rule::ModifyMetadefNamespace));
    }
    let new_name = attributes.name.clone();
    let updated = catalog.update_namespace(&namespace.id, attributes, judge);
    let namespace = updated.await.map_err(|e| match e {
        catalog::Error::NoNamespace => no_namespace(&name),
        other => about(&new_name, other),
    })?;
    Ok(Json(namespace_view(&namespace, &Contents::default())).into_response())
}

/// The namespace disappears with everything in it.
pub(in crate::api) async fn delete(
    State(catalog): State<Catalog>,
    caller: Caller,
    _: NoBody,
    NamePath(name): NamePath,
) -> Result<Response, Error> {
    let (namespace, judge) =
        get_writable(&catalog, &caller, &name, &[Rule::DeleteMetadefNamespace]).await?;
    let deleted = catalog.delete_namespace(&namespace.id, judge).await;
    deleted.map_err(|e| about(&name, e))?;
    Ok(no_content())
}

/// The resource type that names are wanted for.
pub(super) fn resource_type(pairs: &Pairs) -> Option<&str> {
    let mut pairs = pairs.iter().rev();
    let given = pairs.find(|(key, _)| key == "resource_type");
    given.map(|(_, value)| value.as_str())
}

/// The page, and the name of the namespace that it is to come after.
fn page_of<'a>(
    limits: &PageLimits,
    caller: &Caller,
    pairs: &'a Pairs,
) -> Result<(NamespacePage, Option<&'a str>), Error> {
    let (mut limit, mut marker) = (limits.default.min(limits.max), None);
    let mut page = NamespacePage {
        viewer: caller.viewer.clone(),
        visibility: None,
        resource_types: None,
        sort_key: NamespaceSortKey::CreatedAt,
        direction: Direction::Descending,
        after: None,
        limit: None,
    };
    let mut listed = 0;
    for (key, value) in pairs {
        match key.as_str() {
            "limit" => limit = paging::limit(key, value)?.min(limits.max),
            "marker" => marker = Some(value.as_str()),
            "sort_dir" => page.direction = paging::direction(key, value)?,
            "sort_key" => {
                let known = NamespaceSortKey::find(value);
                page.sort_key =
                    known.ok_or_else(|| bad(key, "must be namespace, created_at or updated_at"))?;
            }
            "visibility" => {
                let known = value.parse();
                page.visibility = Some(known.map_err(|_| bad(key, "must be public or private"))?);
            }
            "resource_types" => {
                paging::list(key, value.split(',').count(), &mut listed)?;
                let names = value
                    .split(',')
                    .map(str::trim)
                    .filter(|name| !name.is_empty());
                let mut names = names.map(str::to_owned).peekable();
                if names.peek().is_some() {
                    page.resource_types.get_or_insert_default().extend(names);
                }
            }
            // As in the reference service, which takes any word for a filter and looks at these only.
            _ => {}
        }
    }
    page.limit = Some(limit);
    Ok((page, marker))
}
