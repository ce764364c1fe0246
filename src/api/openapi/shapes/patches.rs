//! The shapes of a PATCH, in both dialects. Which attributes it may write follows from the record that creates an image.

use serde_json::{Map, Value, json};

use super::super::shape;
use super::record::Record;
use super::{Shapes, list};
use crate::image::{Dialect, is_base_attribute};

/// The shapes, for images that may be created so.
pub(super) fn shapes(wanted: &Record) -> Shapes {
    let attributes = wanted.clone().without("id");
    let attributes = attributes.properties();
    let pointers = attributes.keys().map(String::as_str).chain(["locations"]);
    let pointers: Vec<String> = pointers.map(|name| format!("/{name}")).collect();
    vec![
        (
            "PropertyPointer",
            json!({
                "description": "A slash and the name of an extra property, with `~0` for `~` and `~1` for a slash.",
                "type": "string",
                "pattern": "^/\\s*([^/~\\s]|~[01])([^/~]|~[01])*$",
                "not": {"enum": pointers},
            }),
        ),
        (
            "Patch21",
            patch(
                "A subset of JSON Patch (RFC 6902).",
                attributes,
                Dialect::V21,
            ),
        ),
        (
            "Patch20",
            patch(
                "An older form; here add is refused with 409 on what is there.",
                attributes,
                Dialect::V20,
            ),
        ),
    ]
}

fn patch(about: &str, attributes: &Map<String, Value>, dialect: Dialect) -> Value {
    let property = || shape("PropertyPointer");
    let text = json!({"type": "string"});
    let place = |pattern: &str| json!({"type": "string", "pattern": pattern});
    // Attributes are always there, and adding to what is there is a conflict in the older dialect.
    let writing: &[&str] = match dialect {
        Dialect::V20 => &["replace"],
        Dialect::V21 => &["add", "replace"],
    };
    let mut steps = Vec::new();
    for (name, schema) in attributes {
        let pointer = json!({"const": format!("/{name}")});
        steps.extend(step(dialect, writing, &pointer, Some(schema)));
        if !is_base_attribute(name) {
            steps.extend(step(dialect, &["remove"], &pointer, None));
        }
    }
    steps.extend(step(dialect, &["add", "replace"], &property(), Some(&text)));
    steps.extend(step(dialect, &["remove"], &property(), None));
    let locations = json!({"const": "/locations"});
    steps.extend(step(
        dialect,
        &["add"],
        &place("^/locations/(-|[0-9]+)$"),
        Some(&shape("Location")),
    ));
    steps.extend(step(
        dialect,
        &["replace"],
        &locations,
        Some(&list("Location")),
    ));
    steps.extend(step(
        dialect,
        &["remove"],
        &place("^/locations/[0-9]+$"),
        None,
    ));
    json!({"description": about, "type": "array", "items": {"oneOf": steps}})
}

/// An operation of any of these kinds.
fn step(dialect: Dialect, kinds: &[&str], pointer: &Value, value: Option<&Value>) -> Vec<Value> {
    let forms = match dialect {
        Dialect::V21 => vec![json!({"op": {"enum": kinds}, "path": pointer})],
        Dialect::V20 => kinds.iter().map(|kind| json!({*kind: pointer})).collect(),
    };
    let forms = forms.into_iter().map(|mut properties| {
        if let Some(value) = value {
            properties["value"] = value.clone();
        }
        let required: Vec<&String> = properties
            .as_object()
            .into_iter()
            .flat_map(Map::keys)
            .collect();
        json!({"type": "object", "required": required, "properties": properties})
    });
    forms.collect()
}
