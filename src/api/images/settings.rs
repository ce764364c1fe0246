//! What the site has decided about images: what may stand in a record, who sees which parts of it, where data may be.

use std::sync::Arc;

use crate::api::caller::Caller;
use crate::api::protections::PropertyProtection;
use crate::config::{self, Limit};
use crate::image::{Image, ImageView, Location, LocationMetadata, LocationView, Rules, Status};
use crate::policy::Rule;
use crate::store::Stores;

/// The settings that records are made, changed and shown by; clones share them.
#[derive(Clone)]
pub(in crate::api) struct ImageSettings {
    config: Arc<config::Images>,
    stores: Arc<Stores>,
    /// Who may do what with extra properties.
    pub(super) protection: PropertyProtection,
}

impl ImageSettings {
    pub(in crate::api) fn new(
        config: &config::Images,
        stores: Arc<Stores>,
        protection: PropertyProtection,
    ) -> Self {
        Self {
            config: Arc::new(config.clone()),
            stores,
            protection,
        }
    }

    /// The stores that data may be in.
    pub(super) fn stores(&self) -> &Stores {
        &self.stores
    }

    /// What a record may hold.
    pub(super) fn rules(&self) -> Rules<'_> {
        Rules {
            disk_formats: &self.config.disk_formats,
            container_formats: &self.config.container_formats,
            property_quota: most(self.config.property_quota),
            properties_size: self.config.properties_size.bytes(),
            tag_quota: most(self.config.tag_quota),
        }
    }

    /// Members that an image may have.
    pub(super) fn member_quota(&self) -> Option<u64> {
        most(self.config.member_quota)
    }

    /// Whether records show all places of their data, and let them be changed.
    pub(super) fn shows_locations(&self) -> bool {
        self.config.show_multiple_locations
    }

    /// The record as the caller sees it: a deactivated image keeps the places of its data from all but administrators.
    pub(super) fn view<'a>(&self, caller: &Caller, image: &'a Image) -> ImageView<'a> {
        let shows_places = image.status != Status::Deactivated || caller.viewer.is_admin;
        let stored = image.locations.iter().filter(|_| shows_places);
        let shows_urls = shows_places
            && (self.config.show_direct_url || self.config.show_multiple_locations)
            && caller.may_image(Rule::GetImageLocation, image);
        let locations = || locations(&self.stores, image);
        ImageView {
            image,
            stores: self
                .stores
                .by_weight(stored.map(|location| location.store.as_str())),
            direct_url: (shows_urls && self.config.show_direct_url)
                .then(|| locations().into_iter().next())
                .flatten()
                .map(|location| location.url),
            locations: (shows_urls && self.config.show_multiple_locations).then(locations),
            unreadable: self.protection.unreadable(caller, image),
        }
    }

    /// Every copy of the image's data, heaviest store first, with its URL. One in a store that is no longer configured
    /// has no URL, and is left out.
    pub(super) fn located<'a>(&self, image: &'a Image) -> Vec<(String, &'a Location)> {
        located(&self.stores, image)
    }
}

/// Every copy of the image's data, as clients read it.
pub(super) fn locations(stores: &Stores, image: &Image) -> Vec<LocationView> {
    let view = |(url, location): (String, &Location)| LocationView {
        url,
        metadata: LocationMetadata {
            store: location.store.clone(),
        },
    };
    located(stores, image).into_iter().map(view).collect()
}

fn located<'a>(stores: &Stores, image: &'a Image) -> Vec<(String, &'a Location)> {
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

fn most(limit: Limit) -> Option<u64> {
    match limit {
        Limit::Unlimited => None,
        Limit::AtMost(count) => Some(count.into()),
    }
}
