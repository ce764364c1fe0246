//! ListObjectsV2, ListObjects, ListParts, ListMultipartUploads.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::{
    CommonPrefix, ETag, EncodingType, ListMultipartUploadsInput, ListMultipartUploadsOutput,
    ListObjectsInput, ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output, ListPartsInput,
    ListPartsOutput, MultipartUpload, ObjectStorageClass, Part, StorageClass,
};
use s3s::{S3Result, s3_error};

use super::error::blocking;
use super::index::{Object, Store, UploadId};
use super::objects::as_i64;

/// The most entries in one answer, and how many there are when the client does not say.
const MAX_ENTRIES: i32 = 1000;

/// What stays as it is with `encoding-type=url`.
const UNENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// The selection that all listings by key share.
struct Selection {
    prefix: String,
    /// Empty: no grouping.
    delimiter: String,
    max: usize,
}

/// One entry of a listing by key.
enum Entry<T> {
    Item(T),
    /// All keys that begin with this, up to and with the delimiter.
    Group(String),
}

struct Page<T> {
    entries: Vec<Entry<T>>,
    is_truncated: bool,
}

impl Selection {
    /// Takes entries from an index sorted by key, from `start` on. `key_of` and `past` tell how keys of the map relate
    /// to keys of objects: `past` gives the least that is behind all that begin with a prefix.
    fn page<K: Ord, V>(
        &self,
        map: &BTreeMap<K, Arc<V>>,
        start: Bound<K>,
        key_of: impl Fn(&K) -> &[u8],
        past: impl Fn(&[u8]) -> Option<K>,
    ) -> Page<Arc<V>> {
        let mut entries = Vec::new();
        let mut from = Some(start);
        'groups: while let Some(start) = from.take() {
            for (map_key, value) in map.range((start, Bound::Unbounded)) {
                let key = key_of(map_key);
                let Some(rest) = key.strip_prefix(self.prefix.as_bytes()) else {
                    break 'groups;
                };
                if entries.len() == self.max {
                    return Page {
                        entries,
                        is_truncated: self.max > 0,
                    };
                }
                match find(rest, self.delimiter.as_bytes()) {
                    None => entries.push(Entry::Item(Arc::clone(value))),
                    Some(end) => {
                        let group = &key[..self.prefix.len() + end];
                        entries.push(Entry::Group(String::from_utf8_lossy(group).into_owned()));
                        from = past(group).map(Bound::Included);
                        continue 'groups;
                    }
                }
            }
        }
        Page {
            entries,
            is_truncated: false,
        }
    }
}

/// Where the first `needle` in `haystack` ends; `None` also for an empty one.
fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    if needle.is_empty() {
        return None;
    }
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
        .map(|at| at + needle.len())
}

/// The least sequence of bytes that is greater than everything that begins with `prefix`.
fn past(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut bound = prefix.to_vec();
    while let Some(last) = bound.pop() {
        if last < u8::MAX {
            bound.push(last + 1);
            return Some(bound);
        }
    }
    None
}

/// Where a listing begins: after `marker`, but not before the prefix. A marker that is itself a group, as the one a
/// page ended with, stands for all of it.
fn start_after(marker: &str, prefix: &str, delimiter: &str) -> Option<Bound<Vec<u8>>> {
    let is_group = !delimiter.is_empty()
        && marker
            .strip_prefix(prefix)
            .is_some_and(|rest| find(rest.as_bytes(), delimiter.as_bytes()) == Some(rest.len()));
    if is_group {
        return past(marker.as_bytes()).map(Bound::Included);
    }
    Some(if marker.as_bytes() < prefix.as_bytes() {
        Bound::Included(prefix.as_bytes().to_vec())
    } else {
        Bound::Excluded(marker.as_bytes().to_vec())
    })
}

pub(super) fn objects_v2(
    store: &Store,
    input: ListObjectsV2Input,
) -> S3Result<ListObjectsV2Output> {
    let token = input
        .continuation_token
        .as_deref()
        .map(decode_token)
        .transpose()?;
    let start_after = input.start_after.clone().unwrap_or_default();
    let marker = token.as_deref().unwrap_or(&start_after);
    let selection = select(&input.prefix, &input.delimiter, input.max_keys)?;
    let page = object_page(store, &input.bucket, &selection, marker)?;
    let encode = encoder(input.encoding_type.as_ref())?;
    let next = page
        .is_truncated
        .then(|| {
            page.entries
                .last()
                .map(|entry| encode_token(last_key(entry)))
        })
        .flatten();
    let is_truncated = page.is_truncated;
    let key_count = i32::try_from(page.entries.len()).ok();
    let (contents, common_prefixes) = split_objects(page, &encode);
    Ok(ListObjectsV2Output {
        name: Some(input.bucket),
        prefix: Some(encode(&selection.prefix)),
        delimiter: input.delimiter.as_deref().map(&encode),
        start_after: input.start_after.as_deref().map(&encode),
        max_keys: Some(input.max_keys.unwrap_or(MAX_ENTRIES).min(MAX_ENTRIES)),
        encoding_type: input.encoding_type,
        continuation_token: input.continuation_token,
        next_continuation_token: next,
        key_count,
        is_truncated: Some(is_truncated),
        contents: Some(contents),
        common_prefixes: Some(common_prefixes),
        ..Default::default()
    })
}

pub(super) fn objects_v1(store: &Store, input: ListObjectsInput) -> S3Result<ListObjectsOutput> {
    let marker = input.marker.clone().unwrap_or_default();
    let selection = select(&input.prefix, &input.delimiter, input.max_keys)?;
    let page = object_page(store, &input.bucket, &selection, &marker)?;
    let encode = encoder(input.encoding_type.as_ref())?;
    let next = page
        .is_truncated
        .then(|| page.entries.last().map(|entry| encode(last_key(entry))))
        .flatten();
    let is_truncated = page.is_truncated;
    let (contents, common_prefixes) = split_objects(page, &encode);
    Ok(ListObjectsOutput {
        name: Some(input.bucket),
        prefix: Some(encode(&selection.prefix)),
        delimiter: input.delimiter.as_deref().map(&encode),
        marker: Some(encode(&marker)),
        next_marker: next,
        max_keys: Some(input.max_keys.unwrap_or(MAX_ENTRIES).min(MAX_ENTRIES)),
        encoding_type: input.encoding_type,
        is_truncated: Some(is_truncated),
        contents: Some(contents),
        common_prefixes: Some(common_prefixes),
        ..Default::default()
    })
}

fn object_page(
    store: &Store,
    bucket: &str,
    selection: &Selection,
    marker: &str,
) -> S3Result<Page<Arc<Object>>> {
    let bucket = store.get_bucket(bucket)?;
    let Some(start) = start_after(marker, &selection.prefix, &selection.delimiter) else {
        return Ok(Page {
            entries: Vec::new(),
            is_truncated: false,
        });
    };
    let objects = bucket.objects();
    Ok(selection.page(&objects, start, Vec::as_slice, past))
}

fn split_objects(
    page: Page<Arc<Object>>,
    encode: &impl Fn(&str) -> String,
) -> (Vec<s3s::dto::Object>, Vec<CommonPrefix>) {
    split(page, encode, |object| s3s::dto::Object {
        key: Some(encode(&object.manifest.key)),
        e_tag: Some(ETag::Strong(object.manifest.etag.clone())),
        size: Some(as_i64(object.manifest.size)),
        last_modified: Some(object.manifest.modified.into()),
        storage_class: Some(ObjectStorageClass::from_static(
            ObjectStorageClass::STANDARD,
        )),
        ..Default::default()
    })
}

fn last_key(entry: &Entry<Arc<Object>>) -> &str {
    match entry {
        Entry::Item(object) => &object.manifest.key,
        Entry::Group(group) => group,
    }
}

pub(super) fn uploads(
    store: &Store,
    input: ListMultipartUploadsInput,
) -> S3Result<ListMultipartUploadsOutput> {
    let bucket = store.get_bucket(&input.bucket)?;
    let selection = select(&input.prefix, &input.delimiter, input.max_uploads)?;
    let key_marker = input.key_marker.clone().unwrap_or_default();
    let id_marker = input.upload_id_marker.clone().unwrap_or_default();
    // Without an id marker the listing goes on behind all uploads of the marked key.
    let has_id = !id_marker.is_empty() && key_marker.as_bytes() >= selection.prefix.as_bytes();
    let start: Option<Bound<UploadId>> = if !key_marker.is_empty() && has_id {
        Some(Bound::Excluded((
            key_marker.clone().into_bytes(),
            id_marker,
        )))
    } else {
        start_after(&key_marker, &selection.prefix, &selection.delimiter).map(|bound| match bound {
            Bound::Excluded(mut key) => {
                key.push(0);
                Bound::Included((key, String::new()))
            }
            bound => bound.map(|key| (key, String::new())),
        })
    };
    let page = match start {
        Some(start) => {
            let uploads = bucket.uploads();
            let past_group = |group: &[u8]| past(group).map(|key| (key, String::new()));
            selection.page(&uploads, start, |(key, _)| key.as_slice(), past_group)
        }
        None => Page {
            entries: Vec::new(),
            is_truncated: false,
        },
    };
    let encode = encoder(input.encoding_type.as_ref())?;
    let is_truncated = page.is_truncated;
    let (next_key, next_id) = match page.entries.last().filter(|_| is_truncated) {
        Some(Entry::Item(upload)) => (Some(encode(&upload.record.key)), Some(upload.id.clone())),
        Some(Entry::Group(group)) => (Some(encode(group)), None),
        None => (None, None),
    };
    let (uploads, common_prefixes) = split(page, &encode, |upload| MultipartUpload {
        key: Some(encode(&upload.record.key)),
        upload_id: Some(upload.id.clone()),
        initiated: Some(upload.record.initiated.into()),
        storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
        ..Default::default()
    });
    Ok(ListMultipartUploadsOutput {
        bucket: Some(input.bucket),
        prefix: input.prefix.as_deref().map(&encode),
        delimiter: input.delimiter.as_deref().map(&encode),
        key_marker: Some(encode(&key_marker)),
        upload_id_marker: input.upload_id_marker,
        next_key_marker: next_key,
        next_upload_id_marker: next_id,
        max_uploads: Some(input.max_uploads.unwrap_or(MAX_ENTRIES).min(MAX_ENTRIES)),
        encoding_type: input.encoding_type,
        is_truncated: Some(is_truncated),
        uploads: Some(uploads),
        common_prefixes: Some(common_prefixes),
        ..Default::default()
    })
}

pub(super) async fn parts(store: &Store, input: ListPartsInput) -> S3Result<ListPartsOutput> {
    let upload = store
        .get_bucket(&input.bucket)?
        .get_upload(&input.key, &input.upload_id)?;
    let max = limit(input.max_parts)?;
    let marker = input.part_number_marker.unwrap_or(0);
    let (parts, is_truncated) = blocking(move || {
        let open = upload.open_parts()?;
        let mut rest = open
            .by_number()
            .values()
            .filter(|part| i32::from(part.number) > marker);
        let parts: Vec<Part> = rest
            .by_ref()
            .take(max)
            .map(|part| Part {
                part_number: Some(part.number.into()),
                e_tag: Some(ETag::Strong(part.md5.to_string())),
                size: Some(as_i64(part.size)),
                last_modified: Some(part.modified.into()),
                ..Default::default()
            })
            .collect();
        let is_truncated = !parts.is_empty() && rest.next().is_some();
        Ok((parts, is_truncated))
    })
    .await?;
    Ok(ListPartsOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(input.upload_id),
        part_number_marker: Some(marker),
        next_part_number_marker: parts
            .last()
            .and_then(|part| part.part_number)
            .filter(|_| is_truncated),
        max_parts: Some(input.max_parts.unwrap_or(MAX_ENTRIES).min(MAX_ENTRIES)),
        is_truncated: Some(is_truncated),
        parts: Some(parts),
        storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
        ..Default::default()
    })
}

fn select(
    prefix: &Option<String>,
    delimiter: &Option<String>,
    max: Option<i32>,
) -> S3Result<Selection> {
    Ok(Selection {
        prefix: prefix.clone().unwrap_or_default(),
        delimiter: delimiter.clone().unwrap_or_default(),
        max: limit(max)?,
    })
}

fn limit(max: Option<i32>) -> S3Result<usize> {
    usize::try_from(max.unwrap_or(MAX_ENTRIES).min(MAX_ENTRIES))
        .map_err(|_| s3_error!(InvalidArgument, "The number of entries cannot be negative."))
}

fn split<T, U>(
    page: Page<T>,
    encode: &impl Fn(&str) -> String,
    describe: impl Fn(&T) -> U,
) -> (Vec<U>, Vec<CommonPrefix>) {
    let mut items = Vec::new();
    let mut groups = Vec::new();
    for entry in page.entries {
        match entry {
            Entry::Item(item) => items.push(describe(&item)),
            Entry::Group(group) => groups.push(CommonPrefix {
                prefix: Some(encode(&group)),
            }),
        }
    }
    (items, groups)
}

/// How keys are written into the answer: as they are or, as XML cannot carry every character, percent-encoded.
fn encoder(encoding: Option<&EncodingType>) -> S3Result<impl Fn(&str) -> String + use<>> {
    let encodes = match encoding.map(EncodingType::as_str) {
        None => false,
        Some(EncodingType::URL) => true,
        Some(_) => {
            return Err(s3_error!(
                InvalidArgument,
                "Invalid Encoding Method specified in Request."
            ));
        }
    };
    Ok(move |key: &str| match encodes {
        true => utf8_percent_encode(key, UNENCODED).to_string(),
        false => key.to_owned(),
    })
}

/// A token is the last key of the page in hexadecimal: any key can pass through XML and URLs that way.
fn encode_token(key: &str) -> String {
    key.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn decode_token(token: &str) -> S3Result<String> {
    let digits = token.as_bytes().chunks(2);
    let bytes: Option<Vec<u8>> = digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| {
            s3_error!(
                InvalidArgument,
                "The continuation token provided is incorrect."
            )
        })
}
