//! The image routes, a handler a file.

pub(super) mod actions;
pub(super) mod create;
pub(super) mod delete;
pub(super) mod download;
pub(super) mod list;
mod query;
pub(super) mod show;
pub(super) mod tags;
pub(super) mod update;
pub(super) mod upload;

use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue};

use super::Parts;
use super::caller::Caller;
use super::error::Error;
use crate::config::Limit;
use crate::image::{Image, ImageId, ImageView, Rules, Status, Visibility};
use crate::policy::Rule;

/// What the reference service says of its empty answers.
const EMPTY_HTML: [(HeaderName, HeaderValue); 1] = [(
    CONTENT_TYPE,
    HeaderValue::from_static("text/html; charset=UTF-8"),
)];

impl Parts {
    /// The image, if the caller may know of it; else 404 with one text for absent and hidden.
    async fn visible_image(&self, caller: &Caller, id: &ImageId) -> Result<Arc<Image>, Error> {
        match self.catalog.find_image(id).await? {
            Some(image) if caller.viewer.sees(&image) => Ok(image),
            _ => Err(Error::no_image(id.as_str())),
        }
    }

    /// Asks a rule about a visible image: 403 when it says no but the caller may read the record, else 404.
    fn enforce(&self, caller: &Caller, rule: Rule, image: &Image) -> Result<(), Error> {
        if caller.may_image(rule, image) {
            return Ok(());
        }
        if caller.may_image(Rule::GetImage, image) {
            Err(Error::not_allowed(rule))
        } else {
            Err(Error::no_image(image.id.as_str()))
        }
    }

    /// What the site allows in a record.
    fn image_rules(&self) -> Rules<'_> {
        let images = &self.config.images;
        Rules {
            disk_formats: &images.disk_formats,
            container_formats: &images.container_formats,
            property_quota: most(images.property_quota),
            tag_quota: most(images.tag_quota),
        }
    }

    /// The record as the caller sees it: a deactivated image keeps the places of its data from all but administrators.
    fn view<'a>(&self, caller: &Caller, image: &'a Image) -> ImageView<'a> {
        let shows_stores = image.status != Status::Deactivated || caller.viewer.is_admin;
        let located = image.locations.iter().filter(|_| shows_stores);
        ImageView {
            image,
            stores: self
                .transfers
                .stores()
                .by_weight(located.map(|location| location.store.as_str())),
        }
    }
}

fn most(limit: Limit) -> Option<u64> {
    match limit {
        Limit::Unlimited => None,
        Limit::AtMost(count) => Some(count.into()),
    }
}

/// The rule that guards an audience beyond the project and its members.
fn rule_of(visibility: Visibility) -> Option<Rule> {
    match visibility {
        Visibility::Public => Some(Rule::PublicizeImage),
        Visibility::Community => Some(Rule::CommunitizeImage),
        Visibility::Private | Visibility::Shared => None,
    }
}
