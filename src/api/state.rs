//! What handlers may ask for. Each takes from here the handles it needs, by their types, so its signature tells what it
//! can touch.

use std::sync::Arc;

use axum::extract::FromRef;

use super::bodies::Bodies;
use super::endpoint::Endpoint;
use super::images::ImageSettings;
use super::imports::Imports;
use super::openapi::Document;
use super::paging::PageLimits;
use super::quotas::Quotas;
use super::schemas::Schemas;
use super::stopping::Stopping;
use super::throttle::Throttle;
use crate::catalog::Catalog;
use crate::store::Stores;
use crate::telemetry::metrics::Metrics;
use crate::transfer::Transfers;

/// Makes the struct, and what takes each of its fields from it by type.
macro_rules! state {
    ($(#[$meta:meta])* $vis:vis struct $name:ident { $($field:ident: $part:ty,)+ }) => {
        $(#[$meta])*
        #[derive(Clone)]
        $vis struct $name {
            $($vis $field: $part,)+
        }

        $(impl FromRef<$name> for $part {
            fn from_ref(state: &$name) -> Self {
                state.$field.clone()
            }
        })+
    };
}

state! {
    /// A handle of each kind; clones share what is behind them.
    pub(super) struct AppState {
        catalog: Catalog,
        stores: Arc<Stores>,
        transfers: Arc<Transfers>,
        images: ImageSettings,
        imports: Imports,
        pages: PageLimits,
        quotas: Quotas,
        throttle: Arc<Throttle>,
        bodies: Arc<Bodies>,
        schemas: Arc<Schemas>,
        openapi: Document,
        endpoint: Arc<Endpoint>,
        metrics: Arc<Metrics>,
        stopping: Stopping,
    }
}
