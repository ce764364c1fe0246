//! Cross-origin requests: which web pages may call, and what they may send and see (contract 8.2).

use http::{HeaderName, HeaderValue, Method};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::config::Cors;

/// What a page may send: the reference service's list, and what uploads and PATCH need.
const SENT: [&str; 15] = [
    "accept",
    "accept-encoding",
    "content-md5",
    "content-type",
    "range",
    "x-auth-token",
    "x-identity-status",
    "x-image-meta-checksum",
    "x-image-meta-store",
    "x-openstack-image-size",
    "x-openstack-request-id",
    "x-roles",
    "x-service-catalog",
    "x-storage-token",
    "x-user-id",
];

/// What a page may see of an answer, beside what every page may.
const SEEN: [&str; 9] = [
    "content-md5",
    "content-range",
    "etag",
    "location",
    "x-auth-token",
    "x-image-meta-checksum",
    "x-openstack-request-id",
    "x-service-token",
    "x-subject-token",
];

/// The layer, where the site lets any page call. It answers OPTIONS by itself. Cookies are never asked for: a page brings
/// its token in a header.
pub(super) fn layer(cors: &Cors) -> Option<CorsLayer> {
    let origins = cors.allowed_origins.as_ref()?;
    let allowed = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        let values = origins
            .iter()
            .filter_map(|origin| HeaderValue::try_from(origin.as_str()).ok());
        AllowOrigin::list(values)
    };
    let layer = CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([
            Method::GET,
            Method::PUT,
            Method::POST,
            Method::DELETE,
            Method::PATCH,
        ])
        .allow_headers(SENT.map(HeaderName::from_static))
        .expose_headers(SEEN.map(HeaderName::from_static))
        .max_age(cors.max_age.duration());
    Some(layer)
}
