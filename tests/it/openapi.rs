//! The OpenAPI document says what is there, and nothing else.

use std::collections::BTreeSet;

use http::StatusCode;
use oriel::{ROUTES, Route};
use serde_json::Value;

use crate::support::app::{Options, TestApp};
use crate::support::client::Client;
use crate::support::tokens::Tokens;

/// Routes outside of `/v2`, and those that are not in the table.
const OTHERS: [(&str, &str); 7] = [
    ("GET", "/"),
    ("GET", "/versions"),
    ("GET", "/versions/"),
    ("GET", "/healthcheck"),
    ("HEAD", "/healthcheck"),
    ("GET", "/openapi.json"),
    ("GET", "/v2"),
];

async fn document(app: &TestApp) -> Value {
    let answer = Client::new(app.client.addr).get("/openapi.json").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    answer.json()
}

#[tokio::test]
async fn the_document_has_every_route_and_no_other_and_needs_no_token() {
    let tokens = Tokens::new();
    let app = tokens.start(Options::default()).await;
    let document = document(&app).await;
    assert_eq!(document["openapi"], "3.1.0");
    let mut documented = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in operations
            .as_object()
            .unwrap()
            .keys()
            .filter(|key| *key != "parameters")
        {
            documented.insert((method.to_uppercase(), path.clone()));
        }
    }
    let mut expected: BTreeSet<(String, String)> = OTHERS
        .iter()
        .map(|(method, path)| ((*method).to_owned(), (*path).to_owned()))
        .collect();
    for Route { path, methods } in ROUTES {
        expected.extend(
            methods
                .iter()
                .map(|(method, _)| ((*method).to_owned(), (*path).to_owned())),
        );
    }
    let missing: Vec<_> = expected.difference(&documented).collect();
    let surplus: Vec<_> = documented.difference(&expected).collect();
    assert!(
        missing.is_empty() && surplus.is_empty(),
        "missing {missing:?}, surplus {surplus:?}"
    );
    app.finish().await;
}

#[tokio::test]
async fn every_reference_in_the_document_leads_somewhere() {
    let app = TestApp::start().await;
    let document = document(&app).await;
    let mut to_visit = vec![&document];
    while let Some(value) = to_visit.pop() {
        match value {
            Value::Object(map) => {
                if let Some(path) = map.get("$ref").and_then(Value::as_str) {
                    let pointer = path.strip_prefix('#').expect(path);
                    assert!(document.pointer(pointer).is_some(), "{path}");
                }
                to_visit.extend(map.values());
            }
            Value::Array(items) => to_visit.extend(items),
            _ => {}
        }
    }
    app.finish().await;
}
