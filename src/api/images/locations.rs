//! Where image data is: `GET /v2/images/{id}/locations` (contract 6.7) and `DELETE /v2/stores/{store}/{id}` (1.6).

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::response::{IntoResponse, Response};
use http::request::Parts as RequestParts;

use crate::api::caller::Caller;
use crate::api::error::{Error, about};
use crate::api::extract::{ImagePath, NoBody, path_of};
use crate::api::{SharedState, no_content};
use crate::catalog;
use crate::image::{Status, StoreId};
use crate::policy::Rule;

/// Every copy, for services that read the store themselves.
pub(in crate::api) async fn list(
    State(shared): State<SharedState>,
    caller: Caller,
    _: NoBody,
    path: ImagePath,
) -> Result<Response, Error> {
    let image = shared.visible_image(&caller, &path.id()?).await?;
    shared.enforce(&caller, Rule::FetchImageLocation, &image)?;
    Ok(Json(shared.locations(&image)).into_response())
}

/// The store and the image in the path.
pub(in crate::api) struct StoreImagePath {
    store: String,
    image: ImagePath,
}

impl FromRequestParts<SharedState> for StoreImagePath {
    type Rejection = Error;

    async fn from_request_parts(
        parts: &mut RequestParts,
        shared: &SharedState,
    ) -> Result<Self, Error> {
        let (store, image) = path_of(parts, shared).await?;
        Ok(Self {
            store,
            image: ImagePath::new(image),
        })
    }
}

/// Removes the copy in one store; the last one stays.
pub(in crate::api) async fn delete_from_store(
    State(shared): State<SharedState>,
    caller: Caller,
    _: NoBody,
    path: StoreImagePath,
) -> Result<Response, Error> {
    let StoreImagePath { store, image } = path;
    if shared.transfers.stores().find(&store).is_none() {
        return Err(Error::Conflict(format!("Store '{store}' does not exist.")));
    }
    let store = StoreId::from(store.as_str());
    let id = image.id()?;
    let found = shared.visible_image(&caller, &id).await?;
    shared.enforce(&caller, Rule::GetImageLocation, &found)?;
    shared.enforce(&caller, Rule::DeleteImageLocation, &found)?;
    let judge = caller.judge(&[Rule::GetImageLocation, Rule::DeleteImageLocation]);
    let removed = shared.catalog.delete_location(&id, &store, judge).await;
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
    shared.remove_now(vec![garbage]).await;
    Ok(no_content())
}
