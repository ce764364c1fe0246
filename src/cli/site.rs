//! Catalog and stores of a configuration, for the commands that work on both.

use std::fmt::Display;
use std::io::Write;
use std::sync::Arc;

use anyhow::Context;
use serde::Serialize;

use crate::app;
use crate::catalog::Catalog;
use crate::config::Config;
use crate::store::{Store, Stores};
use crate::telemetry::metrics::Metrics;
use crate::transfer::Transfers;

/// Opens both, lets `work` use them, and closes what was opened.
pub(super) async fn with_site<T>(
    config: &Config,
    work: impl AsyncFnOnce(Arc<Transfers>, Catalog) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let metrics = Arc::new(Metrics::new());
    let catalog = Catalog::open(&config.catalog.database, 1, 0, Arc::clone(&metrics))
        .await
        .context("cannot open the catalog; one in a file is the server's own while that runs")?;
    let embedded = app::start_embedded(config).await;
    let done = async {
        let embedded = embedded.as_ref().map_err(|e| anyhow::anyhow!("{e:#}"))?;
        let stores = app::connect_stores(config, embedded.as_ref(), &metrics).await?;
        let transfers = app::transfers(config, &catalog, stores, &metrics)?;
        work(transfers, catalog.clone()).await
    }
    .await;
    catalog.close().await;
    if let Ok(Some(embedded)) = embedded {
        embedded.stop().await;
    }
    done
}

/// The store of this name, if one is named.
pub(super) fn named(stores: &Stores, name: Option<&str>) -> anyhow::Result<Option<Arc<Store>>> {
    let Some(name) = name else { return Ok(None) };
    let store = stores.find(name).map(Arc::clone);
    store
        .map(Some)
        .with_context(|| format!("there is no store.{name}"))
}

/// Prints a line. A reader that has gone away must not stop the work in the middle.
pub(super) fn say<L: Display + Serialize>(line: &L, is_json: bool) {
    let text = if is_json {
        serde_json::to_string(line)
            .unwrap_or_else(|e| format!("{{\"type\":\"error\",\"error\":\"{e}\"}}"))
    } else {
        line.to_string()
    };
    let _ = writeln!(std::io::stdout(), "{text}");
}
