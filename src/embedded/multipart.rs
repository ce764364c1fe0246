//! CreateMultipartUpload, UploadPart, CompleteMultipartUpload, AbortMultipartUpload.

use std::sync::Arc;
use std::time::SystemTime;

use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, Checksum, CompleteMultipartUploadInput,
    CompleteMultipartUploadOutput, CompletedPart, CreateMultipartUploadInput,
    CreateMultipartUploadOutput, ETag, UploadPartInput, UploadPartOutput,
};
use s3s::{S3Error, S3ErrorCode, S3Result, TrailingHeaders, s3_error};
use uuid::Uuid;

use super::conditions::WriteConditions;
use super::error::{blocking, storage};
use super::index::{Bucket, Object, Parts, Store, Upload};
use super::layout::{self, sync_parent};
use super::objects::{refuse_encryption, refuse_extras};
use super::receive::{self, Promise, Received};
use super::records::{Headers, Manifest, Md5, Millis, Part, UploadRecord, multipart_etag};
use super::recover::finish_completion;

/// The smallest part S3 takes, except for the last.
const MIN_PART_BYTES: u64 = 5 * 1024 * 1024;

/// Part numbers are 1 to this.
const MAX_PART_NUMBER: u16 = 10_000;

pub(super) async fn create(
    store: &Arc<Store>,
    input: CreateMultipartUploadInput,
) -> S3Result<CreateMultipartUploadOutput> {
    let bucket = store.get_bucket(&input.bucket)?;
    refuse_encryption(
        input.server_side_encryption.is_some() || input.sse_customer_algorithm.is_some(),
    )?;
    refuse_extras(
        input.tagging.is_some(),
        input.object_lock_mode.is_some() || input.object_lock_legal_hold_status.is_some(),
    )?;
    let headers = Headers {
        content_type: input.content_type,
        content_encoding: input.content_encoding,
        content_language: input.content_language,
        content_disposition: input.content_disposition,
        cache_control: input.cache_control,
        expires: input.expires,
        metadata: input.metadata.unwrap_or_default(),
    };
    let record = UploadRecord {
        key: input.key.clone(),
        initiated: Millis::now(),
        headers: headers.checked()?,
    };
    let id = upload_id();
    let output = CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(id.clone()),
        ..Default::default()
    };
    let store = Arc::clone(store);
    blocking(move || {
        let _standing = bucket.stand()?;
        let dir = bucket.create_data(&id).map_err(storage)?;
        let upload = Upload::new(id, record, dir, Parts::default());
        store
            .layout
            .write_record(&upload.record_path(), &upload.record)
            .map_err(storage)?;
        upload.dir.keep();
        bucket.insert_upload(upload);
        Ok(())
    })
    .await?;
    Ok(output)
}

/// Ids sort by the time they were made at, as uploads of one key are listed.
fn upload_id() -> String {
    let elapsed = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    format!("{:020x}{}", elapsed.as_nanos(), Uuid::new_v4().simple())
}

pub(super) async fn upload_part(
    store: &Arc<Store>,
    input: UploadPartInput,
    trailers: Option<TrailingHeaders>,
) -> S3Result<UploadPartOutput> {
    let promise = Promise {
        length: input.content_length,
        md5: input.content_md5,
        algorithm: input.checksum_algorithm,
        checksums: Checksum {
            checksum_crc32: input.checksum_crc32,
            checksum_crc32c: input.checksum_crc32c,
            checksum_crc64nvme: input.checksum_crc64nvme,
            checksum_sha1: input.checksum_sha1,
            checksum_sha256: input.checksum_sha256,
            ..Default::default()
        },
        trailers,
    };
    let found = part_number(input.part_number).and_then(|number| {
        let upload = store
            .get_bucket(&input.bucket)?
            .get_upload(&input.key, &input.upload_id)?;
        Ok((number, upload))
    });
    let (number, upload) = match found {
        Ok(found) => found,
        Err(error) => return Err(receive::refuse(input.body, error).await),
    };
    let received = receive::receive(store, input.body, promise).await?;
    let (md5, checksums) = (received.md5, received.checksums.clone());
    take_part(upload, number, received).await?;
    Ok(UploadPartOutput {
        e_tag: Some(ETag::Strong(md5.to_string())),
        checksum_crc32: checksums.checksum_crc32,
        checksum_crc32c: checksums.checksum_crc32c,
        checksum_crc64nvme: checksums.checksum_crc64nvme,
        checksum_sha1: checksums.checksum_sha1,
        checksum_sha256: checksums.checksum_sha256,
        ..Default::default()
    })
}

/// Puts a file in its place as a part of an open upload, where it may replace an older one.
pub(super) async fn take_part(
    upload: Arc<Upload>,
    number: u16,
    received: Received,
) -> S3Result<()> {
    let Received {
        file, size, md5, ..
    } = received;
    blocking(move || {
        // An abort in the meantime closed the upload; the file then goes with the error.
        let mut parts = upload.open_parts()?;
        let part = parts.next(number, md5, size);
        let path = upload.dir.path().join(part.file_name());
        file.rename(&path).map_err(storage)?;
        let replaced = parts.insert(part);
        sync_parent(&path).map_err(storage)?;
        if let Some(replaced) = replaced {
            layout::remove_file(&upload.dir.path().join(replaced.file_name())).map_err(storage)?;
        }
        Ok(())
    })
    .await
}

pub(super) fn part_number(number: i32) -> S3Result<u16> {
    match u16::try_from(number) {
        Ok(number @ 1..=MAX_PART_NUMBER) => Ok(number),
        _ => Err(s3_error!(
            InvalidArgument,
            "Part number must be an integer between 1 and 10000, inclusive."
        )),
    }
}

pub(super) async fn complete(
    store: &Arc<Store>,
    input: CompleteMultipartUploadInput,
) -> S3Result<CompleteMultipartUploadOutput> {
    let bucket = store.get_bucket(&input.bucket)?;
    let has_checksum = input.checksum_crc32.is_some()
        || input.checksum_crc32c.is_some()
        || input.checksum_crc64nvme.is_some()
        || input.checksum_sha1.is_some()
        || input.checksum_sha256.is_some();
    if has_checksum {
        // To check it, every byte would have to be read again.
        return Err(s3_error!(
            NotImplemented,
            "The embedded store checks parts, not the object they make."
        ));
    }
    let conditions = WriteConditions::new(input.if_match, input.if_none_match)?;
    let listed = parse_list(
        input
            .multipart_upload
            .and_then(|list| list.parts)
            .unwrap_or_default(),
    )?;
    let mut output = CompleteMultipartUploadOutput {
        location: Some(format!("/{}/{}", input.bucket, input.key)),
        bucket: Some(input.bucket),
        key: Some(input.key.clone()),
        ..Default::default()
    };
    let store = Arc::clone(store);
    let etag = blocking(move || {
        let upload = bucket.get_upload(&input.key, &input.upload_id);
        let size = input.mpu_object_size;
        let done =
            upload.and_then(|upload| commit(&store, &bucket, &upload, &listed, size, &conditions));
        done.or_else(|error| match error.code() {
            // Completed already, perhaps by a request that this one waited for.
            S3ErrorCode::NoSuchUpload => {
                completed_before(&bucket, &input.key, &input.upload_id, &listed).ok_or(error)
            }
            _ => Err(error),
        })
    })
    .await?;
    output.e_tag = Some(ETag::Strong(etag));
    Ok(output)
}

/// The list of a completion: ascending numbers, each with the ETag that its upload answered.
fn parse_list(parts: Vec<CompletedPart>) -> S3Result<Vec<(u16, Md5)>> {
    if parts.is_empty() {
        return Err(s3_error!(
            MalformedXML,
            "You must specify at least one part."
        ));
    }
    let mut listed = Vec::with_capacity(parts.len());
    for part in parts {
        let number = part_number(
            part.part_number
                .ok_or_else(|| s3_error!(MalformedXML, "A part has no number."))?,
        )?;
        if listed
            .last()
            .is_some_and(|(previous, _)| *previous >= number)
        {
            return Err(s3_error!(
                InvalidPartOrder,
                "The list of parts was not in ascending order."
            ));
        }
        let md5 = part
            .e_tag
            .and_then(|etag| etag.value().parse().ok())
            .ok_or_else(|| invalid_part(number))?;
        listed.push((number, md5));
    }
    Ok(listed)
}

fn commit(
    store: &Store,
    bucket: &Bucket,
    upload: &Upload,
    listed: &[(u16, Md5)],
    expected_size: Option<i64>,
    conditions: &WriteConditions,
) -> S3Result<String> {
    let standing = bucket.stand()?;
    let mut parts = upload.open_parts()?;
    let chosen = choose(&parts, listed)?;
    let size = chosen.iter().map(|part| part.size).sum();
    if expected_size.is_some_and(|expected| u64::try_from(expected) != Ok(size)) {
        return Err(s3_error!(
            InvalidRequest,
            "The parts do not add up to x-amz-mp-object-size."
        ));
    }
    let etag = multipart_etag(chosen.iter().map(|part| part.md5));
    conditions.check(
        bucket
            .find_object(&upload.record.key)
            .as_deref()
            .map(|object| &object.manifest),
    )?;

    let manifest = Manifest {
        key: upload.record.key.clone(),
        data: upload.id.clone(),
        etag: etag.clone(),
        size,
        modified: Millis::now(),
        is_multipart: true,
        headers: upload.record.headers.clone(),
        parts: chosen,
    };
    let manifest_file = store.layout.prepare_record(&manifest).map_err(storage)?;
    let key = manifest.key.clone();
    let committed = bucket.commit_object(
        &standing,
        manifest_file,
        Object {
            manifest,
            dir: Arc::clone(&upload.dir),
        },
    );
    // An error before the commit point leaves the upload as it was, to be completed again; one after it does not.
    let object = bucket
        .find_object(&key)
        .filter(|object| object.manifest.data == upload.id);
    if let Some(object) = object {
        parts.close();
        bucket.remove_upload(upload);
        if let Err(error) = finish_completion(upload.dir.path(), &object.manifest) {
            tracing::warn!(%error, "embedded store: unused parts of an upload stay until the next start");
        }
    }
    committed.map(|()| etag)
}

/// Finds the listed parts among those on disk.
fn choose(parts: &Parts, listed: &[(u16, Md5)]) -> S3Result<Vec<Part>> {
    let mut chosen = Vec::with_capacity(listed.len());
    for (number, md5) in listed {
        match parts.by_number().get(number) {
            Some(part) if part.md5 == *md5 => chosen.push(part.clone()),
            _ => return Err(invalid_part(*number)),
        }
    }
    let all_but_last = chosen.iter().rev().skip(1);
    match all_but_last.rev().find(|part| part.size < MIN_PART_BYTES) {
        Some(part) => Err(s3_error!(
            EntityTooSmall,
            "Part {} has {} bytes; only the last may have fewer than {MIN_PART_BYTES}.",
            part.number,
            part.size
        )),
        None => Ok(chosen),
    }
}

/// A client that did not see the answer completes again. As on AWS that succeeds while the object it made is there.
fn completed_before(bucket: &Bucket, key: &str, id: &str, listed: &[(u16, Md5)]) -> Option<String> {
    let object = bucket
        .find_object(key)
        .filter(|object| object.manifest.data == id)?;
    let etag = multipart_etag(listed.iter().map(|(_, md5)| *md5));
    (etag == object.manifest.etag).then_some(etag)
}

fn invalid_part(number: u16) -> S3Error {
    s3_error!(
        InvalidPart,
        "Part {number} was not uploaded, or has another ETag."
    )
}

pub(super) async fn abort(
    store: &Arc<Store>,
    input: AbortMultipartUploadInput,
) -> S3Result<AbortMultipartUploadOutput> {
    let bucket = store.get_bucket(&input.bucket)?;
    blocking(move || {
        let upload = bucket.get_upload(&input.key, &input.upload_id)?;
        {
            let mut parts = upload.open_parts()?;
            // Without its record the directory is nobody's, also after a crash.
            let record = upload.record_path();
            layout::remove_file(&record)
                .and_then(|()| sync_parent(&record))
                .map_err(storage)?;
            parts.close();
        }
        bucket.remove_upload(&upload);
        upload.dir.doom();
        Ok(())
    })
    .await?;
    Ok(AbortMultipartUploadOutput::default())
}
