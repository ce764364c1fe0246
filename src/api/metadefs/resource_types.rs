//! `/v2/metadefs/resource_types`, and the associations of a namespace with them.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::{Value, json};

use super::{PartPath, create_part, delete_part, enforce_own, get_namespace, get_writable};
use crate::api::caller::Caller;
use crate::api::error::Error;
use crate::api::extract::{JsonObject, NamePath, NoBody};
use crate::api::no_content;
use crate::catalog::Catalog;
use crate::metadef::{Association, Dated, association_view, resource_type_view};
use crate::policy::Rule;

/// Every resource type that namespaces are or were for.
pub(in crate::api) async fn list_all(
    State(catalog): State<Catalog>,
    caller: Caller,
    _: NoBody,
) -> Result<Response, Error> {
    enforce_own(&caller, Rule::ListMetadefResourceTypes)?;
    let types = catalog.list_resource_types().await?;
    let views: Vec<Value> = types.iter().map(resource_type_view).collect();
    Ok(Json(json!({"resource_types": views})).into_response())
}

/// What a namespace is for.
pub(in crate::api) async fn list(
    State(catalog): State<Catalog>,
    caller: Caller,
    _: NoBody,
    NamePath(name): NamePath,
) -> Result<Response, Error> {
    let namespace = get_namespace(&catalog, &caller, &name, Rule::GetMetadefResourceType).await?;
    let associations: Vec<Dated<Association>> = catalog.all_parts(&namespace).await?;
    let views: Vec<Value> = associations.iter().map(association_view).collect();
    Ok(Json(json!({"resource_type_associations": views})).into_response())
}

/// A new association. A resource type that is not known yet becomes known.
pub(in crate::api) async fn create(
    State(catalog): State<Catalog>,
    caller: Caller,
    NamePath(name): NamePath,
    JsonObject(body, _held): JsonObject,
) -> Result<Response, Error> {
    let association = Association::parse(&body)?;
    let writable = get_writable(
        &catalog,
        &caller,
        &name,
        &[Rule::AddMetadefResourceTypeAssociation],
    )
    .await?;
    let created = create_part(&catalog, writable, association).await?;
    let view = Json(association_view(&created));
    Ok((StatusCode::CREATED, view).into_response())
}

/// Ends an association; the resource type stays known.
pub(in crate::api) async fn delete(
    State(catalog): State<Catalog>,
    caller: Caller,
    _: NoBody,
    path: PartPath,
) -> Result<Response, Error> {
    let rules = &[Rule::RemoveMetadefResourceTypeAssociation];
    let writable = get_writable(&catalog, &caller, &path.namespace, rules).await?;
    delete_part::<Association>(&catalog, writable, &path.part).await?;
    Ok(no_content())
}
