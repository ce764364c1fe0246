//! What is done about a finding. Each remedy sees for itself, where it takes effect, that it still applies: between the
//! second look and this one somebody may have done it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::finding::Finding;
use super::report::chain;
use super::{Check, Mode};
use crate::catalog::{Abandoned, Garbage, now};
use crate::image::{AttemptId, ImageId};
use crate::store::{MultipartUpload, Store};
use crate::transfer::{Result, Settled, remove_garbage};

/// What lies in a store without an owner is removed at this age, as by the reaper.
const UNOWNED_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// What would put a finding right.
pub(super) enum Remedy {
    /// Nothing that a program may decide, and why.
    None(&'static str),
    /// The object goes by way of the garbage list.
    Remove {
        store: Arc<Store>,
        key: String,
        image: ImageId,
        attempt: AttemptId,
    },
    /// The multipart upload is aborted.
    Abort {
        store: Arc<Store>,
        upload: MultipartUpload,
        attempt: AttemptId,
    },
    /// The attempt goes forward or back, as by recovery.
    Settle(Box<Abandoned>),
    /// The image is queued again.
    Requeue(ImageId),
    /// The counters of a project are set to what is counted.
    Recount(String),
}

/// What became of a finding.
#[derive(Debug, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub(crate) enum Repair {
    /// This would be done.
    Planned { action: &'static str },
    /// This was done.
    Done { action: &'static str },
    /// Nothing was done.
    Left { reason: &'static str },
    /// It did not work.
    Failed { error: String },
}

impl Remedy {
    /// For what lies in a store without an owner: `remedy` once it is old enough.
    pub(super) fn of_age(age: Option<Duration>, remedy: Remedy) -> Remedy {
        match age {
            Some(age) if age >= UNOWNED_AGE => remedy,
            Some(_) => Remedy::None("it is younger than a day"),
            None => Remedy::None("the store does not say how old it is"),
        }
    }

    fn plan(&self) -> Repair {
        let action = match self {
            Remedy::None(reason) => return Repair::Left { reason },
            Remedy::Remove { .. } => "would be removed",
            Remedy::Abort { .. } => "would be aborted",
            Remedy::Settle(_) => "would be settled",
            Remedy::Requeue(_) => "would be queued again",
            Remedy::Recount(_) => "would be set to what is counted",
        };
        Repair::Planned { action }
    }
}

impl Check<'_> {
    /// Tells a finding, and does about it what the mode says.
    pub(super) async fn found(&mut self, finding: Finding, remedy: Remedy) {
        let repair = match self.options.mode {
            Mode::Report => None,
            Mode::Plan => Some(remedy.plan()),
            Mode::Repair => Some(
                self.apply(remedy)
                    .await
                    .unwrap_or_else(|e| Repair::Failed { error: chain(&e) }),
            ),
        };
        self.report.found(finding, repair);
    }

    async fn apply(&self, remedy: Remedy) -> Result<Repair> {
        let catalog = &self.site.catalog;
        let action = match remedy {
            Remedy::None(reason) => return Ok(Repair::Left { reason }),
            Remedy::Remove {
                store,
                key,
                image,
                attempt,
            } => {
                let id = store.name().into();
                match catalog.give_up_unheld(&id, &key, &image, &attempt).await? {
                    Some(item) => self.remove(&item).await?,
                    None => "somebody has it now",
                }
            }
            Remedy::Abort {
                store,
                upload,
                attempt,
            } => {
                // The id of an attempt is never used again: one that is gone does not come back.
                if catalog.is_upload_known(&attempt).await? {
                    "somebody has it now"
                } else {
                    store.abort_upload(&upload).await?;
                    "aborted"
                }
            }
            Remedy::Settle(found) => match self.site.transfers.settle(&found).await? {
                Settled::Forward => "the image has it",
                Settled::Back(Some(item)) => {
                    self.remove(&item).await?;
                    "the image is queued again"
                }
                Settled::Back(None) | Settled::Elsewhere => "somebody else has settled it",
            },
            Remedy::Requeue(image) => {
                if catalog.requeue_unattended(&image).await? {
                    "queued again"
                } else {
                    "it is no longer so"
                }
            }
            Remedy::Recount(project) => {
                catalog.set_usage_right(&project).await?;
                "set to what is counted"
            }
        };
        Ok(Repair::Done { action })
    }

    /// Removes what stands on the garbage list now. What the store does not take is tried again by the sweep.
    async fn remove(&self, item: &Garbage) -> Result<&'static str> {
        let store = self.site.transfers.stores().find(item.store.as_str());
        let removed = match store {
            Some(store) => remove_garbage(store, item).await.is_ok(),
            None => false,
        };
        if !removed {
            return Ok("put on the garbage list; the store does not take the removal now");
        }
        self.site.catalog.forget_garbage(&[item], now()).await?;
        Ok("removed")
    }
}

impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Repair::Planned { action } | Repair::Done { action } => f.write_str(action),
            Repair::Left { reason } => write!(f, "left: {reason}"),
            Repair::Failed { error } => write!(f, "not repaired: {error}"),
        }
    }
}
