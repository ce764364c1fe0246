//! `oriel catalog`: what is done with records while no server has them.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use crate::catalog::copy_catalog;
use crate::config::{Database, Secret};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Copy a catalog from one database to another, as from SQLite to PostgreSQL or back.
    ///
    /// Stop every server first. The target must be empty; it gets everything or nothing. Both are compared before the copy
    /// counts, and each table is printed with its rows and their SHA-256. Image bytes stay where they are.
    Copy {
        /// The SQLite file, or the URL of the PostgreSQL database, to read.
        #[arg(long, value_name = "FILE|URL")]
        from: String,
        /// The one to fill.
        #[arg(long, value_name = "FILE|URL")]
        to: String,
    },
}

pub(super) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let Command::Copy { from, to } = command;
    let copied = copy_catalog(&database(&from), &database(&to)).await?;
    for table in copied {
        println!(
            "{:<24} {:>10} rows  {}",
            table.table, table.rows, table.digest
        );
    }
    println!("copied; name it in [catalog] and start the servers");
    Ok(ExitCode::SUCCESS)
}

fn database(text: &str) -> Database {
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        Database::Postgres(Secret::new(text))
    } else {
        Database::Sqlite(PathBuf::from(text))
    }
}
