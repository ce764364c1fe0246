//! What handlers ask of a request: the image's id, a body or its absence. The caller is in `caller`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRef, FromRequest, FromRequestParts, Path, Request};
use http::Version;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::request::Parts;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::bodies::{Bodies, Held};
use super::caller::Caller;
use super::error::Error;
use crate::image::ImageId;

/// The parameters of a path, decoded: a text, or a tuple of them.
///
/// # Errors
/// 400 when they are not UTF-8.
pub(super) async fn path_of<T: DeserializeOwned + Send>(parts: &mut Parts) -> Result<T, Error> {
    match Path::<T>::from_request_parts(parts, &()).await {
        Ok(Path(path)) => Ok(path),
        Err(_) => Err(Error::BadRequest("The path is not valid UTF-8.".into())),
    }
}

/// The one parameter of a path that is no image's.
pub(super) struct NamePath(pub(super) String);

impl<S: Sync> FromRequestParts<S> for NamePath {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        path_of(parts).await.map(Self)
    }
}

/// The image's id in the path, not yet looked at: some routes have checks that come before it.
pub(super) struct ImagePath(String);

impl ImagePath {
    pub(super) fn new(text: String) -> Self {
        Self(text)
    }

    /// The id.
    ///
    /// # Errors
    /// 404 for a malformed one, never 400: clients look names up this way first.
    pub(super) fn id(&self) -> Result<ImageId, Error> {
        self.0.parse().map_err(|_| Error::image_not_found(&self.0))
    }
}

impl std::fmt::Display for ImagePath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl<S: Sync> FromRequestParts<S> for ImagePath {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        path_of(parts).await.map(Self)
    }
}

/// The image's id and a tag in the path.
pub(super) struct TagPath {
    pub(super) image: ImagePath,
    pub(super) tag: String,
}

impl<S: Sync> FromRequestParts<S> for TagPath {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        let (image, tag) = path_of(parts).await?;
        Ok(Self {
            image: ImagePath(image),
            tag,
        })
    }
}

/// Refuses a request that carries a body: 400.
pub(super) struct NoBody;

impl<S: Sync> FromRequestParts<S> for NoBody {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        let length = parts
            .headers
            .get(CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok());
        let has_body = length.is_some_and(|length| length != "0")
            || parts.headers.contains_key(TRANSFER_ENCODING);
        if has_body {
            return Err(Error::BadRequest(
                "A body is not expected with this request.".into(),
            ));
        }
        Ok(Self)
    }
}

/// Refuses image data of HTTP/1.0 without a length: 411. Such a message has no body by definition (RFC 9112, 6.3), and a
/// client of that age that closes its connection behind the data would get an active image without any. With HTTP/1.1 it
/// says that the image is empty.
pub(super) struct HasLength;

impl<S: Sync> FromRequestParts<S> for HasLength {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        let headers = &parts.headers;
        let says_its_length =
            headers.contains_key(CONTENT_LENGTH) || headers.contains_key(TRANSFER_ENCODING);
        if says_its_length || parts.version >= Version::HTTP_11 {
            Ok(Self)
        } else {
            Err(Error::LengthRequired)
        }
    }
}

/// A JSON document, whatever the Content-Type says (contract 1.2), and the memory it holds while this is kept.
pub(super) struct JsonBody(pub(super) Value, pub(super) Option<Held>);

/// A JSON object, and the same.
pub(super) struct JsonObject(pub(super) Map<String, Value>, pub(super) Option<Held>);

impl<S: Sync> FromRequest<S> for JsonObject
where
    Arc<Bodies>: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request(request: Request<Body>, state: &S) -> Result<Self, Error> {
        match JsonBody::from_request(request, state).await? {
            JsonBody(Value::Object(object), held) => Ok(Self(object, held)),
            JsonBody(..) => Err(Error::BadRequest(
                "The request body must be a JSON object.".into(),
            )),
        }
    }
}

impl<S: Sync> FromRequest<S> for JsonBody
where
    Arc<Bodies>: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request(request: Request<Body>, state: &S) -> Result<Self, Error> {
        let (parts, body) = request.into_parts();
        let caller = Caller::of(&parts)?;
        let bodies = Arc::<Bodies>::from_ref(state);
        let (value, held) = bodies.read(body, caller.name()).await?;
        Ok(Self(value, held))
    }
}
