//! What the store does not do is refused: ignoring it would delete, show or overwrite the wrong bytes.

use aws_sdk_s3::types::{Delete, ObjectIdentifier};

use super::*;

#[tokio::test]
async fn a_version_that_is_not_the_only_one_is_neither_read_nor_deleted() {
    let f = Fixture::new().await;
    f.put("a", content(10)).await;
    let get = f.client.get_object().bucket(BUCKET).key("a");
    assert_refused(get.version_id("v1").send().await, 501, "NotImplemented");
    let head = f.client.head_object().bucket(BUCKET).key("a");
    let head = head.version_id("v1").send().await.unwrap_err();
    assert_eq!(refusal(&head).0, 501);
    let delete = || f.client.delete_object().bucket(BUCKET).key("a");
    assert_refused(
        delete().version_id("v1").send().await,
        501,
        "NotImplemented",
    );
    let old = ObjectIdentifier::builder().key("a").version_id("v1");
    assert_eq!(delete_one(&f, old.build().unwrap()).await, "NotImplemented");
    assert_eq!(f.get("a").await, content(10));

    // Without versions, an object's version is called null.
    let get = f.client.get_object().bucket(BUCKET).key("a");
    get.version_id("null").send().await.unwrap();
    delete().version_id("null").send().await.unwrap();
    eventually("the file is gone", || f.data_files().is_empty()).await;
}

#[tokio::test]
async fn deletes_honour_their_conditions_or_are_refused() {
    let f = Fixture::new().await;
    let etag = f.put("a", content(10)).await;
    let delete = || f.client.delete_object().bucket(BUCKET).key("a");
    assert_refused(
        delete().if_match("\"other\"").send().await,
        412,
        "PreconditionFailed",
    );
    assert_refused(
        delete().if_match_size(11).send().await,
        501,
        "NotImplemented",
    );
    let time = aws_smithy_types::DateTime::from_secs(0);
    assert_refused(
        delete().if_match_last_modified_time(time).send().await,
        501,
        "NotImplemented",
    );
    let identifier = || ObjectIdentifier::builder().key("a");
    let other = identifier().e_tag("\"other\"").build().unwrap();
    assert_eq!(delete_one(&f, other).await, "PreconditionFailed");
    let sized = identifier().size(11).build().unwrap();
    assert_eq!(delete_one(&f, sized).await, "NotImplemented");
    assert_eq!(f.get("a").await, content(10));

    let same = identifier().e_tag(&etag).build().unwrap();
    assert_eq!(delete_one(&f, same).await, "");
    eventually("the file is gone", || f.data_files().is_empty()).await;
}

/// Deletes by DeleteObjects; gives back the code of the error, empty if there was none.
async fn delete_one(f: &Fixture, identifier: ObjectIdentifier) -> String {
    let delete = Delete::builder().objects(identifier).build().unwrap();
    let request = f.client.delete_objects().bucket(BUCKET).delete(delete);
    let answer = request.send().await.unwrap();
    let error = answer.errors().first();
    error.and_then(|e| e.code()).unwrap_or_default().to_owned()
}

#[tokio::test]
async fn writes_that_mean_more_than_is_stored_are_refused() {
    let f = Fixture::new().await;
    f.put("a", content(10)).await;
    let put = || {
        let put = f.client.put_object().bucket(BUCKET).key("a");
        put.body(content(5).into())
    };
    // An append, which must not become a replacement.
    assert_refused(
        put().write_offset_bytes(10).send().await,
        501,
        "NotImplemented",
    );
    assert_refused(put().tagging("a=b").send().await, 501, "NotImplemented");
    let create = f.client.create_multipart_upload().bucket(BUCKET).key("a");
    assert_refused(create.tagging("a=b").send().await, 501, "NotImplemented");
    let copy = || {
        let copy = f.client.copy_object().bucket(BUCKET).key("b");
        copy.copy_source(format!("{BUCKET}/a"))
    };
    assert_refused(copy().tagging("a=b").send().await, 501, "NotImplemented");
    assert_eq!(f.get("a").await, content(10));
    assert_eq!(f.data_files().len(), 1);
}

#[tokio::test]
async fn a_checksum_of_the_whole_object_is_not_taken_on_trust() {
    let f = Fixture::new().await;
    let id = f.create_upload("a").await;
    let part = f.upload_part("a", &id, 1, content(100)).await;
    let list = CompletedMultipartUpload::builder()
        .parts(part.clone())
        .build();
    let complete = f.client.complete_multipart_upload().bucket(BUCKET).key("a");
    let complete = complete.upload_id(&id).multipart_upload(list);
    assert_refused(
        complete.checksum_crc32("AAAAAA==").send().await,
        501,
        "NotImplemented",
    );
    f.complete("a", &id, vec![part]).await.unwrap();
}

#[tokio::test]
async fn a_copy_honours_the_conditions_on_its_target() {
    let f = Fixture::new().await;
    f.put("a", content(10)).await;
    let etag = f.put("b", content(20)).await;
    let copy = || {
        let copy = f.client.copy_object().bucket(BUCKET).key("b");
        copy.copy_source(format!("{BUCKET}/a"))
    };
    assert_refused(
        copy().if_none_match("*").send().await,
        412,
        "PreconditionFailed",
    );
    assert_refused(
        copy().if_match("\"other\"").send().await,
        412,
        "PreconditionFailed",
    );
    assert_eq!(f.get("b").await, content(20));
    copy().if_match(etag).send().await.unwrap();
    assert_eq!(f.get("b").await, content(10));
}
