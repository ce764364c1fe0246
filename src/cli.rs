//! The command line.
#![expect(clippy::print_stdout, reason = "what a command prints is its result")]

mod catalog;
mod check;
mod dev;
mod fsck;
mod metadefs;
mod rebuild;
mod serve;
mod site;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// An OpenStack Image service (API v2) that keeps image bytes in S3-compatible stores.
#[derive(Parser)]
#[command(version, about, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the Image API as a configuration file says.
    ///
    /// Every key is described in config/reference.toml. A variable ORIEL__SECTION__KEY overrides the file.
    Serve {
        /// The TOML configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Serve the Image API with everything inside: store, catalog, no authentication.
    ///
    /// For a laptop and for tests. Images are kept in the data directory between runs. Every caller is an
    /// administrator, so keep it on an address that only you can reach.
    Dev {
        /// Address of the Image API.
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9292")]
        listen: SocketAddr,
        /// Where images and records are kept.
        #[arg(long, value_name = "DIR", default_value = "oriel-data")]
        data_dir: PathBuf,
    },
    /// Check a configuration file, then the catalog and every store it names.
    ///
    /// Reports every fault of the file with its key. Each store is tried with a small object, a multipart upload, a
    /// range and an abort; what was stored is removed again.
    Check {
        /// The TOML configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Compare buckets and catalog, both ways, while servers run.
    ///
    /// Objects that no record knows, records whose object is missing or another one, counters that do not add up, uploads
    /// that nobody works on, multipart uploads left open. A catalog in a file has to be free: stop its server. Ends with 0
    /// when nothing was found or all of it repaired, 1 when something was, 2 when not everything could be looked at.
    Fsck(fsck::Arguments),
    /// Make the records again of the images in the buckets, when the catalog is lost.
    ///
    /// Every object of an image that has no record gets one: id, size, digests and format by its bytes, all of which are
    /// read. What only the old record knew is gone, so images come back private, without an owner, and tagged `recovered`.
    /// No object and no record that is there is changed. Ends with 0, or 2 when not everything could be done; it can be run
    /// again.
    Rebuild(rebuild::Arguments),
    /// Copy records from one database to another, while the service is stopped.
    #[command(subcommand)]
    Catalog(catalog::Command),
    /// Load, remove or export metadata definitions, while the service is stopped.
    #[command(subcommand)]
    Metadefs(metadefs::Command),
}

/// Carries out the command of this process's arguments.
///
/// # Errors
/// Whatever stopped it, for a person to read.
pub async fn run() -> anyhow::Result<ExitCode> {
    match Cli::parse().command {
        Command::Serve { config } => serve::run(&config).await,
        Command::Dev { listen, data_dir } => dev::run(listen, &data_dir).await,
        Command::Check { config } => check::run(&config).await,
        Command::Fsck(arguments) => Ok(fsck::run(arguments).await),
        Command::Rebuild(arguments) => Ok(rebuild::run(arguments).await),
        Command::Catalog(command) => catalog::run(command).await,
        Command::Metadefs(command) => metadefs::run(command).await,
    }
}
