//! The image routes, a handler a file.

pub(super) mod actions;
pub(super) mod create;
pub(super) mod delete;
pub(super) mod download;
pub(super) mod import;
pub(super) mod list;
pub(super) mod locations;
pub(super) mod members;
mod query;
mod settings;
pub(super) mod show;
pub(super) mod stage;
pub(super) mod tags;
pub(super) mod update;
pub(super) mod upload;

use std::sync::Arc;
use std::time::Duration;

use super::caller::Caller;
use super::error::Error;
use crate::catalog::{Catalog, Garbage};
use crate::image::{Image, ImageId, Visibility};
use crate::policy::Rule;
use crate::transfer::Transfers;
pub(super) use settings::ImageSettings;

/// How long an answer waits for the store to remove bytes. The record is changed at once; the bytes follow even if the
/// store is away.
const REMOVAL_WAIT: Duration = Duration::from_secs(5);

/// The image, if the caller may know of it; else 404 with one text for absent and hidden.
pub(super) async fn get_visible(
    catalog: &Catalog,
    caller: &Caller,
    id: &ImageId,
) -> Result<Arc<Image>, Error> {
    match catalog.find_image(id).await? {
        Some(image) if caller.viewer.sees(&image) => Ok(image),
        _ => Err(Error::image_not_found(id.as_str())),
    }
}

/// Removes bytes, for as long as a client may wait for it; what is left stands in the garbage list.
async fn remove_now(transfers: &Arc<Transfers>, garbage: Vec<Garbage>) {
    let removal = transfers.remove_in_background(garbage);
    let _ = tokio::time::timeout(REMOVAL_WAIT, removal).await;
}

/// The rule that guards an audience beyond the project and its members.
fn rule_of(visibility: Visibility) -> Option<Rule> {
    match visibility {
        Visibility::Public => Some(Rule::PublicizeImage),
        Visibility::Community => Some(Rule::CommunitizeImage),
        Visibility::Private | Visibility::Shared => None,
    }
}
