//! The paths: each with its operations, and each operation with what follows from where it stands.

use serde_json::{Map, Value, json};

use super::answers::{self, Refusal};
use super::operations::{self, Operation, Place};
use super::{examples, links, object, parameters, shape};
use crate::api::router::PLACES;
use crate::api::schemas::fields;
use crate::policy::Rule;

/// The routes that are not in the table: all but one are open to anybody.
const OTHERS: [Place; 7] = [
    other("GET", "/", &operations::choose_version),
    other("GET", "/versions", &operations::list_versions),
    other("GET", "/versions/", &operations::list_versions_slash),
    other("GET", "/healthcheck", &operations::healthcheck),
    other("HEAD", "/healthcheck", &operations::healthcheck_head),
    other("GET", "/openapi.json", &operations::show_openapi),
    other("GET", "/v2", &operations::add_slash),
];

/// Rules whose refusal is 404: what a caller may not read is not there.
const HIDING: [Rule; 2] = [Rule::GetImage, Rule::GetMember];

const fn other(method: &'static str, path: &'static str, operation: &'static Operation) -> Place {
    Place {
        path,
        method,
        rules: &[],
        operation,
    }
}

/// Every path with its operations.
pub(super) fn paths() -> Value {
    let mut paths = Map::new();
    for place in OTHERS.iter().chain(PLACES) {
        let path = paths.entry(place.path).or_insert_with(|| {
            let parameters = parameters::of_path(place.path);
            without_empty(json!({"parameters": parameters})).into()
        });
        path[place.method.to_lowercase()] = operation(place);
    }
    Value::Object(paths)
}

fn operation(place: &Place) -> Value {
    let operation = place.operation;
    let rules: Vec<&str> = place.rules.iter().map(|rule| rule.as_str()).collect();
    let note = [audience(place.rules), operation.note].join(" ");
    let mut described = without_empty(json!({
        "tags": [operation.tag],
        "operationId": operation.id,
        "summary": operation.summary,
        "description": note.trim(),
        "parameters": (operation.parameters)(),
        "requestBody": request_body(operation),
        "responses": responses(place),
        "x-policy-rules": rules,
    }));
    if !is_guarded(place) {
        described.insert("security".to_owned(), json!([]));
    }
    Value::Object(described)
}

/// What of it says something.
fn without_empty(described: Value) -> Map<String, Value> {
    let mut described = fields(described);
    described.retain(|_, part| ![json!(""), json!([]), json!({})].contains(part));
    described
}

/// Whether a token is needed.
fn is_guarded(place: &Place) -> bool {
    place.path.starts_with("/v2")
}

/// For whom an operation is where a site has no rules of its own, if not for everybody.
fn audience(rules: &[Rule]) -> &'static str {
    match rules.first().map(|rule| rule.default_check()) {
        Some("rule:context_is_admin" | "rule:metadef_admin") => "For administrators.",
        Some("rule:service_api") => "For services and administrators.",
        _ => "",
    }
}

fn request_body(operation: &Operation) -> Value {
    if operation.body.is_empty() {
        return json!({});
    }
    let content = operation.body.iter().map(|(media_type, name)| {
        let mut content = json!({"schema": shape(name)});
        if let Some(example) = examples::of(operation.id, media_type) {
            content["example"] = example;
        }
        (*media_type, content)
    });
    json!({"required": true, "content": object(content)})
}

fn responses(place: &Place) -> Value {
    let mut responses = Map::new();
    for answer in place.operation.answers {
        responses.insert(answer.status.to_string(), answers::describe(answer));
    }
    let links = links::of(place);
    if let Some(first) = responses.values_mut().next().filter(|_| !links.is_empty()) {
        first["links"] = Value::Object(links);
    }
    responses.extend(refusals(place).into_iter().map(Refusal::entry));
    Value::Object(responses)
}

/// What an operation may be refused with: what follows from its route, and its own.
fn refusals(place: &Place) -> Vec<Refusal> {
    let is_metadef = place.path.starts_with("/v2/metadefs/");
    let by_rule = [
        (Refusal::BadRequest, is_guarded(place)),
        (Refusal::Unauthorized, is_guarded(place)),
        (
            Refusal::Forbidden,
            place.rules.iter().any(|rule| !HIDING.contains(rule)),
        ),
        // Without the right to read definitions there are none at all.
        (Refusal::NotFound, place.path.contains('{') || is_metadef),
        (Refusal::ContentTooLarge, !place.operation.body.is_empty()),
        (Refusal::TooManyRequests, is_guarded(place)),
        (Refusal::Unavailable, is_guarded(place)),
    ];
    let by_rule = by_rule.into_iter().filter(|(_, is_answered)| *is_answered);
    let by_rule = by_rule.map(|(refusal, _)| refusal);
    by_rule
        .chain(place.operation.refusals.iter().copied())
        .collect()
}
