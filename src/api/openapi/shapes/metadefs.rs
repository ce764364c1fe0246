//! The shapes of metadata definitions.

use serde_json::{Value, json};

use super::super::{object, shape};
use super::record::Record;
use super::{Shapes, closed, list, page};
use crate::api::schemas::metadefs;
use crate::metadef::{COUNT_MAX, Holds, LONGEST_NAME, PROPERTY_KEYS, PROPERTY_TYPES};

const PARTS: [&str; 4] = [
    "resource_type_associations",
    "properties",
    "objects",
    "tags",
];

/// The shapes.
pub(super) fn shapes() -> Shapes {
    let mut shapes = of_properties();
    shapes.extend(of_requests());
    shapes.extend(of_answers());
    shapes
}

fn namespace(parts: [Value; 4]) -> Record {
    let namespace = Record::of("metadefs/namespace", metadefs::namespace());
    let parts = PARTS.into_iter().zip(parts);
    let whole = parts.fold(namespace, |record, (key, schema)| record.with(key, schema));
    whole.also(&["namespace"], &json!({"minLength": 1}))
}

fn of_object(properties: Value) -> Record {
    named("metadefs/object", metadefs::object())
        .with(
            "required",
            json!({"type": "array", "items": {"type": "string"}, "uniqueItems": true}),
        )
        .with("properties", properties)
}

/// A part of a namespace.
fn named(path: &str, document: Value) -> Record {
    Record::of(path, document).also(&["name"], &json!({"minLength": 1}))
}

fn of_requests() -> Shapes {
    let namespace = namespace([
        list("AssociationRequest"),
        shape("MetadefPropertyMap"),
        list("MetadefObjectRequest"),
        list("MetadefTagName"),
    ]);
    let association = named("metadefs/resource_type", metadefs::resource_type());
    vec![
        ("NamespaceRequest", namespace.into_request().into_schema()),
        (
            "MetadefObjectRequest",
            of_object(shape("MetadefPropertyMap"))
                .into_request()
                .into_schema(),
        ),
        (
            "AssociationRequest",
            association.into_request().into_schema(),
        ),
        (
            "MetadefTagName",
            named("metadefs/tag", metadefs::tag())
                .into_request()
                .into_schema(),
        ),
    ]
}

fn of_answers() -> Shapes {
    let map = |name| json!({"type": "object", "additionalProperties": shape(name)});
    let namespace = namespace([
        list("Association"),
        map("MetadefProperty"),
        list("MetadefObject"),
        list("MetadefTagName"),
    ]);
    let namespace = namespace.about("Parts and attributes that are not set are left out.");
    let not_always = [&["display_name", "description", "owner"][..], &PARTS].concat();
    let object = of_object(map("MetadefProperty")).about(
        "What a request leaves out of `required` and `properties` is left out of its answer too; whoever reads the \
         object finds both.",
    );
    // The link to the schema of objects has no slash before it, as in the reference service.
    let objects = page("metadefs/objects", "objects", "MetadefObject")
        .with("schema", json!({"type": "string"}));
    let association = named("metadefs/resource_type", metadefs::resource_type());
    let tag = named("metadefs/tag", metadefs::tag()).into_answer(&[]);
    // A type of resource has a name and times, and nothing else, as a tag has.
    let types = json!({"type": "array", "items": tag});
    let namespaces = page("metadefs/namespaces", "namespaces", "Namespace");
    vec![
        ("Namespace", namespace.into_answer(&not_always)),
        ("Namespaces", namespaces.into_answer(&["next"])),
        (
            "MetadefObject",
            object.into_answer(&["description", "required", "properties"]),
        ),
        ("MetadefObjects", objects.into_answer(&["first", "next"])),
        (
            "MetadefProperties",
            closed(json!({"properties": map("MetadefNamedProperty")})),
        ),
        ("MetadefTag", tag),
        (
            "MetadefTags",
            closed(json!({"tags": list("MetadefTagName")})),
        ),
        (
            "Association",
            association.into_answer(&["prefix", "properties_target"]),
        ),
        (
            "Associations",
            closed(json!({"resource_type_associations": list("Association")})),
        ),
        ("ResourceTypes", closed(json!({"resource_types": types}))),
    ]
}

/// Properties with their names inside or not, and as they are written or shown. They follow from the keys that requests
/// are held to: the documents have the reference service's, which are others.
fn of_properties() -> Shapes {
    let name = json!({"type": "string", "minLength": 1, "maxLength": LONGEST_NAME});
    let passed_over = json!({"description": "Passed over: the key is the name."});
    let shown = json!({"description": "With the prefix of the association that was asked for.", "type": "string"});
    let text = json!({
        "description": "Text, whatever was given; null for an array or an object.",
        "type": ["string", "null"],
    });
    let any = json!({"description": "Any value."});
    let map = json!({
        "type": "object",
        "propertyNames": {"minLength": 1, "maxLength": LONGEST_NAME},
        "additionalProperties": shape("MetadefPropertyInMap"),
    });
    vec![
        ("MetadefPropertyRequest", property(Some(name), true, &any)),
        (
            "MetadefPropertyInMap",
            property(Some(passed_over), false, &any),
        ),
        ("MetadefPropertyMap", map),
        ("MetadefProperty", property(None, false, &text)),
        ("MetadefNamedProperty", property(Some(shown), true, &text)),
    ]
}

fn property(name: Option<Value>, is_name_required: bool, default: &Value) -> Value {
    let name = name.map(|schema| ("name", schema));
    let keys = PROPERTY_KEYS.map(|(key, holds)| (key, of_kind(holds, default)));
    let mut required = vec!["title", "type"];
    if is_name_required {
        required.push("name");
    }
    json!({
        "description": "What an extra property means and which values it may have.",
        "type": "object",
        "required": required,
        "properties": object(name.into_iter().chain(keys)),
        "additionalProperties": false,
    })
}

fn of_kind(holds: Holds, any: &Value) -> Value {
    let strings = json!({"type": "array", "items": {"type": "string"}});
    match holds {
        Holds::Anything => any.clone(),
        Holds::Count => json!({"type": "integer", "minimum": 0, "maximum": COUNT_MAX}),
        Holds::Items => json!({
            "type": "object",
            "properties": {"type": of_kind(Holds::Type, any), "enum": of_kind(Holds::Values, any)},
            "additionalProperties": false,
        }),
        Holds::Names => json!({"type": "array", "items": {"type": "string"}, "uniqueItems": true}),
        Holds::Number => json!({"type": "number"}),
        Holds::Strings => strings,
        Holds::Text => json!({"type": "string"}),
        Holds::Truth => json!({"type": "boolean"}),
        Holds::Type => json!({"type": "string", "enum": PROPERTY_TYPES}),
        Holds::Values => json!({"type": "array", "minItems": 1}),
    }
}
