//! CreateBucket, HeadBucket, ListBuckets, DeleteBucket, GetBucketLocation.

use std::sync::Arc;

use s3s::dto::{
    Bucket, CreateBucketInput, CreateBucketOutput, DeleteBucketInput, DeleteBucketOutput,
    GetBucketLocationInput, GetBucketLocationOutput, HeadBucketInput, HeadBucketOutput,
    ListBucketsInput, ListBucketsOutput,
};
use s3s::{S3Result, s3_error};

use super::error::blocking;
use super::index::Store;

/// The region the store says it is in. Any other region in a signature is accepted too.
pub(super) const REGION: &str = "us-east-1";

/// `region` is that of the request's signature. As on AWS, making one's own bucket again is an error everywhere but in
/// us-east-1.
pub(super) async fn create(
    store: &Arc<Store>,
    input: CreateBucketInput,
    region: Option<String>,
) -> S3Result<CreateBucketOutput> {
    let store = Arc::clone(store);
    let location = format!("/{}", input.bucket);
    let is_new = blocking(move || store.create_bucket(&input.bucket)).await?;
    if !is_new && region.is_some_and(|region| region != REGION) {
        return Err(s3_error!(
            BucketAlreadyOwnedByYou,
            "The bucket is already there, and it is yours."
        ));
    }
    Ok(CreateBucketOutput {
        location: Some(location),
    })
}

pub(super) fn head(store: &Store, input: &HeadBucketInput) -> S3Result<HeadBucketOutput> {
    store.get_bucket(&input.bucket)?;
    Ok(HeadBucketOutput {
        bucket_region: Some(REGION.to_owned()),
        ..Default::default()
    })
}

/// The constraint of us-east-1 is the empty one.
pub(super) fn location(
    store: &Store,
    input: &GetBucketLocationInput,
) -> S3Result<GetBucketLocationOutput> {
    store.get_bucket(&input.bucket)?;
    Ok(GetBucketLocationOutput::default())
}

/// All buckets that match, in one page: a directory of one machine does not have thousands.
pub(super) fn list(store: &Store, input: ListBucketsInput) -> ListBucketsOutput {
    let prefix = input.prefix.unwrap_or_default();
    let buckets = store
        .list_buckets()
        .into_iter()
        .filter(|(name, _)| name.starts_with(&prefix));
    let buckets = buckets.map(|(name, created)| Bucket {
        name: Some(name),
        creation_date: Some(created.into()),
        ..Default::default()
    });
    ListBucketsOutput {
        buckets: Some(buckets.collect()),
        ..Default::default()
    }
}

/// Open uploads do not keep a bucket; they end with it.
pub(super) async fn delete(
    store: &Arc<Store>,
    input: DeleteBucketInput,
) -> S3Result<DeleteBucketOutput> {
    let store = Arc::clone(store);
    match blocking(move || store.delete_bucket(&input.bucket)).await? {
        true => Ok(DeleteBucketOutput::default()),
        false => Err(s3_error!(
            BucketNotEmpty,
            "The bucket you tried to delete is not empty."
        )),
    }
}
