//! `GET /v2/images/{id}` (contract 1.6).

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};

use crate::api::SharedState;
use crate::api::caller::Caller;
use crate::api::error::Error;
use crate::api::extract::{ImagePath, NoBody};
use crate::policy::Rule;

/// The record.
pub(in crate::api) async fn show(
    State(shared): State<SharedState>,
    caller: Caller,
    _: NoBody,
    path: ImagePath,
) -> Result<Response, Error> {
    let id = path.id()?;
    let image = shared.visible_image(&caller, &id).await?;
    shared.enforce(&caller, Rule::GetImage, &image)?;
    Ok(Json(shared.view(&caller, &image)).into_response())
}
