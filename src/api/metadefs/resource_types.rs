//! `/v2/metadefs/resource_types`, and the associations of a namespace with them.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::{Value, json};

use super::{PartPath, enforce_own};
use crate::api::caller::Caller;
use crate::api::error::Error;
use crate::api::extract::{JsonObject, NamePath, NoBody};
use crate::api::{SharedState, no_content};
use crate::metadef::{Association, Dated, association_view, resource_type_view};
use crate::policy::Rule;

/// Every resource type that namespaces are or were for.
pub(in crate::api) async fn list_all(
    State(shared): State<SharedState>,
    caller: Caller,
    _: NoBody,
) -> Result<Response, Error> {
    enforce_own(&caller, Rule::ListMetadefResourceTypes)?;
    let types = shared.catalog.list_resource_types().await?;
    let views: Vec<Value> = types.iter().map(resource_type_view).collect();
    Ok(Json(json!({"resource_types": views})).into_response())
}

/// What a namespace is for.
pub(in crate::api) async fn list(
    State(shared): State<SharedState>,
    caller: Caller,
    _: NoBody,
    NamePath(name): NamePath,
) -> Result<Response, Error> {
    let namespace = shared
        .namespace(&caller, &name, Rule::GetMetadefResourceType)
        .await?;
    let associations: Vec<Dated<Association>> = shared.catalog.all_parts(&namespace).await?;
    let views: Vec<Value> = associations.iter().map(association_view).collect();
    Ok(Json(json!({"resource_type_associations": views})).into_response())
}

/// A new association. A resource type that is not known yet becomes known.
pub(in crate::api) async fn create(
    State(shared): State<SharedState>,
    caller: Caller,
    NamePath(name): NamePath,
    JsonObject(body): JsonObject,
) -> Result<Response, Error> {
    let association = Association::parse(&body)?;
    let writable = shared
        .writable(&caller, &name, &[Rule::AddMetadefResourceTypeAssociation])
        .await?;
    let created = shared.create_part(writable, association).await?;
    let view = Json(association_view(&created));
    Ok((StatusCode::CREATED, view).into_response())
}

/// Ends an association; the resource type stays known.
pub(in crate::api) async fn delete(
    State(shared): State<SharedState>,
    caller: Caller,
    _: NoBody,
    path: PartPath,
) -> Result<Response, Error> {
    let rules = &[Rule::RemoveMetadefResourceTypeAssociation];
    let writable = shared.writable(&caller, &path.namespace, rules).await?;
    shared
        .delete_part::<Association>(writable, &path.part)
        .await?;
    Ok(no_content())
}
