//! `oriel dev`: everything in one process, ready for a first upload.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use super::metadefs;
use super::serve::stop_signal;
use crate::app::App;
use crate::catalog::Catalog;
use crate::config::{Config, Database, Span};
use crate::image::ImageId;
use crate::telemetry::logs;
use crate::telemetry::metrics::Metrics;

pub(super) async fn run(listen: SocketAddr, data_dir: &Path) -> anyhow::Result<ExitCode> {
    let config = config(listen, data_dir)?;
    logs::init(&config.log).map_err(|e| anyhow::anyhow!("{e}"))?;
    define(&config).await?;
    let app = App::build(config).await?;
    let url = format!("http://{}", app.local_addr()?);
    let text = welcome(&url, &ImageId::random(), data_dir);
    // Who does not read the welcome to its end is served all the same.
    let _ = std::io::stdout().write_all(text.as_bytes());
    app.run(stop_signal()?).await;
    Ok(ExitCode::SUCCESS)
}

/// Gives a catalog without metadata definitions those that come with the program: dashboards have something to show.
async fn define(config: &Config) -> anyhow::Result<()> {
    let catalog = Catalog::open(&config.catalog.database, 1, 0, Arc::new(Metrics::new())).await?;
    let loaded = metadefs::load_first(&catalog).await;
    catalog.close().await;
    loaded
}

/// The configuration of a laptop. Nothing is read from a file, and the environment is left out: it is for `serve`.
fn config(listen: SocketAddr, data_dir: &Path) -> anyhow::Result<Config> {
    let text = r#"
        auth = "none"
        [metrics]
        listen = "off"
        [log]
        level = "warn"
        [store.embedded]
        endpoint = "embedded"
    "#;
    let mut config = Config::from_parts(text, [])?;
    config.server.listen = listen;
    // Nobody balances load before a laptop.
    config.server.drain_delay = Span::default();
    config.catalog.database = Database::Sqlite(data_dir.join("catalog.sqlite"));
    config.embedded.data_dir = data_dir.join("store");
    Ok(config)
}

fn welcome(url: &str, id: &ImageId, data_dir: &Path) -> String {
    format!(
        r#"Oriel serves the Image API on {url}; images are kept in {dir}. Ctrl-C stops it.

Upload an image:
  curl -fsS {url}/v2/images -d '{{"id": "{id}", "name": "demo", "disk_format": "raw", "container_format": "bare"}}' && yes oriel | head -c 16777216 | tee demo.raw | curl -fsS -X PUT -T - -H 'Content-Type: application/octet-stream' {url}/v2/images/{id}/file

Download it and compare:
  curl -fsS -o demo-copy.raw {url}/v2/images/{id}/file && cmp demo.raw demo-copy.raw && echo identical

List images:
  curl -fsS {url}/v2/images
"#,
        dir = data_dir.display()
    )
}
