//! `POST /v2/images/{id}/import` (contract 6.3): the data of an image, made its own by a task.
//!
//! What stands in the record is checked twice: early, for an answer in the contract's order, and in the transaction that
//! begins the import.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};

use super::get_visible;
use super::upload::IMAGE_STORE;
use crate::api::caller::Caller;
use crate::api::error::{Error, about};
use crate::api::extract::{ImagePath, JsonObject};
use crate::api::imports::Imports;
use crate::api::middleware::RequestId;
use crate::api::quotas::Quotas;
use crate::catalog::{ACTIVE_TASK, Catalog, NewImport};
use crate::config::ImportMethod;
use crate::image::{Denial, Image, ProjectId, Status, StoreId};
use crate::policy::Rule;
use crate::store::Stores;
use crate::transfer::ImportPlan;

/// What the body says, before anything is looked up.
struct Request {
    method: ImportMethod,
    stores: Option<Vec<String>>,
    all_stores: bool,
    all_stores_must_succeed: bool,
}

/// Begins an import.
#[expect(
    clippy::too_many_arguments,
    reason = "each says what the handler can touch"
)]
pub(in crate::api) async fn import(
    State(catalog): State<Catalog>,
    State(stores): State<Arc<Stores>>,
    State(quotas): State<Quotas>,
    State(imports): State<Imports>,
    caller: Caller,
    path: ImagePath,
    Extension(request_id): Extension<RequestId>,
    headers: HeaderMap,
    JsonObject(body, _held): JsonObject,
) -> Result<Response, Error> {
    let request = Request::parse(&body, &imports)?;
    let project = caller.project().map(ProjectId::as_str);
    let limits = quotas.limits_of(caller.project()).await?;
    catalog
        .check_limits(project, limits.without_staging())
        .await?;
    let id = path.id()?;
    let image = get_visible(&catalog, &caller, &id).await?;
    match request.method {
        ImportMethod::GlanceDirect => check_image(&image)?,
    }
    caller.enforce_image(Rule::ModifyImage, &image)?;
    check_task(&image)?;
    let plan = request.plan(&stores, &headers)?;
    let limits = quotas.limits_of(image.owner.as_ref()).await?;
    let owner = image.owner.clone();
    let may_import = caller.judge(&[Rule::ModifyImage]);
    let judge = Box::new(move |image: &Image| {
        may_import(image)?;
        // The limits are this owner's.
        (image.owner == owner).then_some(()).ok_or(Denial::Changed)
    });
    let new = NewImport {
        image: id.clone(),
        task: uuid::Uuid::new_v4().to_string(),
        input: json!({
            "image_id": id.as_str(),
            "import_req": request.as_input(),
            "plan": plan,
        }),
        stores: plan.stores,
        owner: caller.project().cloned(),
        request_id: request_id.0,
        user_id: caller.user_id().to_owned(),
        limits,
    };
    match catalog.begin_import(new, judge).await {
        Ok(()) => {
            let html = [(CONTENT_TYPE, "text/html; charset=UTF-8")];
            Ok((StatusCode::ACCEPTED, html).into_response())
        }
        Err(e) => Err(about(&id, e)),
    }
}

impl Request {
    /// What the task's record keeps of it: what was understood, so that nobody can have anything stored there.
    fn as_input(&self) -> Value {
        let mut input = json!({
            "method": {"name": self.method.as_str()},
            "all_stores": self.all_stores,
            "all_stores_must_succeed": self.all_stores_must_succeed,
        });
        if let Some(stores) = &self.stores {
            input["stores"] = json!(stores);
        }
        input
    }

    fn parse(body: &Map<String, Value>, imports: &Imports) -> Result<Self, Error> {
        let bad = |text: String| Err(Error::BadRequest(text));
        let Some(method) = body.get("method").and_then(Value::as_object) else {
            return bad("Import request requires a 'method' field that is an object.".into());
        };
        let Some(name) = method.get("name").and_then(Value::as_str) else {
            return bad("Import request requires a 'name' field in 'method'.".into());
        };
        let known = name.parse().ok().filter(|method| imports.allows(*method));
        let Some(method) = known else {
            return bad(format!("Unknown import method name '{name}'."));
        };
        Ok(Self {
            method,
            all_stores: flag(body, "all_stores", false)?,
            all_stores_must_succeed: flag(body, "all_stores_must_succeed", true)?,
            stores: named_stores(body)?,
        })
    }

    /// The stores to hold the data, in the order they were named.
    fn plan(&self, stores: &Stores, headers: &HeaderMap) -> Result<ImportPlan, Error> {
        let bad = |text: &str| Err(Error::BadRequest(text.into()));
        let header = headers.get(IMAGE_STORE);
        if self.all_stores && (self.stores.is_some() || header.is_some()) {
            return bad("'all_stores' must not stand beside 'stores' or X-Image-Meta-Store.");
        }
        if self.stores.is_some() && header.is_some() {
            return bad("'stores' must not stand beside X-Image-Meta-Store.");
        }
        let named = match (&self.stores, header) {
            (Some(named), _) if named.is_empty() => {
                return bad("'stores' must name at least one store.");
            }
            (Some(named), _) => named.clone(),
            (None, Some(header)) => vec![String::from_utf8_lossy(header.as_bytes()).into_owned()],
            (None, None) if self.all_stores => {
                stores.iter().map(|store| store.name().to_owned()).collect()
            }
            (None, None) => vec![stores.default().name().to_owned()],
        };
        let mut plan: Vec<StoreId> = Vec::new();
        for name in &named {
            if stores.find(name).is_none() {
                return Err(Error::Conflict(format!("Store '{name}' does not exist.")));
            }
            let store = StoreId::from(name.as_str());
            if !plan.contains(&store) {
                plan.push(store);
            }
        }
        Ok(ImportPlan {
            stores: plan,
            all_stores_must_succeed: self.all_stores_must_succeed,
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

/// Early answers from the cached record; the catalog checks the same again when the import begins.
fn check_image(image: &Image) -> Result<(), Error> {
    match image.status {
        Status::Uploading => {}
        Status::Active => {
            return Err(Error::Conflict(
                "Only the method copy-image imports into an active image.".into(),
            ));
        }
        status => {
            return Err(Error::Conflict(format!(
                "The method glance-direct needs an image that is uploading; this one is {status}."
            )));
        }
    }
    // The one that is told first has its place in the contract.
    for (name, format) in [
        ("container_format", &image.container_format),
        ("disk_format", &image.disk_format),
    ] {
        if format.is_none() {
            return Err(Error::Conflict(format!(
                "'{name}' needs to be set before import."
            )));
        }
    }
    Ok(())
}

fn check_task(image: &Image) -> Result<(), Error> {
    if image.properties.contains_key(ACTIVE_TASK) {
        return Err(Error::Conflict("Image has active task.".into()));
    }
    Ok(())
}
