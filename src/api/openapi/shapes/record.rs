//! A record of `/v2/schemas/…` on its way to be a shape.

use serde_json::{Map, Value, json};

use super::super::shape;
use crate::api::schemas::fields;

/// The properties of a record, as its document has them.
#[derive(Clone)]
pub(super) struct Record {
    properties: Map<String, Value>,
    /// What other properties may be; false if there are none.
    others: Value,
    /// The properties without which there is no such record.
    required: Vec<Value>,
    /// Those that are extra properties of an image, which may have them or not.
    extra: Vec<String>,
    about: &'static str,
}

impl Record {
    /// Reads a document, which stands below `/v2/schemas/` at the path.
    ///
    /// Properties of images that may be any text are among the others. Times and the link to the document get the form
    /// that they have.
    pub(super) fn of(path: &str, document: Value) -> Self {
        let mut document = fields(document);
        let mut take = |key| document.shift_remove(key).unwrap_or_default();
        let (properties, others) = (take("properties"), take("additionalProperties"));
        let required = match take("required") {
            Value::Array(names) => names,
            _ => Vec::new(),
        };
        let mut record = Self {
            properties: Map::new(),
            others: if others.is_null() {
                false.into()
            } else {
                others
            },
            required,
            extra: Vec::new(),
            about: "",
        };
        for (name, schema) in fields(properties) {
            let mut schema = fields(schema);
            let is_base = schema.shift_remove("is_base") != Some(false.into());
            let is_any_text = schema
                .keys()
                .all(|key| matches!(key.as_str(), "type" | "description"))
                && schema.get("type") == Some(&"string".into());
            let schema = match name.as_str() {
                "schema" => json!({"const": format!("/v2/schemas/{path}"), "readOnly": true}),
                "created_at" | "updated_at" => {
                    json!({"$ref": shape("Timestamp")["$ref"], "readOnly": true})
                }
                _ => Value::Object(schema),
            };
            if !is_base && !is_any_text {
                record.extra.push(name.clone());
            }
            if is_base || !is_any_text {
                record.properties.insert(name, schema);
            }
        }
        record
    }

    /// Puts a schema in the place of a property's.
    pub(super) fn with(mut self, name: &str, schema: Value) -> Self {
        self.properties.insert(name.to_owned(), schema);
        self
    }

    /// Says more of properties.
    pub(super) fn also(mut self, names: &[&str], more: &Value) -> Self {
        for name in names {
            if let Some(schema) = self
                .properties
                .get_mut(*name)
                .and_then(Value::as_object_mut)
            {
                schema.extend(fields(more.clone()));
            }
        }
        self
    }

    /// Leaves a property out.
    pub(super) fn without(mut self, name: &str) -> Self {
        self.properties.shift_remove(name);
        self
    }

    /// What clients may write of it.
    pub(super) fn into_request(mut self) -> Self {
        self.properties
            .retain(|_, schema| schema["readOnly"] != true);
        self
    }

    /// The schema of a property.
    pub(super) fn property(&self, name: &str) -> Value {
        self.properties.get(name).cloned().unwrap_or_default()
    }

    /// The schemas of all properties.
    pub(super) fn into_properties(self) -> Map<String, Value> {
        self.properties
    }

    /// Says what is to be known of the whole.
    pub(super) fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    /// The shape, with what the document requires.
    pub(super) fn into_schema(self) -> Value {
        let mut schema = json!({"type": "object", "properties": self.properties, "additionalProperties": self.others});
        if !self.required.is_empty() {
            schema["required"] = self.required.into();
        }
        if !self.about.is_empty() {
            schema["description"] = self.about.into();
        }
        schema
    }

    /// The shape of what is answered: everything is there but for these.
    pub(super) fn into_answer(mut self, optional: &[&str]) -> Value {
        let is_there =
            |name: &&String| !optional.contains(&name.as_str()) && !self.extra.contains(name);
        let names = self.properties.keys().filter(is_there);
        self.required = names.map(|name| name.as_str().into()).collect();
        self.into_schema()
    }
}
