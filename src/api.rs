//! HTTP: routes, layers, and the translation between the Image API's words and the service's.
//!
//! Handlers hold no rules of their own: they check in the contract's order, ask the modules below, and answer. Status
//! codes of failures are known to `error` alone.

mod bodies;
mod caller;
mod cors;
mod drain;
mod error;
mod extract;
mod images;
mod info;
mod metadefs;
mod middleware;
mod openapi;
mod paging;
mod policies;
mod protections;
mod protocol;
mod range;
mod router;
mod schemas;
mod tasks;
mod throttle;
mod versions;

use std::sync::Arc;

use axum::Router;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use tokio_util::sync::CancellationToken;

use crate::auth::Authenticator;
use crate::catalog::Catalog;
use crate::config::Config;
use crate::policy::Protections;
use crate::telemetry::metrics::Metrics;
use crate::transfer::Transfers;
pub(crate) use policies::Policies;
pub(crate) use protections::open as open_protections;
pub use router::{ROUTES, Route};

/// What the handlers share; clones are cheap.
pub(crate) type SharedState = Arc<AppState>;

/// The parts of the service that handlers use.
pub(crate) struct AppState {
    config: Config,
    catalog: Catalog,
    transfers: Arc<Transfers>,
    authenticator: Authenticator,
    policies: Policies,
    protections: Option<Protections>,
    schemas: schemas::Schemas,
    throttle: Arc<throttle::Throttle>,
    metrics: Arc<Metrics>,
    drains: drain::Drains,
    bodies: bodies::Bodies,
    /// Cancelled once the service is told to stop: it is no longer ready, and connections end with their answers.
    stopping: CancellationToken,
}

/// 204, with the media type that the reference service gives its empty answers.
fn no_content() -> Response {
    let html = [(CONTENT_TYPE, "text/html; charset=UTF-8")];
    (StatusCode::NO_CONTENT, html).into_response()
}

/// The API over its parts.
pub(crate) struct Api {
    parts: SharedState,
}

impl Api {
    /// Puts the API together.
    pub(crate) fn new(
        config: Config,
        catalog: Catalog,
        transfers: Arc<Transfers>,
        authenticator: Authenticator,
        policies: Policies,
        protections: Option<Protections>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let drains = drain::Drains::default();
        let bodies = bodies::Bodies::new(config.server.json_timeout.duration());
        let schemas = schemas::Schemas::new(&config.images);
        let throttle = throttle::Throttle::new(config.limits.clone());
        Self {
            parts: Arc::new(AppState {
                config,
                catalog,
                transfers,
                authenticator,
                policies,
                protections,
                schemas,
                throttle,
                metrics,
                drains,
                bodies,
                stopping: CancellationToken::new(),
            }),
        }
    }

    /// The service to be served on connections.
    pub(crate) fn router(&self) -> Router {
        router::build(&self.parts)
    }

    /// Says from now on that the service is not ready, and that connections close after their answers.
    pub(crate) fn begin_stop(&self) {
        self.parts.stopping.cancel();
    }

    /// Ends the reading of JSON bodies, and the reading-on of refused ones.
    pub(crate) async fn stop(&self) {
        self.parts.bodies.stop();
        self.parts.drains.stop().await;
    }
}
