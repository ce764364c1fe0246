//! The only place that knows HTTP status codes of failures, and how an error looks on the wire (contract 8.1).
//!
//! Every mapping is exhaustive: a new variant below must be thought about here.

mod causes;

use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{
    ACCEPT, ALLOW, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use hyper::ext::ReasonPhrase;

use crate::image::ImageId;
use crate::policy::Rule;
use crate::{auth, catalog};

/// What a client waits before it tries again while a dependency is away.
const RETRY_SOON: Duration = Duration::from_secs(5);

const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");

/// The media types of a PATCH (contract 4.5).
const PATCH_TYPES: &str = "application/openstack-images-v2.0-json-patch, \
    application/openstack-images-v2.1-json-patch";

/// A request that is not carried out.
#[derive(Debug)]
pub(super) enum Error {
    /// 400.
    BadRequest(String),
    /// 401, with the challenge for the client.
    Unauthenticated(String),
    /// 403.
    Forbidden(String),
    /// 404 for an image that is not there or not the caller's to see; one text for both.
    NotFound(String),
    /// 404 for a route.
    NoRoute,
    /// 404 for an active image whose object is in none of its stores; logged as an error, since data is lost.
    DataMissing(Source),
    /// 405 with the methods the path has.
    MethodNotAllowed {
        /// The method that was tried.
        method: String,
        /// Value of `Allow`.
        allow: &'static str,
    },
    /// 408.
    TooSlow(String),
    /// 409.
    Conflict(String),
    /// 410.
    Gone(String),
    /// 411.
    LengthRequired,
    /// 412.
    PreconditionFailed,
    /// 413.
    TooLarge(String),
    /// 415.
    UnsupportedMediaType(String),
    /// 415 of a PATCH, with the media types that are accepted.
    UnsupportedPatch,
    /// 416; with the size when it is known.
    RangeNotSatisfiable {
        /// Bytes of the image.
        size: Option<u64>,
        /// What is wrong.
        message: String,
    },
    /// 304: no failure, but it ends a download in the same way.
    NotModified {
        /// The image's ETag.
        etag: HeaderValue,
    },
    /// 429 with `Retry-After`.
    TooMany {
        /// What there are too many of.
        message: String,
        /// When the same request may pass.
        retry_after: Duration,
    },
    /// 501, with what is not there.
    NotImplemented(&'static str),
    /// 503 with `Retry-After`: too much is asked of this service at once.
    Busy(String),
    /// 503 with `Retry-After`: a dependency is away.
    Unavailable(Source),
    /// 500: a fault of ours. The cause goes to the log only.
    Internal(Source),
}

type Source = Box<dyn std::error::Error + Send + Sync>;

impl Error {
    /// 404 in the words of the image API.
    pub(super) fn image_not_found(id: &str) -> Self {
        Error::NotFound(format!("No image found with ID {id}"))
    }

    /// 403 for a rule that says no.
    pub(super) fn not_allowed(rule: Rule) -> Self {
        Error::denied(rule.as_str())
    }

    fn denied(rule: &str) -> Self {
        Error::Forbidden(format!("You are not authorized to complete {rule} action."))
    }

    /// A request whose sender is not known, with the challenge for the client.
    pub(super) fn unknown_caller(e: auth::Error, challenge: &str) -> Self {
        match e {
            auth::Error::Missing | auth::Error::Invalid => {
                Error::Unauthenticated(challenge.to_owned())
            }
            // Trouble asking is not a refusal: a 401 would send clients into a loop of new tokens.
            e @ auth::Error::Unavailable(_) => Error::Unavailable(e.into()),
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Error::BadRequest(_) => StatusCode::BAD_REQUEST,
            Error::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
            Error::Forbidden(_) => StatusCode::FORBIDDEN,
            Error::NotFound(_) | Error::NoRoute | Error::DataMissing(_) => StatusCode::NOT_FOUND,
            Error::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Error::TooSlow(_) => StatusCode::REQUEST_TIMEOUT,
            Error::Conflict(_) => StatusCode::CONFLICT,
            Error::Gone(_) => StatusCode::GONE,
            Error::LengthRequired => StatusCode::LENGTH_REQUIRED,
            Error::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Error::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Error::UnsupportedMediaType(_) | Error::UnsupportedPatch => {
                StatusCode::UNSUPPORTED_MEDIA_TYPE
            }
            Error::RangeNotSatisfiable { .. } => StatusCode::RANGE_NOT_SATISFIABLE,
            Error::NotModified { .. } => StatusCode::NOT_MODIFIED,
            Error::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            Error::NotImplemented(_) => StatusCode::NOT_IMPLEMENTED,
            Error::Busy(_) | Error::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Error::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn message(&self) -> String {
        match self {
            Error::BadRequest(text)
            | Error::Forbidden(text)
            | Error::NotFound(text)
            | Error::TooSlow(text)
            | Error::Conflict(text)
            | Error::Gone(text)
            | Error::TooLarge(text)
            | Error::UnsupportedMediaType(text)
            | Error::Busy(text)
            | Error::TooMany { message: text, .. }
            | Error::RangeNotSatisfiable { message: text, .. } => text.clone(),
            Error::Unauthenticated(_) => {
                "The request you have made requires authentication.".into()
            }
            Error::UnsupportedPatch => format!("Content-Type must be one of {PATCH_TYPES}."),
            Error::NoRoute => "The resource could not be found.".into(),
            Error::DataMissing(_) => "The image data could not be found in any store.".into(),
            Error::MethodNotAllowed { method, .. } => {
                format!("The method {method} is not allowed for this resource.")
            }
            Error::PreconditionFailed => {
                "The image data is not the one the request names (If-Match).".into()
            }
            Error::NotModified { .. } => String::new(),
            Error::LengthRequired => {
                "Image data needs a Content-Length, or Transfer-Encoding: chunked.".into()
            }
            Error::NotImplemented(text) => (*text).into(),
            Error::Unavailable(_) => {
                "A service this request depends on is not available now. Please try again.".into()
            }
            Error::Internal(_) => {
                "An unexpected error occurred; the service's log has the cause.".into()
            }
        }
    }

    /// Logged once, here, where it becomes an answer.
    fn log(&self) {
        match self {
            Error::Internal(e) => tracing::error!(
                error = &**e as &dyn std::error::Error,
                cause = chain(&**e),
                "request failed"
            ),
            Error::DataMissing(e) => tracing::error!(
                cause = chain(&**e),
                "the data of an active image is missing"
            ),
            Error::Unavailable(e) => tracing::error!(cause = chain(&**e), "a dependency is away"),
            other => tracing::debug!(
                status = other.status().as_u16(),
                message = other.message(),
                "request refused"
            ),
        }
    }
}

fn chain(mut error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    while let Some(source) = error.source() {
        text.push_str(": ");
        text.push_str(&source.to_string());
        error = source;
    }
    text
}

/// The message of an error on its way to [`render`], which knows what the client accepts.
#[derive(Clone)]
struct Unrendered(String);

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        self.log();
        let mut response = self.status().into_response();
        let headers = response.headers_mut();
        match &self {
            Error::Unauthenticated(challenge) => {
                if let Ok(challenge) = HeaderValue::from_str(challenge) {
                    headers.insert(WWW_AUTHENTICATE, challenge);
                }
            }
            Error::MethodNotAllowed { allow, .. } => {
                headers.insert(ALLOW, HeaderValue::from_static(allow));
            }
            Error::UnsupportedPatch => {
                headers.insert(ACCEPT_PATCH, HeaderValue::from_static(PATCH_TYPES));
            }
            Error::RangeNotSatisfiable {
                size: Some(size), ..
            } => {
                let value = HeaderValue::try_from(format!("bytes */{size}"));
                headers.insert(
                    CONTENT_RANGE,
                    value.expect("digits are a valid header value"),
                );
            }
            Error::NotModified { etag } => {
                headers.insert(ETAG, etag.clone());
                return response;
            }
            Error::TooMany { retry_after, .. } => {
                // Whole seconds, and not a moment too early.
                let seconds = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
                headers.insert(RETRY_AFTER, seconds.into());
            }
            Error::Busy(_) | Error::Unavailable(_) => {
                headers.insert(RETRY_AFTER, RETRY_SOON.as_secs().into());
            }
            _ => {}
        }
        response.extensions_mut().insert(Unrendered(self.message()));
        response
    }
}

/// Gives an error its body in the form the request's `Accept` asks for.
pub(super) fn render(accept: &HeaderMap, mut response: Response) -> Response {
    let Some(Unrendered(message)) = response.extensions_mut().remove() else {
        return response;
    };
    let status = response.status();
    let title = reason(status);
    let code = format!("{} {title}", status.as_u16());
    let (content_type, body) = match preferred(accept) {
        Form::Json => {
            let body = serde_json::json!({"message": message, "code": code, "title": title});
            ("application/json", body.to_string())
        }
        Form::Html => {
            let text = message
                .replace('&', "&amp;")
                .replace('<', "&lt;")
                .replace('>', "&gt;");
            let page = format!(
                "<html>\n <head>\n  <title>{code}</title>\n </head>\n <body>\n  <h1>{code}</h1>\n  {text}\n </body>\n</html>"
            );
            ("text/html; charset=UTF-8", page)
        }
        Form::Plain => (
            "text/plain; charset=UTF-8",
            format!("{code}\n\n{message}\n\n   "),
        ),
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    // The empty body that is replaced had a length of its own.
    headers.remove(CONTENT_LENGTH);
    if Some(title) != status.canonical_reason() {
        response
            .extensions_mut()
            .insert(ReasonPhrase::from_static(title.as_bytes()));
    }
    *response.body_mut() = Body::from(body);
    response
}

/// Reason phrases as the reference service has them; two differ from today's registry.
fn reason(status: StatusCode) -> &'static str {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => "Request Entity Too Large",
        StatusCode::RANGE_NOT_SATISFIABLE => "Request Range Not Satisfiable",
        other => other.canonical_reason().unwrap_or("Error"),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Html,
    Plain,
}

/// HTML wins a tie, as it does in the reference service; without a match it is plain text.
///
/// An empty `Accept` gets JSON: openstacksdk sends one with uploads and changes, and shows its user the reason of a
/// refusal out of JSON and HTML only.
fn preferred(headers: &HeaderMap) -> Form {
    let accept: Vec<&str> = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    let is_empty = !accept.is_empty() && accept.iter().all(|value| value.trim().is_empty());
    let accept = accept.join(",");
    let (html, json) = (
        quality(&accept, "text", "html"),
        quality(&accept, "application", "json"),
    );
    if html > 0.0 && html >= json {
        Form::Html
    } else if json > 0.0 || is_empty {
        Form::Json
    } else {
        Form::Plain
    }
}

/// The weight an `Accept` header gives a media type; the most specific range counts (RFC 9110, 12.5.1).
fn quality(accept: &str, kind: &str, subtype: &str) -> f32 {
    let mut best = (0, 0.0);
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let Some((k, s)) = parts.next().and_then(|name| name.split_once('/')) else {
            continue;
        };
        let specificity = match (k, s) {
            ("*", "*") => 1,
            (k, "*") if k.eq_ignore_ascii_case(kind) => 2,
            (k, s) if k.eq_ignore_ascii_case(kind) && s.eq_ignore_ascii_case(subtype) => 3,
            _ => continue,
        };
        let weight = parts
            .find_map(|p| p.strip_prefix("q="))
            .map_or(1.0, |q| q.parse().unwrap_or(0.0));
        if specificity > best.0 {
            best = (specificity, weight);
        }
    }
    best.1
}

/// Whether an answer of this status says which methods there are (RFC 9110, 10.2.1): only the refusal of one does.
pub(super) fn names_methods(status: StatusCode) -> bool {
    status == StatusCode::METHOD_NOT_ALLOWED
}

/// Names the image in the catalog's refusals that a handler passes on.
pub(super) fn about(id: &ImageId, e: catalog::Error) -> Error {
    match e {
        catalog::Error::Missing => Error::image_not_found(id.as_str()),
        catalog::Error::Taken => Error::Conflict(format!("Image ID {id} already exists!")),
        catalog::Error::Protected => {
            Error::Forbidden(format!("Image {id} is protected and cannot be deleted."))
        }
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_an_error_follows_the_accept_header() {
        for (accept, form) in [
            (None, Form::Plain),
            (Some(""), Form::Json),
            (Some(" "), Form::Json),
            (Some("text/xml"), Form::Plain),
            (Some("application/json"), Form::Json),
            (Some("application/json;q=0.9, text/html;q=0.1"), Form::Json),
            (Some("application/json, text/html"), Form::Html),
            (Some("*/*"), Form::Html),
            (Some("text/html"), Form::Html),
            (Some("application/*"), Form::Json),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(ACCEPT, HeaderValue::from_str(accept).unwrap());
            }
            assert_eq!(preferred(&headers), form, "{accept:?}");
        }
    }
}
