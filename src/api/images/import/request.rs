//! What a request to import says.

use std::collections::BTreeSet;

use http::HeaderMap;
use serde_json::{Map, Value, json};

use crate::api::error::Error;
use crate::api::images::upload::IMAGE_STORE;
use crate::api::imports::Imports;
use crate::config::ImportMethod;
use crate::image::{Image, StoreId};
use crate::store::Stores;

/// What the body says, before anything is looked up.
pub(super) struct Request {
    /// How the data comes.
    pub method: ImportMethod,
    uri: Option<String>,
    stores: Option<Vec<String>>,
    all_stores: bool,
    /// Whether all of the stores must have the data, or the image is active with the first.
    pub all_stores_must_succeed: bool,
}

impl Request {
    /// What the task's record keeps of it: what was understood, so that nobody can have anything stored there.
    pub(super) fn as_input(&self) -> Value {
        let mut input = json!({
            "method": {"name": self.method.as_str()},
            "all_stores": self.all_stores,
            "all_stores_must_succeed": self.all_stores_must_succeed,
        });
        if let Some(uri) = &self.uri {
            // A query may be a signature, and the record is read by others.
            let shown = uri
                .split_once('?')
                .map_or(uri.as_str(), |(before, _)| before);
            input["method"]["uri"] = json!(shown);
        }
        if let Some(stores) = &self.stores {
            input["stores"] = json!(stores);
        }
        input
    }

    /// Reads a body.
    ///
    /// # Errors
    /// 400, check 1 of the contract.
    pub(super) fn parse(body: &Map<String, Value>, imports: &Imports) -> Result<Self, Error> {
        let bad = |text: String| Err(Error::BadRequest(text));
        let Some(method_body) = body.get("method").and_then(Value::as_object) else {
            return bad("Import request requires a 'method' field that is an object.".into());
        };
        let Some(name) = method_body.get("name").and_then(Value::as_str) else {
            return bad("Import request requires a 'name' field in 'method'.".into());
        };
        let known = name.parse().ok().filter(|method| imports.allows(*method));
        let Some(method) = known else {
            return bad(format!("Unknown import method name '{name}'."));
        };
        // Of other methods it is nothing, and not kept.
        let uri = method_body.get("uri");
        let uri = match uri.filter(|_| method == ImportMethod::WebDownload) {
            None => None,
            Some(Value::String(uri)) => Some(uri.clone()),
            Some(_) => return bad("'uri' in 'method' must be a string.".into()),
        };
        Ok(Self {
            method,
            uri,
            all_stores: flag(body, "all_stores", false)?,
            all_stores_must_succeed: flag(body, "all_stores_must_succeed", true)?,
            stores: named_stores(body)?,
        })
    }

    /// The URL to fetch from, as far as it can be judged without connecting.
    ///
    /// # Errors
    /// 400, check 14 of the contract.
    pub(super) async fn checked_uri(&self, imports: &Imports) -> Result<String, Error> {
        let refused = |why: String| {
            Error::BadRequest(format!(
                "URI for web-download does not pass filtering: {why}"
            ))
        };
        let uri = self.uri.as_ref();
        let uri = uri.ok_or_else(|| refused("'uri' is missing in 'method'".into()))?;
        let checked = imports.web().check(uri).await;
        checked.map_err(|why| refused(why.to_string()))?;
        Ok(uri.clone())
    }

    /// The stores to hold the data, in the order they were named. None, where the image is in all of them already.
    ///
    /// # Errors
    /// 400 and 409, checks 10 and 11 of the contract.
    pub(super) fn stores_of(
        &self,
        image: &Image,
        stores: &Stores,
        headers: &HeaderMap,
    ) -> Result<Vec<StoreId>, Error> {
        let mut chosen: Vec<StoreId> = Vec::new();
        for name in self.names(stores, headers)? {
            if stores.find(&name).is_none() {
                return Err(Error::Conflict(format!("Store '{name}' does not exist.")));
            }
            let store = StoreId::from(name.as_str());
            if !chosen.contains(&store) {
                chosen.push(store);
            }
        }
        if self.method == ImportMethod::CopyImage {
            let is_there = |store: &StoreId| image.locations.iter().any(|it| it.store == *store);
            match chosen.iter().find(|store| is_there(store)) {
                Some(store) if !self.all_stores => {
                    return Err(Error::BadRequest(format!(
                        "Image is already present at store '{store}'"
                    )));
                }
                _ => chosen.retain(|store| !is_there(store)),
            }
        }
        Ok(chosen)
    }

    /// The stores as they are named, by one of three ways, or the default one.
    fn names(&self, stores: &Stores, headers: &HeaderMap) -> Result<Vec<String>, Error> {
        let bad = |text: &str| Err(Error::BadRequest(text.into()));
        let header = headers.get(IMAGE_STORE);
        if self.all_stores && (self.stores.is_some() || header.is_some()) {
            return bad("'all_stores' must not stand beside 'stores' or X-Image-Meta-Store.");
        }
        if self.stores.is_some() && header.is_some() {
            return bad("'stores' must not stand beside X-Image-Meta-Store.");
        }
        Ok(match (&self.stores, header) {
            (Some(named), _) if named.is_empty() => {
                return bad("'stores' must name at least one store.");
            }
            (Some(named), _) => named.clone(),
            (None, Some(header)) => vec![String::from_utf8_lossy(header.as_bytes()).into_owned()],
            (None, None) if self.all_stores => {
                stores.iter().map(|store| store.name().to_owned()).collect()
            }
            (None, None) => vec![stores.default().name().to_owned()],
        })
    }
}

fn flag(body: &Map<String, Value>, name: &str, default: bool) -> Result<bool, Error> {
    match body.get(name) {
        None => Ok(default),
        Some(Value::Bool(truth)) => Ok(*truth),
        Some(_) => Err(Error::BadRequest(format!(
            "'{name}' must be true or false."
        ))),
    }
}

fn named_stores(body: &Map<String, Value>) -> Result<Option<Vec<String>>, Error> {
    let bad = || Error::BadRequest("'stores' must be an array of names of stores.".into());
    let Some(value) = body.get("stores") else {
        return Ok(None);
    };
    let names = value.as_array().ok_or_else(bad)?.iter();
    let names = names.map(|name| name.as_str().map(str::to_owned));
    let mut names: Vec<String> = names.collect::<Option<_>>().ok_or_else(bad)?;
    // One that is named again says nothing, and the record of the task keeps them.
    let mut seen = BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    Ok(Some(names))
}
