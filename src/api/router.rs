//! The route table.

use axum::Router;
use axum::extract::Request;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, any, delete, get, patch, post, put};
use http::Method;

use super::error::Error;
use super::{Shared, images, middleware, versions};

/// Methods that some route has; others are 501 on unknown paths.
pub(super) const METHODS: [Method; 6] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::PATCH,
];

/// Every route, and the layers in order.
pub(super) fn build(shared: &Shared) -> Router {
    let v2 = Router::new()
        .route("/v2", any(middleware::add_slash))
        .route(
            "/v2/images",
            only(
                "GET, POST",
                get(images::list::list).merge(post(images::create::create)),
            ),
        )
        .route(
            "/v2/images/{image_id}",
            only(
                "GET, PATCH, DELETE",
                get(images::show::show)
                    .merge(patch(images::update::update))
                    .merge(delete(images::delete::delete)),
            ),
        )
        .route(
            "/v2/images/{image_id}/file",
            only(
                "GET, PUT",
                get(images::download::download).merge(put(images::upload::upload)),
            ),
        )
        .route(
            "/v2/images/{image_id}/tags/{tag}",
            only(
                "PUT, DELETE",
                put(images::tags::add).merge(delete(images::tags::remove)),
            ),
        )
        .route(
            "/v2/images/{image_id}/actions/deactivate",
            only("POST", post(images::actions::deactivate)),
        )
        .route(
            "/v2/images/{image_id}/actions/reactivate",
            only("POST", post(images::actions::reactivate)),
        )
        .fallback(middleware::no_route)
        .layer(from_fn_with_state(shared.clone(), middleware::authenticate));
    let open = Router::new()
        .route("/", any(versions::choices))
        .route("/versions", any(versions::versions))
        .route("/versions/", any(versions::versions))
        .route("/healthcheck", any(versions::healthcheck));
    let routes = open.merge(v2).with_state(shared.clone());
    // Paths are rewritten before they are routed, so this layer goes around the router and not into it.
    let negotiated = Router::new()
        .fallback_service(routes)
        .layer(from_fn_with_state(shared.clone(), middleware::negotiate));
    negotiated.layer(from_fn_with_state(shared.clone(), middleware::observe))
}

/// The methods of a route: others, HEAD included, are 405 with exactly this `Allow`.
fn only(allow: &'static str, methods: MethodRouter<Shared>) -> MethodRouter<Shared> {
    let refuse = move |request: Request| {
        let method = request.method().to_string();
        async move { Error::MethodNotAllowed { method, allow } }
    };
    methods.head(refuse).fallback(refuse)
}
