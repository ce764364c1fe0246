//! The steps, each done by what is stored, and stored when it is done.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio_util::sync::CancellationToken;

use super::{Import, LOOKS_PER_LEASE, MIB, MOST_OVERTAKEN, is_passing, reason};
use crate::catalog::{
    self, Activate, Garbage, ImportState, Limits, OpenParts, Purpose, StagedObject, TaskEnd,
    UPLOADS_AT_ONCE, failed_stores, importing_stores,
};
use crate::image::{Image, StoreId};
use crate::store;
use crate::transfer::import::{ImportSource, Progress};
use crate::transfer::incoming::Incoming;
use crate::transfer::{Error, Result, cleanup};

impl Import<'_> {
    /// Makes the image active with what is staged in its stores.
    pub(super) async fn activate(
        &self,
        image: &Image,
        staged: &[StagedObject],
        missing: Vec<StoreId>,
        progress: &Progress,
    ) -> Result<()> {
        let (catalog, stores) = (&self.transfers.catalog, &self.transfers.stores);
        let failed = failed_stores(image);
        let has_not_failed = |store: &&StoreId| !failed.contains(store);
        let planned: Vec<StoreId> = self
            .plan
            .stores
            .iter()
            .filter(has_not_failed)
            .cloned()
            .collect();
        for object in staged {
            if planned.contains(&object.location.store) {
                self.look_at(object).await?;
            }
        }
        let is_end = missing.is_empty();
        let step = Activate {
            image: self.image.clone(),
            task: self.task.to_owned(),
            stores: planned,
            missing,
            inject: self.plan.inject.clone(),
            end: is_end.then(|| self.success(progress)),
        };
        for item in &catalog.activate_import(step).await? {
            cleanup::remove_or_defer(catalog, stores, item).await;
        }
        Ok(())
    }

    /// Looks whether what was staged is still there: it may have waited for days.
    async fn look_at(&self, object: &StagedObject) -> Result<()> {
        let (location, size) = (&object.location, object.reviewed.facts.size);
        let Some(store) = self.transfers.stores.find(location.store.as_str()) else {
            return Err(Error::StoreUnknown(location.store.to_string()));
        };
        let is_there = match store.head(&location.key).await {
            Ok(found) => {
                found.size == size
                    && (location.etag.is_none()
                        || found.etag.is_none()
                        || store::is_same_etag(location.etag.as_deref(), found.etag.as_deref()))
            }
            Err(store::Error::Missing) => false,
            // One that is away now had it when it was stored.
            Err(e) => {
                tracing::warn!(image.id = %self.image, store.id = store.name(), error = &e as &dyn std::error::Error, "cannot see whether staged data is still there");
                true
            }
        };
        if is_there {
            return Ok(());
        }
        let store = store.name();
        Err(Error::Import(format!(
            "the staged data is not in store {store} any more"
        )))
    }

    /// Fetches the data into one store. One that fails is noted, and the next one tried where that is enough; a source that
    /// fails is the end.
    pub(super) async fn fetch(
        &mut self,
        image: &Image,
        store: &StoreId,
        progress: &Progress,
        halt: &CancellationToken,
    ) -> Result<()> {
        let ImportSource::Web(uri) = &self.plan.source else {
            return Err(Error::Import("its data is gone".into()));
        };
        let job = Incoming {
            image,
            task: self.task,
            purpose: Purpose::Fetch,
            limits: self.plan.limits,
            store,
            progress,
            halt,
        };
        let (before, unpacks) = (progress.read().0, self.plan.unpacks);
        let outcome = Box::pin(self.transfers.fetch(uri, unpacks, &job)).await;
        let failure = self.settle(store, outcome, before, progress, halt).await?;
        self.blame(store, failure).await
    }

    /// Unpacks what is staged into one store, if it is packed.
    pub(super) async fn unpack(
        &mut self,
        image: &Image,
        state: &ImportState,
        store: &StoreId,
        progress: &Progress,
        halt: &CancellationToken,
    ) -> Result<()> {
        let first = state.staged.first();
        let staged = first.ok_or_else(|| Error::Import("its data is gone".into()))?;
        let job = Incoming {
            image,
            task: self.task,
            purpose: Purpose::Convert,
            limits: self.limits_of_copies(),
            store,
            progress,
            halt,
        };
        let before = progress.read().0;
        let outcome = Box::pin(self.transfers.unpack(staged, &job)).await;
        match outcome {
            Ok(true) => {
                // It stands in the garbage list since; nobody has to wait for the sweep.
                let packed = Garbage {
                    store: staged.location.store.clone(),
                    key: staged.location.key.clone(),
                    parts: OpenParts::None,
                };
                let (catalog, stores) = (&self.transfers.catalog, &self.transfers.stores);
                cleanup::remove_or_defer(catalog, stores, &packed).await;
                Ok(())
            }
            Ok(false) => {
                self.is_plain = true;
                Ok(())
            }
            Err(e) => {
                let failure = self.settle(store, Err(e), before, progress, halt).await?;
                self.blame(store, failure).await
            }
        }
    }

    /// What the image's owner may hold. The image counts as an upload already, and what is made of its data is not staged.
    fn limits_of_copies(&self) -> Limits {
        Limits {
            uploading: None,
            staged: None,
            ..self.plan.limits
        }
    }

    /// What a try to bring data to a store has come to: the failure that stays, none where what is left to be done is looked at anew.
    ///
    /// # Errors
    /// What passes.
    async fn settle(
        &mut self,
        store: &StoreId,
        outcome: Result<()>,
        before: u64,
        progress: &Progress,
        halt: &CancellationToken,
    ) -> Result<Option<Error>> {
        let Err(e) = outcome else {
            return Ok(None);
        };
        progress.done.store(before, Ordering::Relaxed);
        if is_passing(&e) {
            return Err(e);
        }
        let is_overtaken = self.is_overtaken(store, &e, halt).await?;
        Ok((!is_overtaken).then_some(e))
    }

    /// A failure is the store's, or that of all of the import.
    async fn blame(&mut self, store: &StoreId, failure: Option<Error>) -> Result<()> {
        match failure {
            None => Ok(()),
            Some(e @ (Error::Store(_) | Error::StoreUnknown(_))) => {
                self.note_failure(store, &e).await
            }
            Some(e) => Err(e),
        }
    }

    /// Copies to one store. One that fails is noted; where not all stores must have the data, the others go on.
    pub(super) async fn copy(
        &mut self,
        image: &Arc<Image>,
        state: &ImportState,
        store: &StoreId,
        progress: &Progress,
        halt: &CancellationToken,
    ) -> Result<()> {
        let limits = self.limits_of_copies();
        let copying = self.transfers.copy_to(
            image,
            &state.staged,
            (self.task, limits),
            store,
            &progress.done,
            halt,
        );
        let before = progress.read().0;
        let outcome = copying.await;
        match self.settle(store, outcome, before, progress, halt).await? {
            None => Ok(()),
            Some(e) => self.note_failure(store, &e).await,
        }
    }

    /// Waits until recovery has settled what a server left that was at this import: it may be whole, and holds the quota.
    pub(super) async fn wait_for_the_dead(&mut self, halt: &CancellationToken) -> Result<()> {
        while self.overtaken < MOST_OVERTAKEN
            && self.transfers.catalog.has_attempts(&self.image).await?
        {
            self.pause(halt).await?;
        }
        Ok(())
    }

    /// A part of the time of a lease; counts as being overtaken.
    async fn pause(&mut self, halt: &CancellationToken) -> Result<()> {
        self.overtaken += 1;
        tokio::select! {
            () = tokio::time::sleep(self.transfers.rules.lease / LOOKS_PER_LEASE) => Ok(()),
            () = halt.cancelled() => Err(Error::Stopping),
        }
    }

    /// Whether a failure is none of this store: an attempt that another server left was in the way, and was found whole
    /// meanwhile or is still to be settled; or the owner has as many uploads as it may. Then what is left to be done is looked at anew.
    async fn is_overtaken(
        &mut self,
        store: &StoreId,
        e: &Error,
        halt: &CancellationToken,
    ) -> Result<bool> {
        if self.overtaken >= MOST_OVERTAKEN {
            return Ok(false);
        }
        let catalog = &self.transfers.catalog;
        let Some(image) = catalog.import_state(&self.image).await?.image else {
            return Ok(false);
        };
        if !importing_stores(&image).contains(store) || is_changed(e) {
            self.overtaken += 1;
            return Ok(true);
        }
        let waits = is_over_count(e) || catalog.has_attempts(&self.image).await?;
        if waits {
            self.pause(halt).await?;
        }
        Ok(waits)
    }

    /// Notes a store that does not get the data.
    ///
    /// # Errors
    /// The failure, where every store must have it.
    async fn note_failure(&mut self, store: &StoreId, e: &Error) -> Result<()> {
        let failure = format!("store {store}: {}", reason(e));
        tracing::warn!(image.id = %self.image, store.id = %store, reason = failure, "copy failed");
        let catalog = &self.transfers.catalog;
        let noted = catalog
            .note_failed_store(&self.image, self.task, store)
            .await;
        match noted {
            // It has got it since: what is left to be done is looked at anew.
            Err(catalog::Error::Changed) => return Ok(()),
            noted => noted?,
        }
        if self.plan.all_stores_must_succeed {
            return Err(Error::Import(failure));
        }
        self.failure = Some(failure);
        Ok(())
    }

    pub(super) async fn end(&self, progress: &Progress) -> Result<()> {
        let end = self.success(progress);
        self.transfers
            .end_import(Some(&self.image), self.task, end, &[])
            .await
    }

    /// How the task ends; some stores may have failed, and that is told.
    fn success(&self, progress: &Progress) -> TaskEnd {
        let copied = progress.done.load(Ordering::Relaxed) / MIB;
        let mut message = format!("Copied {copied} MiB");
        if let Some(failure) = &self.failure {
            message = format!("{message}; {failure}");
        }
        TaskEnd {
            has_succeeded: true,
            message,
            time_to_live: self.time_to_live,
        }
    }
}

fn is_changed(e: &Error) -> bool {
    matches!(e, Error::Catalog(catalog::Error::Changed))
}

/// Whether the owner has as many uploads under way as it may.
fn is_over_count(e: &Error) -> bool {
    let Error::Catalog(catalog::Error::OverLimit { resource, .. }) = e else {
        return false;
    };
    *resource == UPLOADS_AT_ONCE
}
