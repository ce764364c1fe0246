//! Records in memory, so that a download or a refused upload runs no SQL.
//!
//! Coherent within the process: a writer raises `epoch` after its commit and then puts the new record (or removes the
//! old one); a reader that filled from SQL keeps its record only if no write ended since it began to read. So a record
//! read before a write can never replace the one that the write left.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::{DashMap, Entry};

use crate::image::{Image, ImageId};

/// How many entries make room at once when the cache is full. Which ones is the hash's choice: an entry costs one
/// primary-key read to come back, so a cleverer order would not pay.
const EVICTED_AT_ONCE: usize = 64;

pub(super) struct Cache {
    records: DashMap<ImageId, Arc<Image>>,
    epoch: AtomicU64,
    capacity: usize,
}

/// The moment a read began; see [`Cache::fill`].
#[derive(Clone, Copy)]
pub(super) struct Epoch(u64);

impl Cache {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            records: DashMap::new(),
            epoch: AtomicU64::new(0),
            capacity,
        }
    }

    pub(super) fn get(&self, id: &ImageId) -> Option<Arc<Image>> {
        self.records.get(id).map(|entry| Arc::clone(entry.value()))
    }

    pub(super) fn begin_read(&self) -> Epoch {
        Epoch(self.epoch.load(Ordering::SeqCst))
    }

    /// Keeps what a reader found, unless something was written since `begun`.
    pub(super) fn fill(&self, begun: Epoch, image: &Arc<Image>) {
        self.make_room();
        if let Entry::Vacant(place) = self.records.entry(image.id.clone()) {
            // Checked under the entry's lock: a writer raises the epoch first and takes this lock second.
            if self.epoch.load(Ordering::SeqCst) == begun.0 {
                place.insert(Arc::clone(image));
            }
        }
    }

    /// The record as a write left it; `None` when it is gone or its state is unknown.
    pub(super) fn written(&self, id: &ImageId, image: Option<Arc<Image>>) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
        match image {
            Some(image) => {
                self.make_room();
                self.records.insert(id.clone(), image);
            }
            None => {
                self.records.remove(id);
            }
        }
    }

    fn make_room(&self) {
        if self.records.len() >= self.capacity {
            let victims: Vec<ImageId> = self
                .records
                .iter()
                .take(EVICTED_AT_ONCE)
                .map(|entry| entry.key().clone())
                .collect();
            for id in victims {
                self.records.remove(&id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::CreateRequest;

    fn image(name: u128) -> Arc<Image> {
        let id = uuid::Uuid::from_u128(name).to_string().parse().unwrap();
        Arc::new(CreateRequest::default().into_image(id, None, 0))
    }

    #[test]
    fn a_slow_reader_cannot_bring_back_what_a_write_replaced() {
        let cache = Cache::new(8);
        let old = image(1);
        let begun = cache.begin_read();
        cache.written(&old.id, None);
        cache.fill(begun, &old);
        assert!(cache.get(&old.id).is_none());
        cache.fill(cache.begin_read(), &old);
        assert!(cache.get(&old.id).is_some());
    }

    #[test]
    fn the_cache_is_bounded() {
        let cache = Cache::new(100);
        for n in 0..1000 {
            cache.fill(cache.begin_read(), &image(n));
        }
        assert!(cache.records.len() <= 100);
    }
}
