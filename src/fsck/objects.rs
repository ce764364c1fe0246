//! The objects of a store against the copies that records have there.

use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};

use super::finding::{Copy, Finding, Left, Object, Reason, seconds};
use super::merge::{Merge, Paged, Pair};
use super::repair::Remedy;
use super::{Check, PAGE, Site, age_of};
use crate::catalog::RecordedCopy;
use crate::image::{AttemptId, ImageId, Status, StoreId};
use crate::store::{self, ListedObject, Store, is_same_etag};
use crate::transfer::{ATTEMPT_ID, Error, IMAGE_ID, Result, ids_of_key};

/// Suspicions of one store that are looked into at once.
const AT_ONCE: usize = 16;

/// Suspicions that are gathered before they are looked into.
const BATCH: usize = 256;

const NO_REMEDY: &str = "a record is never deleted; upload the data again, or delete the image";

/// What is in one of the two alone, or not the same in both.
enum Suspicion {
    Object(ListedObject, ImageId, AttemptId),
    Copy(RecordedCopy),
}

/// What the second look has shown.
enum Look {
    /// It has been put right, or is on its way.
    Nothing,
    /// The copy is as recorded after all.
    Sound(RecordedCopy),
    Left(Left),
    Found(Finding, Remedy),
}

impl Check<'_> {
    pub(super) async fn objects(&mut self, store: &Arc<Store>) -> Result<()> {
        let (catalog, id) = (&self.site.catalog, StoreId::from(store.name()));
        let objects = Paged::new(async |after: Option<&ListedObject>| {
            let after = after.map(|object| object.key.as_str());
            Ok(store.list_objects(after, PAGE).await?)
        });
        let copies = Paged::new(async |after: Option<&RecordedCopy>| {
            let page = catalog.list_copies(&id, after, PAGE.into()).await?;
            let has_more = page.len() == usize::from(PAGE);
            Ok((page, has_more))
        });
        let mut merge = Merge::new(objects, copies);
        let (mut batch, mut last) = (Vec::with_capacity(BATCH), None);
        while let Some(pair) = merge.next().await? {
            if let Pair::Left(object) | Pair::Both(object, _) = &pair
                && last.as_ref() != Some(&object.key)
            {
                self.report.count_object();
                last = Some(object.key.clone());
            }
            match pair {
                Pair::Left(object) => batch.extend(self.suspect(store, object)),
                Pair::Right(copy) => {
                    self.report.count_copy();
                    batch.extend(has_data(&copy).then_some(Suspicion::Copy(copy)));
                }
                Pair::Both(object, copy) => {
                    self.report.count_copy();
                    if !has_data(&copy) {
                        continue;
                    }
                    let is_same = copy.size == Some(object.size)
                        && is_same_etag(copy.etag.as_deref(), object.etag.as_deref());
                    if is_same {
                        self.verify(store, &copy).await?;
                    } else {
                        batch.push(Suspicion::Copy(copy));
                    }
                }
            }
            if batch.len() >= BATCH {
                self.look_into(store, std::mem::take(&mut batch)).await?;
            }
        }
        self.look_into(store, batch).await
    }

    /// An object without a record, unless it is to be left alone at first sight.
    fn suspect(&mut self, store: &Store, object: ListedObject) -> Option<Suspicion> {
        let ids = ids_of_key(&object.key, store.prefix());
        let reason = match ids {
            Some((image, attempt)) if !self.is_young(age_of(object.modified)) => {
                return Some(Suspicion::Object(object, image, attempt));
            }
            Some(_) => Reason::Young,
            None => Reason::Foreign,
        };
        let object = told(store, &object, ids.as_ref());
        self.report.left(Left {
            reason,
            is_open: false,
            object,
        });
        None
    }

    /// Looks at each of them alone, and tells what is still so.
    async fn look_into(&mut self, store: &Arc<Store>, batch: Vec<Suspicion>) -> Result<()> {
        let site = self.site;
        let looks = stream::iter(batch).map(async |suspicion| match suspicion {
            Suspicion::Object(object, image, attempt) => {
                look_at_object(site, store, object, image, attempt).await
            }
            Suspicion::Copy(copy) => look_at_copy(site, store, copy).await,
        });
        let mut looks = std::pin::pin!(looks.buffered(AT_ONCE));
        while let Some(look) = looks.try_next().await? {
            match look {
                Look::Nothing => {}
                Look::Sound(copy) => self.verify(store, &copy).await?,
                Look::Left(left) => self.report.left(left),
                Look::Found(finding, remedy) => self.found(finding, remedy).await,
            }
        }
        Ok(())
    }

    /// Reads a copy and compares its digests, when that was asked for; what does not fit is read a second time.
    async fn verify(&mut self, store: &Arc<Store>, copy: &RecordedCopy) -> Result<()> {
        let Some(rate) = &mut self.rate else {
            return Ok(());
        };
        let id = StoreId::from(store.name());
        let mut wrong = None;
        for _ in 0..2 {
            let image = self.site.catalog.find_image(&copy.image).await?;
            let Some(image) = image else { return Ok(()) };
            let mut locations = image.locations.iter();
            let Some(location) = locations.find(|at| at.store == id && at.key == copy.key) else {
                return Ok(());
            };
            wrong = match self.site.transfers.verify(&image, location, rate).await {
                Ok(wrong) => wrong,
                Err(
                    Error::DataMissing
                    | Error::Store(store::Error::Missing | store::Error::Changed),
                ) => {
                    return match look_at_copy(self.site, store, copy.clone()).await? {
                        Look::Found(finding, remedy) => {
                            self.found(finding, remedy).await;
                            Ok(())
                        }
                        Look::Nothing | Look::Sound(_) | Look::Left(_) => Ok(()),
                    };
                }
                Err(e) => return Err(e),
            };
            self.report.count_verified(image.size.unwrap_or(0));
            if wrong.is_none() {
                return Ok(());
            }
        }
        let now = self
            .site
            .catalog
            .find_copy(&id, &copy.key, &copy.image)
            .await?;
        let (Some(wrong), Some(copy)) = (wrong, now.filter(has_data)) else {
            return Ok(());
        };
        let finding = Finding::WrongDigest {
            copy: told_copy(store, &copy),
            attribute: wrong.attribute,
            recorded: wrong.recorded,
            found: wrong.found,
        };
        self.found(finding, Remedy::None(NO_REMEDY)).await;
        Ok(())
    }
}

/// True where the record promises data.
fn has_data(copy: &RecordedCopy) -> bool {
    matches!(copy.status, Status::Active | Status::Deactivated)
}

/// Who has the object, and then whether it is there: who gives one up has it removed before he forgets it.
async fn look_at_object(
    site: &Site,
    store: &Arc<Store>,
    object: ListedObject,
    image: ImageId,
    attempt: AttemptId,
) -> Result<Look> {
    let id = StoreId::from(store.name());
    let holders = site
        .catalog
        .holders(&id, &object.key, &image, &attempt)
        .await?;
    let mut known = told(store, &object, Some(&(image.clone(), attempt.clone())));
    let left = match holders {
        holders if holders.is_recorded => return Ok(Look::Nothing),
        holders if holders.is_uploading => Some(Reason::UnderWay),
        holders if holders.is_staged => Some(Reason::Staged),
        holders if holders.is_garbage => Some(Reason::Garbage),
        _ => None,
    };
    if let Some(reason) = left {
        return Ok(Look::Left(Left {
            reason,
            is_open: false,
            object: known,
        }));
    }
    let facts = match store.head(&object.key).await {
        Ok(facts) => facts,
        Err(store::Error::Missing) => return Ok(Look::Nothing),
        Err(e) => return Err(e.into()),
    };
    known.size_bytes = Some(facts.size);
    known.image = facts.metadata.get(IMAGE_ID).cloned().or(known.image);
    known.attempt = facts.metadata.get(ATTEMPT_ID).cloned().or(known.attempt);
    let finding = Finding::OrphanedObject {
        object: known,
        image_status: holders.image.map(Status::as_str),
    };
    let remedy = match holders.image {
        Some(_) => Remedy::of_age(
            age_of(object.modified),
            Remedy::Remove {
                store: Arc::clone(store),
                key: object.key,
                image,
                attempt,
            },
        ),
        None => Remedy::None(
            "its image was never in this catalog: it is another's, or this one is older than the object",
        ),
    };
    Ok(Look::Found(finding, remedy))
}

/// Whether the object is there and as recorded, and then what the record says now: a record goes before its object.
async fn look_at_copy(site: &Site, store: &Arc<Store>, copy: RecordedCopy) -> Result<Look> {
    let facts = match store.head(&copy.key).await {
        Ok(facts) => Some(facts),
        Err(store::Error::Missing) => None,
        Err(e) => return Err(e.into()),
    };
    let id = StoreId::from(store.name());
    let now = site.catalog.find_copy(&id, &copy.key, &copy.image).await?;
    let Some(copy) = now.filter(has_data) else {
        return Ok(Look::Nothing);
    };
    let told = told_copy(store, &copy);
    let finding = match facts {
        None => Finding::MissingObject(told),
        Some(facts) if copy.size != Some(facts.size) => Finding::WrongSize {
            copy: told,
            recorded: copy.size,
            found: facts.size,
        },
        Some(facts) if !is_same_etag(copy.etag.as_deref(), facts.etag.as_deref()) => {
            Finding::WrongEtag {
                copy: told,
                recorded: copy.etag,
                found: facts.etag,
            }
        }
        Some(_) => return Ok(Look::Sound(copy)),
    };
    Ok(Look::Found(finding, Remedy::None(NO_REMEDY)))
}

fn told(store: &Store, object: &ListedObject, ids: Option<&(ImageId, AttemptId)>) -> Object {
    Object {
        store: store.name().into(),
        key: object.key.clone(),
        size_bytes: Some(object.size),
        age_seconds: seconds(age_of(object.modified)),
        image: ids.map(|(image, _)| image.to_string()),
        attempt: ids.map(|(_, attempt)| attempt.to_string()),
    }
}

fn told_copy(store: &Store, copy: &RecordedCopy) -> Copy {
    Copy {
        store: store.name().into(),
        key: copy.key.clone(),
        image: copy.image.clone(),
        image_status: copy.status.as_str(),
    }
}
