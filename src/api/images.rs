//! The image routes, a handler a file.

pub(super) mod actions;
pub(super) mod create;
pub(super) mod delete;
pub(super) mod download;
pub(super) mod list;
pub(super) mod locations;
pub(super) mod members;
mod query;
pub(super) mod show;
pub(super) mod tags;
pub(super) mod update;
pub(super) mod upload;

use std::sync::Arc;
use std::time::Duration;

use super::AppState;
use super::caller::Caller;
use super::error::Error;
use super::throttle::{Slot, TransferKind};
use crate::auth::ProjectLimits;
use crate::catalog::{Garbage, Limits};
use crate::config::Limit;
use crate::image::{
    Image, ImageId, ImageView, Location, LocationMetadata, LocationView, ProjectId, Rules, Status,
    Visibility,
};
use crate::policy::Rule;
use crate::telemetry::labels::LimitKind;

/// How long an answer waits for the store to remove bytes. The record is changed at once; the bytes follow even if the
/// store is away.
const REMOVAL_WAIT: Duration = Duration::from_secs(5);

impl AppState {
    /// The image, if the caller may know of it; else 404 with one text for absent and hidden.
    pub(super) async fn visible_image(
        &self,
        caller: &Caller,
        id: &ImageId,
    ) -> Result<Arc<Image>, Error> {
        match self.catalog.find_image(id).await? {
            Some(image) if caller.viewer.sees(&image) => Ok(image),
            _ => Err(Error::image_not_found(id.as_str())),
        }
    }

    /// Asks a rule about a visible image: 403 when it says no but the caller may read the record, else 404.
    pub(super) fn enforce(&self, caller: &Caller, rule: Rule, image: &Image) -> Result<(), Error> {
        if caller.may_image(rule, image) {
            return Ok(());
        }
        if caller.may_image(Rule::GetImage, image) {
            Err(Error::not_allowed(rule))
        } else {
            Err(Error::image_not_found(image.id.as_str()))
        }
    }

    /// 429, counted.
    pub(super) fn too_many(&self, kind: LimitKind, retry_after: Duration) -> Error {
        self.metrics.limited(kind);
        Error::TooMany {
            message: format!(
                "The project has too many {} at a time; please try again later.",
                kind.as_str()
            ),
            retry_after,
        }
    }

    /// Takes a slot among the caller's uploads or downloads.
    fn acquire_slot(&self, caller: &Caller, kind: TransferKind) -> Result<Option<Slot>, Error> {
        let Some(name) = caller.limited_as() else {
            return Ok(None);
        };
        let limit = match kind {
            TransferKind::Upload => LimitKind::Uploads,
            TransferKind::Download => LimitKind::Downloads,
        };
        let slot = self.throttle.acquire(name, kind);
        slot.map_err(|wait| self.too_many(limit, wait))
    }

    /// What the identity service lets a project hold; `None` where it is not asked.
    pub(super) async fn project_limits(
        &self,
        project: &ProjectId,
    ) -> Result<Option<ProjectLimits>, Error> {
        let limits = self.authenticator.limits(project.as_str()).await;
        limits.map_err(|e| Error::Unavailable(e.into()))
    }

    /// What a project may hold in all.
    async fn limits(&self, owner: Option<&ProjectId>) -> Result<Limits, Error> {
        let quota = self.config.images.user_storage_quota.bytes();
        let own = match owner {
            Some(owner) => self.project_limits(owner).await?.unwrap_or_default(),
            None => ProjectLimits::default(),
        };
        Ok(Limits {
            storage_quota: (quota > 0).then_some(quota),
            size_total: own.size_total,
            images: own.count_total,
            uploading: own.count_uploading,
        })
    }

    /// What the site allows in a record.
    fn image_rules(&self) -> Rules<'_> {
        let images = &self.config.images;
        Rules {
            disk_formats: &images.disk_formats,
            container_formats: &images.container_formats,
            property_quota: most(images.property_quota),
            properties_size: images.properties_size.bytes(),
            tag_quota: most(images.tag_quota),
        }
    }

    /// The record as the caller sees it: a deactivated image keeps the places of its data from all but administrators.
    fn view<'a>(&self, caller: &Caller, image: &'a Image) -> ImageView<'a> {
        let shows_places = image.status != Status::Deactivated || caller.viewer.is_admin;
        let located = image.locations.iter().filter(|_| shows_places);
        let images = &self.config.images;
        let shows_urls = shows_places
            && (images.show_direct_url || images.show_multiple_locations)
            && caller.may_image(Rule::GetImageLocation, image);
        let locations = || self.locations(image);
        ImageView {
            image,
            stores: self
                .transfers
                .stores()
                .by_weight(located.map(|location| location.store.as_str())),
            direct_url: (shows_urls && images.show_direct_url)
                .then(|| locations().into_iter().next())
                .flatten()
                .map(|location| location.url),
            locations: (shows_urls && images.show_multiple_locations).then(locations),
            unreadable: self.unreadable(caller, image),
        }
    }

    /// Every copy of the image's data, heaviest store first, with its URL. One in a store that is no longer configured
    /// has no URL, and is left out.
    fn located<'a>(&self, image: &'a Image) -> Vec<(String, &'a Location)> {
        let stores = self.transfers.stores();
        let names = image
            .locations
            .iter()
            .map(|location| location.store.as_str());
        let find = |name: &str| {
            let mut all = image.locations.iter();
            let location = all.find(|location| location.store.as_str() == name)?;
            Some((stores.find(name)?.location(&location.key), location))
        };
        stores
            .by_weight(names)
            .into_iter()
            .filter_map(find)
            .collect()
    }

    fn locations(&self, image: &Image) -> Vec<LocationView> {
        let view = |(url, location): (String, &Location)| LocationView {
            url,
            metadata: LocationMetadata {
                store: location.store.clone(),
            },
        };
        self.located(image).into_iter().map(view).collect()
    }

    /// Removes bytes, for as long as a client may wait for it; what is left stands in the garbage list.
    async fn remove_now(&self, garbage: Vec<Garbage>) {
        let removal = self.transfers.remove_in_background(garbage);
        let _ = tokio::time::timeout(REMOVAL_WAIT, removal).await;
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
