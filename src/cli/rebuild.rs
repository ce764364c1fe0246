//! `oriel rebuild`: records of what is in the buckets, made again.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::site::{named, say, with_site};
use crate::config::{ByteSize, Config};
use crate::rebuild::{self, Line, Verdict};
use crate::transfer::ReadRate;

/// Not everything could be done.
const INCOMPLETE: u8 = 2;

#[derive(Args)]
pub(super) struct Arguments {
    /// The TOML configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Print one JSON object a line.
    #[arg(long)]
    json: bool,
    /// How many bytes a second are read; as many as come if it is not given.
    #[arg(long, value_name = "SIZE")]
    rate: Option<ByteSize>,
    /// Only what is in this store.
    #[arg(long, value_name = "NAME")]
    store: Option<String>,
}

pub(super) async fn run(arguments: Arguments) -> ExitCode {
    match rebuild(&arguments).await {
        Ok(Verdict::Complete) => ExitCode::SUCCESS,
        Ok(Verdict::Incomplete) => ExitCode::from(INCOMPLETE),
        Err(e) => {
            let _ = writeln!(std::io::stderr(), "Error: {e:#}");
            ExitCode::from(INCOMPLETE)
        }
    }
}

async fn rebuild(arguments: &Arguments) -> anyhow::Result<Verdict> {
    let config = Config::load(&arguments.config)?;
    with_site(&config, async |transfers, catalog| {
        let stores = match named(transfers.stores(), arguments.store.as_deref())? {
            Some(store) => vec![store],
            None => transfers.stores().iter().map(Arc::clone).collect(),
        };
        let rate = ReadRate::new(arguments.rate.map_or(u64::MAX, |rate| rate.bytes()));
        let is_json = arguments.json;
        let mut tell = |line: &Line| say(line, is_json);
        Ok(rebuild::run(&catalog, &transfers, &stores, rate, &mut tell).await)
    })
    .await
}
