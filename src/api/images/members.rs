//! `/v2/images/{id}/members` (contract 1.6): whom a shared image is shared with, and what they answer.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::response::{IntoResponse, Response};
use http::request::Parts as RequestParts;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{ImageSettings, get_visible};
use crate::api::caller::Caller;
use crate::api::error::{Error, about};
use crate::api::extract::{ImagePath, JsonObject, NoBody, path_of};
use crate::api::no_content;
use crate::catalog::{self, Catalog, Member};
use crate::image::{Denial, Image, ImageId, MemberStatus, ProjectId, Visibility, rfc3339};
use crate::policy::{Fields, Rule, Value as Attribute};

/// Longest project id, in characters: the column of the reference service.
pub(in crate::api) const LONGEST_MEMBER: usize = 255;

#[derive(Serialize)]
struct MemberView<'a> {
    member_id: &'a str,
    image_id: &'a ImageId,
    status: &'static str,
    created_at: String,
    updated_at: String,
    schema: &'static str,
}

impl<'a> From<&'a Member> for MemberView<'a> {
    fn from(member: &'a Member) -> Self {
        Self {
            member_id: member.project.as_str(),
            image_id: &member.image,
            status: member.status.as_str(),
            created_at: rfc3339(member.created_at),
            updated_at: rfc3339(member.updated_at),
            schema: "/v2/schemas/member",
        }
    }
}

#[derive(Serialize)]
struct Members<'a> {
    members: Vec<MemberView<'a>>,
    schema: &'static str,
}

/// The image and the member in the path.
pub(in crate::api) struct MemberPath {
    image: ImagePath,
    member: String,
}

impl<S: Sync> FromRequestParts<S> for MemberPath {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut RequestParts, _: &S) -> Result<Self, Error> {
        let (image, member) = path_of(parts).await?;
        Ok(Self {
            image: ImagePath::new(image),
            member,
        })
    }
}

/// The rows the caller may see: all of them for the owner, its own for a member.
pub(in crate::api) async fn list(
    State(catalog): State<Catalog>,
    caller: Caller,
    _: NoBody,
    path: ImagePath,
) -> Result<Response, Error> {
    let image = get_shared(&catalog, &caller, &path).await?;
    caller.enforce_image(Rule::GetMembers, &image)?;
    let members = catalog.list_members(&image.id).await;
    let members = members.map_err(|e| about(&image.id, e))?;
    let seen = members
        .iter()
        .filter(|member| may(&caller, Rule::GetMember, &image, &member.project));
    let body = Members {
        members: seen.map(MemberView::from).collect(),
        schema: "/v2/schemas/members",
    };
    Ok(Json(body).into_response())
}

/// One row; 404 for every reason not to show it.
pub(in crate::api) async fn show(
    State(catalog): State<Catalog>,
    caller: Caller,
    _: NoBody,
    path: MemberPath,
) -> Result<Response, Error> {
    let id = path.image.id()?;
    let image = get_visible(&catalog, &caller, &id).await?;
    if image.visibility != Visibility::Shared {
        return Err(no_member(&path.member, &image));
    }
    let member = get_member(&catalog, &caller, &image, &path.member).await?;
    Ok(Json(MemberView::from(&member)).into_response())
}

/// Shares the image with a project. 200 and not 201: clients expect just that.
pub(in crate::api) async fn create(
    State(catalog): State<Catalog>,
    State(settings): State<ImageSettings>,
    caller: Caller,
    path: ImagePath,
    JsonObject(body, _held): JsonObject,
) -> Result<Response, Error> {
    let project = member_named(&body)?;
    let image = get_shared(&catalog, &caller, &path).await?;
    caller.enforce_image(Rule::AddMember, &image)?;
    let quota = settings.member_quota();
    let created = catalog
        .create_member(&image.id, &project, quota, caller.judge(&[Rule::AddMember]))
        .await;
    let member = created.map_err(|e| match e {
        catalog::Error::Taken => Error::Conflict(format!(
            "Project {project} is already a member of image {}.",
            image.id
        )),
        e => about(&image.id, e),
    })?;
    Ok(Json(MemberView::from(&member)).into_response())
}

/// The answer of a project to the share. The owner cannot give it in its place.
pub(in crate::api) async fn update(
    State(catalog): State<Catalog>,
    caller: Caller,
    path: MemberPath,
    JsonObject(body, _held): JsonObject,
) -> Result<Response, Error> {
    let given = body
        .get("status")
        .ok_or_else(|| Error::BadRequest("'status' must be given.".into()))?;
    let image = get_shared(&catalog, &caller, &path.image).await?;
    let member = get_member(&catalog, &caller, &image, &path.member).await?;
    if !may(&caller, Rule::ModifyMember, &image, &member.project) {
        return Err(Error::not_allowed(Rule::ModifyMember));
    }
    let status = status_of(given)?;
    let (who, project) = (caller.clone(), member.project.clone());
    let judge = Box::new(move |image: &Image| {
        who.check_image(&[], image)?;
        match (
            may(&who, Rule::GetMember, image, &project),
            may(&who, Rule::ModifyMember, image, &project),
        ) {
            (false, _) => Err(Denial::Hidden),
            (true, false) => Err(Denial::Rule(Rule::ModifyMember.as_str())),
            (true, true) => Ok(()),
        }
    });
    let updated = catalog
        .update_member(&image.id, &member.project, status, judge)
        .await;
    let member = updated.map_err(|e| match e {
        catalog::Error::Missing => no_member(&path.member, &image),
        e => about(&image.id, e),
    })?;
    Ok(Json(MemberView::from(&member)).into_response())
}

/// Ends a share.
pub(in crate::api) async fn delete(
    State(catalog): State<Catalog>,
    caller: Caller,
    _: NoBody,
    path: MemberPath,
) -> Result<Response, Error> {
    let image = get_shared(&catalog, &caller, &path.image).await?;
    let member = get_member(&catalog, &caller, &image, &path.member).await?;
    caller.enforce_image(Rule::DeleteMember, &image)?;
    let judge = caller.judge(&[Rule::DeleteMember]);
    match catalog
        .delete_member(&image.id, &member.project, judge)
        .await
    {
        Ok(()) => Ok(no_content()),
        Err(catalog::Error::Missing) => Err(no_member(&path.member, &image)),
        Err(e) => Err(about(&image.id, e)),
    }
}

/// A visible image with a member list: 403 for any other visibility, to its owner and administrators too.
async fn get_shared(
    catalog: &Catalog,
    caller: &Caller,
    path: &ImagePath,
) -> Result<Arc<Image>, Error> {
    let image = get_visible(catalog, caller, &path.id()?).await?;
    if image.visibility == Visibility::Shared {
        return Ok(image);
    }
    Err(Error::Forbidden(format!(
        "Image {} has the visibility {}; only shared images have members.",
        image.id, image.visibility
    )))
}

async fn get_member(
    catalog: &Catalog,
    caller: &Caller,
    image: &Image,
    member: &str,
) -> Result<Member, Error> {
    match catalog.find_member(&image.id, &member.into()).await? {
        Some(row) if may(caller, Rule::GetMember, image, &row.project) => Ok(row),
        _ => Err(no_member(member, image)),
    }
}

/// Asks a rule about one row of the member list.
fn may(caller: &Caller, rule: Rule, image: &Image, member: &ProjectId) -> bool {
    let owner = Attribute::text_or_null(image.owner.as_ref().map(ProjectId::as_str));
    let target = [
        ("project_id", owner.clone()),
        ("owner", owner),
        ("member_id", Attribute::Text(member.as_str())),
        ("member", Attribute::Text(member.as_str())),
        ("image_id", Attribute::Text(image.id.as_str())),
        ("visibility", Attribute::Text(image.visibility.as_str())),
    ];
    caller.may(rule, &Fields(&target))
}

fn no_member(member: &str, image: &Image) -> Error {
    Error::NotFound(format!(
        "Project {member} is not a member of image {}.",
        image.id
    ))
}

fn member_named(body: &Map<String, Value>) -> Result<ProjectId, Error> {
    match body.get("member").and_then(Value::as_str) {
        Some(member) if !member.is_empty() && member.chars().count() <= LONGEST_MEMBER => {
            Ok(member.into())
        }
        _ => Err(Error::BadRequest(format!(
            "'member' must be the id of a project, a string of 1 to {LONGEST_MEMBER} characters."
        ))),
    }
}

fn status_of(given: &Value) -> Result<MemberStatus, Error> {
    given
        .as_str()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| Error::BadRequest("'status' must be pending, accepted or rejected.".into()))
}
