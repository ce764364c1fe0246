//! An import, carried out: each step looks at what is stored, does the next thing that is missing, and stores it. So a task
//! that was broken off anywhere goes on where it was, on any server.
//!
//! What happens when something goes away:
//!
//! | gone | outcome |
//! |---|---|
//! | a store | the import fails, or that store alone does, as was asked for |
//! | the catalog | the task's lease runs out, and it is taken up again |
//! | the image | its bytes went with it; the task fails |
//! | this process | the same as for the catalog; a copy under way is settled like any upload |

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::lease::Lease;
use super::{Error, Result, Transfers, cleanup};
use crate::catalog::{
    self, Activate, ClaimedTask, ImportState, MOST_CLAIMS, StagedObject, TaskEnd, failed_stores,
};
use crate::image::{Image, ImageId, Status, StoreId};

/// A copy may be overtaken by recovery, once for each attempt that broke off.
const MOST_OVERTAKEN: u32 = 16;

const MIB: u64 = 1024 * 1024;

/// What the task of an import is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ImportPlan {
    /// The stores to hold the data.
    pub stores: Vec<StoreId>,
    /// Whether all of them must, or the image is active with the first.
    pub all_stores_must_succeed: bool,
}

/// An import under way.
struct Import<'a> {
    transfers: &'a Transfers,
    image: ImageId,
    task: &'a str,
    plan: ImportPlan,
    time_to_live: Duration,
    /// Of the stores that failed, the last one with its reason.
    failure: Option<String>,
    /// Copies that somebody else has made first.
    overtaken: u32,
}

/// What is to be done next.
enum Next {
    /// These stores have the data: it is the image's.
    Activate { missing: Vec<StoreId> },
    /// This store is to get it.
    Copy(StoreId),
    /// Nothing.
    End,
}

impl Transfers {
    /// Carries a claimed task out to its end. `slot` is given back then, and `ended` told.
    pub(crate) fn start_import(
        self: &Arc<Self>,
        claimed: ClaimedTask,
        time_to_live: Duration,
        slot: impl Send + 'static,
    ) {
        let this = Arc::clone(self);
        self.tasks.spawn(async move {
            let task = claimed.task.id.clone();
            let image = claimed.task.image.as_deref().and_then(|id| id.parse().ok());
            let outcome = this.import(&claimed, image.as_ref(), time_to_live).await;
            let settled = match outcome {
                Ok(()) => Ok(()),
                Err(Error::Stopping) => this.catalog.release_task(&task).await.map_err(Error::from),
                Err(e) if is_passing(&e) => Err(e),
                Err(e) => {
                    let end = TaskEnd {
                        has_succeeded: false,
                        message: reason(&e),
                        time_to_live,
                    };
                    tracing::info!(
                        task.id = task,
                        image.id = image.as_ref().map(tracing::field::display),
                        reason = end.message,
                        "import failed"
                    );
                    this.end_import(image.as_ref(), &task, end).await
                }
            };
            if let Err(e) = settled {
                tracing::warn!(
                    task.id = task,
                    error = &e as &dyn std::error::Error,
                    "import broken off, will be taken up again"
                );
            }
            drop(slot);
        });
    }

    async fn import(
        &self,
        claimed: &ClaimedTask,
        image: Option<&ImageId>,
        time_to_live: Duration,
    ) -> Result<()> {
        if claimed.claims > MOST_CLAIMS {
            return Err(Error::Import(format!(
                "given up: {MOST_CLAIMS} times it was begun and broke off"
            )));
        }
        let input = claimed.task.input.clone().unwrap_or_default();
        let plan = serde_json::from_value(input["plan"].clone());
        let (Some(image), Ok(plan)) = (image, plan) else {
            return Err(Error::Import("its input cannot be read".into()));
        };
        let mut import = Import {
            transfers: self,
            image: image.clone(),
            task: &claimed.task.id,
            plan,
            time_to_live,
            failure: None,
            overtaken: 0,
        };
        let done = AtomicU64::new(0);
        let halt = self.stop.child_token();
        let mut running = std::pin::pin!(import.run(&done, &halt));
        tokio::select! {
            ended = &mut running => ended,
            lost = self.renew_task_until_lost(&claimed.task.id, &done) => {
                // It ends itself: what is being published must not be dropped half-way.
                halt.cancel();
                let _ = running.await;
                Err(lost)
            }
        }
    }

    /// Renews a task's lease until it is lost; the error says how.
    async fn renew_task_until_lost(&self, task: &str, done: &AtomicU64) -> Error {
        let mut lease = Lease::new(self.rules.lease);
        loop {
            let begun = lease.until_renewal().await;
            let bytes = done.load(Ordering::Relaxed);
            let outcome = self.catalog.renew_task(task, self.rules.lease, bytes).await;
            let noted = lease.renewed(begun, outcome, |e| {
                tracing::warn!(
                    task.id = task,
                    error = e,
                    "task not renewed, will try again"
                );
            });
            if let Err(lost) = noted {
                return lost;
            }
        }
    }

    async fn end_import(&self, image: Option<&ImageId>, task: &str, end: TaskEnd) -> Result<()> {
        let garbage = self.catalog.end_import(image, task, end).await?;
        for item in &garbage {
            cleanup::remove_or_defer(&self.catalog, &self.stores, item).await;
        }
        Ok(())
    }
}

impl Import<'_> {
    async fn run(&mut self, done: &AtomicU64, halt: &CancellationToken) -> Result<()> {
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
                    let step = Activate {
                        image: self.image.clone(),
                        task: self.task.to_owned(),
                        stores: self.plan.stores.clone(),
                        missing,
                        end: is_end.then(|| self.success(done)),
                    };
                    let garbage = catalog.activate_import(step).await?;
                    for item in &garbage {
                        let stores = &self.transfers.stores;
                        cleanup::remove_or_defer(catalog, stores, item).await;
                    }
                    if is_end {
                        return Ok(());
                    }
                }
                Next::Copy(store) => self.copy(&image, &state, &store, done, halt).await?,
                Next::End => {
                    let end = match self.failure.take() {
                        None => self.success(done),
                        Some(failure) => TaskEnd {
                            has_succeeded: true,
                            message: format!("{}; {failure}", self.success(done).message),
                            time_to_live: self.time_to_live,
                        },
                    };
                    return self
                        .transfers
                        .end_import(Some(&self.image), self.task, end)
                        .await;
                }
            }
        }
    }

    /// What is to be done with an import that stands so.
    ///
    /// # Errors
    /// [`Error::Import`] when it can only fail.
    fn next(&self, image: &Image, staged: &[StagedObject]) -> Result<Next> {
        let failed = failed_stores(image);
        let has = |store: &StoreId| {
            let mut locations = image.locations.iter().map(|it| &it.store);
            let mut objects = staged.iter().map(|it| &it.location.store);
            locations.any(|it| it == store) || objects.any(|it| it == store)
        };
        let left = |store: &&StoreId| !has(store) && !failed.contains(store);
        let missing: Vec<StoreId> = self.plan.stores.iter().filter(left).cloned().collect();
        match image.status {
            Status::Importing => {
                let first = staged.first();
                let first = first.ok_or_else(|| Error::Import("its data is gone".into()))?;
                if let Some(refusal) = &first.reviewed.refusal {
                    return Err(Error::Import(refusal.clone()));
                }
                // A server that noted it may have gone before it could end the task.
                if let Some(store) = failed.first().filter(|_| self.plan.all_stores_must_succeed) {
                    return Err(Error::Import(format!(
                        "store {store} has not taken the data"
                    )));
                }
                let has_any = self.plan.stores.iter().any(has);
                let is_enough = missing.is_empty() || !self.plan.all_stores_must_succeed;
                match missing.first() {
                    _ if has_any && is_enough => Ok(Next::Activate { missing }),
                    Some(store) => Ok(Next::Copy(store.clone())),
                    None => Err(Error::Import(
                        self.failure
                            .clone()
                            .unwrap_or_else(|| "no store has taken the data".into()),
                    )),
                }
            }
            Status::Active | Status::Deactivated => Ok(match missing.first() {
                Some(store) => Next::Copy(store.clone()),
                None => Next::End,
            }),
            status => Err(Error::Import(format!("the image is {status} now"))),
        }
    }

    /// Copies to one store. One that fails is noted; where not all stores must have the data, the others go on.
    async fn copy(
        &mut self,
        image: &Arc<Image>,
        state: &ImportState,
        store: &StoreId,
        done: &AtomicU64,
        halt: &CancellationToken,
    ) -> Result<()> {
        let copying = self
            .transfers
            .copy_to(image, &state.staged, store, done, halt);
        let e = match copying.await {
            Ok(()) => return Ok(()),
            // A copy of an attempt that broke off was found whole meanwhile: what is left to be done is looked at anew.
            Err(Error::Catalog(catalog::Error::Changed)) if self.overtaken < MOST_OVERTAKEN => {
                self.overtaken += 1;
                return Ok(());
            }
            Err(e) if is_passing(&e) => return Err(e),
            Err(e) => e,
        };
        let failure = format!("store {store}: {}", reason(&e));
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

    fn success(&self, done: &AtomicU64) -> TaskEnd {
        let copied = done.load(Ordering::Relaxed) / MIB;
        TaskEnd {
            has_succeeded: true,
            message: format!("Copied {copied} MiB"),
            time_to_live: self.time_to_live,
        }
    }
}

/// Whether the same may work later, on this server or on another.
fn is_passing(e: &Error) -> bool {
    matches!(
        e,
        Error::Catalog(catalog::Error::Unavailable(_) | catalog::Error::LeaseLost)
            | Error::Stopping
            | Error::NoMemory(_)
            | Error::HeldMemory(_)
    )
}

/// Why an import failed, in words for who asked for it.
fn reason(e: &Error) -> String {
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
