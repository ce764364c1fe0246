//! PutObject, GetObject, HeadObject, DeleteObject, DeleteObjects.

use std::ops::Range;
use std::sync::Arc;

use s3s::dto::{
    self, Checksum, DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput,
    DeletedObject, ETag, ETagCondition, GetObjectInput, GetObjectOutput, HeadObjectInput,
    HeadObjectOutput, ObjectIdentifier, PutObjectInput, PutObjectOutput,
};
use s3s::{S3Result, TrailingHeaders, s3_error};
use uuid::Uuid;

use super::conditions::{ReadConditions, WriteConditions, range_not_satisfiable};
use super::error::{blocking, storage};
use super::index::{Bucket, Object, Store};
use super::layout::{DataDir, sync_parent};
use super::read;
use super::receive::{self, Promise, Received};
use super::records::{Headers, Manifest, Millis, Part};

/// S3's bound on names and values of user metadata together.
const MAX_METADATA_BYTES: usize = 2048;

pub(super) async fn put(
    store: &Arc<Store>,
    mut input: PutObjectInput,
    trailers: Option<TrailingHeaders>,
) -> S3Result<PutObjectOutput> {
    let body = input.body.take();
    let promise = Promise {
        length: input.content_length,
        md5: input.content_md5.take(),
        algorithm: input.checksum_algorithm.take(),
        checksums: Checksum {
            checksum_crc32: input.checksum_crc32.take(),
            checksum_crc32c: input.checksum_crc32c.take(),
            checksum_crc64nvme: input.checksum_crc64nvme.take(),
            checksum_sha1: input.checksum_sha1.take(),
            checksum_sha256: input.checksum_sha256.take(),
            ..Default::default()
        },
        trailers,
    };
    let (bucket, conditions, headers) = match before_put(store, &mut input) {
        Ok(ready) => ready,
        Err(error) => return Err(receive::refuse(body, error).await),
    };
    let received = receive::receive(store, body, promise).await?;
    let checksums = received.checksums.clone();
    let etag = received.md5.to_string();
    let store = Arc::clone(store);
    blocking(move || publish(&store, &bucket, input.key, headers, received, &conditions)).await?;
    Ok(PutObjectOutput {
        e_tag: Some(ETag::Strong(etag)),
        checksum_crc32: checksums.checksum_crc32,
        checksum_crc32c: checksums.checksum_crc32c,
        checksum_crc64nvme: checksums.checksum_crc64nvme,
        checksum_sha1: checksums.checksum_sha1,
        checksum_sha256: checksums.checksum_sha256,
        ..Default::default()
    })
}

/// What can be refused before the body is read.
fn before_put(
    store: &Store,
    input: &mut PutObjectInput,
) -> S3Result<(Arc<Bucket>, WriteConditions, Headers)> {
    let bucket = store.get_bucket(&input.bucket)?;
    refuse_encryption(
        input.server_side_encryption.is_some() || input.sse_customer_algorithm.is_some(),
    )?;
    refuse_extras(
        input.tagging.is_some(),
        input.object_lock_mode.is_some() || input.object_lock_legal_hold_status.is_some(),
    )?;
    if input.write_offset_bytes.is_some() {
        return Err(s3_error!(
            NotImplemented,
            "The embedded store does not append."
        ));
    }
    let conditions = WriteConditions::new(input.if_match.take(), input.if_none_match.take())?;
    conditions.check(
        bucket
            .find_object(&input.key)
            .as_deref()
            .map(|object| &object.manifest),
    )?;
    let headers = Headers {
        content_type: input.content_type.take(),
        content_encoding: input.content_encoding.take(),
        content_language: input.content_language.take(),
        content_disposition: input.content_disposition.take(),
        cache_control: input.cache_control.take(),
        expires: input.expires.take(),
        metadata: input.metadata.take().unwrap_or_default(),
    };
    Ok((bucket, conditions, headers.checked()?))
}

fn publish(
    store: &Store,
    bucket: &Bucket,
    key: String,
    headers: Headers,
    received: Received,
    conditions: &WriteConditions,
) -> S3Result<()> {
    let Received {
        file, size, md5, ..
    } = received;
    let data = Uuid::new_v4().simple().to_string();
    let part = Part {
        number: 1,
        sequence: 1,
        md5,
        size,
        modified: Millis::now(),
    };
    let placed = bucket.create_data(&data).and_then(|dir| {
        let path = dir.path().join(part.file_name());
        file.rename(&path)?;
        sync_parent(&path)?;
        Ok(dir)
    });
    let dir = placed.map_err(|error| bucket.explain(error))?;
    let manifest = Manifest {
        key,
        data,
        etag: md5.to_string(),
        size,
        modified: part.modified,
        is_multipart: false,
        headers,
        parts: vec![part],
    };
    commit(store, bucket, manifest, Arc::new(dir), conditions)
}

/// Commits an object whose data is in place.
pub(super) fn commit(
    store: &Store,
    bucket: &Bucket,
    manifest: Manifest,
    dir: Arc<DataDir>,
    conditions: &WriteConditions,
) -> S3Result<()> {
    let manifest_file = store.layout.prepare_record(&manifest).map_err(storage)?;
    let standing = bucket.stand()?;
    conditions.check(
        bucket
            .find_object(&manifest.key)
            .as_deref()
            .map(|object| &object.manifest),
    )?;
    bucket.commit_object(&standing, manifest_file, Object { manifest, dir })
}

pub(super) async fn get(store: &Store, input: GetObjectInput) -> S3Result<GetObjectOutput> {
    refuse_version(input.version_id.as_deref())?;
    let object = store.get_bucket(&input.bucket)?.get_object(&input.key)?;
    let conditions = ReadConditions {
        if_match: input.if_match,
        if_none_match: input.if_none_match,
        if_modified_since: input.if_modified_since,
        if_unmodified_since: input.if_unmodified_since,
    };
    conditions.check(&object.manifest)?;
    let range = resolve(&object.manifest, input.range, input.part_number)?;
    let whole = object.manifest.size;
    let wanted = range.clone().unwrap_or(0..whole);
    let length = wanted.end - wanted.start;
    let body = read::open(Arc::clone(&object), wanted).await?;
    let Manifest { headers, .. } = &object.manifest;
    let headers = headers.clone();
    Ok(GetObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        body: Some(body),
        cache_control: headers.cache_control,
        content_disposition: headers.content_disposition,
        content_encoding: headers.content_encoding,
        content_language: headers.content_language,
        content_length: Some(as_i64(length)),
        content_range: range.map(|range| content_range(&range, whole)),
        content_type: headers.content_type,
        e_tag: Some(ETag::Strong(object.manifest.etag.clone())),
        expires: headers.expires,
        last_modified: Some(object.manifest.modified.into()),
        metadata: Some(headers.metadata),
        parts_count: parts_count(&object.manifest, input.part_number),
        ..Default::default()
    })
}

pub(super) fn head(store: &Store, input: HeadObjectInput) -> S3Result<HeadObjectOutput> {
    refuse_version(input.version_id.as_deref())?;
    let object = store.get_bucket(&input.bucket)?.get_object(&input.key)?;
    let manifest = &object.manifest;
    let conditions = ReadConditions {
        if_match: input.if_match,
        if_none_match: input.if_none_match,
        if_modified_since: input.if_modified_since,
        if_unmodified_since: input.if_unmodified_since,
    };
    conditions.check(manifest)?;
    let range = resolve(manifest, input.range, input.part_number)?;
    let length = range
        .as_ref()
        .map_or(manifest.size, |range| range.end - range.start);
    let headers = manifest.headers.clone();
    Ok(HeadObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        cache_control: headers.cache_control,
        content_disposition: headers.content_disposition,
        content_encoding: headers.content_encoding,
        content_language: headers.content_language,
        content_length: Some(as_i64(length)),
        content_range: range.map(|range| content_range(&range, manifest.size)),
        content_type: headers.content_type,
        e_tag: Some(ETag::Strong(manifest.etag.clone())),
        expires: headers.expires,
        last_modified: Some(manifest.modified.into()),
        metadata: Some(headers.metadata),
        parts_count: parts_count(manifest, input.part_number),
        ..Default::default()
    })
}

/// The bytes that a `Range` or a `partNumber` means; `None` is all of them with status 200.
fn resolve(
    manifest: &Manifest,
    range: Option<dto::Range>,
    part_number: Option<i32>,
) -> S3Result<Option<Range<u64>>> {
    match (range, part_number) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(s3_error!(
            InvalidRequest,
            "Cannot specify both Range header and partNumber."
        )),
        (Some(range), None) => match range.check(manifest.size) {
            Ok(range) if !range.is_empty() => Ok(Some(range)),
            _ => Err(range_not_satisfiable(manifest.size)),
        },
        (None, Some(number)) => {
            let mut start = 0;
            for (part, position) in manifest.parts.iter().zip(1..) {
                if position == number {
                    return Ok((part.size > 0).then_some(start..start + part.size));
                }
                start += part.size;
            }
            Err(range_not_satisfiable(manifest.size))
        }
    }
}

fn parts_count(manifest: &Manifest, part_number: Option<i32>) -> Option<i32> {
    part_number
        .filter(|_| manifest.is_multipart)
        .and_then(|_| i32::try_from(manifest.parts.len()).ok())
}

fn content_range(range: &Range<u64>, size: u64) -> String {
    format!("bytes {}-{}/{size}", range.start, range.end - 1)
}

pub(super) async fn delete(
    store: &Arc<Store>,
    input: DeleteObjectInput,
) -> S3Result<DeleteObjectOutput> {
    let bucket = store.get_bucket(&input.bucket)?;
    refuse_version(input.version_id.as_deref())?;
    refuse_by_attributes(
        input.if_match_size.is_some() || input.if_match_last_modified_time.is_some(),
    )?;
    let conditions = WriteConditions::new(input.if_match, None)?;
    blocking(move || delete_if(&bucket, &input.key, &conditions)).await?;
    Ok(DeleteObjectOutput::default())
}

pub(super) async fn delete_many(
    store: &Arc<Store>,
    input: DeleteObjectsInput,
) -> S3Result<DeleteObjectsOutput> {
    let bucket = store.get_bucket(&input.bucket)?;
    if input.delete.objects.is_empty() || input.delete.objects.len() > 1000 {
        return Err(s3_error!(
            MalformedXML,
            "A request deletes from 1 to 1000 objects."
        ));
    }
    blocking(move || {
        let is_quiet = input.delete.quiet.unwrap_or(false);
        let mut deleted = Vec::new();
        let mut errors = Vec::new();
        for object in input.delete.objects {
            let key = Some(object.key.clone());
            // The lock is taken for each, so that uploads get their turn.
            match delete_identified(&bucket, object) {
                Ok(()) if is_quiet => {}
                Ok(()) => deleted.push(DeletedObject {
                    key,
                    ..Default::default()
                }),
                Err(error) => errors.push(dto::Error {
                    code: Some(error.code().as_str().to_owned()),
                    key,
                    message: error.message().map(str::to_owned),
                    version_id: None,
                }),
            }
        }
        Ok(DeleteObjectsOutput {
            deleted: Some(deleted),
            errors: Some(errors),
            ..Default::default()
        })
    })
    .await
}

fn delete_identified(bucket: &Bucket, object: ObjectIdentifier) -> S3Result<()> {
    refuse_version(object.version_id.as_deref())?;
    refuse_by_attributes(object.size.is_some() || object.last_modified_time.is_some())?;
    let conditions = WriteConditions::new(object.e_tag.map(ETagCondition::ETag), None)?;
    delete_if(bucket, &object.key, &conditions)
}

fn delete_if(bucket: &Bucket, key: &str, conditions: &WriteConditions) -> S3Result<()> {
    let standing = bucket.stand()?;
    conditions.check(
        bucket
            .find_object(key)
            .as_deref()
            .map(|object| &object.manifest),
    )?;
    bucket.delete_object(&standing, key)
}

impl Headers {
    /// Brings what the client sent into the form that is kept.
    pub(super) fn checked(mut self) -> S3Result<Self> {
        let metadata_bytes: usize = self
            .metadata
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        if metadata_bytes > MAX_METADATA_BYTES {
            return Err(s3_error!(
                MetadataTooLarge,
                "User metadata is at most 2 KB."
            ));
        }
        // `aws-chunked` describes the request, not the object.
        self.content_encoding = self.content_encoding.and_then(|encodings| {
            let kept: Vec<_> = encodings
                .split(',')
                .map(str::trim)
                .filter(|e| *e != "aws-chunked")
                .collect();
            (!kept.is_empty()).then(|| kept.join(","))
        });
        // What S3 answers when nothing was said.
        self.content_type
            .get_or_insert_with(|| "binary/octet-stream".to_owned());
        Ok(self)
    }
}

/// Storing in the clear what a client wanted encrypted would be a lie.
pub(super) fn refuse_encryption(is_wanted: bool) -> S3Result<()> {
    if is_wanted {
        return Err(s3_error!(
            NotImplemented,
            "The embedded store does not encrypt."
        ));
    }
    Ok(())
}

/// The only version of an object is called `null`, as in a bucket of S3 without versioning.
fn refuse_version(id: Option<&str>) -> S3Result<()> {
    match id {
        None | Some("null") => Ok(()),
        Some(_) => Err(s3_error!(
            NotImplemented,
            "The embedded store does not keep versions."
        )),
    }
}

/// Deleting without looking at a condition would delete what the client wants to keep.
fn refuse_by_attributes(is_wanted: bool) -> S3Result<()> {
    if is_wanted {
        return Err(s3_error!(
            NotImplemented,
            "The embedded store does not delete by size or time."
        ));
    }
    Ok(())
}

/// What would be forgotten although the client relies on it.
pub(super) fn refuse_extras(has_tags: bool, has_lock: bool) -> S3Result<()> {
    if has_tags || has_lock {
        return Err(s3_error!(
            NotImplemented,
            "The embedded store has no tags and no object lock."
        ));
    }
    Ok(())
}

pub(super) fn as_i64(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
