//! What a property means and which values it may have: a subset of JSON schema, draft 4.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::fields::{Fields, Invalid};

/// The types of values that a property may have.
pub(crate) const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];

/// What a key of a definition holds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Holds {
    /// Any value.
    Anything,
    /// A whole number from 0.
    Count,
    /// What the entries of an array are.
    Items,
    /// Strings, no two alike.
    Names,
    /// A number.
    Number,
    /// Strings.
    Strings,
    /// A string.
    Text,
    /// True or false.
    Truth,
    /// One of [`TYPES`].
    Type,
    /// One value at least.
    Values,
}

/// Every key, in the order in which they are shown.
pub(crate) const KEYS: [(&str, Holds); 19] = [
    ("type", Holds::Type),
    ("title", Holds::Text),
    ("description", Holds::Text),
    ("operators", Holds::Strings),
    ("default", Holds::Anything),
    ("readonly", Holds::Truth),
    ("minimum", Holds::Number),
    ("maximum", Holds::Number),
    ("enum", Holds::Values),
    ("pattern", Holds::Text),
    ("minLength", Holds::Count),
    ("maxLength", Holds::Count),
    ("confidential", Holds::Truth),
    ("items", Holds::Items),
    ("uniqueItems", Holds::Truth),
    ("minItems", Holds::Count),
    ("maxItems", Holds::Count),
    ("additionalItems", Holds::Truth),
    ("required", Holds::Names),
];

/// A definition of a property.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Property {
    /// Its name, without the prefix of any resource type.
    pub name: String,
    /// What is said of it, without the name.
    pub schema: Map<String, Value>,
}

impl Property {
    /// Reads the body of a request, in which the name stands beside the rest.
    ///
    /// # Errors
    /// [`Invalid`] with the first rule that is broken.
    pub(crate) fn parse(body: &Map<String, Value>) -> Result<Self, Invalid> {
        let fields = Fields::whole("property", body);
        let mut known = vec!["name"];
        known.extend(KEYS.iter().map(|(key, _)| *key));
        fields.only(&known)?;
        let name = fields.name("name")?;
        schema(&fields, name)
    }

    /// Reads the properties under a key, by name.
    pub(super) fn parse_all(fields: &Fields<'_>, key: &str) -> Result<Vec<Self>, Invalid> {
        let properties = fields.named_objects(key)?;
        let parsed = properties.into_iter().map(|(name, fields)| {
            // What a client was shown by itself has its name inside as well.
            let mut known = vec!["name"];
            known.extend(KEYS.iter().map(|(key, _)| *key));
            fields.only(&known)?;
            schema(&fields, name.to_owned())
        });
        parsed.collect()
    }
}

fn schema(fields: &Fields<'_>, name: String) -> Result<Property, Invalid> {
    for key in ["title", "type"] {
        if fields.get(key).is_none() {
            return Err(fields.malformed(key, "is required"));
        }
    }
    let mut schema = Map::new();
    for (key, holds) in KEYS {
        let Some(value) = fields.get(key) else {
            continue;
        };
        check(fields, key, holds)?;
        schema.insert(key.to_owned(), value.clone());
    }
    Ok(Property { name, schema })
}

fn check(fields: &Fields<'_>, key: &str, holds: Holds) -> Result<(), Invalid> {
    match holds {
        Holds::Anything => Ok(()),
        Holds::Count => fields.check_count(key),
        Holds::Number => fields.check_number(key),
        Holds::Names => fields.names(key).map(drop),
        Holds::Strings => fields.strings(key).map(drop),
        Holds::Text => fields.text(key, usize::MAX).map(drop),
        Holds::Truth => fields.boolean(key).map(drop),
        Holds::Type => match fields.text(key, usize::MAX)? {
            Some(text) if !TYPES.contains(&text.as_str()) => {
                let rule = format!("must be one of {}", TYPES.join(", "));
                Err(fields.malformed(key, &rule))
            }
            _ => Ok(()),
        },
        Holds::Values => match fields.list(key)? {
            Some(values) if values.is_empty() => {
                Err(fields.malformed(key, "must have a value at least"))
            }
            _ => Ok(()),
        },
        Holds::Items => {
            let Some(items) = fields.object(key)? else {
                return Ok(());
            };
            items.only(&["type", "enum"])?;
            check(&items, "type", Holds::Type)?;
            check(&items, "enum", Holds::Values)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::metadef::Reason;

    fn parse(body: &Value) -> Result<Property, Invalid> {
        Property::parse(body.as_object().unwrap())
    }

    #[test]
    fn every_key_is_kept_and_shown_in_one_order() {
        let body = json!({
            "name": "p", "required": ["a", "b"], "additionalItems": false, "maxItems": 3, "minItems": 0,
            "uniqueItems": true, "items": {"type": "string", "enum": ["x"]}, "confidential": true, "maxLength": 2.0,
            "minLength": 1, "pattern": "^x", "enum": ["x", 1, null], "maximum": 1.5, "minimum": -3, "readonly": false,
            "default": ["x"], "operators": ["<in>"], "description": "d", "title": "t", "type": "array",
        });
        let property = parse(&body).unwrap();
        assert_eq!(property.name, "p");
        let keys: Vec<&str> = property.schema.keys().map(String::as_str).collect();
        assert_eq!(keys, KEYS.map(|(key, _)| key));
        for (key, value) in &property.schema {
            assert_eq!(*value, body[key], "{key}");
        }
    }

    #[test]
    fn refusal_names_the_field() {
        let good = json!({"name": "p", "title": "t", "type": "string"});
        assert!(parse(&good).is_ok());
        for (key, value) in [
            ("name", json!(null)),
            ("name", json!("")),
            ("name", json!("x".repeat(81))),
            ("title", json!(1)),
            ("type", json!("text")),
            ("type", json!(null)),
            ("description", json!([])),
            ("operators", json!("x")),
            ("operators", json!([1])),
            ("required", json!(["x", "x"])),
            ("readonly", json!("true")),
            ("minimum", json!("1")),
            ("maximum", json!(true)),
            ("minLength", json!(-1)),
            ("maxLength", json!(1.5)),
            ("maxItems", json!(2_147_483_648_u64)),
            ("enum", json!({})),
            ("enum", json!([])),
            ("items", json!([])),
            ("uniqueItems", json!(0)),
            ("minmum", json!(0)),
        ] {
            let mut body = good.clone();
            body[key] = value.clone();
            let refusal = parse(&body).expect_err(&body.to_string());
            assert_eq!(refusal.reason, Reason::Malformed, "{body}");
            let field = format!("'{key}'");
            assert!(refusal.message.contains(&field), "{}", refusal.message);
        }
        for key in ["title", "type"] {
            let mut body = good.clone();
            body.as_object_mut().unwrap().remove(key);
            assert!(parse(&body).unwrap_err().message.contains("is required"));
        }
        let nested = json!({"name": "p", "title": "t", "type": "array", "items": {"type": "x"}});
        assert!(parse(&nested).unwrap_err().message.contains("'items.type'"));
    }

    #[test]
    fn what_is_made_here_is_refused_as_read_only() {
        for key in ["created_at", "updated_at", "self", "schema"] {
            let body = json!({"name": "p", "title": "t", "type": "string", key: "x"});
            assert_eq!(parse(&body).unwrap_err().reason, Reason::ReadOnly, "{key}");
        }
    }
}
