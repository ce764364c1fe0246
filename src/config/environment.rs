//! Lays the environment over the file: `ORIEL__SECTION__KEY` is the key `section.key`.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::fault::Fault;
use super::read::Findings;

/// What the name of every variable begins with.
const PREFIX: &str = "ORIEL__";

/// The variables of this process that belong to the service.
///
/// A value that is no UTF-8 is noted as a fault.
pub(super) fn variables(faults: &mut Vec<Fault>) -> Vec<(String, String)> {
    let mut variables = Vec::new();
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the environment"
    )]
    for (name, value) in std::env::vars_os() {
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else {
            continue;
        };
        match value.into_string() {
            Ok(value) => variables.push((name.to_owned(), value)),
            Err(_) => faults.push(Fault {
                key: name.to_owned(),
                variable: None,
                rule: "must be UTF-8".to_owned(),
                got: None,
            }),
        }
    }
    variables
}

/// Puts the value of every variable into the table. An empty one counts as absent, as compose files pass unset ones.
pub(super) fn overlay(
    table: &mut Table,
    variables: impl IntoIterator<Item = (String, String)>,
    findings: &mut Findings,
) {
    // Sorted, so that faults come in the same order each time.
    let variables: BTreeMap<String, String> = variables.into_iter().collect();
    for (name, value) in variables {
        let Some(rest) = name.strip_prefix(PREFIX).filter(|_| !value.is_empty()) else {
            continue;
        };
        let mut segments: Vec<String> = rest.split("__").map(str::to_ascii_lowercase).collect();
        if let [group, store, _] = segments.as_mut_slice()
            && group == "store"
        {
            match store_name(table, store) {
                Ok(name) => *store = name,
                Err(rule) => {
                    findings.faults.push(fault(&segments, &name, rule));
                    continue;
                }
            }
        }
        let path = segments.join(".");
        match insert(table, &segments, value) {
            Ok(()) => {
                findings.variables.insert(path, name);
            }
            Err(rule) => findings.faults.push(fault(&segments, &name, rule)),
        }
    }
}

fn fault(segments: &[String], variable: &str, rule: &str) -> Fault {
    Fault {
        key: segments.join("."),
        variable: Some(variable.to_owned()),
        rule: rule.to_owned(),
        got: None,
    }
}

/// The store of the file that a variable means. Variables know neither small letters nor `-`, so both are overlooked;
/// a store that the file does not have is made.
fn store_name(table: &Table, folded: &str) -> Result<String, &'static str> {
    let fold = |name: &str| name.to_ascii_lowercase().replace('-', "_");
    let mut matches = table
        .get("store")
        .and_then(Value::as_table)
        .into_iter()
        .flat_map(Table::keys)
        .filter(|name| fold(name) == fold(folded));
    match (matches.next(), matches.next()) {
        (Some(name), None) => Ok(name.clone()),
        (None, _) => Ok(folded.to_owned()),
        (Some(_), Some(_)) => Err("means more than one store"),
    }
}

fn insert(table: &mut Table, segments: &[String], value: String) -> Result<(), &'static str> {
    let (last, groups) = segments.split_last().ok_or("names no key")?;
    if segments.iter().any(String::is_empty) {
        return Err("names no key");
    }
    let mut table = table;
    for group in groups {
        table = table
            .entry(group.as_str())
            .or_insert_with(|| Value::Table(Table::new()))
            .as_table_mut()
            .ok_or("lies under a key that is no table")?;
    }
    if table.get(last).is_some_and(Value::is_table) {
        return Err("is a table");
    }
    table.insert(last.clone(), Value::String(value));
    Ok(())
}
