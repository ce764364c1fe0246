//! The part of a PATCH that is about `/locations` (contract 4.5).

use serde_json::Value;

use crate::image::{InvalidImage, Reason};

/// What a PATCH asks of an image's locations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LocationChange {
    /// One more copy.
    Add,
    /// Exactly the copies with these URLs; a change of what is known of them, if they are the present ones.
    Replace(Vec<String>),
    /// One copy less: the one at this place of the shown list.
    Remove(usize),
}

/// Reads an operation whose path begins with `/locations`; `None` for any other path.
///
/// # Errors
/// [`Reason::Malformed`] with the rule that is broken.
pub(super) fn parse(
    kind: &str,
    path: &str,
    value: Option<&Value>,
) -> Option<Result<LocationChange, InvalidImage>> {
    let rest = path.strip_prefix("/locations")?;
    let place = match rest.strip_prefix('/') {
        Some(place) => Some(place),
        None if rest.is_empty() => None,
        None => return None,
    };
    Some(change(kind, place, value))
}

fn change(
    kind: &str,
    place: Option<&str>,
    value: Option<&Value>,
) -> Result<LocationChange, InvalidImage> {
    match (kind, place) {
        ("add", Some(place)) if place == "-" || is_index(place) => match value.and_then(url_of) {
            Some(_) => Ok(LocationChange::Add),
            None => Err(malformed(
                "must have a value with a 'url' and its 'metadata'",
            )),
        },
        ("add", None) if value.and_then(Value::as_array).is_some_and(Vec::is_empty) => Err(
            malformed("are added at '-' or a place, and one must be given"),
        ),
        ("add" | "replace", None) => match value.and_then(Value::as_array) {
            Some(list) => list
                .iter()
                .map(url_of)
                .collect::<Option<Vec<_>>>()
                .map(LocationChange::Replace)
                .ok_or_else(|| malformed("must each have a 'url' and its 'metadata'")),
            None => Err(malformed("must be an array")),
        },
        ("remove", Some(place)) if is_index(place) => place
            .parse()
            .map(LocationChange::Remove)
            .map_err(|_| malformed("must be removed by their place in the list")),
        _ => Err(malformed(
            "are added at '-' or a place, removed at a place, and replaced as a whole",
        )),
    }
}

fn is_index(place: &str) -> bool {
    !place.is_empty() && place.bytes().all(|b| b.is_ascii_digit())
}

fn url_of(location: &Value) -> Option<String> {
    let url = location.get("url")?.as_str()?;
    let has_metadata = location.get("metadata").is_some_and(Value::is_object);
    has_metadata.then(|| url.to_owned())
}

fn malformed(rule: &str) -> InvalidImage {
    InvalidImage::new(Reason::Malformed, format!("Locations {rule}."))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn locations_are_added_removed_and_replaced_by_their_own_paths() {
        let location = json!({"url": "s3://h/b/k", "metadata": {}});
        let list = json!([location]);
        for (kind, path, value, expected) in [
            (
                "add",
                "/locations/-",
                Some(&location),
                Some(LocationChange::Add),
            ),
            (
                "add",
                "/locations/0",
                Some(&location),
                Some(LocationChange::Add),
            ),
            (
                "remove",
                "/locations/1",
                None,
                Some(LocationChange::Remove(1)),
            ),
            (
                "replace",
                "/locations",
                Some(&list),
                Some(LocationChange::Replace(vec!["s3://h/b/k".into()])),
            ),
            (
                "replace",
                "/locations",
                Some(&json!([])),
                Some(LocationChange::Replace(vec![])),
            ),
            ("add", "/locations", Some(&json!([])), None),
            ("add", "/locations/-", Some(&json!({"url": "x"})), None),
            ("add", "/locations/x", Some(&location), None),
            ("replace", "/locations/0", Some(&location), None),
            ("replace", "/locations", Some(&location), None),
            ("remove", "/locations", None, None),
            ("remove", "/locations/-", None, None),
            ("remove", "/locations/99999999999999999999999", None, None),
            ("remove", "/locations/0/url", None, None),
        ] {
            let got = parse(kind, path, value).expect("a path of locations");
            assert_eq!(got.ok(), expected, "{kind} {path}");
        }
        assert_eq!(parse("remove", "/locations_x", None), None);
        assert_eq!(parse("remove", "/name", None), None);
    }
}
