//! `/v2/info/…` (contract 1.7): what the site has to offer.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};

use super::Shared;
use super::caller::Caller;
use super::error::Error;
use super::extract::NoBody;
use crate::policy::Rule;
use crate::store::Store;

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
pub(super) async fn import(_: Caller, _: NoBody) -> Response {
    let methods = json!({
        "import-methods": {
            "description": "Import methods available.",
            "type": "array",
            "value": [],
        },
    });
    Json(methods).into_response()
}

/// `GET /v2/info/stores`: the stores an upload may name.
pub(super) async fn stores(State(shared): State<Shared>, _: Caller, _: NoBody) -> Response {
    let stores = shared.transfers.stores();
    let default = stores.default().name();
    let views: Vec<StoreView> = stores.iter().map(|store| view(store, default)).collect();
    Json(json!({"stores": views})).into_response()
}

/// `GET /v2/info/stores/detail`: how they are set up, in the words of the reference service's S3 driver.
pub(super) async fn stores_detail(
    State(shared): State<Shared>,
    caller: Caller,
    _: NoBody,
) -> Result<Response, Error> {
    caller.enforce_own(Rule::StoresInfoDetail)?;
    let stores = shared.transfers.stores();
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

/// `GET /v2/info/usage`: what the caller's project uses of its limits; empty while there are none.
pub(super) async fn usage(_: Caller, _: NoBody) -> Response {
    Json(json!({"usage": {}})).into_response()
}

fn view<'a>(store: &'a Store, default: &str) -> StoreView<'a> {
    StoreView {
        id: store.name(),
        description: store.description(),
        default: (store.name() == default).then_some("true"),
    }
}
