//! What the store knows in memory: buckets, objects sorted by key, open uploads. It mirrors the records on disk.
//!
//! Locks, in the order in which they may be taken: `Store::founding`, `Bucket::standing`, `Upload::parts` (held over
//! I/O, so only on threads for blocking work), then the maps (held for a moment, never over I/O).

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use ring::digest::{SHA256, digest};
use s3s::{S3Error, S3Result};

use super::error::{no_such_bucket, no_such_key, no_such_upload, storage};
use super::layout::{self, DataDir, Layout, Lock, TempFile};
use super::records::{BucketRecord, Manifest, Md5, Millis, Part, UploadRecord};

/// Everything. Shared by all requests.
pub(super) struct Store {
    pub(super) layout: Layout,
    buckets: RwLock<BTreeMap<String, Arc<Bucket>>>,
    /// Held while a bucket is made or removed.
    founding: Mutex<()>,
}

/// One bucket.
pub(super) struct Bucket {
    pub(super) created: Millis,
    dir: PathBuf,
    lock: Arc<Lock>,
    standing: Mutex<Standing>,
    objects: RwLock<BTreeMap<Vec<u8>, Arc<Object>>>,
    uploads: RwLock<BTreeMap<UploadId, Arc<Upload>>>,
}

/// Key and id: the order in which uploads are listed. Ids begin with the time they were made at.
pub(super) type UploadId = (Vec<u8>, String);

/// Proof that a bucket is there and that nobody else commits to it.
pub(super) struct Standing {
    is_deleted: bool,
}

/// One version of an object. Its files stay until the last holder of this drops it.
pub(super) struct Object {
    pub(super) manifest: Manifest,
    pub(super) dir: Arc<DataDir>,
}

/// One open upload.
pub(super) struct Upload {
    pub(super) id: String,
    pub(super) record: UploadRecord,
    pub(super) dir: Arc<DataDir>,
    parts: Mutex<Parts>,
}

/// The parts of an upload so far. Closed means aborted or completed: parts still in flight find no home.
#[derive(Default)]
pub(super) struct Parts {
    is_closed: bool,
    last_sequence: u64,
    by_number: BTreeMap<u16, Part>,
}

impl Store {
    pub(super) fn new(layout: Layout, buckets: BTreeMap<String, Arc<Bucket>>) -> Self {
        Self {
            layout,
            buckets: RwLock::new(buckets),
            founding: Mutex::new(()),
        }
    }

    pub(super) fn get_bucket(&self, name: &str) -> S3Result<Arc<Bucket>> {
        read(&self.buckets)
            .get(name)
            .cloned()
            .ok_or_else(no_such_bucket)
    }

    pub(super) fn list_buckets(&self) -> Vec<(String, Millis)> {
        read(&self.buckets)
            .iter()
            .map(|(name, bucket)| (name.clone(), bucket.created))
            .collect()
    }

    /// Makes a bucket; false says it was there. The name must be a valid bucket name: it becomes a directory.
    pub(super) fn create_bucket(&self, name: &str) -> S3Result<bool> {
        let _founding = lock(&self.founding);
        if read(&self.buckets).contains_key(name) {
            return Ok(false);
        }
        let dir = self.layout.buckets().join(name);
        let record = BucketRecord {
            created: Millis::now(),
        };
        // `bucket.json` comes last: a directory without it is left over from a crash, and is swept at start.
        layout::remove_tree(&dir)
            .and_then(|()| std::fs::create_dir_all(dir.join("objects")))
            .and_then(|()| std::fs::create_dir(dir.join("data")))
            .and_then(|()| layout::sync_parent(&dir))
            .and_then(|()| self.layout.write_record(&dir.join("bucket.json"), &record))
            .map_err(storage)?;
        let bucket = Bucket::new(dir, record.created, self.layout.lock());
        write(&self.buckets).insert(name.to_owned(), Arc::new(bucket));
        Ok(true)
    }

    /// Forgets a bucket without objects and removes it from disk; false says it has objects. Its open uploads end.
    pub(super) fn delete_bucket(&self, name: &str) -> S3Result<bool> {
        let _founding = lock(&self.founding);
        let bucket = self.get_bucket(name)?;
        let mut standing = bucket.stand()?;
        if !read(&bucket.objects).is_empty() {
            return Ok(false);
        }
        let uploads: Vec<_> = read(&bucket.uploads).values().cloned().collect();
        // No part is published meanwhile: it would find its upload open and the directory gone.
        let parts: Vec<_> = uploads.iter().map(|upload| upload.lock_parts()).collect();
        // In one step, also for requests that are making files in the bucket: all their paths end here.
        let removed = self.layout.temporary();
        std::fs::rename(&bucket.dir, &removed).map_err(storage)?;
        standing.is_deleted = true;
        parts.into_iter().for_each(|mut parts| parts.close());
        write(&bucket.uploads).clear();
        write(&self.buckets).remove(name);
        layout::sync_parent(&bucket.dir)
            .and_then(|()| layout::remove_tree(&removed))
            .map_err(storage)?;
        Ok(true)
    }
}

impl Bucket {
    pub(super) fn new(dir: PathBuf, created: Millis, lock: Arc<Lock>) -> Self {
        Self {
            created,
            dir,
            lock,
            standing: Mutex::new(Standing { is_deleted: false }),
            objects: RwLock::default(),
            uploads: RwLock::default(),
        }
    }

    /// Where the manifest of a key is.
    pub(super) fn manifest_path(&self, key: &str) -> PathBuf {
        let name: String = digest(&SHA256, key.as_bytes())
            .as_ref()
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        self.dir.join("objects").join(name + ".json")
    }

    pub(super) fn manifests(&self) -> PathBuf {
        self.dir.join("objects")
    }

    pub(super) fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Makes a directory for data, which goes again unless it is committed.
    pub(super) fn create_data(&self, name: &str) -> io::Result<DataDir> {
        DataDir::create(self.data().join(name), Arc::clone(&self.lock))
    }

    /// The answer to trouble of a request that does not hold the standing: the bucket may be gone, and its files with it.
    pub(super) fn explain(&self, error: io::Error) -> S3Error {
        match self.stand() {
            Err(removed) => removed,
            Ok(_) => storage(error),
        }
    }

    /// Takes the right to commit to the bucket; blocks while another commit runs.
    pub(super) fn stand(&self) -> S3Result<MutexGuard<'_, Standing>> {
        let standing = lock(&self.standing);
        if standing.is_deleted {
            Err(no_such_bucket())
        } else {
            Ok(standing)
        }
    }

    pub(super) fn find_object(&self, key: &str) -> Option<Arc<Object>> {
        read(&self.objects).get(key.as_bytes()).cloned()
    }

    pub(super) fn get_object(&self, key: &str) -> S3Result<Arc<Object>> {
        self.find_object(key).ok_or_else(no_such_key)
    }

    /// All objects, for listing. Hold it only for a moment.
    pub(super) fn objects(&self) -> RwLockReadGuard<'_, BTreeMap<Vec<u8>, Arc<Object>>> {
        read(&self.objects)
    }

    /// The commit point of an object: its manifest gets its name. From here on the object is there and the one it
    /// replaces is not; before, it is the other way round.
    pub(super) fn commit_object(
        &self,
        _: &Standing,
        manifest_file: TempFile,
        object: Object,
    ) -> S3Result<()> {
        let path = self.manifest_path(&object.manifest.key);
        manifest_file.rename(&path).map_err(storage)?;
        let synced = layout::sync_parent(&path);
        let replaced = self.insert_object(object);
        // Should the sync fail, the object is there but may not outlive a power failure: the client must not rely on it,
        // and the data of the one before stays, whose manifest may come back. The next start sweeps what is not needed.
        synced.map_err(storage)?;
        if let Some(replaced) = replaced {
            replaced.dir.doom();
        }
        Ok(())
    }

    /// Removes an object; one that is not there is fine.
    pub(super) fn delete_object(&self, _: &Standing, key: &str) -> S3Result<()> {
        if self.find_object(key).is_none() {
            return Ok(());
        }
        let path = self.manifest_path(key);
        layout::remove_file(&path).map_err(storage)?;
        let synced = layout::sync_parent(&path);
        let removed = write(&self.objects).remove(key.as_bytes());
        // As above: until the removal is durable, the data must stay.
        synced.map_err(storage)?;
        if let Some(removed) = removed {
            removed.dir.doom();
        }
        Ok(())
    }

    /// Puts an object into the index and gives back the one that was there. Its manifest must be on disk.
    pub(super) fn insert_object(&self, object: Object) -> Option<Arc<Object>> {
        object.dir.keep();
        let key = object.manifest.key.as_bytes().to_owned();
        write(&self.objects).insert(key, Arc::new(object))
    }

    pub(super) fn get_upload(&self, key: &str, id: &str) -> S3Result<Arc<Upload>> {
        let id = (key.as_bytes().to_owned(), id.to_owned());
        read(&self.uploads)
            .get(&id)
            .cloned()
            .ok_or_else(no_such_upload)
    }

    /// All open uploads, for listing. Hold it only for a moment.
    pub(super) fn uploads(&self) -> RwLockReadGuard<'_, BTreeMap<UploadId, Arc<Upload>>> {
        read(&self.uploads)
    }

    pub(super) fn insert_upload(&self, upload: Upload) {
        write(&self.uploads).insert(upload.map_key(), Arc::new(upload));
    }

    pub(super) fn remove_upload(&self, upload: &Upload) {
        write(&self.uploads).remove(&upload.map_key());
    }
}

impl Upload {
    pub(super) fn new(id: String, record: UploadRecord, dir: DataDir, parts: Parts) -> Self {
        Self {
            id,
            record,
            dir: Arc::new(dir),
            parts: Mutex::new(parts),
        }
    }

    /// Where the record is that makes the directory an open upload.
    pub(super) fn record_path(&self) -> PathBuf {
        self.dir.path().join("upload.json")
    }

    /// Takes the parts; blocks while another request publishes a part, completes or aborts.
    pub(super) fn open_parts(&self) -> S3Result<MutexGuard<'_, Parts>> {
        let parts = self.lock_parts();
        if parts.is_closed {
            Err(no_such_upload())
        } else {
            Ok(parts)
        }
    }

    fn lock_parts(&self) -> MutexGuard<'_, Parts> {
        lock(&self.parts)
    }

    fn map_key(&self) -> UploadId {
        (self.record.key.as_bytes().to_owned(), self.id.clone())
    }
}

impl Parts {
    /// The record of a part about to be published.
    pub(super) fn next(&mut self, number: u16, md5: Md5, size: u64) -> Part {
        self.last_sequence += 1;
        Part {
            number,
            sequence: self.last_sequence,
            md5,
            size,
            modified: Millis::now(),
        }
    }

    /// Notes a part that is on disk, and gives back the one to remove: the older of its number.
    pub(super) fn insert(&mut self, part: Part) -> Option<Part> {
        self.last_sequence = self.last_sequence.max(part.sequence);
        match self.by_number.get(&part.number) {
            Some(present) if present.sequence > part.sequence => Some(part),
            _ => self.by_number.insert(part.number, part),
        }
    }

    pub(super) fn by_number(&self) -> &BTreeMap<u16, Part> {
        &self.by_number
    }

    pub(super) fn close(&mut self) {
        self.is_closed = true;
    }
}

// A panic while a lock is held leaves the maps whole: every change is a single insertion or removal.

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
