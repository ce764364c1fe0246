//! `oriel fsck`: do bucket and catalog agree?

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;

use crate::app;
use crate::catalog::Catalog;
use crate::config::{ByteSize, Config, Database, Span};
use crate::embedded::EmbeddedStore;
use crate::fsck::{self, Line, Mode, Options, Site, Verdict};
use crate::telemetry::metrics::Metrics;

/// Something was found.
const FOUND: u8 = 1;
/// Not everything could be looked at.
const INCOMPLETE: u8 = 2;

#[derive(Args)]
pub(super) struct Arguments {
    /// The TOML configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Print one JSON object a line.
    #[arg(long)]
    json: bool,
    /// Say what would be done about each finding.
    #[arg(long)]
    repair: bool,
    /// With --repair, do it.
    #[arg(long, requires = "repair")]
    yes: bool,
    /// Read the data of every image and compare it with the digests of its record.
    #[arg(long)]
    verify: bool,
    /// How many bytes a second --verify reads.
    #[arg(
        long,
        value_name = "SIZE",
        default_value = "50MiB",
        requires = "verify"
    )]
    rate: ByteSize,
    /// Look at this store alone.
    #[arg(long, value_name = "NAME")]
    store: Option<String>,
    /// Leave alone what is younger in a bucket.
    #[arg(long, value_name = "TIME", default_value = "1h")]
    min_age: Span,
}

pub(super) async fn run(arguments: Arguments) -> ExitCode {
    match check(&arguments).await {
        Ok(Verdict::Sound) => ExitCode::SUCCESS,
        Ok(Verdict::Faulty) => ExitCode::from(FOUND),
        Ok(Verdict::Incomplete) => ExitCode::from(INCOMPLETE),
        Err(e) => {
            let _ = writeln!(std::io::stderr(), "Error: {e:#}");
            ExitCode::from(INCOMPLETE)
        }
    }
}

async fn check(arguments: &Arguments) -> anyhow::Result<Verdict> {
    let config = Config::load(&arguments.config)?;
    // Opening would make it, and every object would be one that no record knows.
    if let Database::Sqlite(path) = &config.catalog.database {
        let is_there = path.try_exists().unwrap_or(true);
        anyhow::ensure!(is_there, "there is no catalog {}", path.display());
    }
    let metrics = Arc::new(Metrics::new());
    let catalog = Catalog::open(&config.catalog.database, 1, 0, Arc::clone(&metrics))
        .await
        .context("cannot open the catalog; one in a file is the server's own while that runs")?;
    let embedded = app::start_embedded(&config).await;
    let verdict = match &embedded {
        Ok(embedded) => compare(arguments, &config, &catalog, embedded.as_ref(), &metrics).await,
        Err(_) => Ok(Verdict::Incomplete),
    };
    catalog.close().await;
    if let Some(embedded) = embedded? {
        embedded.stop().await;
    }
    verdict
}

async fn compare(
    arguments: &Arguments,
    config: &Config,
    catalog: &Catalog,
    embedded: Option<&EmbeddedStore>,
    metrics: &Arc<Metrics>,
) -> anyhow::Result<Verdict> {
    let stores = app::connect_stores(config, embedded, metrics).await?;
    let store = match &arguments.store {
        Some(name) => Some(Arc::clone(
            stores
                .find(name)
                .with_context(|| format!("there is no store.{name}"))?,
        )),
        None => None,
    };
    let options = Options {
        mode: match (arguments.repair, arguments.yes) {
            (false, _) => Mode::Report,
            (true, false) => Mode::Plan,
            (true, true) => Mode::Repair,
        },
        min_age: arguments.min_age.duration(),
        verify: arguments.verify.then(|| arguments.rate.bytes()),
        store,
    };
    let site = Site {
        catalog: catalog.clone(),
        transfers: app::transfers(config, catalog, stores, metrics),
    };
    let is_json = arguments.json;
    let mut tell = |line: &Line| say(line, is_json);
    Ok(fsck::run(&site, &options, &mut tell).await)
}

/// Prints a line. A reader that has gone away must not stop a repair in the middle.
fn say(line: &Line, is_json: bool) {
    let text = if is_json {
        serde_json::to_string(line)
            .unwrap_or_else(|e| format!("{{\"type\":\"error\",\"error\":\"{e}\"}}"))
    } else {
        line.to_string()
    };
    let _ = writeln!(std::io::stdout(), "{text}");
}
