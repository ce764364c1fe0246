//! `DELETE /v2/images/{id}` (contract 4.6).

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use super::{get_visible, remove_now};
use crate::api::caller::Caller;
use crate::api::error::{Error, about};
use crate::api::extract::{ImagePath, NoBody};
use crate::api::no_content;
use crate::catalog::Catalog;
use crate::policy::Rule;
use crate::transfer::Transfers;

/// The record disappears, then the bytes. An upload under way runs to its end and gets 410.
pub(in crate::api) async fn delete(
    State(catalog): State<Catalog>,
    State(transfers): State<Arc<Transfers>>,
    caller: Caller,
    _: NoBody,
    path: ImagePath,
) -> Result<Response, Error> {
    let absent = |_| Error::NotFound(format!("Failed to find image {path} to delete"));
    let id = path.id().map_err(absent)?;
    let image = match get_visible(&catalog, &caller, &id).await {
        Err(Error::NotFound(text)) => return Err(absent(Error::NotFound(text))),
        found => found?,
    };
    caller.enforce_image(Rule::DeleteImage, &image)?;
    let garbage = catalog
        .delete_image(&id, caller.judge(&[Rule::DeleteImage]))
        .await
        .map_err(|e| about(&id, e))?;
    remove_now(&transfers, garbage).await;
    Ok(no_content())
}
