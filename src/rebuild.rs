//! `rebuild`: records of what is in the buckets, for the day the catalog is gone.
//!
//! An object says by its key whose it is; everything else that a record of it can say is found in its bytes. What only the
//! record knew (name, owner, who sees it, properties) is lost, so each is made private, without an owner, and tagged.
//! Nothing is changed that is there: no object, and no record. So it can be broken off and run again.

mod report;

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use crate::catalog::{self, Catalog, RecoveredImage};
use crate::image::{AttemptId, Attributes, Image, ImageId, Location, Micros, StoreId, Visibility};
use crate::store::{ListedObject, Store};
use crate::transfer::{IMAGE_ID, ReadRate, Result, Transfers, ids_of_key};

pub(crate) use report::{Line, Verdict};

use report::{Reason, Report};

/// By which images are found whose records were made again.
const TAG: &str = "recovered";

/// What is inside is not looked at as a container: the data is taken for the disk itself.
const CONTAINER: &str = "bare";

/// Objects listed at once.
const PAGE: u16 = 500;

/// An object with a key of our making.
struct Ours {
    image: ImageId,
    attempt: AttemptId,
    object: ListedObject,
}

/// Makes the records; each line is told as soon as it is known, the summary last.
pub(crate) async fn run(
    catalog: &Catalog,
    transfers: &Transfers,
    stores: &[Arc<Store>],
    rate: ReadRate,
    tell: &mut dyn FnMut(&Line),
) -> Verdict {
    let mut rebuild = Rebuild {
        catalog,
        transfers,
        rate,
        report: Report::new(tell),
    };
    for store in stores {
        if let Err(e) = rebuild.store(store).await {
            let what = format!("objects of store {}", store.name());
            rebuild.report.incomplete(what, e.into());
        }
    }
    rebuild.report.end()
}

/// A run.
struct Rebuild<'a> {
    catalog: &'a Catalog,
    transfers: &'a Transfers,
    rate: ReadRate,
    report: Report<'a>,
}

impl Rebuild<'_> {
    async fn store(&mut self, store: &Store) -> Result<()> {
        let mut after: Option<String> = None;
        // The objects of an image come one after the other, since their keys begin alike.
        let mut latest: Option<Ours> = None;
        loop {
            let (page, has_more) = store.list_objects(after.as_deref(), PAGE).await?;
            after = page.last().map(|object| object.key.clone()).or(after);
            for object in page {
                self.report.saw_object();
                let Some((image, attempt)) = ids_of_key(&object.key, store.prefix()) else {
                    self.report.saw_foreign();
                    continue;
                };
                let ours = Ours {
                    image,
                    attempt,
                    object,
                };
                latest = match latest.take() {
                    None => Some(ours),
                    // An image in use takes no other data, so what was stored before the last was not in use any more.
                    Some(other) if other.image == ours.image => {
                        let (older, newer) = if other.object.modified > ours.object.modified {
                            (ours, other)
                        } else {
                            (other, ours)
                        };
                        self.left_older(store, &older).await?;
                        Some(newer)
                    }
                    Some(other) => {
                        self.object(store, other).await;
                        Some(ours)
                    }
                };
            }
            if !has_more {
                break;
            }
        }
        if let Some(last) = latest {
            self.object(store, last).await;
        }
        Ok(())
    }

    /// An object beside a newer one of the same image.
    async fn left_older(&mut self, store: &Store, ours: &Ours) -> Result<()> {
        let reason = self.why_left(store, ours).await?;
        self.report
            .left(store, &ours.object, reason.unwrap_or(Reason::Older));
        Ok(())
    }

    /// What cannot be done with one is told, and the others go on.
    async fn object(&mut self, store: &Store, ours: Ours) {
        let key = ours.object.key.clone();
        if let Err(e) = self.recover(store, ours).await {
            self.report
                .incomplete(format!("object {key} of store {}", store.name()), e.into());
        }
    }

    async fn recover(&mut self, store: &Store, ours: Ours) -> Result<()> {
        if let Some(reason) = self.why_left(store, &ours).await? {
            self.report.left(store, &ours.object, reason);
            return Ok(());
        }
        let object = store.head(&ours.object.key).await?;
        // Tools that copy buckets may drop it.
        let is_its_own = object
            .metadata
            .get(IMAGE_ID)
            .is_none_or(|image| *image == *ours.image.as_str());
        if !is_its_own {
            self.report.left(store, &ours.object, Reason::OtherImage);
            return Ok(());
        }
        let location = Location {
            store: StoreId::from(store.name()),
            key: ours.object.key.clone(),
            etag: object.etag,
        };
        let mut record = Image::queued(ours.image.clone(), created_at(&ours.object));
        record.locations = vec![location.clone()];
        let found = self
            .transfers
            .recover(&record, object.size, &mut self.rate)
            .await?;
        let attributes = Attributes {
            disk_format: Some(found.disk_format.to_owned()),
            container_format: Some(CONTAINER.to_owned()),
            // Without an owner it is the administrators' alone.
            visibility: Visibility::Private,
            tags: [TAG.to_owned()].into(),
            ..Attributes::default()
        };
        attributes.write_to(&mut record);
        let recovered = RecoveredImage {
            record,
            facts: found.facts.clone(),
            location,
            is_deactivated: found.refusal.is_some(),
        };
        match self.catalog.recover_image(recovered).await {
            Ok(()) => self.report.recovered(store, &ours, found),
            Err(catalog::Error::Taken) => {
                self.report.left(store, &ours.object, Reason::OtherRecord);
            }
            Err(e) => return Err(e.into()),
        }
        Ok(())
    }

    /// Why no record is made of an object, if none is.
    async fn why_left(&self, store: &Store, ours: &Ours) -> Result<Option<Reason>> {
        let id = StoreId::from(store.name());
        let holders = self
            .catalog
            .holders(&id, &ours.object.key, &ours.image, &ours.attempt)
            .await?;
        Ok(if holders.is_recorded {
            Some(Reason::Recorded)
        } else if holders.is_uploading {
            Some(Reason::Uploading)
        } else if holders.is_staged {
            Some(Reason::Staged)
        } else if holders.is_garbage {
            Some(Reason::Garbage)
        } else {
            holders.image.map(|_| Reason::OtherRecord)
        })
    }
}

/// When the object was stored; its image was active from then on.
fn created_at(object: &ListedObject) -> Micros {
    let since = object
        .modified
        .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    since
        .and_then(|since| Micros::try_from(since.as_micros()).ok())
        .unwrap_or_else(catalog::now)
}
