//! The steps of an import: what is to be done next, by what is stored, and doing it.

mod steps;

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{ImportPlan, ImportSource, Progress};
use crate::catalog::{self, StagedObject, failed_stores, importing_stores};
use crate::image::{Image, ImageId, Status, StoreId};
use crate::transfer::fetch::is_unpacked;
use crate::transfer::{Error, Result, Transfers};

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
    /// Whether a server was at it before.
    is_resumed: bool,
    /// Whether what is staged was looked at and is not packed.
    is_plain: bool,
}

/// What is to be done next.
enum Next {
    /// These stores have the data: it is the image's.
    Activate { missing: Vec<StoreId> },
    /// This store is to get it from the source.
    Fetch(StoreId),
    /// What is staged is to be unpacked into this store, if it is packed.
    Unpack(StoreId),
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
        is_resumed: bool,
    ) -> Self {
        Self {
            transfers,
            image: image.clone(),
            task,
            plan,
            time_to_live,
            failure: None,
            overtaken: 0,
            is_resumed,
            is_plain: false,
        }
    }

    pub(super) async fn run(
        &mut self,
        progress: &Progress,
        halt: &CancellationToken,
    ) -> Result<()> {
        if self.is_resumed {
            self.wait_for_the_dead(halt).await?;
        }
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
                    self.activate(&image, &state.staged, missing, progress)
                        .await?;
                    if is_end {
                        return Ok(());
                    }
                }
                Next::Fetch(store) => self.fetch(&image, &store, progress, halt).await?,
                Next::Unpack(store) => self.unpack(&image, &state, &store, progress, halt).await?,
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
                if let Some(store) = missing.first().filter(|_| self.looks_into(image, first)) {
                    return Ok(Next::Unpack(store.clone()));
                }
                if let Some(refusal) = &first.reviewed.refusal {
                    return Err(Error::Import(refusal.clone()));
                }
                missing.retain(|store| !has_staged(store));
                // One that has refused what was made of the data still has what that was made of.
                let has_taken = |store: &StoreId| has_staged(store) && !failed.contains(store);
                let has_any = self.plan.stores.iter().any(has_taken);
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

    /// Whether what is staged has still to be looked at, and perhaps unpacked.
    fn looks_into(&self, image: &Image, first: &StagedObject) -> bool {
        self.plan.unpacks && is_unpacked(image) && !(self.is_plain || first.reviewed.is_processed)
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
