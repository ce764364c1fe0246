//! `POST /v2/images/{id}/actions/deactivate` and `…/reactivate` (contract 1.6).

use axum::extract::State;
use axum::response::Response;

use crate::api::caller::Caller;
use crate::api::error::{Error, about};
use crate::api::extract::{ImagePath, NoBody};
use crate::api::{SharedState, no_content};
use crate::catalog::{self, Activation};
use crate::policy::Rule;

/// Keeps the data from everybody but administrators.
pub(in crate::api) async fn deactivate(
    State(shared): State<SharedState>,
    caller: Caller,
    _: NoBody,
    path: ImagePath,
) -> Result<Response, Error> {
    change(
        &shared,
        &caller,
        &path,
        &[Rule::Deactivate],
        Activation::Deactivated,
    )
    .await
}

/// Opens it again.
pub(in crate::api) async fn reactivate(
    State(shared): State<SharedState>,
    caller: Caller,
    _: NoBody,
    path: ImagePath,
) -> Result<Response, Error> {
    change(
        &shared,
        &caller,
        &path,
        &[Rule::Reactivate],
        Activation::Active,
    )
    .await
}

async fn change(
    shared: &SharedState,
    caller: &Caller,
    path: &ImagePath,
    rules: &'static [Rule; 1],
    to: Activation,
) -> Result<Response, Error> {
    let [rule] = *rules;
    let id = path.id()?;
    let image = shared.visible_image(caller, &id).await?;
    shared.enforce(caller, rule, &image)?;
    let judge = caller.judge(rules);
    match shared.catalog.activate_image(&id, to, judge).await {
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
