//! `/v2/info/…` (contract 1.7): what the site has to offer.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};

use super::caller::Caller;
use super::error::Error;
use super::extract::NoBody;
use super::imports::Imports;
use super::quotas::Quotas;
use crate::catalog::Catalog;
use crate::image::ProjectId;
use crate::policy::Rule;
use crate::store::{Store, Stores};

/// A site's store. `default` is the text `true`, or not there.
#[derive(Serialize)]
struct StoreView<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<&'static str>,
}

#[derive(Serialize)]
struct DetailView<'a> {
    #[serde(flatten)]
    store: StoreView<'a>,
    r#type: &'static str,
    weight: i32,
    properties: Value,
}

/// `GET /v2/info/import`: the ways to import.
pub(super) async fn import(State(imports): State<Imports>, _: Caller, _: NoBody) -> Response {
    let methods = json!({
        "import-methods": {
            "description": "Import methods available.",
            "type": "array",
            "value": imports.methods(),
        },
    });
    Json(methods).into_response()
}

/// `GET /v2/info/stores`: the stores an upload may name.
pub(super) async fn stores(State(stores): State<Arc<Stores>>, _: Caller, _: NoBody) -> Response {
    let default = stores.default().name();
    let views: Vec<StoreView> = stores.iter().map(|store| view(store, default)).collect();
    Json(json!({"stores": views})).into_response()
}

/// `GET /v2/info/stores/detail`: how they are set up, in the words of the reference service's S3 driver.
pub(super) async fn stores_detail(
    State(stores): State<Arc<Stores>>,
    caller: Caller,
    _: NoBody,
) -> Result<Response, Error> {
    caller.enforce_own(Rule::StoresInfoDetail)?;
    let default = stores.default().name();
    let views: Vec<DetailView> = stores
        .iter()
        .map(|store| DetailView {
            store: view(store, default),
            r#type: "s3",
            weight: store.weight(),
            properties: json!({
                // A body within one part is one PutObject; a longer one is sent in parts.
                "s3_store_large_object_size": store.part_size(),
                "s3_store_large_object_chunk_size": store.part_size(),
                "s3_store_thread_pools": store.parts_in_flight(),
            }),
        })
        .collect();
    Ok(Json(json!({"stores": views})).into_response())
}

/// `GET /v2/info/usage`: what the caller's project uses of its limits; empty where there are none. No limit is -1.
pub(super) async fn usage(
    State(catalog): State<Catalog>,
    State(quotas): State<Quotas>,
    caller: Caller,
    _: NoBody,
) -> Result<Response, Error> {
    let limits = match caller.project() {
        Some(project) => quotas.find_limits(project).await?,
        None => None,
    };
    let Some(limits) = limits else {
        return Ok(Json(json!({"usage": {}})).into_response());
    };
    let usage = catalog
        .usage(caller.project().map(ProjectId::as_str))
        .await?;
    let entry = |usage: u64, limit: Option<u64>| {
        let limit = limit.map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX));
        json!({"usage": usage, "limit": limit})
    };
    let usage = json!({"usage": {
        "image_size_total": entry(usage.mib(), limits.size_total),
        "image_stage_total": entry(usage.staged_mib(), limits.stage_total),
        "image_count_total": entry(usage.images, limits.count_total),
        "image_count_uploading": entry(usage.uploading, limits.count_uploading),
    }});
    Ok(Json(usage).into_response())
}

fn view<'a>(store: &'a Store, default: &str) -> StoreView<'a> {
    StoreView {
        id: store.name(),
        description: store.description(),
        default: (store.name() == default).then_some("true"),
    }
}
