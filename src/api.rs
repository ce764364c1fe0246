//! HTTP: routes, layers, and the translation between the Image API's words and the service's.
//!
//! Handlers hold no rules of their own: they check in the contract's order, ask the modules below, and answer. Status
//! codes of failures are known to `error` alone.

mod bodies;
mod caller;
mod cors;
mod drain;
mod endpoint;
mod error;
mod extract;
mod images;
mod imports;
mod info;
mod metadefs;
mod middleware;
mod openapi;
mod paging;
mod policies;
mod protections;
mod protocol;
mod quotas;
mod range;
mod router;
mod schemas;
mod state;
mod stopping;
mod tasks;
mod throttle;
mod versions;

use std::sync::Arc;

use crate::auth::Authenticator;
use crate::catalog::Catalog;
use crate::config::Config;
use crate::telemetry::metrics::Metrics;
use crate::transfer::Transfers;
use axum::Router;
use axum::response::{IntoResponse, Response};
use bodies::Bodies;
use drain::Drains;
use endpoint::Endpoint;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use images::ImageSettings;
use imports::Imports;
use middleware::{Admission, Observer};
use paging::PageLimits;
pub(crate) use policies::Policies;
pub(crate) use protections::PropertyProtection;
use quotas::Quotas;
pub use router::{ROUTES, Route};
use schemas::Schemas;
use state::AppState;
use stopping::Stopping;
use throttle::Throttle;
use tower_http::cors::CorsLayer;

/// 204, with the media type that the reference service gives its empty answers.
fn no_content() -> Response {
    let html = [(CONTENT_TYPE, "text/html; charset=UTF-8")];
    (StatusCode::NO_CONTENT, html).into_response()
}

/// The API: its routes with what they need, and its layers with what these need.
pub(crate) struct Api {
    state: AppState,
    observer: Observer,
    admission: Admission,
    cors: Option<CorsLayer>,
    drains: Drains,
}

impl Api {
    /// Puts the API together.
    pub(crate) fn new(
        config: &Config,
        catalog: Catalog,
        transfers: Arc<Transfers>,
        authenticator: Authenticator,
        policies: Policies,
        protection: PropertyProtection,
        metrics: Arc<Metrics>,
    ) -> Self {
        let authenticator = Arc::new(authenticator);
        let throttle = Throttle::new(config.limits.clone(), Arc::clone(&metrics));
        let (drains, stopping) = (Drains::default(), Stopping::default());
        let stores = Arc::clone(transfers.stores());
        Self {
            observer: Observer {
                drains: drains.clone(),
                metrics: Arc::clone(&metrics),
                stopping: stopping.clone(),
            },
            admission: Admission {
                authenticator: Arc::clone(&authenticator),
                policies: Arc::new(policies),
                throttle: Arc::clone(&throttle),
            },
            cors: cors::layer(&config.cors),
            drains,
            state: AppState {
                catalog,
                images: ImageSettings::new(&config.images, Arc::clone(&stores), protection),
                imports: Imports::new(&config.import, transfers.web()),
                stores,
                transfers,
                pages: PageLimits::new(&config.images),
                quotas: Quotas::new(authenticator, &config.images),
                throttle,
                bodies: Arc::new(Bodies::new(config.server.json_timeout.duration())),
                schemas: Arc::new(Schemas::new(&config.images)),
                openapi: openapi::Document::new(&config.images),
                endpoint: Arc::new(Endpoint::new(&config.server)),
                metrics,
                stopping,
            },
        }
    }

    /// The service to be served on connections.
    pub(crate) fn router(&self) -> Router {
        router::build(self)
    }

    /// Says from now on that the service is not ready, and that connections close after their answers.
    pub(crate) fn begin_stop(&self) {
        self.state.stopping.begin();
    }

    /// Ends the reading of JSON bodies, and the reading-on of refused ones.
    pub(crate) async fn stop(&self) {
        self.state.bodies.stop();
        self.drains.stop().await;
    }
}
