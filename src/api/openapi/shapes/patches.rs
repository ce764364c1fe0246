//! The shapes of a PATCH, in both dialects. Which attributes it may write follows from the record that creates an image.

use serde_json::{Map, Value, json};

use super::super::shape;
use super::record::Record;
use super::{Shapes, complete, list};
use crate::image::{Dialect, is_base_attribute};

/// An operation: of any of these kinds, at a pointer, with a value or without.
type Step<'a> = (&'a [&'a str], Value, Option<Value>);

/// The shapes, for images that may be created so.
pub(super) fn shapes(wanted: &Record) -> Shapes {
    let attributes = wanted.clone().without("id").into_properties();
    let pointers = attributes.keys().map(String::as_str).chain(["locations"]);
    let pointers: Vec<String> = pointers.map(|name| format!("/{name}")).collect();
    let property = json!({
        "description": "A slash and the name of an extra property, with `~0` for `~` and `~1` for a slash.",
        "type": "string",
        "pattern": "^/\\s*([^/~\\s]|~[01])([^/~]|~[01])*$",
        "not": {"enum": pointers},
    });
    let newer = "A subset of JSON Patch (RFC 6902).";
    let older = "An older form; here add is refused with 409 on what is there.";
    vec![
        ("PropertyPointer", property),
        ("Patch21", patch(newer, &attributes, Dialect::V21)),
        ("Patch20", patch(older, &attributes, Dialect::V20)),
    ]
}

fn patch(about: &str, attributes: &Map<String, Value>, dialect: Dialect) -> Value {
    let property = || shape("PropertyPointer");
    let place = |pattern: &str| json!({"type": "string", "pattern": pattern});
    let whole_list = json!({"const": "/locations"});
    let mut steps: Vec<Step<'_>> = vec![
        (
            &["add", "replace"],
            property(),
            Some(json!({"type": "string"})),
        ),
        (&["remove"], property(), None),
        (
            &["add"],
            place("^/locations/(-|[0-9]+)$"),
            Some(shape("Location")),
        ),
        (&["replace"], whole_list, Some(list("Location"))),
        (&["remove"], place("^/locations/[0-9]+$"), None),
    ];
    for (name, schema) in attributes {
        let pointer = json!({"const": format!("/{name}")});
        if !is_base_attribute(name) {
            steps.push((&["remove"], pointer.clone(), None));
        }
        // Adding to what is there, as attributes always are, is a conflict in the older dialect.
        let writing: &[&str] = match dialect {
            Dialect::V20 => &["replace"],
            Dialect::V21 => &["add", "replace"],
        };
        steps.push((writing, pointer, Some(schema.clone())));
    }
    let steps = steps.into_iter().flat_map(|step| forms(dialect, step));
    let steps: Vec<Value> = steps.map(complete).collect();
    json!({"description": about, "type": "array", "items": {"oneOf": steps}})
}

/// The properties of an operation as it is written: the older dialect has a form for each kind.
fn forms(dialect: Dialect, (kinds, pointer, value): Step<'_>) -> Vec<Value> {
    let value = value.map(|value| ("value".to_owned(), value));
    let form = |parts: &[(&str, Value)]| {
        let parts = parts
            .iter()
            .map(|(key, part)| ((*key).to_owned(), part.clone()));
        Value::Object(parts.chain(value.clone()).collect())
    };
    match dialect {
        Dialect::V21 => vec![form(&[("op", json!({"enum": kinds})), ("path", pointer)])],
        Dialect::V20 => kinds
            .iter()
            .map(|kind| form(&[(kind, pointer.clone())]))
            .collect(),
    }
}
