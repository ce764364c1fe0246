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

mod run;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::lease::Lease;
use super::{Error, Result, Transfers, cleanup};
use crate::catalog::{ClaimedTask, Limits, MOST_CLAIMS, TaskEnd};
use crate::image::{ImageId, StoreId, is_base_attribute, is_reserved};
use run::{Import, is_passing, reason};
use serde::{Deserialize, Serialize};

/// Where the data of an import comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ImportSource {
    /// A client has staged it.
    #[default]
    Stage,
    /// It is to be fetched from this URL.
    Web(String),
    /// The image has it, and is to have it in more stores.
    Image,
}

/// Finds a property to be injected that no image can have.
pub(crate) fn unfit_property(inject: &BTreeMap<String, String>) -> Option<&str> {
    let mut names = inject.keys().map(String::as_str);
    names.find(|name| name.is_empty() || is_base_attribute(name) || is_reserved(name))
}

/// How far an import is.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Bytes that have come.
    pub(super) done: AtomicU64,
    /// Bytes that have to come, where the source has told; 0 else.
    pub(super) total: AtomicU64,
    /// Stores that are to get them.
    pub(super) stores: u64,
}

impl Progress {
    fn read(&self) -> (u64, u64) {
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        (read(&self.done), read(&self.total))
    }
}

/// What the task of an import is told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ImportPlan {
    /// Where the data comes from.
    #[serde(default)]
    pub source: ImportSource,
    /// The stores to hold the data.
    pub stores: Vec<StoreId>,
    /// Whether all of them must, or the image is active with the first.
    pub all_stores_must_succeed: bool,
    /// Whether packed data is unpacked.
    #[serde(default)]
    pub unpacks: bool,
    /// Properties that the image gets with its data.
    #[serde(default)]
    pub inject: BTreeMap<String, String>,
    /// What the image's owner might hold when the import was asked for.
    #[serde(default)]
    pub limits: Limits,
}

impl ImportPlan {
    /// The stores whose copies go when the import fails: of an image that had its data before, it has made those alone.
    fn undone(&self) -> &[StoreId] {
        match self.source {
            ImportSource::Image if self.all_stores_must_succeed => &self.stores,
            _ => &[],
        }
    }
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
            let plan = plan_of(&claimed);
            let outcome = match &plan {
                Some(plan) => {
                    this.import(&claimed, image.as_ref(), plan, time_to_live)
                        .await
                }
                None => Err(Error::Import("its input cannot be read".into())),
            };
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
                    let plan = plan.unwrap_or_default();
                    this.end_import(image.as_ref(), &task, end, plan.undone())
                        .await
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
        plan: &ImportPlan,
        time_to_live: Duration,
    ) -> Result<()> {
        if claimed.claims > MOST_CLAIMS {
            return Err(Error::Import(format!(
                "given up: {MOST_CLAIMS} times it was begun and broke off"
            )));
        }
        let image = image.ok_or_else(|| Error::Import("its input cannot be read".into()))?;
        let mut import = Import::new(
            self,
            image,
            &claimed.task.id,
            plan,
            time_to_live,
            claimed.claims > 1,
        );
        let progress = Progress {
            stores: plan.stores.len() as u64,
            ..Progress::default()
        };
        let halt = self.stop.child_token();
        let mut running = std::pin::pin!(import.run(&progress, &halt));
        tokio::select! {
            ended = &mut running => ended,
            lost = self.renew_task_until_lost(&claimed.task.id, image, &progress) => {
                // It ends itself: what is being published must not be dropped half-way.
                halt.cancel();
                let _ = running.await;
                Err(lost)
            }
        }
    }

    /// Renews a task's lease until it is lost, or its image is gone; the error says how.
    async fn renew_task_until_lost(
        &self,
        task: &str,
        image: &ImageId,
        progress: &Progress,
    ) -> Error {
        let mut lease = Lease::new(self.rules.lease);
        loop {
            let begun = lease.until_renewal().await;
            let renewed = self
                .catalog
                .renew_task(task, self.rules.lease, progress.read());
            let outcome = renewed.await;
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
            // Whoever deletes an image does not wait for a source that is slow.
            if matches!(self.catalog.find_image(image).await, Ok(None)) {
                return Error::Gone;
            }
        }
    }

    async fn end_import(
        &self,
        image: Option<&ImageId>,
        task: &str,
        end: TaskEnd,
        undo: &[StoreId],
    ) -> Result<()> {
        let garbage = self.catalog.end_import(image, task, end, undo).await?;
        for item in &garbage {
            cleanup::remove_or_defer(&self.catalog, &self.stores, item).await;
        }
        Ok(())
    }
}

fn plan_of(claimed: &ClaimedTask) -> Option<ImportPlan> {
    let plan = claimed.task.input.as_ref()?.get("plan")?;
    ImportPlan::deserialize(plan).ok()
}
