//! Start: reads the records back into the index, and removes what a crash left behind.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::Error;
use super::index::{Bucket, Object, Parts, Store, Upload};
use super::layout::{self, DataDir, Layout, Lock};
use super::records::{BucketRecord, Manifest, Part, UploadRecord};

/// Builds the store from its directory.
///
/// # Errors
/// A record that cannot be read stops the start: going on would take its data for a leftover and remove it.
pub(super) fn load(layout: Layout) -> Result<Store, Error> {
    let mut buckets = BTreeMap::new();
    for (name, dir) in entries(&layout.buckets())? {
        match read_record::<BucketRecord>(&dir.join("bucket.json"))? {
            Some(record) => {
                drop(buckets.insert(name, Arc::new(load_bucket(dir, &record, layout.lock())?)))
            }
            // Killed while the bucket was made or removed.
            None => layout::remove_tree(&dir).map_err(at(&dir))?,
        }
    }
    Ok(Store::new(layout, buckets))
}

fn load_bucket(dir: PathBuf, record: &BucketRecord, lock: Arc<Lock>) -> Result<Bucket, Error> {
    let bucket = Bucket::new(dir, record.created, Arc::clone(&lock));
    let mut manifests: HashMap<String, Manifest> = HashMap::new();
    for (_, path) in entries(&bucket.manifests())? {
        if let Some(manifest) = read_record::<Manifest>(&path)? {
            manifests.insert(manifest.data.clone(), manifest);
        }
    }
    for (id, path) in entries(&bucket.data())? {
        let upload_path = path.join("upload.json");
        let upload = read_record::<UploadRecord>(&upload_path)?;
        match (manifests.remove(&id), upload) {
            (Some(manifest), upload) => {
                if upload.is_some() {
                    // Killed right after the commit: the upload was complete.
                    finish_completion(&path, &manifest).map_err(at(&path))?;
                }
                bucket.insert_object(Object {
                    manifest,
                    dir: Arc::new(DataDir::existing(path, Arc::clone(&lock))),
                });
            }
            (None, Some(upload)) => {
                let parts = load_parts(&path)?;
                bucket.insert_upload(Upload::new(
                    id,
                    upload,
                    DataDir::existing(path, Arc::clone(&lock)),
                    parts,
                ));
            }
            (None, None) => layout::remove_tree(&path).map_err(at(&path))?,
        }
    }
    match manifests.into_values().next() {
        Some(orphan) => Err(Error::Damaged {
            path: bucket.manifest_path(&orphan.key),
            reason: "the data it refers to is missing".to_owned(),
        }),
        None => Ok(bucket),
    }
}

/// Removes what a completed upload needs no more: parts that the object does not use, then the record of the upload.
pub(super) fn finish_completion(dir: &Path, manifest: &Manifest) -> io::Result<()> {
    let used: Vec<String> = manifest.parts.iter().map(Part::file_name).collect();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        // Parts are in ascending order, and names sort as their numbers do.
        let is_used = name
            .to_str()
            .is_some_and(|name| used.binary_search_by(|u| u.as_str().cmp(name)).is_ok());
        if !is_used && name != "upload.json" {
            layout::remove_file(&dir.join(name))?;
        }
    }
    layout::remove_file(&dir.join("upload.json"))
}

fn load_parts(dir: &Path) -> Result<Parts, Error> {
    let mut parts = Parts::default();
    for entry in fs::read_dir(dir).map_err(at(dir))? {
        let entry = entry.map_err(at(dir))?;
        let file = entry.metadata().map_err(at(dir))?;
        let modified = file.modified().map_err(at(dir))?;
        let name = entry.file_name();
        let part = name
            .to_str()
            .and_then(|name| Part::parse(name, file.len(), modified.into()));
        if let Some(replaced) = part.and_then(|part| parts.insert(part)) {
            layout::remove_file(&dir.join(replaced.file_name())).map_err(at(dir))?;
        }
    }
    Ok(parts)
}

/// Names and paths in a directory. Names that are not UTF-8 are not ours.
fn entries(dir: &Path) -> Result<Vec<(String, PathBuf)>, Error> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(at(dir))? {
        let entry = entry.map_err(at(dir))?;
        if let Ok(name) = entry.file_name().into_string() {
            found.push((name, entry.path()));
        }
    }
    Ok(found)
}

fn read_record<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    match fs::read(path) {
        Ok(json) => serde_json::from_slice(&json)
            .map(Some)
            .map_err(|e| Error::Damaged {
                path: path.to_owned(),
                reason: e.to_string(),
            }),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(at(path)(e)),
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |source| Error::Io { path, source }
}
