//! `POST /v2/images` (contract 4.4).

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::LOCATION;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::{ImageSettings, rule_of};
use crate::api::caller::Caller;
use crate::api::endpoint::Endpoint;
use crate::api::error::{Error, about};
use crate::api::extract::JsonObject;
use crate::api::imports::Imports;
use crate::api::quotas::Quotas;
use crate::catalog::{Catalog, now};
use crate::image::{CreateRequest, ImageId};
use crate::policy::Rule;

const IMPORT_METHODS: HeaderName = HeaderName::from_static("openstack-image-import-methods");
const STORE_IDS: HeaderName = HeaderName::from_static("openstack-image-store-ids");

/// A new record in status queued.
#[expect(
    clippy::too_many_arguments,
    reason = "each says what the handler can touch"
)]
pub(in crate::api) async fn create(
    State(catalog): State<Catalog>,
    State(settings): State<ImageSettings>,
    State(quotas): State<Quotas>,
    State(imports): State<Imports>,
    State(endpoint): State<Arc<Endpoint>>,
    caller: Caller,
    headers: HeaderMap,
    JsonObject(body, _held): JsonObject,
) -> Result<Response, Error> {
    let request = CreateRequest::parse(&body, &settings.rules())?;
    let project = caller.project().cloned();
    let owner = request.owner.clone().unwrap_or(project);
    let visibility = request.visibility();
    let id = request.id.clone().unwrap_or_else(ImageId::random);
    let image = request.into_image(id.clone(), owner, now());
    if !caller.may_image(Rule::AddImage, &image) {
        return Err(Error::not_allowed(Rule::AddImage));
    }
    let needed = rule_of(visibility);
    if let Some(rule) = needed.filter(|rule| !caller.may_image(*rule, &image)) {
        return Err(Error::not_allowed(rule));
    }
    let limits = quotas.limits_of(image.owner.as_ref()).await?;
    let touched = image.properties.keys().map(String::as_str);
    settings
        .protection
        .check(&caller, touched, &BTreeMap::new(), &image.properties)?;
    let image = catalog
        .create_image(image, limits)
        .await
        .map_err(|e| about(&id, e))?;

    let mut response = (StatusCode::CREATED, Json(settings.view(&caller, &image))).into_response();
    let location = format!("{}/v2/images/{id}", endpoint.request_url(&headers));
    let headers = response.headers_mut();
    if let Ok(location) = HeaderValue::try_from(location) {
        headers.insert(LOCATION, location);
    }
    let methods = imports.methods();
    if !methods.is_empty()
        && let Ok(methods) = HeaderValue::try_from(methods.join(","))
    {
        headers.insert(IMPORT_METHODS, methods);
    }
    let stores: Vec<&str> = settings.stores().iter().map(|store| store.name()).collect();
    if let Ok(stores) = HeaderValue::try_from(stores.join(",")) {
        headers.insert(STORE_IDS, stores);
    }
    Ok(response)
}
