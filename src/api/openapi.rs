//! `GET /openapi.json`: what every route takes and answers, for clients and test generators.
//!
//! Nothing of it is kept by hand that another place says already: paths, methods and rules are those of the route table,
//! records those of `/v2/schemas/…`, limits those of the checks. `operations` has a line for what is left to be said of
//! each operation.

mod answers;
mod examples;
mod links;
pub(super) mod operations;
mod parameters;
mod paths;
mod shapes;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use serde_json::{Map, Value, json};

use super::extract::NoBody;
use super::versions::CURRENT;
use crate::config::Images;
pub(super) use operations::Place;

/// The document, made once.
#[derive(Debug, Clone)]
pub(super) struct Document(Bytes);

impl Document {
    /// The document of a site that allows these formats.
    pub(super) fn new(images: &Images) -> Self {
        Self(Bytes::from(describe(images).to_string()))
    }
}

/// Answers with the document; it needs no token, since it tells nothing of the site but its formats.
pub(super) async fn show(State(Document(document)): State<Document>, _: NoBody) -> Response {
    ([(CONTENT_TYPE, "application/json")], document).into_response()
}

fn describe(images: &Images) -> Value {
    let tags = operations::TAGS.iter();
    let tags: Vec<Value> = tags
        .map(|(name, about)| json!({"name": name, "description": about}))
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Oriel",
            "summary": "The Image API v2 over S3.",
            "description": "Every path that begins with /v2 answers under the other version prefixes of the versions \
                document too. A refusal has its body in the form that Accept asks for. A method a path does not have is \
                405 with Allow.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "version": CURRENT.trim_start_matches('v'),
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "tags": tags,
        "paths": paths::paths(),
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-Auth-Token",
                    "description": "A token of the identity service, or of the site's own list.",
                },
            },
            "headers": answers::headers(),
            "responses": answers::refusals(),
            "schemas": shapes::shapes(images),
        },
    })
}

/// A reference to a component.
fn component(kind: &str, name: &str) -> Value {
    json!({"$ref": format!("#/components/{kind}/{name}")})
}

/// A reference to a shape.
fn shape(name: &str) -> Value {
    component("schemas", name)
}

fn object<K: Into<String>>(entries: impl IntoIterator<Item = (K, Value)>) -> Value {
    let entries = entries.into_iter().map(|(key, value)| (key.into(), value));
    Value::Object(entries.collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::api::router::PLACES;

    #[test]
    fn operations_lead_to_operations_that_are_there() {
        let ids = PLACES.iter().map(|place| place.operation.id);
        let known: BTreeSet<&str> = ids.collect();
        assert_eq!(known.len(), PLACES.len(), "two routes share an operation");
        for Place { operation, .. } in PLACES {
            for id in operation.leads_to {
                assert!(known.contains(id), "{}: {id}", operation.id);
            }
        }
    }
}
