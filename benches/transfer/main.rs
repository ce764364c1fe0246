//! The performance figures of Oriel, re-runnable: `cargo bench --bench transfer`.
//!
//! It starts everything it needs, measures in interleaved rounds on one machine, and writes a table to standard
//! output and to `performance.md` in the `bench` folder of the target directory. `benches/README.md` tells what is
//! measured and how to read it. It measures and compares; a target that is missed is not a failure of the run.

mod curl;
mod download;
mod facts;
mod http;
mod memory;
mod nginx;
mod null_store;
mod oriel;
mod pattern;
mod process;
mod ranged;
mod report;
mod setup;
mod stats;
mod stores;
mod upload;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Parser, ValueEnum};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

use memory::Duty;
use nginx::Program;
use pattern::Pattern;
use report::{Report, Section, progress};
use setup::{Content, Setup};

/// The list of the stores that run, relative to the folder of the crate.
const STORES: &str = "var/stores/available";

/// How long a part may take in all: what hangs is a failure, not a bench without an end.
const PART_LIMIT: Duration = Duration::from_secs(30 * 60);

/// Measures what transfers through Oriel cost, and compares with nginx and with the store itself.
#[derive(Debug, Parser)]
#[command(name = "transfer")]
struct Options {
    /// Measures only this; may be given several times.
    #[arg(long, value_enum)]
    only: Vec<Part>,
    /// Less of everything, to see that it works. The figures are not for publication.
    #[arg(long)]
    quick: bool,
    /// Rounds of each measurement [default: 5, for real stores and with --quick 3].
    #[arg(long)]
    runs: Option<usize>,
    /// Cargo passes this to a benchmark; without it the program was started by `cargo test` and does nothing.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What can be measured by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// CPU time and rate of uploads, null store.
    Upload,
    /// CPU time and rate of downloads, null store.
    Download,
    /// Latency of small ranges, null store.
    Ranged,
    /// Memory and time to start, null store.
    Memory,
    /// Uploads and downloads on the stores of var/stores/available.
    Stores,
}

impl Options {
    fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }

    fn runs(&self, usual: usize) -> usize {
        let runs = if self.quick { usual.min(3) } else { usual };
        self.runs.unwrap_or(runs).max(1)
    }

    /// The size of images on the null store in bytes.
    fn size(&self) -> u64 {
        if self.quick { 256 << 20 } else { 1 << 30 }
    }

    /// The size of images on real stores in bytes.
    fn store_size(&self) -> u64 {
        if self.quick { 128 << 20 } else { 512 << 20 }
    }

    fn duty(&self) -> Duty {
        let (uploads, downloads, idle) = if self.quick { (15, 10, 1) } else { (60, 30, 3) };
        Duty {
            uploads: Duration::from_secs(uploads),
            downloads: Duration::from_secs(downloads),
            idle: Duration::from_secs(idle),
            starts: self.runs(5),
        }
    }
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let outcome = if arguments.next().as_deref() == Some(null_store::ARGUMENT) {
        be_null_store(arguments.next())
    } else {
        be_bench(&Options::parse())
    };
    outcome.unwrap_or_else(|error| {
        progress(&format!("{error:#}"));
        ExitCode::FAILURE
    })
}

/// Is the null store until the bench that started it is gone.
fn be_null_store(rate: Option<String>) -> Result<ExitCode> {
    let rate = rate.map(|rate| rate.parse()).transpose();
    let rate = rate.context("rate of the null store")?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(null_store::run(rate));
    // Standard input may still be waited for.
    runtime.shutdown_background();
    outcome.map(|()| ExitCode::SUCCESS)
}

/// Measures until it is done or interrupted.
fn be_bench(options: &Options) -> Result<ExitCode> {
    if !options.bench {
        progress("nothing is measured without --bench, which `cargo bench` passes");
        return Ok(ExitCode::SUCCESS);
    }
    let runtime = Runtime::new()?;
    let outcome = runtime.block_on(async {
        tokio::select! {
            outcome = run(options) => outcome,
            // Dropping the run ends every process that it started.
            () = interrupted() => bail!("interrupted, nothing is reported"),
        }
    });
    // A hash on a blocking thread may still run after an interrupt.
    runtime.shutdown_background();
    outcome
}

/// Waits until somebody wants the bench to end.
async fn interrupted() {
    let wait = async |kind| match signal(kind) {
        Ok(mut signal) => {
            signal.recv().await;
        }
        Err(_) => std::future::pending().await,
    };
    tokio::select! {
        () = wait(SignalKind::interrupt()) => {}
        () = wait(SignalKind::terminate()) => {}
        () = wait(SignalKind::hangup()) => {}
    }
}

/// Measures all that is wanted and writes the report. A part that fails is named in the report and in the exit code;
/// the other parts are measured all the same.
async fn run(options: &Options) -> Result<ExitCode> {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).context("make a directory")?;
    let nginx = Program::find().await;
    let mut bench = Bench {
        options,
        pattern: Pattern::new(),
        report: Report {
            facts: facts::gather(nginx.as_ref()).await,
            ..Report::default()
        },
        nginx,
        dir,
        failures: 0,
    };
    if options.quick {
        bench.warn("a quick run: small images, few rounds. Not for publication.".to_owned());
    }
    if bench.nginx.is_none() {
        bench.warn("nginx is not installed: downloads are not compared with it.".to_owned());
    }
    bench.null_store().await;
    bench.memory().await;
    bench.stores().await;

    let Bench {
        mut report,
        failures,
        ..
    } = bench;
    report.facts.extend(facts::load("after"));
    let markdown = report.to_markdown();
    let file = report_file()?;
    fs::write(&file, &markdown).with_context(|| format!("write {}", file.display()))?;
    io::stdout().write_all(markdown.as_bytes())?;
    progress(&format!("written to {}", file.display()));
    Ok(ExitCode::from(u8::from(failures > 0)))
}

fn report_file() -> Result<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .context("target directory")?;
    let dir = target.join("bench");
    fs::create_dir_all(&dir).with_context(|| format!("make {}", dir.display()))?;
    Ok(dir.join("performance.md"))
}

struct Bench<'a> {
    options: &'a Options,
    pattern: Pattern,
    nginx: Option<Program>,
    report: Report,
    dir: TempDir,
    failures: usize,
}

impl Bench<'_> {
    fn warn(&mut self, warning: String) {
        progress(&format!("WARNING: {warning}"));
        self.report.warnings.push(warning);
    }

    /// Takes what a part measured into the report, or that it failed.
    fn take(&mut self, name: &str, outcome: Result<Vec<Section>>) {
        match outcome {
            Ok(sections) => self.report.sections.extend(sections),
            Err(error) => {
                self.failures += 1;
                self.warn(format!("{name} failed: {error:#}"));
            }
        }
    }

    async fn null_store(&mut self) {
        let wanted = [Part::Upload, Part::Download, Part::Ranged];
        if !wanted.iter().any(|part| self.options.wants(*part)) {
            return;
        }
        progress("null store: image and check of its bytes");
        let setup = async {
            let dir = self.dir.path();
            let pattern = self.pattern.clone();
            let content = Content::write(pattern, self.options.size(), dir).await?;
            Setup::with_null_store(content, dir.join("null-store")).await
        };
        let setup = match limited(setup).await {
            Ok(setup) => setup,
            Err(error) => return self.take("null store", Err(error)),
        };
        let runs = self.options.runs(5);
        if self.options.wants(Part::Upload) {
            let outcome = setup
                .oriel
                .explain(limited(upload::measure(&setup, runs)).await);
            self.take("upload", outcome.map(|section| vec![section]));
        }
        if self.options.wants(Part::Download) {
            let outcome = setup
                .oriel
                .explain(limited(download::measure(&setup, self.nginx.as_ref(), runs)).await);
            self.take("download", outcome.map(|section| vec![section]));
        }
        if self.options.wants(Part::Ranged) {
            let outcome = setup
                .oriel
                .explain(limited(ranged::measure(&setup, runs)).await);
            self.take("ranged", outcome.map(|section| vec![section]));
        }
    }

    async fn memory(&mut self) {
        if self.options.wants(Part::Memory) {
            let dir = self.dir.path().join("memory");
            let measure = memory::measure(&self.pattern, self.options.duty(), &dir);
            let outcome = limited(measure).await;
            self.take("memory", outcome);
        }
    }

    async fn stores(&mut self) {
        if !self.options.wants(Part::Stores) {
            return;
        }
        let list = Path::new(env!("CARGO_MANIFEST_DIR")).join(STORES);
        let stores = match stores::available(&list) {
            Ok(stores) => stores,
            Err(error) => return self.take(STORES, Err(error)),
        };
        if stores.is_empty() {
            self.warn(format!(
                "{STORES} lists no store: only the null store was measured."
            ));
        }
        for store in &stores {
            progress(&format!("{}: image and check of its bytes", store.name));
            let outcome = limited(self.store(store)).await;
            self.take(&store.name, outcome);
        }
    }

    async fn store(&self, store: &oriel::Store) -> Result<Vec<Section>> {
        let dir = self.dir.path();
        let pattern = self.pattern.clone();
        let content = Content::write(pattern, self.options.store_size(), dir).await?;
        let setup = Setup::with_store(store, content, dir.join(&store.name)).await?;
        let runs = self.options.runs(3);
        let nginx = self.nginx.as_ref();
        let sections = async {
            Ok(vec![
                upload::measure(&setup, runs).await?,
                download::measure(&setup, nginx, runs).await?,
                ranged::measure(&setup, runs).await?,
            ])
        };
        let sections = setup.oriel.explain(sections.await);
        // The store outlives the bench: what was put there goes, also after a failure.
        let cleaned = setup.clean().await;
        let sections = sections?;
        cleaned.context("clean up")?;
        Ok(sections)
    }
}

/// Ends what takes longer than [`PART_LIMIT`].
async fn limited<T>(part: impl Future<Output = Result<T>>) -> Result<T> {
    timeout(PART_LIMIT, part)
        .await
        .with_context(|| format!("not done in {} s", PART_LIMIT.as_secs()))?
}
