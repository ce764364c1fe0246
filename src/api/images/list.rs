//! `GET /v2/images` (contract 4.9): pages by marker, newest first.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use percent_encoding::percent_decode_str;
use serde::Serialize;

use crate::api::error::Error;
use crate::api::extract::Caller;
use crate::api::{Parts, Shared};
use crate::catalog::{Marker, Page, Scope};
use crate::image::ImageView;
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

/// What the query asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Query {
    limit: Option<u32>,
    marker: Option<String>,
}

/// A page of images the caller sees.
pub(in crate::api) async fn list(
    State(shared): State<Shared>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, Error> {
    let query = parse(query.as_deref().unwrap_or_default())?;
    if !caller.0.may(Rule::GetImages, None) {
        return Err(Error::Forbidden(
            "You are not authorized to complete get_images action.".into(),
        ));
    }
    let images = &shared.config.images;
    let limit = query
        .limit
        .unwrap_or(images.limit_default)
        .min(images.limit_max);
    let after = match &query.marker {
        Some(id) => Some(marker(&shared, &caller, id).await?),
        None => None,
    };
    let project = caller.0.viewer.project.clone();
    let scope = if caller.0.viewer.is_admin {
        Scope::Administrator { project }
    } else {
        Scope::Project(project)
    };
    let found = shared
        .catalog
        .list_images(Page {
            scope,
            after,
            limit,
        })
        .await?;

    let asked = query.limit.map(|limit| format!("limit={limit}"));
    let link = |more: Option<String>| {
        let parts: Vec<String> = asked.iter().cloned().chain(more).collect();
        if parts.is_empty() {
            PATH.to_owned()
        } else {
            format!("{PATH}?{}", parts.join("&"))
        }
    };
    // A full page may be the last one; the next is then empty. Clients expect just that.
    let is_full = limit > 0 && found.len() == limit as usize;
    let last = found.last().filter(|_| is_full);
    let body = Images {
        next: last.map(|image| link(Some(format!("marker={}", image.id)))),
        first: link(None),
        schema: "/v2/schemas/images",
        images: found.iter().map(|image| shared.view(image)).collect(),
    };
    Ok(Json(body).into_response())
}

async fn marker(shared: &Parts, caller: &Caller, text: &str) -> Result<Marker, Error> {
    // A marker that is no image is the client's mistake here, not a missing page.
    let unknown = || Error::BadRequest(format!("No image found with ID {text} (marker)"));
    let id = text.parse().map_err(|_| unknown())?;
    match shared.visible_image(caller, &id).await {
        Ok(image) => Ok(Marker {
            created_at: image.created_at,
            id,
        }),
        Err(Error::NoImage(_)) => Err(unknown()),
        Err(e) => Err(e),
    }
}

/// Unknown keys are refused: a filter that is silently ignored would return images that were not asked for.
fn parse(text: &str) -> Result<Query, Error> {
    let mut query = Query::default();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (key, value) = (decode(key)?, decode(value)?);
        let is_repeated = match key.as_str() {
            "limit" => {
                let limit = value.parse::<u64>().map_err(|_| {
                    Error::BadRequest(format!(
                        "limit must be a non-negative integer, not '{value}'"
                    ))
                })?;
                query
                    .limit
                    .replace(u32::try_from(limit).unwrap_or(u32::MAX))
                    .is_some()
            }
            "marker" => query.marker.replace(value).is_some(),
            _ => {
                return Err(Error::BadRequest(format!(
                    "The query parameter '{key}' is not supported"
                )));
            }
        };
        if is_repeated {
            return Err(Error::BadRequest(format!(
                "The query parameter '{key}' is given twice"
            )));
        }
    }
    Ok(query)
}

fn decode(text: &str) -> Result<String, Error> {
    let plain = text.replace('+', " ");
    let decoded = percent_decode_str(&plain).decode_utf8();
    decoded
        .map(Into::into)
        .map_err(|_| Error::BadRequest("The query is not valid UTF-8.".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read_strictly() {
        let query = parse("limit=2&marker=a%20b").unwrap();
        assert_eq!(
            query,
            Query {
                limit: Some(2),
                marker: Some("a b".into())
            }
        );
        assert_eq!(parse("limit=99999999999").unwrap().limit, Some(u32::MAX));
        for bad in [
            "limit=",
            "limit=-1",
            "limit=x",
            "limit=1&limit=2",
            "color=red",
            "marker=%ff",
        ] {
            assert!(matches!(parse(bad), Err(Error::BadRequest(_))), "{bad}");
        }
    }
}
