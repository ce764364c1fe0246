//! HTTP: routes, layers, and the translation between the Image API's words and the service's.
//!
//! Handlers hold no rules of their own: they check in the contract's order, ask the modules below, and answer. Status
//! codes of failures are known to `error` alone.

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

use crate::auth::Authenticator;
use crate::catalog::Catalog;
use crate::config::Config;
use crate::policy::Protections;
use crate::telemetry::metrics::Metrics;
use crate::transfer::Transfers;
pub use policies::Policies;
pub use protections::open as open_protections;
pub use router::{ROUTES, Route};

/// What the handlers share; clones are cheap.
pub(crate) type SharedState = Arc<AppState>;

/// The parts of the service that handlers use.
pub struct AppState {
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
}

/// 204, with the media type that the reference service gives its empty answers.
fn no_content() -> Response {
    let html = [(CONTENT_TYPE, "text/html; charset=UTF-8")];
    (StatusCode::NO_CONTENT, html).into_response()
}

/// The API over its parts.
pub struct Api {
    parts: SharedState,
}

impl Api {
    /// Puts the API together.
    pub fn new(
        config: Config,
        catalog: Catalog,
        transfers: Arc<Transfers>,
        authenticator: Authenticator,
        policies: Policies,
        protections: Option<Protections>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let drains = drain::Drains::default();
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
            }),
        }
    }

    /// The service to be served on connections.
    pub fn router(&self) -> Router {
        router::build(&self.parts)
    }

    /// Ends the reading-on of refused bodies.
    pub async fn stop(&self) {
        self.parts.drains.stop().await;
    }
}
