//! `oriel check`: is this configuration fit to serve?

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use crate::app;
use crate::auth::{Authenticator, KeystoneProbe};
use crate::catalog::Catalog;
use crate::config::{self, Config};
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
    let mut sound = report("memory", app::check_memory(&config));
    sound &= report("import", app::check_import(&config).map(drop));
    sound &= check_identity(&config).await;
    sound &= report("tls", app::check_tls(&config).await);
    sound &= report("policy", app::check_policy(&config).await);
    sound &= report("catalog", check_catalog(&config).await);
    let embedded = app::start_embedded(&config).await;
    sound &= report(
        "embedded store",
        embedded
            .as_ref()
            .map(drop)
            .map_err(|e| anyhow::anyhow!("{e:#}")),
    );
    let embedded = embedded.ok().flatten();
    for (name, options) in &config.store {
        sound &= check_store(name, &app::located(options, embedded.as_ref())).await;
    }
    if let Some(embedded) = embedded {
        embedded.stop().await;
    }
    Ok(if sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Reads the file of tokens, or logs in to Keystone and has that very token validated.
async fn check_identity(config: &Config) -> bool {
    let authenticator = match Authenticator::open(config, &Arc::new(Metrics::new())) {
        Ok(authenticator) => authenticator,
        Err(faults) => return report("identity", Err::<(), _>(faults)),
    };
    let Authenticator::Keystone(keystone) = authenticator else {
        return report("identity", Ok::<_, anyhow::Error>(()));
    };
    let sighting = keystone.probe().await;
    if let Ok(KeystoneProbe { endpoint, roles }) = &sighting {
        let roles = roles.join(", ");
        println!(
            "      identity: Keystone validates tokens at {endpoint}; the service's own roles are {roles}"
        );
    }
    report("identity: a token of the service's own", sighting)
}

async fn check_catalog(config: &Config) -> anyhow::Result<()> {
    let catalog = Catalog::open(&config.catalog.database, 1, 0, Arc::new(Metrics::new())).await?;
    catalog.ping().await?;
    if let Some(probe) = catalog.probe() {
        println!("      catalog: {probe}");
        if let Some(warning) = probe.warning() {
            println!("      catalog: {warning}");
        }
    }
    catalog.close().await;
    Ok(())
}

async fn check_store(name: &str, options: &config::Store) -> bool {
    let store = match Store::connect(name, options, Arc::new(Metrics::new())).await {
        Ok(store) => store,
        Err(e) => return report(&format!("store.{name}"), Err::<(), _>(e)),
    };
    let mut sound = true;
    for Probe { step, result } in store.probe().await {
        sound &= report(&format!("store.{name}: {step}"), result);
    }
    if sound {
        println!(
            "      store.{name}: profile {} is configured; {}",
            options.profile,
            fitting_profile(&store).await
        );
    }
    sound
}

/// What the store does with checksums decides which profile is worth its cost.
async fn fitting_profile(store: &Store) -> String {
    match store.verifies_checksums().await {
        Ok(true) => "the store verifies request checksums, so aws fits (it sends them); the others fit too, without \
                     them and with less CPU"
            .into(),
        Ok(false) => "the store ignores request checksums, so every profile but aws fits".into(),
        Err(e) => format!("which one fits could not be found out: {:#}", anyhow::Error::from(e)),
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
