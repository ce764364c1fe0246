//! `PUT /v2/images/{id}/stage` (contract 6.2): data that waits for an import.
//!
//! It takes the way of an upload into a store, hashed and inspected as it comes. What the inspection says is told at the
//! import: until then the image is `uploading` and shows its size alone.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;

use super::upload::{Intake, Uploads};
use crate::api::caller::Caller;
use crate::api::error::Error;
use crate::api::extract::{HasLength, ImagePath};
use crate::api::imports::Imports;
use crate::catalog::Purpose;
use crate::config::ImportMethod;
use crate::net::Broken;
use crate::policy::Rule;

/// Takes data in for an import.
#[expect(
    clippy::too_many_arguments,
    reason = "each says what the handler can touch"
)]
pub(in crate::api) async fn stage(
    State(uploads): State<Uploads>,
    State(imports): State<Imports>,
    caller: Caller,
    path: ImagePath,
    connection: Option<Extension<Broken>>,
    _: HasLength,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    // Before all else, as in the reference service: a site without the method has no such route.
    if !imports.allows(ImportMethod::GlanceDirect) {
        return Err(Error::NotFound(
            "'glance-direct' method is not available at this site.".into(),
        ));
    }
    let intake = Intake {
        purpose: Purpose::Stage,
        rules: &[Rule::ModifyImage],
    };
    let broken = connection.map(|Extension(it)| it).unwrap_or_default();
    uploads
        .take_in(&intake, &caller, &path, broken, &headers, body)
        .await
}
