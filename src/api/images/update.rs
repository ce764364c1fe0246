//! `PATCH /v2/images/{id}` (contract 4.5).

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRef, FromRequest, Request, State};
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use http::header::CONTENT_TYPE;

use super::{ImageSettings, get_visible, remove_now, rule_of};
use crate::api::bodies::{Bodies, Held};
use crate::api::caller::Caller;
use crate::api::error::{Error, about};
use crate::api::extract::{ImagePath, JsonBody};
use crate::catalog::{self, Catalog, Change};
use crate::image::{Attributes, Dialect, Image, Location, LocationChange, Patch, Status};
use crate::policy::Rule;
use crate::transfer::Transfers;

/// The media type of the older dialect.
pub(in crate::api) const V20: &str = "application/openstack-images-v2.0-json-patch";
/// The media type of the newer dialect.
pub(in crate::api) const V21: &str = "application/openstack-images-v2.1-json-patch";

/// The body in one of the two dialects; the media type is looked at before a byte is read.
pub(in crate::api) struct PatchBody(Patch, Option<Held>);

impl<S: Sync> FromRequest<S> for PatchBody
where
    Arc<Bodies>: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        let dialect = dialect(request.headers()).ok_or(Error::UnsupportedPatch)?;
        let JsonBody(body, held) = JsonBody::from_request(request, state).await?;
        Ok(Self(Patch::parse(&body, dialect)?, held))
    }
}

/// Changes attributes and properties: all operations or none.
pub(in crate::api) async fn update(
    State(catalog): State<Catalog>,
    State(settings): State<ImageSettings>,
    State(transfers): State<Arc<Transfers>>,
    caller: Caller,
    path: ImagePath,
    PatchBody(patch, _held): PatchBody,
) -> Result<Response, Error> {
    let id = path.id()?;
    let image = get_visible(&catalog, &caller, &id).await?;
    caller.enforce_image(Rule::ModifyImage, &image)?;
    let (site, who) = (settings.clone(), caller.clone());
    let updated = catalog.update_image(&id, move |image| {
        // Visible and allowed a moment ago; the transaction has the record as it is now.
        let judged = who.check_image(&[Rule::ModifyImage], image);
        judged.map_err(|denial| about(&image.id, denial.into()))?;
        let after = patch.apply(image, &site.rules())?;
        check_policy(&who, &patch, image, &after)?;
        site.protection
            .check(&who, patch.names(), &image.properties, &after.properties)?;
        let given_up = given_up(&site, &who, &patch, image)?;
        Ok::<_, Error>(Change {
            attributes: after,
            given_up,
        })
    });
    let (image, garbage) = updated.await.map_err(|e| about(&id, e))??;
    if !garbage.is_empty() {
        remove_now(&transfers, garbage).await;
    }
    Ok(Json(settings.view(&caller, &image)).into_response())
}

/// The copies that a patch takes from the image (contract 4.5). None can be added or exchanged: bytes come in by
/// uploads only, so that nobody reads another's object by naming its place.
fn given_up(
    settings: &ImageSettings,
    caller: &Caller,
    patch: &Patch,
    image: &Image,
) -> Result<Vec<Location>, Error> {
    let mut left = settings.located(image);
    let mut given_up = Vec::new();
    for change in patch.location_changes() {
        if !settings.shows_locations() {
            return Err(Error::Forbidden(
                "It is not allowed to change locations while they are not shown (show_multiple_locations).".into(),
            ));
        }
        let (rule, allowed): (_, &[Status]) = match change {
            LocationChange::Remove(_) => (Rule::DeleteImageLocation, &[Status::Active]),
            LocationChange::Add | LocationChange::Replace(_) => {
                (Rule::SetImageLocation, &[Status::Active, Status::Queued])
            }
        };
        caller.enforce_image(rule, image)?;
        if !allowed.contains(&image.status) {
            return Err(Error::Conflict(format!(
                "Locations cannot be changed while the image is {}.",
                image.status
            )));
        }
        match change {
            LocationChange::Remove(place) if *place >= left.len() => {
                return Err(Error::BadRequest(format!(
                    "Invalid location: the image has {} locations, counted from 0.",
                    left.len()
                )));
            }
            LocationChange::Remove(_) if left.len() == 1 => {
                return Err(catalog::Error::LastLocation.into());
            }
            LocationChange::Remove(place) => given_up.push(left.remove(*place).1.clone()),
            LocationChange::Replace(urls) if urls.is_empty() => {
                return Err(catalog::Error::LastLocation.into());
            }
            LocationChange::Replace(urls)
                if left.len() == urls.len() && left.iter().all(|(url, _)| urls.contains(url)) => {}
            LocationChange::Add | LocationChange::Replace(_) => {
                return Err(Error::BadRequest(
                    "Invalid location: image data comes in by an upload, not by naming its place."
                        .into(),
                ));
            }
        }
    }
    Ok(given_up)
}

/// What only some callers may change: the owner, and the audience beyond the project.
fn check_policy(
    caller: &Caller,
    patch: &Patch,
    image: &Image,
    after: &Attributes,
) -> Result<(), Error> {
    // For `add` as for `replace`: otherwise a member could give an image away. By the present owner as well: what is
    // refused does not depend on the value.
    if patch.touches("owner") && !caller.viewer.is_admin {
        return Err(Error::Forbidden(
            "Owner can't be updated by non admin.".into(),
        ));
    }
    let rule = rule_of(after.visibility).filter(|_| after.visibility != image.visibility);
    match rule.filter(|rule| !caller.may_image(*rule, image)) {
        Some(rule) => Err(Error::not_allowed(rule)),
        None => Ok(()),
    }
}

/// The media type of the body; parameters are tolerated.
fn dialect(headers: &HeaderMap) -> Option<Dialect> {
    let given = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let media_type = given.split(';').next()?.trim();
    if media_type.eq_ignore_ascii_case(V21) {
        Some(Dialect::V21)
    } else if media_type.eq_ignore_ascii_case(V20) {
        Some(Dialect::V20)
    } else {
        None
    }
}
