//! An attempt to give an image its data, apart from the request that began it: where the bytes go, and all that the
//! catalog is told of it.
//!
//! An attempt has a key of its own in one store, so it can never overwrite another's object, and a row with a lease that
//! says somebody works on it. It ends in [`Attempt::finish`] or in [`Attempt::roll_back`]; when neither can be reached the
//! lease runs out and recovery takes the row.

use std::sync::Arc;
use std::time::Duration;

use super::key::key_of;
use super::lease::{Lease, Reservation};
use super::{Error, Result};
use crate::catalog::{self, Catalog, Garbage, Intent, Judge, Limits, NewUpload, Purpose, Upload};
use crate::image::{AttemptId, Image, ImageId};
use crate::store::{MultipartUpload, Store};

pub(super) struct Attempt {
    catalog: Catalog,
    store: Arc<Store>,
    upload: Upload,
    /// How long the attempt lives without a renewal.
    lease: Duration,
    /// What the image's owner may hold.
    limits: Limits,
}

impl Attempt {
    /// A new attempt, of which nobody knows before [`Attempt::begin`].
    pub(super) fn new(
        catalog: Catalog,
        store: Arc<Store>,
        purpose: Purpose,
        image: ImageId,
        lease: Duration,
        limits: Limits,
    ) -> Self {
        let attempt = AttemptId::random();
        let upload = Upload {
            key: key_of(store.prefix(), &image, &attempt),
            attempt,
            purpose,
            image,
            task: None,
            store: store.name().into(),
            upload_id: None,
            intent: None,
        };
        Self {
            catalog,
            store,
            upload,
            lease,
            limits: Limits {
                staged: limits.staged.filter(|_| purpose.is_staged()),
                ..limits
            },
        }
    }

    /// The same, as the work of a task: only the import of this task has a use for it.
    pub(super) fn of_task(mut self, task: &str) -> Self {
        self.upload.task = Some(task.to_owned());
        self
    }

    /// What the attempt's row says of it.
    pub(super) fn upload(&self) -> &Upload {
        &self.upload
    }

    /// The store that takes the bytes.
    pub(super) fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// Takes the image from queued to where its purpose has it and opens the row, with `reserve` bytes of the quota. Gives the record that
    /// `judge` has seen, by which the bytes are judged.
    ///
    /// # Errors
    /// Whatever `judge` and the catalog refuse; nothing is changed then.
    pub(super) async fn begin(&self, reserve: u64, judge: Judge) -> Result<Arc<Image>> {
        let new = NewUpload {
            attempt: self.upload.attempt.clone(),
            purpose: self.upload.purpose,
            image: self.upload.image.clone(),
            task: self.upload.task.clone(),
            store: self.upload.store.clone(),
            key: self.upload.key.clone(),
            lease: self.lease,
            reserve,
            limits: self.limits,
        };
        Ok(self.catalog.begin_upload(new, judge).await?)
    }

    /// Keeps the lease until it is lost; the error says how. Never ends otherwise.
    pub(super) async fn renew_until_lost(&self) -> Error {
        let attempt = &self.upload.attempt;
        let mut lease = Lease::new(self.lease);
        loop {
            let begun = lease.until_renewal().await;
            let outcome = self.catalog.renew_lease(attempt, self.lease).await;
            let noted = lease.renewed(begun, outcome, |e| {
                tracing::warn!(upload.attempt = %attempt, error = e, "lease not renewed, will try again");
            });
            if let Err(lost) = noted {
                return lost;
            }
        }
    }

    /// The share of the quota, which grows with the bytes that come; `reserved` of them have been taken by `begin`.
    pub(super) fn reservation(&self, reserved: u64) -> Reservation<'_> {
        Reservation {
            catalog: &self.catalog,
            attempt: &self.upload.attempt,
            limits: self.limits,
            reserved,
        }
    }

    /// Remembers the multipart upload, so that it can be aborted by whoever finds the row.
    ///
    /// # Errors
    /// [`catalog::Error::LeaseLost`] when the attempt was rolled back meanwhile.
    pub(super) async fn note_multipart(&self, multipart: &MultipartUpload) -> Result<()> {
        let noted = self
            .catalog
            .note_multipart(&self.upload.attempt, &multipart.upload_id);
        Ok(noted.await?)
    }

    /// Records what the object has to be, before the store is told to publish it. From here on recovery can roll forward.
    ///
    /// # Errors
    /// [`Error::Gone`] when the image was deleted meanwhile; a quota, a lost lease.
    pub(super) async fn record_intent(&self, intent: &Intent) -> Result<()> {
        let recorded = self
            .catalog
            .record_intent(&self.upload.attempt, intent, self.limits);
        recorded.await.map_err(gone)
    }

    /// Gives the image the published object, and ends the attempt.
    ///
    /// # Errors
    /// [`Error::Gone`] when the image was deleted meanwhile; a lost lease.
    pub(super) async fn finish(&self, intent: &Intent, etag: Option<String>) -> Result<Arc<Image>> {
        let finished = self
            .catalog
            .finish_upload(&self.upload.attempt, intent, etag);
        finished.await.map_err(gone)
    }

    /// Gives the attempt up and returns the bytes to remove. `None` when it had ended already, and when the catalog does
    /// not answer: then the lease runs out and recovery does it.
    pub(super) async fn roll_back(&self) -> Option<Garbage> {
        let attempt = &self.upload.attempt;
        match self.catalog.roll_back(attempt).await {
            Ok(garbage) => garbage,
            Err(e) => {
                tracing::warn!(upload.attempt = %attempt, error = &e as &dyn std::error::Error, "upload not rolled back, recovery will do it");
                None
            }
        }
    }
}

/// An image that is missing now was there when the attempt began.
fn gone(e: catalog::Error) -> Error {
    match e {
        catalog::Error::Missing => Error::Gone,
        e => e.into(),
    }
}
