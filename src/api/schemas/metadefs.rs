//! The schemas of metadata definitions.

use serde_json::{Value, json};

use super::{array, collection, fields};
use crate::metadef::{LONGEST_DESCRIPTION, LONGEST_NAME, LONGEST_OWNER, NamespaceVisibility};

/// Every document by its path.
pub(super) fn documents() -> Vec<(&'static str, Value)> {
    let definitions = [("definitions", definitions())];
    let properties =
        json!({"type": "object", "additionalProperties": property(&["type", "title"])});
    let property_definitions = [("definitions", simple_definitions(true))];
    vec![
        ("metadefs/namespace", with(namespace(), &definitions)),
        (
            "metadefs/namespaces",
            collection("namespaces", array(&namespace()), &definitions),
        ),
        ("metadefs/object", with(object(), &definitions)),
        (
            "metadefs/objects",
            collection("objects", array(&object()), &definitions),
        ),
        (
            "metadefs/property",
            with(property(&["type", "title", "name"]), &property_definitions),
        ),
        (
            "metadefs/properties",
            collection("properties", properties, &property_definitions),
        ),
        ("metadefs/resource_type", resource_type()),
        (
            "metadefs/resource_types",
            collection("resource_type_associations", array(&resource_type()), &[]),
        ),
        ("metadefs/tag", tag()),
        ("metadefs/tags", collection("tags", array(&tag()), &[])),
    ]
}

/// The schema with more keys, before `required` as in Glance's.
fn with(schema: Value, more: &[(&str, Value)]) -> Value {
    let mut schema = fields(schema);
    let required = schema.shift_remove("required");
    for (key, value) in more {
        schema.insert((*key).to_owned(), value.clone());
    }
    if let Some(required) = required {
        schema.insert("required".to_owned(), required);
    }
    Value::Object(schema)
}

fn time(description: &str) -> Value {
    json!({"type": "string", "readOnly": true, "description": description, "format": "date-time"})
}

fn path() -> Value {
    json!({"readOnly": true, "type": "string"})
}

fn name(description: &str) -> Value {
    json!({"type": "string", "description": description, "maxLength": LONGEST_NAME})
}

/// A namespace.
pub(in crate::api) fn namespace() -> Value {
    json!({
        "name": "namespace",
        "properties": {
            "namespace": name("Names the namespace; no other has it"),
            "display_name": name("Its name for people"),
            "description": {
                "type": "string",
                "description": "What is defined in it",
                "maxLength": LONGEST_DESCRIPTION,
            },
            "visibility": {
                "type": "string",
                "description": "Who may read it",
                "enum": NamespaceVisibility::ALL.map(NamespaceVisibility::as_str),
            },
            "protected": {
                "type": "boolean",
                "description": "Whether it is kept from being deleted",
            },
            "owner": {
                "type": "string",
                "description": "The project that owns it",
                "maxLength": LONGEST_OWNER,
            },
            "created_at": time("When it was made"),
            "updated_at": time("When it was last changed"),
            "schema": path(),
            "self": path(),
            "resource_type_associations": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "name": {"type": "string"},
                        "prefix": {"type": "string"},
                        "properties_target": {"type": "string"},
                    },
                },
            },
            "properties": {"$ref": "#/definitions/property"},
            "objects": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "name": {"type": "string"},
                        "description": {"type": "string"},
                        "required": {"$ref": "#/definitions/stringArray"},
                        "properties": {"$ref": "#/definitions/property"},
                    },
                },
            },
            "tags": {
                "type": "array",
                "items": {"type": "object", "properties": {"name": {"type": "string"}}},
            },
        },
        "additionalProperties": false,
        "required": ["namespace"],
    })
}

/// A group of properties.
pub(in crate::api) fn object() -> Value {
    json!({
        "name": "object",
        "properties": {
            "name": {"type": "string", "maxLength": LONGEST_NAME},
            "description": {"type": "string"},
            "required": {"$ref": "#/definitions/stringArray"},
            "properties": {"$ref": "#/definitions/property"},
            "schema": path(),
            "self": path(),
            "created_at": time("When it was made"),
            "updated_at": time("When it was last changed"),
        },
        "additionalProperties": false,
        "required": ["name"],
    })
}

/// That a namespace is for a type of resource.
pub(in crate::api) fn resource_type() -> Value {
    json!({
        "name": "resource_type_association",
        "properties": {
            "name": name("A kind of resource, as the Heat project names them where it can"),
            "prefix": name("What stands before each property's name on such a resource, like 'hw:'"),
            "properties_target": name("Which of a resource's properties are meant, where it has several sets"),
            "created_at": time("When it was associated"),
            "updated_at": time("When that was last changed"),
        },
        "additionalProperties": false,
        "required": ["name"],
    })
}

/// A tag.
pub(in crate::api) fn tag() -> Value {
    json!({
        "name": "tag",
        "properties": {
            "name": {"type": "string", "maxLength": LONGEST_NAME},
            "created_at": time("When it was made"),
            "updated_at": time("When it was last changed"),
        },
        "additionalProperties": false,
        "required": ["name"],
    })
}

fn property(required: &[&str]) -> Value {
    json!({
        "name": "property",
        "properties": property_fields(),
        "additionalProperties": false,
        "required": required,
    })
}

/// What a definition of a property may say: a subset of JSON schema, draft 4.
fn property_fields() -> Value {
    let kinds = json!([
        "array", "boolean", "integer", "number", "object", "string", null
    ]);
    json!({
        "name": {"type": "string", "maxLength": LONGEST_NAME},
        "title": {"type": "string"},
        "description": {"type": "string"},
        "operators": {"type": "array", "items": {"type": "string"}},
        "type": {"type": "string", "enum": kinds},
        "required": {"$ref": "#/definitions/stringArray"},
        "minimum": {"type": "number"},
        "maximum": {"type": "number"},
        "maxLength": {"$ref": "#/definitions/positiveInteger"},
        "minLength": {"$ref": "#/definitions/positiveIntegerDefault0"},
        "pattern": {"type": "string", "format": "regex"},
        "enum": {"type": "array"},
        "readonly": {"type": "boolean"},
        "default": {},
        "items": {
            "type": "object",
            "properties": {"type": {"type": "string", "enum": kinds}, "enum": {"type": "array"}},
        },
        "maxItems": {"$ref": "#/definitions/positiveInteger"},
        "minItems": {"$ref": "#/definitions/positiveIntegerDefault0"},
        "uniqueItems": {"type": "boolean", "default": false},
        "additionalItems": {"type": "boolean"},
    })
}

fn simple_definitions(must_have_items: bool) -> Value {
    let mut strings = json!({"type": "array", "items": {"type": "string"}});
    if must_have_items {
        strings["minItems"] = json!(1);
    }
    strings["uniqueItems"] = json!(true);
    json!({
        "positiveInteger": {"type": "integer", "minimum": 0},
        "positiveIntegerDefault0": {
            "allOf": [{"$ref": "#/definitions/positiveInteger"}, {"default": 0}],
        },
        "stringArray": strings,
    })
}

/// What namespaces and objects refer to.
fn definitions() -> Value {
    let mut definitions = simple_definitions(false);
    definitions["property"] = json!({
        "type": "object",
        "additionalProperties": {
            "type": "object",
            "required": ["title", "type"],
            "properties": property_fields(),
        },
    });
    definitions
}
