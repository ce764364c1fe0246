//! Links: what an answer makes possible. They follow from the paths.

use serde_json::{Map, Value, json};

use super::operations::Place;
use super::parameters::names;
use crate::api::router::PLACES;

/// The links of the usual answer of an operation, by the operations they lead to.
pub(super) fn of(place: &Place) -> Map<String, Value> {
    let mut links = Map::new();
    if let Some(pointer) = place.operation.gives {
        let given = format!("$response.body#/{pointer}");
        for target in PLACES {
            if let Some(name) = parameter_given(place, target) {
                let mut parameters = of_request(place.path);
                parameters.insert(name.to_owned(), given.as_str().into());
                add(&mut links, target.operation.id, parameters);
            }
        }
        if is_list(place) {
            // The page after the first entry.
            let marker = Map::from_iter([("marker".to_owned(), given.into())]);
            add(&mut links, place.operation.id, marker);
        }
    }
    for id in place.operation.leads_to {
        let mut targets = PLACES.iter();
        if let Some(target) = targets.find(|target| target.operation.id == *id) {
            add(&mut links, id, of_request(target.path));
        }
    }
    links
}

/// The parameter that a name given at a collection's path fills in another operation's path, if nothing else is missing
/// there: an operation may need another name if it is the one that makes what has it. A list leads to the record itself.
fn parameter_given(place: &Place, target: &Place) -> Option<&'static str> {
    let below = target.path.strip_prefix(place.path)?.strip_prefix("/{")?;
    let (name, rest) = below.split_once('}')?;
    let id = target.operation.id;
    let is_complete = !rest.contains('{') || id.starts_with("add_") || id.starts_with("create_");
    let is_next = if is_list(place) {
        rest.is_empty() && target.method == "GET"
    } else {
        is_complete
    };
    is_next.then_some(name)
}

fn is_list(place: &Place) -> bool {
    place.method == "GET"
}

/// The parameters of a path as the request had them.
fn of_request(path: &str) -> Map<String, Value> {
    let parameters = names(path).map(|name| (name.to_owned(), format!("$request.path.{name}")));
    parameters
        .map(|(name, value)| (name, value.into()))
        .collect()
}

fn add(links: &mut Map<String, Value>, id: &str, parameters: Map<String, Value>) {
    links.insert(
        id.to_owned(),
        json!({"operationId": id, "parameters": parameters}),
    );
}
