//! `oriel check`: is this configuration fit to serve?

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use crate::auth::Authenticator;
use crate::catalog::Catalog;
use crate::config::{self, Config};
use crate::embedded::EmbeddedStore;
use crate::store::{Probe, Store};
use crate::telemetry::metrics::Metrics;

pub(super) async fn run(path: &Path) -> anyhow::Result<ExitCode> {
    let config = match Config::load(path) {
        Ok(config) => config,
        Err(faults) => {
            println!("{faults}");
            return Ok(ExitCode::FAILURE);
        }
    };
    println!("ok    configuration {}", path.display());
    let mut sound = report("identity", Authenticator::open(&config).map(drop));
    sound &= report("catalog", check_catalog(&config).await);
    for (name, options) in &config.store {
        sound &= check_store(&config, name, options).await;
    }
    Ok(if sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn check_catalog(config: &Config) -> anyhow::Result<()> {
    let catalog = Catalog::open(&config.catalog.path, 1, Arc::new(Metrics::new())).await?;
    catalog.ping().await?;
    catalog.close().await;
    Ok(())
}

async fn check_store(config: &Config, name: &str, options: &config::Store) -> bool {
    let mut options = options.clone();
    let embedded = if options.is_embedded() {
        match EmbeddedStore::start(&config.embedded.data_dir, config.embedded.listen).await {
            Ok(embedded) => {
                options.endpoint = Some(embedded.endpoint());
                options.access_key = Some(embedded.access_key().to_owned());
                options.secret_key = Some(config::Secret::new(embedded.secret_key()));
                options.create_bucket = true;
                Some(embedded)
            }
            Err(e) => return report(&format!("store.{name}"), Err::<(), _>(e)),
        }
    } else {
        None
    };
    let sound = probe(name, &options).await;
    println!(
        "      store.{name}: {}",
        fitting_profile(name, &options).await
    );
    if let Some(embedded) = embedded {
        embedded.stop().await;
    }
    sound
}

async fn probe(name: &str, options: &config::Store) -> bool {
    let store = match Store::connect(name, options, Arc::new(Metrics::new())).await {
        Ok(store) => store,
        Err(e) => return report(&format!("store.{name}"), Err::<(), _>(e)),
    };
    let mut sound = true;
    for Probe { step, result } in store.probe().await {
        sound &= report(&format!("store.{name}: {step}"), result);
    }
    sound
}

/// What the store does with checksums decides which profile is worth its cost.
async fn fitting_profile(name: &str, options: &config::Store) -> String {
    let verifies = match Store::connect(name, options, Arc::new(Metrics::new())).await {
        Ok(store) => store
            .verifies_checksums()
            .await
            .map_err(anyhow::Error::from),
        Err(e) => Err(e),
    };
    let configured = options.profile;
    match verifies {
        Ok(true) => format!(
            "profile {configured} is configured; the store verifies request checksums, so aws fits (it sends them); \
             the others fit too, without them and with less CPU"
        ),
        Ok(false) => format!(
            "profile {configured} is configured; the store ignores request checksums, so every profile but aws fits"
        ),
        Err(e) => format!(
            "profile {configured} is configured; which one fits could not be found out: {e:#}"
        ),
    }
}

fn report<T, E: Into<anyhow::Error>>(what: &str, result: Result<T, E>) -> bool {
    match result {
        Ok(_) => {
            println!("ok    {what}");
            true
        }
        Err(e) => {
            let e: anyhow::Error = e.into();
            println!("FAULT {what}: {e:#}");
            false
        }
    }
}
