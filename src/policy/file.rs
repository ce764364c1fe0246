//! A site's own rules: a YAML (or JSON) map from the name of a rule to its text.

use std::collections::BTreeMap;

use yaml_rust2::{Yaml, YamlLoader};

use super::parse::{self, Parsed};

/// The text is no map of rules.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub(crate) struct InvalidFile(String);

/// The rules by name; each may be wrong by itself.
pub(super) fn read(text: &str) -> Result<BTreeMap<String, Result<Parsed, String>>, InvalidFile> {
    let documents =
        YamlLoader::load_from_str(text).map_err(|e| InvalidFile(format!("is no YAML: {e}")))?;
    let map = match documents.into_iter().next() {
        // A file of comments.
        None | Some(Yaml::Null) => return Ok(BTreeMap::new()),
        Some(Yaml::Hash(map)) => map,
        Some(_) => {
            return Err(InvalidFile(
                "must be a map from names of rules to rules".into(),
            ));
        }
    };
    map.into_iter()
        .map(|(name, rule)| match name {
            Yaml::String(name) => Ok((name, rule_of(&rule))),
            other => Err(InvalidFile(format!(
                "has a name that is no text: {other:?}"
            ))),
        })
        .collect()
}

fn rule_of(value: &Yaml) -> Result<Parsed, String> {
    match value {
        Yaml::String(text) => parse::rule(text),
        // An unquoted `!` or nothing after the colon reads as null: not what was meant, so nobody passes.
        Yaml::Null => Err("is empty; write \"\" for always and \"!\" for never".into()),
        Yaml::Array(outer) => outer
            .iter()
            .map(|inner| match inner {
                Yaml::String(one) => Ok(vec![one.as_str()]),
                Yaml::Array(several) => several
                    .iter()
                    .map(|check| check.as_str().ok_or_else(not_text))
                    .collect(),
                _ => Err(not_text()),
            })
            .collect::<Result<_, _>>()
            .and_then(parse::lists),
        _ => Err("must be a text".into()),
    }
}

fn not_text() -> String {
    "must be a list of lists of texts".into()
}
