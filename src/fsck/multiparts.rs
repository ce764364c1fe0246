//! Multipart uploads that are open in a store, against the attempts that have them.

use std::sync::Arc;

use super::finding::{Finding, Left, Object, Reason, seconds};
use super::repair::Remedy;
use super::{Check, age_of};
use crate::image::{AttemptId, ImageId, StoreId};
use crate::store::{OpenUpload, Store};
use crate::transfer::{Result, ids_of_key};

impl Check<'_> {
    pub(super) async fn multiparts(&mut self, store: &Arc<Store>) -> Result<()> {
        let mut after = None;
        loop {
            let (page, next) = store.list_uploads_after(store.prefix(), after).await?;
            for open in page {
                self.multipart(store, open).await?;
            }
            if next.is_none() {
                return Ok(());
            }
            after = next;
        }
    }

    async fn multipart(&mut self, store: &Arc<Store>, open: OpenUpload) -> Result<()> {
        let OpenUpload { upload, initiated } = open;
        let (id, age) = (StoreId::from(store.name()), age_of(initiated));
        let ids = ids_of_key(&upload.key, store.prefix());
        let object = Object {
            store: id.clone(),
            key: upload.key.clone(),
            size_bytes: None,
            age_seconds: seconds(age),
            image: ids.as_ref().map(|(image, _)| image.to_string()),
            attempt: ids.as_ref().map(|(_, attempt)| attempt.to_string()),
        };
        let reason = match &ids {
            None => Some(Reason::Foreign),
            Some(_) if self.is_young(age) => Some(Reason::Young),
            Some(ids) => self.holder(&id, &upload.key, ids).await?,
        };
        if let Some(reason) = reason {
            self.report.left(Left {
                reason,
                is_open: true,
                object,
            });
            return Ok(());
        }
        // Who had it until now may have ended it.
        let open = store.list_uploads(&upload.key).await?;
        if !open.iter().any(|open| open.upload == upload) {
            return Ok(());
        }
        let remedy = match ids {
            Some((_, attempt)) => Remedy::of_age(
                age,
                Remedy::Abort {
                    store: Arc::clone(store),
                    upload: upload.clone(),
                    attempt,
                },
            ),
            None => Remedy::None("it is not of our making"),
        };
        let upload_id = upload.upload_id;
        self.found(Finding::OpenMultipart { object, upload_id }, remedy)
            .await;
        Ok(())
    }

    /// Who has it. A record does not count: what it has is an object, and nothing is open under that any more.
    async fn holder(
        &self,
        store: &StoreId,
        key: &str,
        (image, attempt): &(ImageId, AttemptId),
    ) -> Result<Option<Reason>> {
        let catalog = &self.site.catalog;
        let holders = catalog.holders(store, key, image, attempt).await?;
        Ok(if holders.is_uploading {
            Some(Reason::UnderWay)
        } else if holders.is_garbage {
            Some(Reason::Garbage)
        } else {
            None
        })
    }
}
