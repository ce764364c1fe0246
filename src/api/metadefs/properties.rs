//! `/v2/metadefs/namespaces/{namespace}/properties`.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;

use super::namespaces::resource_type;
use super::{
    PartPath, create_part, delete_part, delete_parts, enforce, get_namespace, get_part,
    get_writable, may, no_part, update_part,
};
use crate::api::caller::Caller;
use crate::api::error::Error;
use crate::api::extract::{JsonObject, NamePath, NoBody};
use crate::api::no_content;
use crate::api::paging;
use crate::catalog::Catalog;
use crate::metadef::{Association, Dated, Property, property_map, property_view};
use crate::policy::Rule;

/// Every property by name.
pub(in crate::api) async fn list(
    State(catalog): State<Catalog>,
    caller: Caller,
    _: NoBody,
    NamePath(name): NamePath,
) -> Result<Response, Error> {
    let namespace = get_namespace(&catalog, &caller, &name, Rule::GetMetadefProperties).await?;
    let properties: Vec<Dated<Property>> = catalog.all_parts(&namespace).await?;
    let is_seen = may(&caller, Rule::GetMetadefProperty, &namespace.attributes);
    let seen = properties.iter().filter(|_| is_seen);
    let map = property_map(seen.map(|dated| &dated.part));
    Ok(Json(json!({"properties": map})).into_response())
}

/// A new property.
pub(in crate::api) async fn create(
    State(catalog): State<Catalog>,
    caller: Caller,
    NamePath(name): NamePath,
    JsonObject(body, _held): JsonObject,
) -> Result<Response, Error> {
    let property = Property::parse(&body)?;
    let writable = get_writable(&catalog, &caller, &name, &[Rule::AddMetadefProperty]).await?;
    let created = create_part(&catalog, writable, property).await?;
    let view = Json(property_view(&created.part));
    Ok((StatusCode::CREATED, view).into_response())
}

/// Every property disappears.
pub(in crate::api) async fn delete_all(
    State(catalog): State<Catalog>,
    caller: Caller,
    _: NoBody,
    NamePath(name): NamePath,
) -> Result<Response, Error> {
    let writable = get_writable(&catalog, &caller, &name, &[Rule::DeleteMetadefNamespace]).await?;
    delete_parts::<Property>(&catalog, writable).await?;
    Ok(no_content())
}

/// A property; for a resource type, by its name with the prefix, and under that name.
pub(in crate::api) async fn show(
    State(catalog): State<Catalog>,
    caller: Caller,
    _: NoBody,
    path: PartPath,
    RawQuery(text): RawQuery,
) -> Result<Response, Error> {
    let pairs = paging::pairs(text.as_deref().unwrap_or_default())?;
    let namespace =
        get_namespace(&catalog, &caller, &path.namespace, Rule::GetMetadefProperty).await?;
    let mut name = path.part.as_str();
    if let Some(resource_type) = resource_type(&pairs) {
        enforce(&caller, Rule::GetMetadefResourceType, &namespace.attributes)?;
        let association: Dated<Association> = get_part(&catalog, &namespace, resource_type).await?;
        let prefix = association.part.prefix.unwrap_or_default();
        let without = name.strip_prefix(prefix.as_str());
        name = without.ok_or_else(|| {
            Error::NotFound(format!(
                "Property '{name}' does not begin with '{prefix}', the prefix for '{resource_type}'."
            ))
        })?;
    }
    let found = get_part::<Property>(&catalog, &namespace, name).await;
    // In the words of the request: the client does not know the name without the prefix.
    let mut property = found.map_err(|e| match e {
        Error::NotFound(_) => no_part::<Property>(&namespace, &path.part),
        other => other,
    })?;
    property.part.name = path.part;
    Ok(Json(property_view(&property.part)).into_response())
}

/// Replaces a property, its name included.
pub(in crate::api) async fn update(
    State(catalog): State<Catalog>,
    caller: Caller,
    path: PartPath,
    JsonObject(body, _held): JsonObject,
) -> Result<Response, Error> {
    let property = Property::parse(&body)?;
    let writable = get_writable(
        &catalog,
        &caller,
        &path.namespace,
        &[Rule::ModifyMetadefProperty],
    )
    .await?;
    let updated = update_part(&catalog, writable, &path.part, property).await?;
    Ok(Json(property_view(&updated.part)).into_response())
}

/// A property disappears.
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
        &[Rule::RemoveMetadefProperty],
    )
    .await?;
    delete_part::<Property>(&catalog, writable, &path.part).await?;
    Ok(no_content())
}
