//! `oriel serve`.

use std::path::Path;
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use crate::app::App;
use crate::config::Config;
use crate::telemetry::logs;

pub(super) async fn run(path: &Path) -> anyhow::Result<ExitCode> {
    let config = Config::load(path)?;
    logs::init(&config.log).map_err(|e| anyhow::anyhow!("{e}"))?;
    let app = App::build(config).await?;
    tracing::info!(listen = %app.local_addr()?, "serving the Image API");
    app.run(stop_signal()?).await;
    Ok(ExitCode::SUCCESS)
}

/// Ready at SIGTERM or SIGINT. Registered at once, so that a signal during the start is not lost.
pub(super) fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
