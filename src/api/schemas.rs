//! `GET /v2/schemas/…` (contract 4.3): JSON-schema-like documents that glanceclient makes its arguments of and checks
//! records against. They follow draft 4 with the keys `name`, `links` and `is_base` beside it; the order of keys is
//! Glance's.

pub(super) mod image;
pub(super) mod metadefs;
pub(super) mod records;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::Uri;
use http::header::CONTENT_TYPE;
use serde_json::{Map, Value, json};

use super::error::Error;
use super::extract::NoBody;
use crate::config::Images;

/// 8-4-4-4-12 hex digits, as Glance writes it.
pub(super) const UUID: &str =
    "^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$";

/// Every document by its path below `/v2/schemas/`, made once.
#[derive(Debug)]
pub(super) struct Schemas(BTreeMap<&'static str, Bytes>);

impl Schemas {
    /// The documents of a site that allows these formats.
    pub(super) fn new(images: &Images) -> Self {
        let image = image::image(&images.disk_formats, &images.container_formats);
        let documents = [
            ("images", collection("images", array(&image), &[])),
            ("image", image),
            (
                "members",
                collection("members", array(&records::member()), &[]),
            ),
            ("member", records::member()),
            (
                "tasks",
                collection("tasks", array(&records::task_in_list()), &[]),
            ),
            ("task", records::task()),
        ];
        let documents = documents.into_iter().chain(metadefs::documents());
        Self(
            documents
                .map(|(path, document)| (path, Bytes::from(document.to_string())))
                .collect(),
        )
    }
}

/// Answers with the document of the path; any caller may have it.
pub(super) async fn show(
    State(schemas): State<Arc<Schemas>>,
    _: NoBody,
    uri: Uri,
) -> Result<Response, Error> {
    let name = uri.path().strip_prefix("/v2/schemas/");
    let document = name.and_then(|name| schemas.0.get(name));
    let document = document.cloned().ok_or(Error::NoRoute)?;
    Ok(([(CONTENT_TYPE, "application/json")], document).into_response())
}

/// The schema of a list: the records under `key`, and links to its pages.
pub(super) fn collection(key: &str, records: Value, more: &[(&str, Value)]) -> Value {
    let mut document = json!({
        "name": key,
        "properties": {
            key: records,
            "first": {"type": "string"},
            "next": {"type": "string"},
            "schema": {"type": "string"},
        },
        "links": [
            {"rel": "first", "href": "{first}"},
            {"rel": "next", "href": "{next}"},
            {"rel": "describedby", "href": "{schema}"},
        ],
    });
    for (key, value) in more {
        document[*key] = value.clone();
    }
    document
}

/// An array of such items.
pub(super) fn array(items: &Value) -> Value {
    json!({"type": "array", "items": items})
}

/// The fields of a schema, which may come first of a longer one.
pub(super) fn fields(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
