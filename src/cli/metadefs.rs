//! `oriel metadefs`: definition files into the catalog and out of it.
//!
//! Straight into the database and not through the API: there is no token to get, and what is protected can be replaced.
//! So the service must not be running; it holds the catalog.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::{Args, Subcommand};

use crate::catalog::{Catalog, Direction, Loaded, NamespacePage, NamespaceSortKey, OnExisting};
use crate::config::Config;
use crate::image::Viewer;
use crate::metadef::{self, Definition, builtin};
use crate::telemetry::metrics::Metrics;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Load definition files into the catalog.
    ///
    /// A file is one namespace, and is loaded whole or not at all. One that is in the catalog already is left alone,
    /// unless an option says otherwise.
    Load {
        #[command(flatten)]
        place: Place,
        /// Add to a namespace that exists what it lacks.
        #[arg(long)]
        merge: bool,
        /// Make a namespace that exists what the file says; with --merge, keep what the file does not name.
        #[arg(long)]
        prefer_new: bool,
    },
    /// Remove from the catalog every namespace that definition files name, protected or not.
    Unload {
        #[command(flatten)]
        place: Place,
    },
    /// Write every namespace of the catalog to a definition file.
    ///
    /// Files that exist are not overwritten.
    Export {
        /// The directory; made when it is missing.
        #[arg(value_name = "DIR")]
        dir: PathBuf,
        /// The TOML configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
}

#[derive(Args)]
pub(super) struct Place {
    /// The directory of the *.json files; without one, the definitions that come with the program.
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The TOML configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

pub(super) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let is_sound = match command {
        Command::Load {
            place,
            merge,
            prefer_new,
        } => {
            let existing = match (merge, prefer_new) {
                (false, false) => OnExisting::Skip,
                (true, false) => OnExisting::Add,
                (true, true) => OnExisting::Overlay,
                (false, true) => OnExisting::Replace,
            };
            let files = read_all(place.dir.as_deref())?;
            let catalog = open(&place.config).await?;
            let result = load(&catalog, files, existing).await;
            catalog.close().await;
            result?
        }
        Command::Unload { place } => {
            let files = read_all(place.dir.as_deref())?;
            let catalog = open(&place.config).await?;
            let result = unload(&catalog, files).await;
            catalog.close().await;
            result?
        }
        Command::Export { dir, config } => {
            let catalog = open(&config).await?;
            let result = export(&catalog, &dir).await;
            catalog.close().await;
            result?
        }
    };
    Ok(if is_sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Loads what comes with the program into a catalog that has no definitions.
pub(super) async fn load_first(catalog: &Catalog) -> anyhow::Result<()> {
    if !catalog
        .list_namespaces(everything(Some(1)))
        .await?
        .is_empty()
    {
        return Ok(());
    }
    for (_, text) in builtin::FILES {
        let definition = metadef::parse_file(text)?;
        catalog
            .load_definition(definition, OnExisting::Skip)
            .await?;
    }
    Ok(())
}

async fn open(config: &Path) -> anyhow::Result<Catalog> {
    let config = Config::load(config)?;
    let metrics = Arc::new(Metrics::new());
    Catalog::open(&config.catalog.database, 1, 0, metrics)
        .await
        .context("stop the service first: it holds the catalog while it runs")
}

/// A definition file: where it is, and what it says.
type File = (String, anyhow::Result<Definition>);

/// Reads every file before anything is written.
fn read_all(dir: Option<&Path>) -> anyhow::Result<Vec<File>> {
    let Some(dir) = dir else {
        let files = builtin::FILES.iter();
        return Ok(files
            .map(|(name, text)| {
                (
                    (*name).to_owned(),
                    metadef::parse_file(text).map_err(Into::into),
                )
            })
            .collect());
    };
    let entries = fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "json") {
            paths.push(path);
        }
    }
    anyhow::ensure!(!paths.is_empty(), "{} has no *.json file", dir.display());
    paths.sort();
    let files = paths.into_iter().map(|path| {
        let name = path.display().to_string();
        let text = fs::read_to_string(&path).context("it cannot be read");
        let definition = text.and_then(|text| Ok(metadef::parse_file(&text)?));
        (name, definition)
    });
    Ok(files.collect())
}

/// One line a file; false when any was not loaded.
async fn load(catalog: &Catalog, files: Vec<File>, existing: OnExisting) -> anyhow::Result<bool> {
    let mut is_sound = true;
    for (file, definition) in files {
        let definition = match definition {
            Ok(definition) => definition,
            Err(fault) => {
                say(&format!("FAULT   {file}: {fault:#}"));
                is_sound = false;
                continue;
            }
        };
        let name = definition.attributes.name.clone();
        let loaded = catalog.load_definition(definition, existing).await;
        match loaded.with_context(|| format!("cannot load {file}"))? {
            Loaded::Created => say(&format!("loaded  {file}: {name}")),
            Loaded::Skipped => say(&format!("skipped {file}: {name} exists")),
            Loaded::Merged(0) => say(&format!("merged  {file}: {name} lacked nothing")),
            Loaded::Merged(parts) => say(&format!("merged  {file}: {parts} parts into {name}")),
            Loaded::Replaced => say(&format!(
                "loaded  {file}: {name}, in the place of the old one"
            )),
        }
    }
    Ok(is_sound)
}

async fn unload(catalog: &Catalog, files: Vec<File>) -> anyhow::Result<bool> {
    let mut is_sound = true;
    for (file, definition) in files {
        match definition {
            Ok(Definition { attributes, .. }) => {
                let name = attributes.name;
                if catalog.unload_namespace(&name).await? {
                    say(&format!("removed {file}: {name}"));
                } else {
                    say(&format!("skipped {file}: {name} is not there"));
                }
            }
            Err(fault) => {
                say(&format!("FAULT   {file}: {fault:#}"));
                is_sound = false;
            }
        }
    }
    Ok(is_sound)
}

async fn export(catalog: &Catalog, dir: &Path) -> anyhow::Result<bool> {
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let (mut is_sound, mut taken) = (true, BTreeSet::new());
    for (namespace, _) in catalog.list_namespaces(everything(None)).await? {
        let contents = catalog.namespace_contents(&namespace).await?;
        let path = dir.join(file_name(namespace.name(), &mut taken));
        // Not over a file that is there: it may be the only copy of somebody's work.
        let file = fs::File::create_new(&path);
        let text = metadef::document(&namespace, &contents);
        match file.and_then(|mut file| file.write_all(text.as_bytes())) {
            Ok(()) => say(&format!("written {}: {}", path.display(), namespace.name())),
            Err(e) => {
                say(&format!("FAULT   {}: {e}", path.display()));
                is_sound = false;
            }
        }
    }
    Ok(is_sound)
}

/// A name for the file of a namespace: its letters and digits, joined by dashes, and a number when that is taken.
fn file_name(namespace: &str, taken: &mut BTreeSet<String>) -> String {
    let words = namespace.split(|c: char| !c.is_ascii_alphanumeric());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let base = if words.is_empty() {
        "namespace".to_owned()
    } else {
        words.join("-").to_ascii_lowercase()
    };
    let mut name = base.clone();
    let mut number = 1;
    while !taken.insert(name.clone()) {
        number += 1;
        name = format!("{base}-{number}");
    }
    format!("{name}.json")
}

/// Prints a line. A reader that has gone away, like `head`, must not stop the work in the middle.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn everything(limit: Option<u32>) -> NamespacePage {
    NamespacePage {
        viewer: Viewer {
            project: None,
            is_admin: true,
        },
        visibility: None,
        resource_types: None,
        sort_key: NamespaceSortKey::Name,
        direction: Direction::Ascending,
        after: None,
        limit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_namespace_gets_a_file_of_its_own() {
        let mut taken = BTreeSet::new();
        for (namespace, file) in [
            ("OS::Compute::Quota", "os-compute-quota.json"),
            ("os.compute/quota", "os-compute-quota-2.json"),
            ("OS-Compute-Quota", "os-compute-quota-3.json"),
            ("../..", "namespace.json"),
            ("Größe", "gr-e.json"),
            ("*", "namespace-2.json"),
        ] {
            assert_eq!(file_name(namespace, &mut taken), file);
        }
    }
}
