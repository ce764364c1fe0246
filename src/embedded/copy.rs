//! CopyObject: by sharing files.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use s3s::dto::{
    CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopySource, ETag, ETagCondition,
    MetadataDirective,
};
use s3s::{S3Result, s3_error};
use uuid::Uuid;

use super::conditions::{ReadConditions, WriteConditions};
use super::error::blocking;
use super::index::Store;
use super::layout::sync_parent;
use super::objects::{commit, refuse_encryption, refuse_extras};
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
    let CopySource::Bucket {
        bucket: source_bucket,
        key: source_key,
        version_id: None,
    } = input.copy_source
    else {
        return Err(s3_error!(
            NotImplemented,
            "A copy's source is a bucket and a key."
        ));
    };
    let source = store.get_bucket(&source_bucket)?.get_object(&source_key)?;
    let conditions = ReadConditions {
        if_match: input.copy_source_if_match,
        if_none_match: input.copy_source_if_none_match,
        if_modified_since: input.copy_source_if_modified_since,
        if_unmodified_since: input.copy_source_if_unmodified_since,
    };
    // A copy has no 304.
    conditions
        .check(&source.manifest)
        .map_err(|_| s3_error!(PreconditionFailed))?;

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
    } else if *source_bucket == *input.bucket && *source_key == *input.key {
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
