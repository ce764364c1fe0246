//! The rows say what a count of everything says, whatever was done in whatever order.

use std::collections::BTreeMap;
use std::time::Duration;

use super::recount::Recount;
use super::*;
use crate::catalog::testing::catalogs;
use crate::catalog::{
    Activate, Activation, Change, ImportFrom, Intent, Limits, NewImport, NewUpload, Purpose,
    Reserved, TaskBounds, TaskEnd,
};
use crate::image::{AttemptId, Attributes, CreateRequest, DataFacts, ImageId, Status};

const STEPS: usize = 1500;
const OWNERS: [Option<&str>; 3] = [Some("a"), Some("b"), None];

fn anybody() -> crate::catalog::Judge {
    Box::new(|_: &Image| Ok(()))
}

struct Site {
    catalog: Catalog,
    rng: fastrand::Rng,
    images: Vec<ImageId>,
    attempts: Vec<(AttemptId, ImageId)>,
    imports: u32,
}

impl Site {
    fn image(&mut self) -> ImageId {
        self.images[self.rng.usize(..self.images.len())].clone()
    }

    fn intent(&mut self) -> Intent {
        Intent {
            facts: DataFacts {
                size: self.rng.u64(..1000),
                virtual_size: None,
                checksum: String::new(),
                os_hash_algo: String::new(),
                os_hash_value: String::new(),
            },
            judged_as: None,
            is_processed: false,
            refusal: None,
        }
    }

    /// A second copy, as an import will make it.
    async fn copy(&mut self, id: &ImageId) {
        let Some(image) = self.catalog.find_image(id).await.unwrap() else {
            return;
        };
        if image.status != Status::Active || image.locations.len() != 1 {
            return;
        }
        let mut tx = self.catalog.db.write().await.unwrap();
        query("INSERT INTO image_locations (image_id, position, store, object_key) VALUES ($1, 1, 'second', 'k')")
            .bind(id.as_str())
            .execute(&mut tx)
            .await
            .unwrap();
        let owner = image.owner.as_ref().map(ProjectId::as_str);
        let size = image.size.map_or(0, signed);
        change(&mut tx, owner, Delta::bytes(size)).await.unwrap();
        self.catalog.commit(tx, id).await.unwrap();
    }

    async fn begin(&mut self) {
        let image = self.image();
        let attempt = AttemptId::random();
        let new = NewUpload {
            attempt: attempt.clone(),
            purpose: if self.rng.bool() {
                Purpose::Upload
            } else {
                Purpose::Stage
            },
            image: image.clone(),
            task: None,
            store: "main".into(),
            key: attempt.as_str().to_owned(),
            lease: Duration::from_secs(600),
            reserve: self.rng.u64(..500),
            limits: self.limits(),
        };
        if self.catalog.begin_upload(new, anybody()).await.is_ok() {
            self.attempts.push((attempt, image));
        }
    }

    fn limits(&mut self) -> Limits {
        let quota = self.rng.bool().then(|| self.rng.u64(..20_000));
        Limits {
            storage_quota: quota,
            ..Limits::default()
        }
    }

    async fn end(&mut self) {
        if self.attempts.is_empty() {
            return;
        }
        let place = self.rng.usize(..self.attempts.len());
        let (attempt, _) = self.attempts[place].clone();
        let (intent, limits) = (self.intent(), self.limits());
        let bytes = self.rng.u64(..900);
        match self.rng.u8(..4) {
            0 => {
                let reserved = self.catalog.reserve(&attempt, bytes, 50, limits).await;
                assert!(!matches!(reserved, Ok(Reserved::Bytes(n)) if n < bytes));
                return;
            }
            1 => drop(self.catalog.record_intent(&attempt, &intent, limits).await),
            _ => {}
        }
        if self.rng.bool() {
            let finished = self.catalog.finish_upload(&attempt, &intent, None).await;
            if finished.is_ok() {
                self.attempts.swap_remove(place);
            }
        } else {
            self.catalog.roll_back(&attempt).await.unwrap();
            self.attempts.swap_remove(place);
        }
    }

    /// Imports what is staged, to one end or the other.
    async fn import(&mut self) {
        let (image, task) = (self.image(), ImageId::random().to_string());
        let new = NewImport {
            image: image.clone(),
            from: ImportFrom::Stage,
            is_size_known: true,
            task: task.clone(),
            input: serde_json::json!({}),
            stores: vec!["main".into()],
            owner: None,
            request_id: String::new(),
            user_id: String::new(),
            limits: self.limits(),
        };
        if self.catalog.begin_import(new, anybody()).await.is_err() {
            return;
        }
        let bounds = TaskBounds {
            running: Vec::new(),
            per_project: 1,
            lease: Duration::from_secs(600),
        };
        let claimed = self.catalog.claim_task(bounds).await.unwrap().unwrap();
        assert_eq!(claimed.task.id, task);
        let has_succeeded = self.rng.bool();
        let end = TaskEnd {
            has_succeeded,
            message: String::new(),
            time_to_live: Duration::from_secs(600),
        };
        if has_succeeded {
            let step = Activate {
                image,
                task,
                stores: vec!["main".into()],
                missing: Vec::new(),
                inject: BTreeMap::new(),
                end: Some(end),
            };
            self.catalog.activate_import(step).await.unwrap();
        } else {
            let ended = self.catalog.end_import(Some(&image), &task, end, &[]);
            ended.await.unwrap();
        }
        self.imports += 1;
    }

    async fn give_to(&mut self, owner: Option<&'static str>) {
        let id = self.image();
        let drops_copies = self.rng.u8(..4) == 0;
        let changed = self.catalog.update_image(&id, move |image| {
            let mut attributes = Attributes::of(image);
            attributes.owner = owner.map(Into::into);
            let copies = image.locations.iter().skip(1);
            Ok::<_, std::convert::Infallible>(Change {
                attributes,
                given_up: copies.filter(|_| drops_copies).cloned().collect(),
            })
        });
        drop(changed.await);
    }

    async fn step(&mut self) {
        let owner = OWNERS[self.rng.usize(..OWNERS.len())];
        match self.rng.u8(..14) {
            0 | 1 => {
                let image = CreateRequest::default();
                let mut image = image.into_image(ImageId::random(), owner.map(Into::into), 1);
                image.disk_format = Some("raw".into());
                image.container_format = Some("bare".into());
                let most = self.rng.bool().then(|| self.rng.u64(..60));
                let limits = Limits {
                    images: most,
                    ..Limits::default()
                };
                let id = image.id.clone();
                if self.catalog.create_image(image, limits).await.is_ok() {
                    self.images.push(id);
                }
            }
            2..5 => self.begin().await,
            5..8 => self.end().await,
            8 => self.give_to(owner).await,
            9 => {
                let id = self.image();
                self.copy(&id).await;
            }
            12 | 13 => self.import().await,
            10 => {
                let (id, to) = (self.image(), [Activation::Deactivated, Activation::Active]);
                let to = to[self.rng.usize(..2)];
                drop(self.catalog.activate_image(&id, to, anybody()).await);
                let store = "second".into();
                drop(self.catalog.delete_location(&id, &store, anybody()).await);
            }
            _ => {
                let id = self.image();
                drop(self.catalog.delete_image(&id, anybody()).await);
            }
        }
    }
}

#[tokio::test]
async fn usage_is_what_a_count_of_everything_gives() {
    for (catalog, _dir) in catalogs().await {
        follow_usage(catalog).await;
    }
}

async fn follow_usage(catalog: Catalog) {
    let mut site = Site {
        catalog,
        rng: fastrand::Rng::with_seed(7),
        images: vec![ImageId::random()],
        attempts: Vec::new(),
        imports: 0,
    };
    let mut most = Usage::default();
    for _ in 0..STEPS {
        site.step().await;
        for owner in OWNERS {
            let recount = site.catalog.recount(owner.unwrap_or_default()).await;
            let Recount { recorded, counted } = recount.unwrap();
            assert_eq!(recorded, counted, "{owner:?}");
            let usage = site.catalog.usage(owner).await.unwrap();
            assert_eq!(usage.bytes.cast_signed(), counted.bytes + counted.reserved);
            most.bytes = most.bytes.max(usage.bytes);
            most.uploading = most.uploading.max(usage.uploading);
            most.images = most.images.max(usage.images);
        }
    }
    // The steps did something.
    assert!(site.imports > 10, "{}", site.imports);
    assert!(
        most.bytes > 5_000 && most.uploading > 3 && most.images > 20,
        "{most:?}"
    );
    site.catalog.close().await;
}

/// While images come, a project's row is set right again and again: none of them is lost, or counted twice.
#[tokio::test]
async fn counters_are_set_right_while_they_change() {
    const EACH: i64 = 60;
    for (catalog, _dir) in catalogs().await {
        let adding = futures_util::future::join_all((0..4).map(async |_| {
            for _ in 0..EACH {
                let image = CreateRequest::default();
                let image = image.into_image(ImageId::random(), Some("a".into()), 1);
                catalog
                    .create_image(image, Limits::default())
                    .await
                    .unwrap();
            }
        }));
        let mut adding = std::pin::pin!(adding);
        let mut rounds = 0;
        loop {
            tokio::select! {
                _ = &mut adding => break,
                found = catalog.set_usage_right("a") => {
                    let found = found.unwrap();
                    assert_eq!(found.recorded, found.counted);
                    rounds += 1;
                }
            }
        }
        assert!(rounds > 3, "{rounds}");
        let found = catalog.recount("a").await.unwrap();
        assert_eq!(found.recorded, found.counted);
        assert_eq!(found.counted.images, 4 * EACH);
        assert_eq!(
            catalog.next_project("").await.unwrap().as_deref(),
            Some("a")
        );
        assert_eq!(catalog.next_project("a").await.unwrap(), None);
        catalog.close().await;
    }
}
