//! `PUT /v2/images/{id}/file` (contract 2).

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{FromRef, State};
use axum::response::Response;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};

use super::get_visible;
use crate::api::caller::Caller;
use crate::api::error::{Error, about};
use crate::api::extract::{HasLength, ImagePath};
use crate::api::no_content;
use crate::api::quotas::Quotas;
use crate::api::state::AppState;
use crate::api::throttle::{Throttle, TransferKind};
use crate::catalog::{Catalog, Purpose};
use crate::image::{Denial, Image};
use crate::net::Broken;
use crate::policy::Rule;
use crate::store::{Store, Stores};
use crate::transfer::{self, Ingest, Transfers};

const IMAGE_SIZE: &str = "x-openstack-image-size";
pub(super) const IMAGE_STORE: &str = "x-image-meta-store";

/// What an upload needs of the service.
#[derive(Clone)]
pub(in crate::api) struct Uploads {
    catalog: Catalog,
    transfers: Arc<Transfers>,
    throttle: Arc<Throttle>,
    quotas: Quotas,
}

impl FromRef<AppState> for Uploads {
    fn from_ref(state: &AppState) -> Self {
        Self {
            catalog: state.catalog.clone(),
            transfers: Arc::clone(&state.transfers),
            throttle: Arc::clone(&state.throttle),
            quotas: state.quotas.clone(),
        }
    }
}

/// What the data is taken for, and what has to be allowed for that.
pub(super) struct Intake {
    pub(super) purpose: Purpose,
    pub(super) rules: &'static [Rule; 1],
}

/// Takes image data in.
pub(in crate::api) async fn upload(
    State(uploads): State<Uploads>,
    caller: Caller,
    path: ImagePath,
    connection: Option<Extension<Broken>>,
    _: HasLength,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let intake = Intake {
        purpose: Purpose::Upload,
        rules: &[Rule::UploadImage],
    };
    let broken = connection.map(|Extension(it)| it).unwrap_or_default();
    uploads
        .take_in(&intake, &caller, &path, broken, &headers, body)
        .await
}

impl Uploads {
    /// The checks stand in the contract's order (2.2, 6.2); no byte of the body is read before the last.
    pub(super) async fn take_in(
        &self,
        intake: &Intake,
        caller: &Caller,
        path: &ImagePath,
        broken: Broken,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Response, Error> {
        check_content_type(headers)?;
        let declared = declared_size(headers)?;
        let store = store_of(self.transfers.stores(), headers)?;
        let id = path.id()?;
        let [rule] = *intake.rules;
        let image = get_visible(&self.catalog, caller, &id).await?;
        caller.enforce_image(rule, &image)?;
        check_image(&image, intake.purpose)?;
        let slot = self.throttle.acquire(caller, TransferKind::Upload)?;
        let limits = self.quotas.limits_of(image.owner.as_ref()).await?;
        let owner = image.owner.clone();
        let may_upload = caller.judge(intake.rules);
        let judge = Box::new(move |image: &Image| {
            may_upload(image)?;
            // The limits are this owner's.
            (image.owner == owner).then_some(()).ok_or(Denial::Changed)
        });
        let cap = self.transfers.size_cap();
        if declared.is_some_and(|declared| declared > cap) {
            return Err(transfer::Error::TooLarge { cap }.into());
        }
        let job = Ingest {
            purpose: intake.purpose,
            image: id.clone(),
            judge,
            store,
            declared,
            limits,
            project: caller.name().into(),
            broken,
        };
        match self.transfers.ingest(job, slot, body).await {
            Ok(_) => Ok(no_content()),
            Err(transfer::Error::Catalog(e)) => Err(about(&id, e)),
            Err(e) => Err(e.into()),
        }
    }
}

fn check_content_type(headers: &HeaderMap) -> Result<(), Error> {
    let given = headers
        .get(CONTENT_TYPE)
        .map(|value| value.to_str().unwrap_or_default());
    let media_type = given
        .and_then(|value| value.split(';').next())
        .map(str::trim);
    if media_type
        .is_some_and(|media_type| media_type.eq_ignore_ascii_case("application/octet-stream"))
    {
        return Ok(());
    }
    Err(Error::UnsupportedMediaType(format!(
        "The request media type {} is not supported by this server: Content-Type must be application/octet-stream.",
        given.unwrap_or("(none)")
    )))
}

/// The size the client promises. 0 in the header means unknown, not empty (contract 2.1); Content-Length still tells.
fn declared_size(headers: &HeaderMap) -> Result<Option<u64>, Error> {
    let length = match headers.get(CONTENT_LENGTH) {
        Some(value) => decimal(value.as_bytes(), "Content-Length")?,
        None => None,
    };
    let promised = match headers.get(IMAGE_SIZE) {
        Some(value) => decimal(value.as_bytes(), "X-OpenStack-Image-Size")?,
        None => None,
    };
    match (promised, length) {
        // The two cannot both come true, so no byte needs to be read.
        (Some(declared), Some(received)) if declared != received => {
            Err(transfer::Error::SizeMismatch { declared, received }.into())
        }
        (promised, length) => Ok(promised.or(length)),
    }
}

/// Digits only; `None` for zero.
fn decimal(text: &[u8], header: &str) -> Result<Option<u64>, Error> {
    let number = std::str::from_utf8(text)
        .ok()
        .filter(|t| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit()));
    let number = number.and_then(|text| text.parse::<u64>().ok());
    let number = number.ok_or_else(|| {
        Error::BadRequest(format!(
            "{header} must be a decimal number of bytes below 2^64"
        ))
    })?;
    Ok((number > 0).then_some(number))
}

fn store_of(stores: &Stores, headers: &HeaderMap) -> Result<Arc<Store>, Error> {
    let Some(name) = headers.get(IMAGE_STORE) else {
        return Ok(Arc::clone(stores.default()));
    };
    let found = name.to_str().ok().and_then(|name| stores.find(name));
    found.cloned().ok_or_else(|| {
        let name = String::from_utf8_lossy(name.as_bytes());
        Error::BadRequest(format!(
            "X-Image-Meta-Store: store '{name}' does not exist."
        ))
    })
}

/// Early answers from the cached record; the catalog checks the same again when the upload begins.
fn check_image(image: &Image, purpose: Purpose) -> Result<(), Error> {
    if let Some(status) = purpose.status() {
        let step = image.status.check_transition(status);
        step.map_err(|e| Error::Conflict(e.to_string()))?;
    }
    match image.missing_formats().as_slice() {
        [] => Ok(()),
        [one] => Err(Error::BadRequest(format!(
            "Property {one} must be set prior to saving data."
        ))),
        several => Err(Error::BadRequest(format!(
            "Properties {} must be set prior to saving data.",
            several.join(", ")
        ))),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    #[test]
    fn the_declared_size_is_digits_and_zero_means_unknown() {
        for (pairs, expected) in [
            (vec![], Some(None)),
            (vec![(IMAGE_SIZE, "5")], Some(Some(5))),
            (vec![(IMAGE_SIZE, "0")], Some(None)),
            (
                vec![(IMAGE_SIZE, "0"), ("content-length", "7")],
                Some(Some(7)),
            ),
            (vec![("content-length", "0")], Some(None)),
            (
                vec![(IMAGE_SIZE, "5"), ("content-length", "5")],
                Some(Some(5)),
            ),
            (vec![(IMAGE_SIZE, "5"), ("content-length", "6")], None),
            (vec![(IMAGE_SIZE, "-1")], None),
            (vec![(IMAGE_SIZE, "+5")], None),
            (vec![(IMAGE_SIZE, "1_0")], None),
            (vec![(IMAGE_SIZE, " 5")], None),
            (vec![(IMAGE_SIZE, "")], None),
            (vec![(IMAGE_SIZE, "5.0")], None),
            (vec![(IMAGE_SIZE, "18446744073709551616")], None),
        ] {
            assert_eq!(declared_size(&headers(&pairs)).ok(), expected, "{pairs:?}");
        }
    }

    #[test]
    fn the_content_type_may_have_parameters_but_no_other_name() {
        for (value, fits) in [
            ("application/octet-stream", true),
            ("Application/Octet-Stream; charset=x", true),
            ("application/json", false),
            ("", false),
            ("application/octet-streams", false),
        ] {
            assert_eq!(
                check_content_type(&headers(&[("content-type", value)])).is_ok(),
                fits,
                "{value}"
            );
        }
        assert!(check_content_type(&HeaderMap::new()).is_err());
    }

    proptest! {
        #[test]
        fn every_number_reads_back(size in 1..=u64::MAX) {
            prop_assert_eq!(decimal(size.to_string().as_bytes(), "x").unwrap(), Some(size));
        }

        #[test]
        fn no_bytes_make_the_parser_panic(text in proptest::collection::vec(any::<u8>(), 0..32)) {
            let _ = decimal(&text, "x");
        }
    }
}
