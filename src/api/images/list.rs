//! `GET /v2/images` (contract 4.9): a page of images, filtered and sorted as the query says.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::ImageSettings;
use super::query::Query;
use crate::api::caller::Caller;
use crate::api::error::Error;
use crate::api::paging::{self, PageLimits};
use crate::catalog::{Catalog, Filter, Page, Scope};
use crate::image::{Image, ImageView};
use crate::policy::Rule;

const PATH: &str = "/v2/images";

#[derive(Serialize)]
struct Images<'a> {
    images: Vec<ImageView<'a>>,
    first: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    schema: &'static str,
}

/// A page of images the caller sees.
pub(in crate::api) async fn list(
    State(catalog): State<Catalog>,
    State(settings): State<ImageSettings>,
    State(pages): State<PageLimits>,
    caller: Caller,
    RawQuery(text): RawQuery,
) -> Result<Response, Error> {
    let pairs = paging::pairs(text.as_deref().unwrap_or_default())?;
    let query = Query::parse(&pairs)?;
    caller.enforce_own(Rule::GetImages)?;
    let limit = query.limit.unwrap_or(pages.default).min(pages.max);
    let after = match &query.marker {
        Some(id) => Some(marker(&catalog, &caller, id).await?),
        None => None,
    };
    // What the caller may not read it cannot find out by asking for values either.
    let matches_nothing = query.matches_nothing
        || query.filters.iter().any(
            |filter| matches!(filter, Filter::Property(name, _) if !settings.protection.may_read(&caller, name)),
        );
    let viewer = &caller.viewer;
    let page = Page {
        scope: Scope {
            project: viewer.project.clone(),
            is_admin: viewer.is_admin,
            audience: query.audience,
            member_status: query.member_status,
        },
        is_hidden: query.is_hidden,
        filters: query.filters,
        sort: query.sort,
        after,
        limit: if matches_nothing { 0 } else { limit },
    };
    let listed = catalog.list_images(page).await?;
    let found = &listed.images;

    // A full page may be the last one; the next is then empty. Clients expect just that.
    let is_full = limit > 0 && found.len() == limit as usize;
    let last = found.last().filter(|_| is_full || listed.is_cut);
    let body = Images {
        next: last.map(|image| paging::link(PATH, &pairs, Some(image.id.as_str()))),
        first: paging::link(PATH, &pairs, None),
        schema: "/v2/schemas/images",
        images: found
            .iter()
            .filter(|image| caller.may_image(Rule::GetImage, image))
            .map(|image| settings.view(&caller, image))
            .collect(),
    };
    Ok(Json(body).into_response())
}

async fn marker(catalog: &Catalog, caller: &Caller, text: &str) -> Result<Arc<Image>, Error> {
    // A marker that is no image is the client's mistake here, not a missing page.
    let unknown = || Error::BadRequest(format!("No image found with ID {text} (marker)"));
    let id = text.parse().map_err(|_| unknown())?;
    match catalog.find_image(&id).await? {
        Some(image) if caller.viewer.sees(&image) => Ok(image),
        // As the reference service: here, and only here, hidden and absent differ.
        Some(_) => Err(Error::Forbidden(format!(
            "You are not authorized to use image {id} as a marker."
        ))),
        None => Err(unknown()),
    }
}
