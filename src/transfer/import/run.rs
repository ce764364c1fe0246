//! The steps of an import: what is to be done next, by what is stored, and doing it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{ImportPlan, ImportSource, Progress};
use crate::catalog::{
    self, Activate, ImportState, Limits, StagedObject, TaskEnd, failed_stores, importing_stores,
};
use crate::image::{Image, ImageId, Status, StoreId};
use crate::store;
use crate::transfer::{Error, Result, Transfers, cleanup};

/// How often the attempts of servers that are gone may be in the way, overtaking a copy or holding the quota that it needs.
const MOST_OVERTAKEN: u32 = 16;

/// Looks, in the time of a lease, whether what they hold has been settled.
const LOOKS_PER_LEASE: u32 = 3;

const MIB: u64 = 1024 * 1024;

/// An import under way.
pub(super) struct Import<'a> {
    transfers: &'a Transfers,
    image: ImageId,
    task: &'a str,
    plan: &'a ImportPlan,
    time_to_live: Duration,
    /// Of the stores that failed, the last one with its reason.
    failure: Option<String>,
    /// How often somebody else's attempt was in the way.
    overtaken: u32,
    /// Whether the quota was once too small.
    was_refused: bool,
}

/// What is to be done next.
enum Next {
    /// These stores have the data: it is the image's.
    Activate { missing: Vec<StoreId> },
    /// This store is to get it from the source.
    Fetch(StoreId),
    /// This store is to get it from another.
    Copy(StoreId),
    /// Nothing.
    End,
}

impl<'a> Import<'a> {
    pub(super) fn new(
        transfers: &'a Transfers,
        image: &ImageId,
        task: &'a str,
        plan: &'a ImportPlan,
        time_to_live: Duration,
    ) -> Self {
        Self {
            transfers,
            image: image.clone(),
            task,
            plan,
            time_to_live,
            failure: None,
            overtaken: 0,
            was_refused: false,
        }
    }

    pub(super) async fn run(
        &mut self,
        progress: &Progress,
        halt: &CancellationToken,
    ) -> Result<()> {
        let catalog = &self.transfers.catalog;
        loop {
            if halt.is_cancelled() {
                return Err(Error::Stopping);
            }
            let state = catalog.import_state(&self.image).await?;
            let image = state.image.clone().ok_or(Error::Gone)?;
            match self.next(&image, &state.staged)? {
                Next::Activate { missing } => {
                    let is_end = missing.is_empty();
                    self.activate(&state.staged, missing, progress).await?;
                    if is_end {
                        return Ok(());
                    }
                }
                Next::Fetch(store) => self.fetch(&image, &store, progress, halt).await?,
                Next::Copy(store) => self.copy(&image, &state, &store, progress, halt).await?,
                Next::End => return self.end(progress).await,
            }
        }
    }

    /// What is to be done with an import that stands so.
    ///
    /// # Errors
    /// [`Error::Import`] when it can only fail.
    fn next(&self, image: &Image, staged: &[StagedObject]) -> Result<Next> {
        let failed = failed_stores(image);
        // A server that noted it may have gone before it could end the task.
        if let Some(store) = failed.first().filter(|_| self.plan.all_stores_must_succeed) {
            return Err(Error::Import(format!(
                "store {store} has not taken the data"
            )));
        }
        let has_staged = |store: &StoreId| staged.iter().any(|it| it.location.store == *store);
        let mut missing = importing_stores(image);
        match image.status {
            Status::Importing => {
                let Some(first) = staged.first() else {
                    return self.first_step(missing);
                };
                if let Some(refusal) = &first.reviewed.refusal {
                    return Err(Error::Import(refusal.clone()));
                }
                missing.retain(|store| !has_staged(store));
                let has_any = self.plan.stores.iter().any(has_staged);
                let is_enough = missing.is_empty() || !self.plan.all_stores_must_succeed;
                match missing.first() {
                    _ if has_any && is_enough => Ok(Next::Activate { missing }),
                    Some(store) => Ok(Next::Copy(store.clone())),
                    None => Err(self.none_has_taken_it()),
                }
            }
            Status::Active | Status::Deactivated => Ok(match missing.first() {
                Some(store) => Next::Copy(store.clone()),
                // It had its data before, and no store has got it since.
                None if self.is_copy() && failed.len() == self.plan.stores.len() => {
                    return Err(self.none_has_taken_it());
                }
                None => Next::End,
            }),
            status => Err(Error::Import(format!("the image is {status} now"))),
        }
    }

    /// What is to be done when there is no data yet.
    fn first_step(&self, missing: Vec<StoreId>) -> Result<Next> {
        if !matches!(self.plan.source, ImportSource::Web(_)) {
            return Err(Error::Import("its data is gone".into()));
        }
        let store = missing.into_iter().next();
        store
            .map(Next::Fetch)
            .ok_or_else(|| self.none_has_taken_it())
    }

    fn is_copy(&self) -> bool {
        self.plan.source == ImportSource::Image
    }

    fn none_has_taken_it(&self) -> Error {
        let failure = self.failure.clone();
        Error::Import(failure.unwrap_or_else(|| "no store has taken the data".into()))
    }

    /// Makes the image active with what is staged in its stores.
    async fn activate(
        &self,
        staged: &[StagedObject],
        missing: Vec<StoreId>,
        progress: &Progress,
    ) -> Result<()> {
        let (catalog, stores) = (&self.transfers.catalog, &self.transfers.stores);
        for object in staged {
            if self.plan.stores.contains(&object.location.store) {
                self.look_at(object).await?;
            }
        }
        let is_end = missing.is_empty();
        let step = Activate {
            image: self.image.clone(),
            task: self.task.to_owned(),
            stores: self.plan.stores.clone(),
            missing,
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
    async fn fetch(
        &mut self,
        image: &Image,
        store: &StoreId,
        progress: &Progress,
        halt: &CancellationToken,
    ) -> Result<()> {
        let ImportSource::Web(uri) = &self.plan.source else {
            return Err(Error::Import("its data is gone".into()));
        };
        let work = (self.task, self.plan.limits);
        let fetching = self
            .transfers
            .fetch_to(image, uri, work, store, progress, halt);
        let before = progress.done.load(Ordering::Relaxed);
        let outcome = fetching.await;
        if outcome.is_err() {
            progress.done.store(before, Ordering::Relaxed);
        }
        match outcome {
            Ok(()) => Ok(()),
            Err(e) if is_passing(&e) => Err(e),
            Err(e @ (Error::Store(_) | Error::StoreUnknown(_))) => {
                self.note_failure(store, &e).await
            }
            Err(e) if self.is_overtaken(&e, halt).await? => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// Copies to one store. One that fails is noted; where not all stores must have the data, the others go on.
    async fn copy(
        &mut self,
        image: &Arc<Image>,
        state: &ImportState,
        store: &StoreId,
        progress: &Progress,
        halt: &CancellationToken,
    ) -> Result<()> {
        // The image counts as an upload already, and what is copied is not staged.
        let limits = Limits {
            uploading: None,
            staged: None,
            ..self.plan.limits
        };
        let copying = self.transfers.copy_to(
            image,
            &state.staged,
            (self.task, limits),
            store,
            &progress.done,
            halt,
        );
        let before = progress.done.load(Ordering::Relaxed);
        let outcome = copying.await;
        if outcome.is_err() {
            progress.done.store(before, Ordering::Relaxed);
        }
        match outcome {
            Ok(()) => Ok(()),
            Err(e) if is_passing(&e) => Err(e),
            Err(e) if self.is_overtaken(&e, halt).await? => Ok(()),
            Err(e) => self.note_failure(store, &e).await,
        }
    }

    /// Whether an attempt that a server left was in the way: it was found whole meanwhile, or holds the quota until it is settled.
    /// Then what is left to be done is looked at anew.
    async fn is_overtaken(&mut self, e: &Error, halt: &CancellationToken) -> Result<bool> {
        if self.overtaken >= MOST_OVERTAKEN {
            return Ok(false);
        }
        self.overtaken += 1;
        match e {
            Error::Catalog(catalog::Error::Changed) => Ok(true),
            Error::Catalog(catalog::Error::OverQuota { .. } | catalog::Error::OverLimit { .. }) => {
                let catalog = &self.transfers.catalog;
                if !catalog.has_attempts(&self.image).await? {
                    // Perhaps it was settled since.
                    return Ok(!std::mem::replace(&mut self.was_refused, true));
                }
                let pause = tokio::time::sleep(self.transfers.rules.lease / LOOKS_PER_LEASE);
                tokio::select! {
                    () = pause => Ok(true),
                    () = halt.cancelled() => Err(Error::Stopping),
                }
            }
            _ => Ok(false),
        }
    }

    /// Notes a store that does not get the data.
    ///
    /// # Errors
    /// The failure, where every store must have it.
    async fn note_failure(&mut self, store: &StoreId, e: &Error) -> Result<()> {
        let failure = format!("store {store}: {}", reason(e));
        tracing::warn!(image.id = %self.image, store.id = %store, reason = failure, "copy failed");
        let catalog = &self.transfers.catalog;
        catalog
            .note_failed_store(&self.image, self.task, store)
            .await?;
        if self.plan.all_stores_must_succeed {
            return Err(Error::Import(failure));
        }
        self.failure = Some(failure);
        Ok(())
    }

    async fn end(&self, progress: &Progress) -> Result<()> {
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

/// Whether the same may work later, on this server or on another.
pub(super) fn is_passing(e: &Error) -> bool {
    matches!(
        e,
        Error::Catalog(catalog::Error::Unavailable(_) | catalog::Error::LeaseLost)
            | Error::Stopping
            | Error::NoMemory(_)
            | Error::HeldMemory(_)
    )
}

/// Why an import failed, in words for who asked for it.
pub(super) fn reason(e: &Error) -> String {
    match e {
        Error::Import(reason) => reason.clone(),
        Error::Gone | Error::Catalog(catalog::Error::Missing) => "the image was deleted".into(),
        Error::Catalog(catalog::Error::Changed) => {
            "the formats of the image were changed during the import".into()
        }
        // What lies beneath is the reader of another store.
        Error::ClientGone(e) => format!("the data could not be read to its end: {e}"),
        e => e.to_string(),
    }
}
