//! `GET /v2/images/{id}` (contract 1.6).

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};

use super::{ImageSettings, get_visible};
use crate::api::caller::Caller;
use crate::api::error::Error;
use crate::api::extract::{ImagePath, NoBody};
use crate::catalog::Catalog;
use crate::policy::Rule;

/// The record.
pub(in crate::api) async fn show(
    State(catalog): State<Catalog>,
    State(settings): State<ImageSettings>,
    caller: Caller,
    _: NoBody,
    path: ImagePath,
) -> Result<Response, Error> {
    let id = path.id()?;
    let image = get_visible(&catalog, &caller, &id).await?;
    caller.enforce_image(Rule::GetImage, &image)?;
    Ok(Json(settings.view(&caller, &image)).into_response())
}
