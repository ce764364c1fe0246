//! Where image data is: `GET /v2/images/{id}/locations` (contract 6.7) and `DELETE /v2/stores/{store}/{id}` (1.6).

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::response::{IntoResponse, Response};
use http::request::Parts as RequestParts;

use super::settings::locations;
use super::{get_visible, remove_now};
use crate::api::caller::Caller;
use crate::api::error::{Error, about};
use crate::api::extract::{ImagePath, NoBody, path_of};
use crate::api::no_content;
use crate::catalog::{self, Catalog};
use crate::image::{Status, StoreId};
use crate::policy::Rule;
use crate::store::Stores;
use crate::transfer::Transfers;

/// Every copy, for services that read the store themselves.
pub(in crate::api) async fn list(
    State(catalog): State<Catalog>,
    State(stores): State<Arc<Stores>>,
    caller: Caller,
    _: NoBody,
    path: ImagePath,
) -> Result<Response, Error> {
    let image = get_visible(&catalog, &caller, &path.id()?).await?;
    caller.enforce_image(Rule::FetchImageLocation, &image)?;
    Ok(Json(locations(&stores, &image)).into_response())
}

/// The store and the image in the path.
pub(in crate::api) struct StoreImagePath {
    store: String,
    image: ImagePath,
}

impl<S: Sync> FromRequestParts<S> for StoreImagePath {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut RequestParts, _: &S) -> Result<Self, Error> {
        let (store, image) = path_of(parts).await?;
        Ok(Self {
            store,
            image: ImagePath::new(image),
        })
    }
}

/// Removes the copy in one store; the last one stays.
pub(in crate::api) async fn delete_from_store(
    State(catalog): State<Catalog>,
    State(transfers): State<Arc<Transfers>>,
    caller: Caller,
    _: NoBody,
    path: StoreImagePath,
) -> Result<Response, Error> {
    let StoreImagePath { store, image } = path;
    if transfers.stores().find(&store).is_none() {
        return Err(Error::Conflict(format!("Store '{store}' does not exist.")));
    }
    let store = StoreId::from(store.as_str());
    let id = image.id()?;
    let found = get_visible(&catalog, &caller, &id).await?;
    caller.enforce_image(Rule::GetImageLocation, &found)?;
    caller.enforce_image(Rule::DeleteImageLocation, &found)?;
    let judge = caller.judge(&[Rule::GetImageLocation, Rule::DeleteImageLocation]);
    let removed = catalog.delete_location(&id, &store, judge).await;
    let garbage = removed.map_err(|e| match e {
        catalog::Error::Transition(step) => Error::Conflict(format!(
            "Data can only be removed from a store while the image is {}; it is {}.",
            Status::Active,
            step.from
        )),
        catalog::Error::Missing => {
            Error::NotFound(format!("Image {id} has no data in store '{store}'."))
        }
        e => about(&id, e),
    })?;
    remove_now(&transfers, vec![garbage]).await;
    Ok(no_content())
}
