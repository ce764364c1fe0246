//! `GET /`, `GET /versions` and `/healthcheck`: what clients ask before anything else (contract 1.3, 1.4).

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, Method, StatusCode};
use serde::Serialize;

use super::endpoint::Endpoint;
use super::error::Error;
use super::stopping::Stopping;
use crate::catalog::Catalog;

/// Path prefixes that all mean version 2, for a site with named stores and without an image cache.
pub(super) const PREFIXES: [&str; 17] = [
    "v2", "v2.0", "v2.1", "v2.2", "v2.3", "v2.4", "v2.5", "v2.6", "v2.7", "v2.8", "v2.9", "v2.10",
    "v2.11", "v2.12", "v2.13", "v2.15", "v2.17",
];

/// The ids in Glance's order for such a site; tempest and SDKs look for 2.8 and later to see that stores have names.
const IDS: [&str; 16] = [
    "v2.15", "v2.13", "v2.12", "v2.11", "v2.10", "v2.9", "v2.8", CURRENT, "v2.7", "v2.6", "v2.5",
    "v2.4", "v2.3", "v2.2", "v2.1", "v2.0",
];
/// The id of the version that is spoken.
pub(super) const CURRENT: &str = "v2.17";

#[derive(Serialize)]
struct Document {
    versions: Vec<Version>,
}

#[derive(Serialize)]
struct Version {
    id: &'static str,
    status: &'static str,
    links: [Link; 1],
}

#[derive(Serialize)]
struct Link {
    rel: &'static str,
    href: String,
}

/// `GET /versions`: 200.
pub(super) async fn versions(
    State(endpoint): State<Arc<Endpoint>>,
    headers: HeaderMap,
) -> Response {
    document(StatusCode::OK, &endpoint, &headers)
}

/// `GET /` and every unknown first path segment: 300, which tempest insists on.
pub(super) async fn choices(State(endpoint): State<Arc<Endpoint>>, headers: HeaderMap) -> Response {
    document(StatusCode::MULTIPLE_CHOICES, &endpoint, &headers)
}

fn document(status: StatusCode, endpoint: &Endpoint, headers: &HeaderMap) -> Response {
    let href = format!("{}/v2/", endpoint.base_url(headers));
    let version = |id| Version {
        id,
        status: if id == CURRENT {
            "CURRENT"
        } else {
            "SUPPORTED"
        },
        links: [Link {
            rel: "self",
            href: href.clone(),
        }],
    };
    let document = Document {
        versions: IDS.into_iter().map(version).collect(),
    };
    (status, axum::Json(document)).into_response()
}

/// `/healthcheck`: the process turns and is not about to stop, and the catalog answers.
pub(super) async fn healthcheck(
    State(catalog): State<Catalog>,
    State(stopping): State<Stopping>,
    request: Request,
) -> Response {
    let method = request.method();
    if method != Method::GET && method != Method::HEAD {
        return Error::MethodNotAllowed {
            method: method.to_string(),
            allow: "GET, HEAD",
        }
        .into_response();
    }
    let unready = |reason| (StatusCode::SERVICE_UNAVAILABLE, reason);
    let (status, reason) = if stopping.has_begun() {
        unready("STOPPING")
    } else if catalog.ping().await.is_err() {
        unready("CATALOG UNAVAILABLE")
    } else {
        (StatusCode::OK, "OK")
    };
    if method == Method::HEAD {
        return if status == StatusCode::OK {
            StatusCode::NO_CONTENT
        } else {
            status
        }
        .into_response();
    }
    let accept = request
        .headers()
        .get(ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .unwrap_or_default();
    if accept.contains("application/json") {
        let body = serde_json::json!({"detailed": false, "reasons": [reason]});
        (status, axum::Json(body)).into_response()
    } else if accept.contains("text/html") {
        let page = format!(
            "<html><head><title>Healthcheck</title></head><body><h1>{reason}</h1></body></html>"
        );
        (status, [(CONTENT_TYPE, "text/html; charset=UTF-8")], page).into_response()
    } else {
        (
            status,
            [(CONTENT_TYPE, "text/plain; charset=UTF-8")],
            reason,
        )
            .into_response()
    }
}
