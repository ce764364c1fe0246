//! What the catalog says by itself: uploads that nobody works on, images that hang in the air.

use std::time::Duration;

use super::finding::Finding;
use super::repair::Remedy;
use super::{Check, PAGE};
use crate::catalog::{Lapsed, Standing};
use crate::image::Status;
use crate::transfer::Result;

/// An attempt is settled within a third of a lease after the end of its own, unless its store is away. After so long it is
/// nobody's work, whatever the lease is.
const LAPSED_LONG_AGO: Duration = Duration::from_secs(10 * 60);

impl Check<'_> {
    pub(super) async fn uploads(&mut self) -> Result<()> {
        let catalog = &self.site.catalog;
        let mut after = None;
        loop {
            let page = catalog
                .list_lapsed_uploads(LAPSED_LONG_AGO, after.as_ref(), PAGE.into())
                .await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = Some(last.found.upload.attempt.clone());
            for Lapsed { found, since } in page {
                let upload = &found.upload;
                let store = self.options.store.as_ref();
                if store.is_some_and(|store| store.name() != upload.store.as_str())
                    || !catalog.is_still_abandoned(&found).await?
                {
                    continue;
                }
                let finding = Finding::AbandonedUpload {
                    store: upload.store.clone(),
                    key: upload.key.clone(),
                    image: upload.image.clone(),
                    attempt: upload.attempt.clone(),
                    lapsed_seconds: since.as_secs(),
                };
                self.found(finding, Remedy::Settle(Box::new(found))).await;
            }
        }
    }

    pub(super) async fn records(&mut self) -> Result<()> {
        let catalog = &self.site.catalog;
        for (store, copies) in catalog.count_copies().await? {
            if self.site.transfers.stores().find(store.as_str()).is_none() {
                let finding = Finding::UnknownStore { store, copies };
                self.found(finding, Remedy::None("name the store in the configuration"))
                    .await;
            }
        }
        let mut after = None;
        loop {
            let page = catalog.list_standings(after.as_ref(), PAGE.into()).await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = Some(last.image.clone());
            for standing in page {
                if finding_of(&standing).is_none() {
                    continue;
                }
                let now = catalog.find_standing(&standing.image).await?;
                if let Some((finding, remedy)) = now.as_ref().and_then(finding_of) {
                    self.found(finding, remedy).await;
                }
            }
        }
    }
}

fn finding_of(standing: &Standing) -> Option<(Finding, Remedy)> {
    let image = standing.image.clone();
    match standing.status {
        Status::Active | Status::Deactivated if !standing.has_location => {
            let image_status = standing.status.as_str();
            let finding = Finding::NoLocation {
                image,
                image_status,
            };
            Some((finding, Remedy::None("a record is never deleted")))
        }
        Status::Saving | Status::Uploading | Status::Importing if !standing.has_upload => Some((
            Finding::StuckImage {
                image: image.clone(),
                image_status: standing.status.as_str(),
            },
            Remedy::Requeue(image),
        )),
        _ => None,
    }
}
