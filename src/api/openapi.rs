//! `GET /openapi.json`: what every route takes and answers, for clients and test generators. The document is kept by hand
//! beside the code; a test compares it with the route table.

use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;

use super::extract::NoBody;

const DOCUMENT: &str = include_str!("openapi.json");

/// The document; it needs no token, since it tells nothing of the site.
pub(super) async fn document(_: NoBody) -> Response {
    ([(CONTENT_TYPE, "application/json")], DOCUMENT).into_response()
}
