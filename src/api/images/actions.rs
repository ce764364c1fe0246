//! `POST /v2/images/{id}/actions/deactivate` and `…/reactivate` (contract 1.6).

use axum::extract::State;
use axum::response::Response;

use super::get_visible;
use crate::api::caller::Caller;
use crate::api::error::{Error, about};
use crate::api::extract::{ImagePath, NoBody};
use crate::api::no_content;
use crate::catalog::{self, Activation, Catalog};
use crate::policy::Rule;

/// Keeps the data from everybody but administrators.
pub(in crate::api) async fn deactivate(
    State(catalog): State<Catalog>,
    caller: Caller,
    _: NoBody,
    path: ImagePath,
) -> Result<Response, Error> {
    change(
        &catalog,
        &caller,
        &path,
        &[Rule::Deactivate],
        Activation::Deactivated,
    )
    .await
}

/// Opens it again.
pub(in crate::api) async fn reactivate(
    State(catalog): State<Catalog>,
    caller: Caller,
    _: NoBody,
    path: ImagePath,
) -> Result<Response, Error> {
    change(
        &catalog,
        &caller,
        &path,
        &[Rule::Reactivate],
        Activation::Active,
    )
    .await
}

async fn change(
    catalog: &Catalog,
    caller: &Caller,
    path: &ImagePath,
    rules: &'static [Rule; 1],
    to: Activation,
) -> Result<Response, Error> {
    let [rule] = *rules;
    let id = path.id()?;
    let image = get_visible(catalog, caller, &id).await?;
    caller.enforce_image(rule, &image)?;
    let judge = caller.judge(rules);
    match catalog.activate_image(&id, to, judge).await {
        Ok(()) => Ok(no_content()),
        // 403 and not 409: so the reference service answers here.
        Err(catalog::Error::Transition(step)) => Err(Error::Forbidden(format!(
            "Not allowed to {} an image in status '{}'.",
            rule.as_str(),
            step.from
        ))),
        Err(e) => Err(about(&id, e)),
    }
}
