//! Records in memory, so that a download or a refused upload runs no SQL.
//!
//! Coherent within the process: a writer raises `epoch` after its commit and then puts the new record (or removes the
//! old one); a reader that filled from SQL keeps its record only if no write ended since it began to read. So a record
//! read before a write can never replace the one that the write left. From before its commit to the end of a write nothing
//! is kept of its image: who has found the change in the database by another way must not find the old record here. Two who
//! write one image may come here in another order than they committed in, so each takes its turn within its transaction,
//! and only the last keeps its record.

use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::{DashMap, Entry};

use crate::image::{Image, ImageId};

/// How many entries make room at once when the cache is full. Which ones is the hash's choice: an entry costs one
/// primary-key read to come back, so a cleverer order would not pay.
const EVICTED_AT_ONCE: usize = 64;

/// What a record takes beside its texts: the struct, the map's entry, the short texts.
const RECORD_BYTES: u64 = 1536;

/// What an entry of a set or a map within a record takes beside its texts.
const ITEM_BYTES: u64 = 64;

/// Counters of turns; images whose hashes agree share one, and then one of their records is perhaps not kept.
const TURNS: usize = 1024;

/// A record takes at most one part in this many of the cache.
const LARGEST: u64 = 8;

pub(super) struct Cache {
    records: DashMap<ImageId, Arc<Image>>,
    epoch: AtomicU64,
    turns: Box<[Turns]>,
    entries: usize,
    bytes: u64,
    /// What the records take together, and those that are about to be kept.
    held: AtomicU64,
}

/// Writes of the images that share a counter.
#[derive(Default)]
struct Turns {
    begun: AtomicU64,
    under_way: AtomicU64,
}

/// The place of a write among those of its image.
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    number: u64,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.turns.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The moment a read began; see [`Cache::fill`].
#[derive(Clone, Copy)]
pub(super) struct Epoch(u64);

impl Cache {
    /// Keeps at most so many records, of so many bytes together.
    pub(super) fn new(entries: usize, bytes: u64) -> Self {
        Self {
            records: DashMap::new(),
            epoch: AtomicU64::new(0),
            turns: (0..TURNS).map(|_| Turns::default()).collect(),
            entries,
            bytes,
            held: AtomicU64::new(0),
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
        if !self.reserve(image) {
            return;
        }
        if let Entry::Vacant(vacant) = self.records.entry(image.id.clone())
            // Checked under the entry's lock: a writer says so first and takes this lock second, when it begins and when it
            // ends.
            && self.turns(&image.id).under_way.load(Ordering::SeqCst) == 0
            && self.epoch.load(Ordering::SeqCst) == begun.0
        {
            vacant.insert(Arc::clone(image));
        } else {
            self.release(image);
        }
    }

    /// Takes the turn of a write, while its transaction keeps all others from its image, and before its commit.
    pub(super) fn begin_write(&self, id: &ImageId) -> Turn<'_> {
        let turns = self.turns(id);
        turns.under_way.fetch_add(1, Ordering::SeqCst);
        let number = turns.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let turn = Turn { turns, number };
        if let Some((_, before)) = self.records.remove(id) {
            self.release(&before);
        }
        turn
    }

    fn turns(&self, id: &ImageId) -> &Turns {
        &self.turns[self.records.hasher().hash_one(id) as usize % TURNS]
    }

    /// The record as a write left it; `None` when it is gone or its state is unknown.
    pub(super) fn written(&self, turn: Turn<'_>, id: &ImageId, image: Option<Arc<Image>>) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
        let image = image.filter(|image| self.reserve(image));
        let entry = self.records.entry(id.clone());
        // Asked under the entry's lock: who writes later takes its turn first and this lock second.
        let is_last = turn.turns.begun.load(Ordering::SeqCst) == turn.number;
        let (kept, late) = if is_last {
            (image, None)
        } else {
            (None, image)
        };
        let before = match (entry, kept) {
            (Entry::Occupied(mut entry), Some(image)) => Some(entry.insert(image)),
            (Entry::Occupied(entry), None) => Some(entry.remove()),
            (Entry::Vacant(entry), Some(image)) => {
                entry.insert(image);
                None
            }
            (Entry::Vacant(_), None) => None,
        };
        before
            .iter()
            .chain(&late)
            .for_each(|gone| self.release(gone));
    }

    /// The record is no longer what was kept.
    pub(super) fn forget(&self, id: &ImageId) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
        if let Some((_, before)) = self.records.remove(id) {
            self.release(&before);
        }
    }

    /// Nothing that was kept is known to be so any more.
    pub(super) fn forget_all(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
        self.records.retain(|_, image| {
            self.release(image);
            false
        });
    }

    /// Makes room for a record; false when it is not to be kept. What is reserved counts before it is there, so that
    /// records kept at once do not pass the bound together.
    fn reserve(&self, image: &Image) -> bool {
        let size = size_of_record(image);
        if self.entries == 0 || size > self.bytes / LARGEST {
            return false;
        }
        self.held.fetch_add(size, Ordering::SeqCst);
        while self.records.len() >= self.entries || self.held.load(Ordering::SeqCst) > self.bytes {
            let victims: Vec<ImageId> = self
                .records
                .iter()
                .take(EVICTED_AT_ONCE)
                .map(|entry| entry.key().clone())
                .collect();
            if victims.is_empty() {
                break;
            }
            for id in victims {
                if let Some((_, image)) = self.records.remove(&id) {
                    self.release(&image);
                }
            }
        }
        true
    }

    fn release(&self, image: &Image) {
        self.held.fetch_sub(size_of_record(image), Ordering::SeqCst);
    }
}

/// About what a record takes in memory, bytes.
fn size_of_record(image: &Image) -> u64 {
    let items = image.properties.len() + image.tags.len() + image.members.len();
    RECORD_BYTES + ITEM_BYTES * items as u64 + image.text_bytes()
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
        let cache = Cache::new(8, 1 << 20);
        let old = image(1);
        let begun = cache.begin_read();
        cache.written(cache.begin_write(&old.id), &old.id, None);
        cache.fill(begun, &old);
        assert!(cache.get(&old.id).is_none());
        cache.fill(cache.begin_read(), &old);
        assert!(cache.get(&old.id).is_some());
    }

    #[test]
    fn nothing_is_kept_while_a_write_is_under_way() {
        let cache = Cache::new(8, 1 << 20);
        let old = image(1);
        cache.fill(cache.begin_read(), &old);
        let turn = cache.begin_write(&old.id);
        assert!(cache.get(&old.id).is_none());
        cache.fill(cache.begin_read(), &old);
        assert!(cache.get(&old.id).is_none(), "it may be the old one");
        drop(turn);
        cache.fill(cache.begin_read(), &old);
        assert!(cache.get(&old.id).is_some());
    }

    #[test]
    fn a_slow_writer_cannot_bring_back_what_a_later_one_wrote() {
        let cache = Cache::new(8, 1 << 20);
        let (old, mut new) = (image(1), Image::clone(&image(1)));
        new.name = Some("new".into());
        let new = Arc::new(new);
        let first = cache.begin_write(&old.id);
        let second = cache.begin_write(&old.id);
        cache.written(second, &old.id, Some(Arc::clone(&new)));
        assert_eq!(cache.get(&old.id), Some(new));
        cache.written(first, &old.id, Some(Arc::clone(&old)));
        assert_eq!(cache.get(&old.id), None, "perhaps it is known no longer");
        let (first, last) = (cache.begin_write(&old.id), cache.begin_write(&old.id));
        cache.written(last, &old.id, None);
        cache.written(first, &old.id, Some(Arc::clone(&old)));
        assert_eq!(cache.get(&old.id), None, "it was deleted meanwhile");
        assert_eq!(cache.held.load(Ordering::SeqCst), 0);
        let turn = cache.begin_write(&old.id);
        cache.written(turn, &old.id, Some(Arc::clone(&old)));
        assert_eq!(cache.get(&old.id), Some(old));
    }

    #[test]
    fn the_cache_is_bounded() {
        let cache = Cache::new(100, 1 << 20);
        for n in 0..1000 {
            cache.fill(cache.begin_read(), &image(n));
        }
        assert!(cache.records.len() <= 100);
    }

    #[test]
    fn the_cache_is_bounded_in_bytes_also_for_fat_records() {
        const BYTES: u64 = 1 << 20;
        let cache = Cache::new(usize::MAX, BYTES);
        for n in 0..200 {
            let mut fat = Image::clone(&image(n));
            let value = "v".repeat(20_000 + 500 * n as usize);
            fat.properties.insert("p".into(), Some(value));
            let fat = Arc::new(fat);
            cache.fill(cache.begin_read(), &fat);
            cache.written(cache.begin_write(&fat.id), &fat.id, Some(Arc::clone(&fat)));
            let held: u64 = cache
                .records
                .iter()
                .map(|entry| size_of_record(entry.value()))
                .sum();
            assert!(held <= BYTES, "{held}");
            assert_eq!(held, cache.held.load(Ordering::SeqCst));
            assert!(cache.get(&fat.id).is_some());
        }
        let mut large = Image::clone(&image(1));
        large
            .properties
            .insert("p".into(), Some("v".repeat(BYTES as usize / 8)));
        let turn = cache.begin_write(&large.id);
        cache.written(turn, &large.id, Some(Arc::new(large.clone())));
        assert!(cache.get(&large.id).is_none(), "the older one goes as well");
    }
}
