//! Buckets and credentials.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{Credentials, Region};

use super::*;

#[tokio::test]
async fn buckets_are_made_listed_and_removed() {
    let f = Fixture::new().await;
    f.client.head_bucket().bucket(BUCKET).send().await.unwrap();
    let listed = f.client.list_buckets().send().await.unwrap();
    assert_eq!(listed.buckets()[0].name(), Some(BUCKET));
    assert!(listed.buckets()[0].creation_date().is_some());

    f.client
        .delete_bucket()
        .bucket(BUCKET)
        .send()
        .await
        .unwrap();
    assert_refused(
        f.client.head_bucket().bucket(BUCKET).send().await,
        404,
        "NotFound",
    );
    assert_refused(
        f.client.delete_bucket().bucket(BUCKET).send().await,
        404,
        "NoSuchBucket",
    );
    assert!(!f.data().exists());
    let put = f
        .client
        .put_object()
        .bucket(BUCKET)
        .key("a")
        .body(b"a".to_vec().into())
        .send()
        .await;
    assert_refused(put, 404, "NoSuchBucket");
    f.client
        .create_bucket()
        .bucket(BUCKET)
        .send()
        .await
        .unwrap();
}

#[tokio::test]
async fn making_a_bucket_again_is_an_error_outside_us_east_1() {
    let f = Fixture::new().await;
    f.client
        .create_bucket()
        .bucket(BUCKET)
        .send()
        .await
        .unwrap();
    let elsewhere = Client::from_conf(config(&f.store).region(Region::new("eu-west-1")).build());
    assert_refused(
        elsewhere.create_bucket().bucket(BUCKET).send().await,
        409,
        "BucketAlreadyOwnedByYou",
    );
}

#[tokio::test]
async fn names_that_are_no_bucket_names_are_refused() {
    let f = Fixture::new().await;
    for name in ["ab", "Images", "a..b", "images_", "-images"] {
        assert_refused(
            f.client.create_bucket().bucket(name).send().await,
            400,
            "InvalidBucketName",
        );
    }
}

#[tokio::test]
async fn a_bucket_with_objects_stays_and_open_uploads_end_with_it() {
    let f = Fixture::new().await;
    f.put("a", content(10)).await;
    assert_refused(
        f.client.delete_bucket().bucket(BUCKET).send().await,
        409,
        "BucketNotEmpty",
    );
    f.client
        .delete_object()
        .bucket(BUCKET)
        .key("a")
        .send()
        .await
        .unwrap();

    let id = f.create_upload("b").await;
    f.upload_part("b", &id, 1, content(10)).await;
    f.client
        .delete_bucket()
        .bucket(BUCKET)
        .send()
        .await
        .unwrap();
    f.client
        .create_bucket()
        .bucket(BUCKET)
        .send()
        .await
        .unwrap();
    let part = f
        .client
        .upload_part()
        .bucket(BUCKET)
        .key("b")
        .upload_id(&id)
        .part_number(2);
    assert_refused(
        part.body(content(10).into()).send().await,
        404,
        "NoSuchUpload",
    );
    assert_eq!(f.data_files(), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn requests_must_be_signed_with_the_right_key() {
    let f = Fixture::new().await;
    let wrong = Credentials::new(f.store.access_key(), "wrong", None, None, "embedded");
    let wrong = Client::from_conf(config(&f.store).credentials_provider(wrong).build());
    assert_refused(
        wrong.list_buckets().send().await,
        403,
        "SignatureDoesNotMatch",
    );
    let unknown = Credentials::new("unknown", f.store.secret_key(), None, None, "embedded");
    let unknown = Client::from_conf(config(&f.store).credentials_provider(unknown).build());
    assert_eq!(
        refusal(&unknown.list_buckets().send().await.unwrap_err()).0,
        403
    );

    let mut anonymous = TcpStream::connect(f.store.endpoint().strip_prefix("http://").unwrap())
        .await
        .unwrap();
    anonymous
        .write_all(b"GET /images?list-type=2 HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let answer = RawPut { stream: anonymous }.answer().await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
}

#[tokio::test]
async fn credentials_are_private_and_stay_the_same() {
    use std::os::unix::fs::PermissionsExt;

    let f = Fixture::new().await;
    let keys = (
        f.store.access_key().to_owned(),
        f.store.secret_key().to_owned(),
    );
    let mode = std::fs::metadata(f.dir.path().join("credentials.json"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!format!("{:?}", f.store).contains(&keys.1));
    let f = f.restart_after(|_| {}).await;
    assert_eq!(
        (
            f.store.access_key().to_owned(),
            f.store.secret_key().to_owned()
        ),
        keys
    );
}

#[tokio::test]
async fn a_directory_is_served_once() {
    let f = Fixture::new().await;
    let second = EmbeddedStore::start(f.dir.path(), ANY_PORT).await;
    assert!(
        matches!(second, Err(crate::embedded::Error::InUse(_))),
        "{second:?}"
    );
    f.restart_after(|_| {}).await;
}

#[tokio::test]
async fn an_address_in_use_is_said_so() {
    let f = Fixture::new().await;
    let taken = f
        .store
        .endpoint()
        .strip_prefix("http://")
        .unwrap()
        .parse()
        .unwrap();
    let other = tempfile::tempdir().unwrap();
    let second = EmbeddedStore::start(other.path(), taken).await;
    assert!(
        matches!(second, Err(crate::embedded::Error::Listen { .. })),
        "{second:?}"
    );
}
