//! Queries and the links of pages, which every list has.

use std::num::IntErrorKind;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::error::Error;
use crate::catalog::Direction;
use crate::config;

/// What stays readable in the links of a page.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b':')
    .remove(b',');

/// Most parameters of a query, repeated ones and filters of any kind included.
pub(super) const PARAMETERS: usize = 100;

/// Most values that a query may list: behind `in:` in all its filters together, or as `resource_types`.
pub(super) const VALUES: usize = 500;

/// How many records a page has.
#[derive(Debug, Clone)]
pub(super) struct PageLimits {
    /// When the query has no limit.
    pub(super) default: u32,
    /// At most.
    pub(super) max: u32,
}

impl PageLimits {
    pub(super) fn new(images: &config::Images) -> Self {
        Self {
            default: images.limit_default,
            max: images.limit_max,
        }
    }
}

/// Keys and values, decoded, in the order they were given.
pub(super) type Pairs = Vec<(String, String)>;

/// Splits and decodes a query.
///
/// # Errors
/// 400 when it is not UTF-8, or has more than [`PARAMETERS`].
pub(super) fn pairs(text: &str) -> Result<Pairs, Error> {
    let decode = |text: &str| {
        let plain = text.replace('+', " ");
        let decoded = percent_decode_str(&plain).decode_utf8();
        decoded
            .map(String::from)
            .map_err(|_| Error::BadRequest("The query is not valid UTF-8.".into()))
    };
    let mut pairs = Pairs::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let key = decode(key)?;
        if pairs.len() == PARAMETERS {
            let rule = format!("is one too many: a query has at most {PARAMETERS} parameters");
            return Err(bad(&key, rule));
        }
        pairs.push((key, decode(value)?));
    }
    Ok(pairs)
}

/// Counts values that one parameter lists; `listed` is how many the query has listed so far.
///
/// # Errors
/// 400 when they are more than [`VALUES`].
pub(super) fn list(key: &str, values: usize, listed: &mut usize) -> Result<(), Error> {
    *listed += values;
    if *listed > VALUES {
        return Err(bad(
            key,
            format!("lists too many values: a query lists at most {VALUES}"),
        ));
    }
    Ok(())
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
    fn parameters_and_listed_values_are_bounded() {
        let query = |count| vec!["tag=x"; count].join("&");
        assert_eq!(pairs(&query(PARAMETERS)).unwrap().len(), PARAMETERS);
        let refused = format!("{:?}", pairs(&query(PARAMETERS + 1)).unwrap_err());
        assert!(
            refused.contains("'tag'") && refused.contains("100"),
            "{refused}"
        );
        let mut listed = 0;
        list("id", VALUES, &mut listed).unwrap();
        let refused = format!("{:?}", list("name", 1, &mut listed).unwrap_err());
        assert!(
            refused.contains("'name'") && refused.contains("500"),
            "{refused}"
        );
    }

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
