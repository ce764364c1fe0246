//! The shapes of what is no record: versions, health, refusals, and what the site has to offer.

use serde_json::json;

use super::super::shape;
use super::{Shapes, closed, complete, list};

/// The shapes.
pub(super) fn shapes() -> Shapes {
    let mut shapes = of_the_service();
    shapes.extend(of_stores());
    shapes
}

fn of_the_service() -> Shapes {
    let link = complete(json!({"rel": {"type": "string"}, "href": {"type": "string"}}));
    let own_link = closed(json!({"rel": {"const": "self"}, "href": {"type": "string"}}));
    let version = closed(json!({
        "id": {"type": "string", "pattern": "^v2\\.[0-9]+$"},
        "status": {"type": "string", "enum": ["CURRENT", "SUPPORTED"]},
        "links": {"type": "array", "items": own_link},
    }));
    vec![
        (
            "Error",
            closed(json!({
                "message": {"description": "What is wrong.", "type": "string"},
                "code": {
                    "description": "The status with its name.",
                    "type": "string",
                    "pattern": "^[1-5][0-9]{2} .+$",
                },
                "title": {"description": "The name of the status.", "type": "string"},
            })),
        ),
        (
            "Versions",
            closed(json!({"versions": {"type": "array", "minItems": 1, "items": version}})),
        ),
        (
            "Health",
            closed(json!({
                "detailed": {"const": false},
                "reasons": {"type": "array", "items": {"type": "string"}},
            })),
        ),
        (
            "OpenApi",
            json!({"type": "object", "required": ["openapi", "info", "paths"], "additionalProperties": true}),
        ),
        (
            "SchemaDocument",
            json!({
                "description": "A JSON schema in the manner of draft 4, with the keys name and links besides.",
                "type": "object",
                "required": ["name", "properties"],
                "properties": {
                    "name": {"type": "string"},
                    "properties": {"type": "object"},
                    "links": {"type": "array", "items": link},
                },
                "additionalProperties": true,
            }),
        ),
    ]
}

fn of_stores() -> Shapes {
    let methods = closed(json!({
        "description": {"type": "string"},
        "type": {"const": "array"},
        "value": {"type": "array", "items": {"type": "string"}},
    }));
    let detail = complete(json!({
        "type": {"type": "string"},
        "weight": {"description": "Heavier stores are read first.", "type": "integer"},
        "properties": {"type": "object", "additionalProperties": true},
    }));
    let amount = closed(json!({"usage": {"type": "integer"}, "limit": {"type": "integer"}}));
    vec![
        ("ImportInfo", closed(json!({"import-methods": methods}))),
        (
            "Store",
            json!({
                "type": "object",
                "required": ["id"],
                "properties": {
                    "id": {"type": "string"},
                    "description": {"type": "string"},
                    "default": {"description": "Only with the default store; a string.", "const": "true"},
                },
            }),
        ),
        ("StoreDetail", json!({"allOf": [shape("Store"), detail]})),
        ("Stores", closed(json!({"stores": list("Store")}))),
        (
            "StoresDetail",
            closed(json!({"stores": list("StoreDetail")})),
        ),
        (
            "Usage",
            closed(json!({"usage": {"type": "object", "additionalProperties": amount}})),
        ),
    ]
}
