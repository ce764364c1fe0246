//! Queries and the links of pages, which every list has.

use std::num::IntErrorKind;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::error::Error;
use crate::catalog::Direction;

/// What stays readable in the links of a page.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b':')
    .remove(b',');

/// Keys and values, decoded, in the order they were given.
pub(super) type Pairs = Vec<(String, String)>;

/// Splits and decodes a query.
///
/// # Errors
/// 400 when it is not UTF-8.
pub(super) fn pairs(text: &str) -> Result<Pairs, Error> {
    let decode = |text: &str| {
        let plain = text.replace('+', " ");
        let decoded = percent_decode_str(&plain).decode_utf8();
        decoded
            .map(String::from)
            .map_err(|_| Error::BadRequest("The query is not valid UTF-8.".into()))
    };
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(key)?, decode(value)?))
        })
        .collect()
}

/// The same list from its start or from a marker on. Repeated keys are all kept; Glance loses all but one, and with it
/// the filter of every page but the first.
pub(super) fn link(path: &str, pairs: &Pairs, marker: Option<&str>) -> String {
    let kept = pairs
        .iter()
        .filter(|(key, _)| key != "marker")
        .map(|(key, value)| (key.as_str(), value.as_str()));
    let encoded: Vec<String> = kept
        .chain(marker.map(|id| ("marker", id)))
        .map(|(key, value)| {
            format!(
                "{}={}",
                utf8_percent_encode(key, KEPT),
                utf8_percent_encode(value, KEPT)
            )
        })
        .collect();
    if encoded.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{}", encoded.join("&"))
    }
}

/// 400 that names the parameter and the rule.
pub(super) fn bad(key: &str, rule: impl std::fmt::Display) -> Error {
    Error::BadRequest(format!("Query parameter '{key}' {rule}"))
}

/// A number of records; more than fit a page is lowered by the caller.
///
/// # Errors
/// 400 when it is no integer from 0.
pub(super) fn limit(key: &str, value: &str) -> Result<u32, Error> {
    match value.parse() {
        Ok(limit) => Ok(limit),
        Err(e) if *e.kind() == IntErrorKind::PosOverflow => Ok(u32::MAX),
        Err(_) => Err(bad(key, "must be an integer from 0")),
    }
}

/// `asc` or `desc`.
///
/// # Errors
/// 400 for anything else.
pub(super) fn direction(key: &str, value: &str) -> Result<Direction, Error> {
    match value {
        "asc" => Ok(Direction::Ascending),
        "desc" => Ok(Direction::Descending),
        _ => Err(bad(key, "must have the direction asc or desc")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_keep_repeated_keys_and_encode_values() {
        let pairs = pairs("tag=x&tag=y&name=a%26b&marker=old").unwrap();
        assert_eq!(
            link("/p", &pairs, Some("new")),
            "/p?tag=x&tag=y&name=a%26b&marker=new"
        );
        assert_eq!(link("/p", &Vec::new(), None), "/p");
    }
}
