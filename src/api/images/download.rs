//! `GET /v2/images/{id}/file` (contract 3).

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRef, RawQuery, State};
use axum::response::Response;
use futures_util::StreamExt;
use http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH,
    IF_RANGE, RANGE,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use percent_encoding::percent_decode_str;

use super::get_visible;
use crate::api::caller::Caller;
use crate::api::error::Error;
use crate::api::extract::{ImagePath, NoBody};
use crate::api::range::{self, RangeError, RangeSpec};
use crate::api::state::AppState;
use crate::api::throttle::{Throttle, TransferKind};
use crate::catalog::Catalog;
use crate::image::{Image, Status};
use crate::policy::Rule;
use crate::store::{ByteSpan, Stores};
use crate::telemetry::metrics::Metrics;
use crate::transfer::Transfers;

const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");

/// What a download needs of the service.
#[derive(Clone)]
pub(in crate::api) struct Downloads {
    catalog: Catalog,
    transfers: Arc<Transfers>,
    throttle: Arc<Throttle>,
    metrics: Arc<Metrics>,
}

impl FromRef<AppState> for Downloads {
    fn from_ref(state: &AppState) -> Self {
        Self {
            catalog: state.catalog.clone(),
            transfers: Arc::clone(&state.transfers),
            throttle: Arc::clone(&state.throttle),
            metrics: Arc::clone(&state.metrics),
        }
    }
}

/// Gives image data out, whole or a range of it. The checks stand in the contract's order (3.1).
pub(in crate::api) async fn download(
    State(downloads): State<Downloads>,
    caller: Caller,
    _: NoBody,
    path: ImagePath,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let id = path.id()?;
    let image = get_visible(&downloads.catalog, &caller, &id).await?;
    if image.status == Status::Deactivated && !caller.viewer.is_admin {
        return Err(Error::Forbidden(
            "The requested image has been deactivated. Image data download is forbidden.".into(),
        ));
    }
    caller.enforce_image(Rule::DownloadImage, &image)?;
    let preferred = preferred_stores(
        downloads.transfers.stores(),
        query.as_deref().unwrap_or_default(),
    )?;
    if !preferred.is_empty() {
        caller.enforce_image(Rule::DownloadFromStore, &image)?;
    }
    let wanted = wanted_range(&headers)?;
    let Some(size) = image.size.filter(|_| image.has_data()) else {
        return Ok(answer(
            StatusCode::NO_CONTENT,
            HeaderMap::new(),
            Body::empty(),
        ));
    };

    let etag = etag(&image);
    check_preconditions(&headers, etag.as_ref())?;
    let wanted = wanted.filter(|_| range_applies(&headers, etag.as_ref()));
    let span = match wanted {
        Some(spec) => Some(range::resolve(spec, size).map_err(|_| Error::RangeNotSatisfiable {
            size: Some(size),
            message: format!("Range: the image has {size} bytes, so a range must start at 0 to {} or be a suffix.", size.saturating_sub(1)),
        })?),
        None => None,
    };
    let (status, fields) = head(&image, size, span, etag);
    let Some(span) = span.or_else(|| size.checked_sub(1).map(|last| ByteSpan { first: 0, last }))
    else {
        return Ok(answer(status, fields, Body::empty()));
    };
    let slot = downloads
        .throttle
        .acquire(&caller, TransferKind::Download)?;
    let names: Vec<&str> = preferred.iter().map(String::as_str).collect();
    let transfers = &downloads.transfers;
    let delivery = transfers.deliver(&image, size, span, &names).await?;
    // The slot is the stream's, and so taken till the last byte or till the client has gone.
    let stream = delivery.into_stream().inspect(move |_| {
        let _ = &slot;
    });
    let body = Body::from_stream(stream);
    Ok(answer(
        status,
        fields,
        Body::new(downloads.metrics.count_download(body, span.length())),
    ))
}

fn answer(status: StatusCode, headers: HeaderMap, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// Response headers are made from the record, never copied from the store.
fn head(
    image: &Image,
    size: u64,
    span: Option<ByteSpan>,
    etag: Option<HeaderValue>,
) -> (StatusCode, HeaderMap) {
    let mut headers = HeaderMap::new();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    headers.insert(CONTENT_LENGTH, span.map_or(size, ByteSpan::length).into());
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    // Hex and of the whole image, also for a range: not RFC 1864, but what clients of the Image API check.
    if let Some(md5) = image
        .checksum
        .as_deref()
        .and_then(|md5| HeaderValue::from_str(md5).ok())
    {
        headers.insert(CONTENT_MD5, md5);
    }
    if let Some(etag) = etag {
        headers.insert(ETAG, etag);
    }
    let Some(span) = span else {
        return (StatusCode::OK, headers);
    };
    let range = HeaderValue::try_from(format!("bytes {}-{}/{size}", span.first, span.last));
    headers.insert(
        CONTENT_RANGE,
        range.expect("digits are a valid header value"),
    );
    (StatusCode::PARTIAL_CONTENT, headers)
}

/// A strong ETag from the image's own digest: the same in every store.
fn etag(image: &Image) -> Option<HeaderValue> {
    let digest = image.os_hash_value.as_ref().or(image.checksum.as_ref())?;
    HeaderValue::try_from(format!("\"{digest}\"")).ok()
}

/// `Range`, else the legacy `Content-Range` request header.
fn wanted_range(headers: &HeaderMap) -> Result<Option<RangeSpec>, Error> {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let wanted = match (text(RANGE), text(CONTENT_RANGE)) {
        (Some(range), _) => range::parse(range).map(Some),
        (None, Some(range)) => range::parse_legacy(range).map(Some),
        (None, None) => Ok(None),
    };
    wanted.map_err(|e| match e {
        RangeError::Malformed => Error::RangeNotSatisfiable {
            size: None,
            message:
                "Invalid Range header: it must be bytes=FIRST-LAST, bytes=FIRST- or bytes=-COUNT."
                    .into(),
        },
        RangeError::Multiple => Error::BadRequest(
            "Range: requests with multiple ranges are not supported; ask for one range at a time."
                .into(),
        ),
    })
}

/// `If-Match` and `If-None-Match` (RFC 9110, 13.2.2), over the image's own ETag.
fn check_preconditions(headers: &HeaderMap, etag: Option<&HeaderValue>) -> Result<(), Error> {
    if headers.contains_key(IF_MATCH) && !names(headers, IF_MATCH, etag, Comparison::Strong) {
        return Err(Error::PreconditionFailed);
    }
    match etag {
        Some(etag) if names(headers, IF_NONE_MATCH, Some(etag), Comparison::Weak) => {
            Err(Error::NotModified { etag: etag.clone() })
        }
        _ => Ok(()),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Strong,
    Weak,
}

fn names(
    headers: &HeaderMap,
    header: HeaderName,
    etag: Option<&HeaderValue>,
    comparison: Comparison,
) -> bool {
    let Some(etag) = etag.and_then(|etag| etag.to_str().ok()) else {
        return false;
    };
    headers
        .get_all(header)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .any(|tag| {
            let tag = tag.trim();
            let weak = tag
                .strip_prefix("W/")
                .filter(|_| comparison == Comparison::Weak);
            tag == "*" || weak.unwrap_or(tag) == etag
        })
}

/// `If-Range`: the range holds only for the very bytes the client has; a date never does, since none is sent.
fn range_applies(headers: &HeaderMap, etag: Option<&HeaderValue>) -> bool {
    headers
        .get(IF_RANGE)
        .is_none_or(|condition| Some(condition) == etag)
}

/// `?prefer=a,b`: which stores to try first. Other keys have no meaning here.
fn preferred_stores(stores: &Stores, query: &str) -> Result<Vec<String>, Error> {
    let mut preferred = Vec::new();
    for value in query
        .split('&')
        .filter_map(|pair| pair.strip_prefix("prefer="))
    {
        let value = percent_decode_str(value)
            .decode_utf8()
            .map_err(|_| Error::BadRequest("prefer is not valid UTF-8.".into()))?;
        for name in value
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
        {
            if stores.find(name).is_none() {
                return Err(Error::BadRequest(format!(
                    "prefer: store '{name}' does not exist."
                )));
            }
            preferred.push(name.to_owned());
        }
    }
    Ok(preferred)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn preconditions_compare_the_images_own_etag() {
        let etag = HeaderValue::from_static("\"abc\"");
        let outcome = |headers: &HeaderMap| check_preconditions(headers, Some(&etag));
        assert!(outcome(&HeaderMap::new()).is_ok());
        assert!(outcome(&with(IF_MATCH, "\"x\", \"abc\"")).is_ok());
        assert!(outcome(&with(IF_MATCH, "*")).is_ok());
        assert!(matches!(
            outcome(&with(IF_MATCH, "W/\"abc\"")),
            Err(Error::PreconditionFailed)
        ));
        assert!(matches!(
            outcome(&with(IF_NONE_MATCH, "W/\"abc\"")),
            Err(Error::NotModified { .. })
        ));
        assert!(matches!(
            outcome(&with(IF_NONE_MATCH, "*")),
            Err(Error::NotModified { .. })
        ));
        assert!(outcome(&with(IF_NONE_MATCH, "\"x\"")).is_ok());
    }

    #[test]
    fn if_range_holds_for_the_same_strong_etag_only() {
        let etag = HeaderValue::from_static("\"abc\"");
        assert!(range_applies(&HeaderMap::new(), Some(&etag)));
        assert!(range_applies(&with(IF_RANGE, "\"abc\""), Some(&etag)));
        for other in ["\"x\"", "W/\"abc\"", "Wed, 21 Oct 2015 07:28:00 GMT"] {
            assert!(
                !range_applies(&with(IF_RANGE, other), Some(&etag)),
                "{other}"
            );
        }
    }
}
