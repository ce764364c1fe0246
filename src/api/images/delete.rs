//! `DELETE /v2/images/{id}` (contract 4.6).

use axum::extract::State;
use axum::response::Response;

use crate::api::caller::Caller;
use crate::api::error::{Error, about};
use crate::api::extract::{ImagePath, NoBody};
use crate::api::{SharedState, no_content};
use crate::policy::Rule;

/// The record disappears, then the bytes. An upload under way runs to its end and gets 410.
pub(in crate::api) async fn delete(
    State(shared): State<SharedState>,
    caller: Caller,
    _: NoBody,
    path: ImagePath,
) -> Result<Response, Error> {
    let absent = |_| Error::NotFound(format!("Failed to find image {path} to delete"));
    let id = path.id().map_err(absent)?;
    let image = match shared.visible_image(&caller, &id).await {
        Err(Error::NotFound(text)) => return Err(absent(Error::NotFound(text))),
        found => found?,
    };
    shared.enforce(&caller, Rule::DeleteImage, &image)?;
    let garbage = shared
        .catalog
        .delete_image(&id, caller.judge(&[Rule::DeleteImage]))
        .await
        .map_err(|e| about(&id, e))?;
    shared.remove_now(garbage).await;
    Ok(no_content())
}
