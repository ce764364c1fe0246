//! CopyObject: by sharing files. UploadPartCopy: by reading and writing, since a part begins and ends anywhere.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use s3s::dto::{
    self, CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopyPartResult, CopySource, ETag,
    ETagCondition, MetadataDirective, UploadPartCopyInput, UploadPartCopyOutput,
};
use s3s::{S3Result, s3_error};
use uuid::Uuid;

use super::conditions::{ReadConditions, WriteConditions};
use super::error::blocking;
use super::index::{Object, Store};
use super::layout::sync_parent;
use super::multipart;
use super::objects::{commit, refuse_encryption, refuse_extras};
use super::read;
use super::receive::{self, Promise};
use super::records::{Headers, Manifest, Millis};

/// The copy shares the files of the original by hard links, so it is instant whatever the size (S3's bound of 5 GiB is
/// not enforced), and it keeps the original's ETag, also one of a multipart upload.
///
/// `headers` are those of the request: `s3s` does not read the conditions on the target.
pub(super) async fn copy(
    store: &Arc<Store>,
    input: CopyObjectInput,
    headers: &HeaderMap,
) -> S3Result<CopyObjectOutput> {
    refuse_encryption(
        input.server_side_encryption.is_some() || input.sse_customer_algorithm.is_some(),
    )?;
    refuse_extras(
        input.tagging.is_some() || input.tagging_directive.is_some(),
        input.object_lock_mode.is_some() || input.object_lock_legal_hold_status.is_some(),
    )?;
    let on_target = WriteConditions::new(
        condition(headers, header::IF_MATCH)?,
        condition(headers, header::IF_NONE_MATCH)?,
    )?;
    let conditions = ReadConditions {
        if_match: input.copy_source_if_match,
        if_none_match: input.copy_source_if_none_match,
        if_modified_since: input.copy_source_if_modified_since,
        if_unmodified_since: input.copy_source_if_unmodified_since,
    };
    let is_onto_itself = is_same(&input.copy_source, &input.bucket, &input.key);
    let source = find_source(store, input.copy_source, &conditions)?;

    let replaces = input
        .metadata_directive
        .as_ref()
        .is_some_and(|d| d.as_str() == MetadataDirective::REPLACE);
    let headers = if replaces {
        let headers = Headers {
            content_type: input.content_type,
            content_encoding: input.content_encoding,
            content_language: input.content_language,
            content_disposition: input.content_disposition,
            cache_control: input.cache_control,
            expires: input.expires,
            metadata: input.metadata.unwrap_or_default(),
        };
        headers.checked()?
    } else if is_onto_itself {
        return Err(s3_error!(
            InvalidRequest,
            "A copy of an object to itself must change its metadata."
        ));
    } else {
        source.manifest.headers.clone()
    };

    let bucket = store.get_bucket(&input.bucket)?;
    let store = Arc::clone(store);
    blocking(move || {
        let data = Uuid::new_v4().simple().to_string();
        let shared = bucket.create_data(&data).and_then(|dir| {
            for part in &source.manifest.parts {
                let name = part.file_name();
                share(&source.dir.path().join(&name), &dir.path().join(&name))?;
            }
            sync_parent(&dir.path().join("any"))?;
            Ok(dir)
        });
        let dir = shared.map_err(|error| bucket.explain(error))?;
        let manifest = Manifest {
            key: input.key,
            data,
            etag: source.manifest.etag.clone(),
            size: source.manifest.size,
            modified: Millis::now(),
            is_multipart: source.manifest.is_multipart,
            headers,
            parts: source.manifest.parts.clone(),
        };
        let result = CopyObjectResult {
            e_tag: Some(ETag::Strong(manifest.etag.clone())),
            last_modified: Some(manifest.modified.into()),
            ..Default::default()
        };
        commit(&store, &bucket, manifest, Arc::new(dir), &on_target)?;
        Ok(CopyObjectOutput {
            copy_object_result: Some(result),
            ..Default::default()
        })
    })
    .await
}

/// A part whose bytes are an object's, or a range of one: read and written as if a client had sent them.
pub(super) async fn copy_part(
    store: &Arc<Store>,
    input: UploadPartCopyInput,
) -> S3Result<UploadPartCopyOutput> {
    refuse_encryption(
        input.sse_customer_algorithm.is_some()
            || input.copy_source_sse_customer_algorithm.is_some(),
    )?;
    let number = multipart::part_number(input.part_number)?;
    let upload = store
        .get_bucket(&input.bucket)?
        .get_upload(&input.key, &input.upload_id)?;
    let conditions = ReadConditions {
        if_match: input.copy_source_if_match,
        if_none_match: input.copy_source_if_none_match,
        if_modified_since: input.copy_source_if_modified_since,
        if_unmodified_since: input.copy_source_if_unmodified_since,
    };
    let source = find_source(store, input.copy_source, &conditions)?;
    let size = source.manifest.size;
    let range = match input.copy_source_range {
        Some(header) => source_range(&header, size)?,
        None => 0..size,
    };
    let promise = Promise::of_length(range.end - range.start);
    let body = read::open(source, range).await?;
    let received = receive::receive(store, Some(body), promise).await?;
    let md5 = received.md5;
    let modified = Millis::now();
    multipart::take_part(upload, number, received).await?;
    Ok(UploadPartCopyOutput {
        copy_part_result: Some(CopyPartResult {
            e_tag: Some(ETag::Strong(md5.to_string())),
            last_modified: Some(modified.into()),
            ..Default::default()
        }),
        ..Default::default()
    })
}

/// The bytes of an object of `size` bytes that an `x-amz-copy-source-range` means. It names both ends, and both are there.
fn source_range(header: &str, size: u64) -> S3Result<Range<u64>> {
    match dto::Range::parse(header) {
        Ok(dto::Range::Int {
            first,
            last: Some(last),
        }) if last < size => Ok(first..last + 1),
        Ok(dto::Range::Int { last: Some(_), .. }) => Err(s3_error!(
            InvalidArgument,
            "The range is not within the source, which has {size} bytes."
        )),
        _ => Err(s3_error!(
            InvalidArgument,
            "A range of a copy's source has the form bytes=first-last."
        )),
    }
}

/// The object that is copied from.
fn find_source(
    store: &Store,
    source: CopySource,
    conditions: &ReadConditions,
) -> S3Result<Arc<Object>> {
    let CopySource::Bucket {
        bucket,
        key,
        version_id: None,
    } = source
    else {
        return Err(s3_error!(
            NotImplemented,
            "A copy's source is a bucket and a key."
        ));
    };
    let object = store.get_bucket(&bucket)?.get_object(&key)?;
    // A copy has no 304.
    conditions
        .check(&object.manifest)
        .map_err(|_| s3_error!(PreconditionFailed))?;
    Ok(object)
}

fn is_same(source: &CopySource, bucket: &str, key: &str) -> bool {
    matches!(source, CopySource::Bucket { bucket: from, key: name, .. } if **from == *bucket && **name == *key)
}

fn condition(headers: &HeaderMap, name: HeaderName) -> S3Result<Option<ETagCondition>> {
    let parse = |value: &HeaderValue| {
        ETagCondition::parse_http_header(value.as_bytes())
            .map_err(|_| s3_error!(InvalidArgument, "A condition is neither an ETag nor *."))
    };
    headers.get(name).map(parse).transpose()
}

/// A second name for a file, or a copy where the file system has no such thing or no more of them. Files of data are
/// never written again, so sharing them is safe.
fn share(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Err(e),
        Err(_) => fs::copy(from, to).and_then(|_| fs::File::open(to)?.sync_data()),
    }
}
