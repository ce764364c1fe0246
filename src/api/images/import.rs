//! `POST /v2/images/{id}/import` (contract 6.3): the data of an image, made its own by a task.
//!
//! What stands in the record is checked twice: early, for an answer in the contract's order, and in the transaction that
//! begins the import.

mod request;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use serde_json::json;

use super::get_visible;
use crate::api::caller::Caller;
use crate::api::error::{Error, about};
use crate::api::extract::{ImagePath, JsonObject};
use crate::api::imports::Imports;
use crate::api::middleware::RequestId;
use crate::api::quotas::Quotas;
use crate::catalog::{ACTIVE_TASK, Catalog, ImportFrom, NewImport};
use crate::config::ImportMethod;
use crate::image::{Denial, Image, ProjectId, Status};
use crate::policy::Rule;
use crate::store::Stores;
use crate::transfer::{ImportPlan, ImportSource};
use request::Request;

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
    check_image(&image, request.method)?;
    let rules = rules_of(request.method);
    caller.enforce_image(rules[0], &image)?;
    check_task(&image)?;
    let stores = request.stores_of(&image, &stores, &headers)?;
    if stores.is_empty() {
        return Ok(accepted());
    }
    let (source, from) = match request.method {
        ImportMethod::GlanceDirect => (ImportSource::Stage, ImportFrom::Stage),
        ImportMethod::WebDownload => {
            let uri = request.checked_uri(&imports).await?;
            (ImportSource::Web(uri), ImportFrom::Web)
        }
        ImportMethod::CopyImage => (ImportSource::Image, ImportFrom::Image),
    };
    let is_copy = source == ImportSource::Image;
    let plan = ImportPlan {
        source,
        unpacks: imports.unpacks() && !is_copy,
        inject: if is_copy {
            BTreeMap::new()
        } else {
            imports.injected(&caller)
        },
        stores,
        all_stores_must_succeed: request.all_stores_must_succeed,
        limits: quotas.limits_of(image.owner.as_ref()).await?,
    };
    let owner = image.owner.clone();
    let may_import = caller.judge(rules);
    let judge = Box::new(move |image: &Image| {
        may_import(image)?;
        // The limits are this owner's.
        (image.owner == owner).then_some(()).ok_or(Denial::Changed)
    });
    let new = NewImport {
        image: id.clone(),
        from,
        task: uuid::Uuid::new_v4().to_string(),
        input: json!({
            "image_id": id.as_str(),
            "import_req": request.as_input(),
            "plan": plan,
        }),
        stores: plan.stores,
        is_size_known: !plan.unpacks,
        owner: caller.project().cloned(),
        request_id: request_id.0,
        user_id: caller.user_id().to_owned(),
        limits: plan.limits,
    };
    match catalog.begin_import(new, judge).await {
        Ok(()) => Ok(accepted()),
        Err(e) => Err(about(&id, e)),
    }
}

fn accepted() -> Response {
    let html = [(CONTENT_TYPE, "text/html; charset=UTF-8")];
    (StatusCode::ACCEPTED, html).into_response()
}

/// The rules, one, that say who may.
fn rules_of(method: ImportMethod) -> &'static [Rule; 1] {
    match method {
        ImportMethod::GlanceDirect | ImportMethod::WebDownload => &[Rule::ModifyImage],
        ImportMethod::CopyImage => &[Rule::CopyImage],
    }
}

/// Early answers from the cached record; the catalog checks the same again when the import begins.
fn check_image(image: &Image, method: ImportMethod) -> Result<(), Error> {
    let (name, status) = (method.as_str(), image.status);
    let needed = match method {
        ImportMethod::CopyImage => Status::Active,
        ImportMethod::GlanceDirect => Status::Uploading,
        ImportMethod::WebDownload => Status::Queued,
    };
    if status != needed {
        return Err(Error::Conflict(if status == Status::Active {
            "Only the method copy-image imports into an active image.".into()
        } else {
            format!("The method {name} needs an image that is {needed}; this one is {status}.")
        }));
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
