//! `oriel fsck`: do bucket and catalog agree?

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::site::{named, say, with_site};
use crate::config::{ByteSize, Config, Database, Span};
use crate::fsck::{self, Line, Mode, Options, Site, Verdict};

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
    with_site(&config, async |transfers, catalog| {
        let store = named(transfers.stores(), arguments.store.as_deref())?;
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
        let site = Site { catalog, transfers };
        let is_json = arguments.json;
        let mut tell = |line: &Line| say(line, is_json);
        Ok(fsck::run(&site, &options, &mut tell).await)
    })
    .await
}
