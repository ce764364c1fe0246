//! The real stores that this machine has running, by the list that their starters leave behind.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::oriel::Store;

/// The bucket that the bench makes in each store and leaves there, empty.
const BUCKET: &str = "oriel-bench";

/// Reads the list: one store a line, `name profile endpoint access_key secret_key region`. Lines that are empty or
/// start with `#` do not count. No list is an empty one.
///
/// # Errors
/// If it cannot be read or a line has other than six words.
pub fn available(list: &Path) -> Result<Vec<Store>> {
    let text = match fs::read_to_string(list) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).context("read the list of stores"),
    };
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'))
        .map(|(index, line)| {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            let [name, profile, endpoint, access_key, secret_key, region] = words[..] else {
                // Without the line itself: it holds a secret.
                bail!(
                    "line {} of the list of stores has {} words, not six",
                    index + 1,
                    words.len()
                );
            };
            Ok(Store {
                name: name.to_owned(),
                profile: profile.to_owned(),
                endpoint: endpoint.to_owned(),
                region: region.to_owned(),
                bucket: BUCKET.to_owned(),
                access_key: access_key.to_owned(),
                secret_key: secret_key.to_owned(),
            })
        })
        .collect()
}
