//! UploadPartCopy: parts whose bytes are those of an object.

use aws_sdk_s3::operation::upload_part_copy::builders::UploadPartCopyFluentBuilder;

use super::objects::md5_hex;
use super::*;

fn copy_part(f: &Fixture, id: &str, number: i32) -> UploadPartCopyFluentBuilder {
    let copy = f.client.upload_part_copy().bucket(BUCKET).key("copy");
    copy.upload_id(id)
        .part_number(number)
        .copy_source(format!("{BUCKET}/original"))
}

async fn copied(request: UploadPartCopyFluentBuilder, number: i32) -> CompletedPart {
    let result = request.send().await.unwrap().copy_part_result.unwrap();
    assert!(result.last_modified.is_some());
    CompletedPart::builder()
        .part_number(number)
        .e_tag(result.e_tag.unwrap())
        .build()
}

#[tokio::test]
async fn ranges_of_an_object_become_parts_with_digests_of_their_own() {
    let f = Fixture::new().await;
    let (etag, body) = f.put_in_parts("original").await;
    // With the borders of the original, the ETag is the same; with others across them the bytes are.
    let last = body.len() - 1;
    let one = 5 * MIB;
    for (border, is_same) in [(one, true), (one + 1, false)] {
        let id = f.create_upload("copy").await;
        let first = copy_part(&f, &id, 1).copy_source_range(format!("bytes=0-{}", border - 1));
        let second = copy_part(&f, &id, 2).copy_source_range(format!("bytes={border}-{last}"));
        let (second, first) = (copied(second, 2).await, copied(first, 1).await);
        let digest = format!("\"{}\"", md5_hex(&body[..border]));
        assert_eq!(first.e_tag(), Some(&*digest));
        let copy = f.complete("copy", &id, vec![first, second]).await.unwrap();
        assert_eq!(copy == etag, is_same, "{copy}");
        assert!(f.get("copy").await == body);
    }
    let f = f.restart_after(|_| {}).await;
    assert!(f.get("copy").await == body);
    assert!(f.get("original").await == body);
}

#[tokio::test]
async fn whole_object_is_a_part_and_outlives_its_original() {
    let f = Fixture::new().await;
    for body in [content(100), Vec::new()] {
        let etag = f.put("original", body.clone()).await;
        let id = f.create_upload("copy").await;
        let part = copied(copy_part(&f, &id, 7).copy_source_if_match(&etag), 7).await;
        assert_eq!(part.e_tag(), Some(&*etag));
        let delete = f.client.delete_object().bucket(BUCKET).key("original");
        delete.send().await.unwrap();
        f.complete("copy", &id, vec![part]).await.unwrap();
        assert!(f.get("copy").await == body);
    }
}

#[tokio::test]
async fn copies_of_parts_that_cannot_be_are_refused_and_leave_nothing() {
    let f = Fixture::new().await;
    f.put("original", content(100)).await;
    let id = f.create_upload("copy").await;
    for range in [
        "bytes=0-100",
        "bytes=100-100",
        "bytes=5-",
        "bytes=-5",
        "bytes=5-4",
        "0-5",
        "bytes=0-1,3-4",
    ] {
        let refused = copy_part(&f, &id, 1).copy_source_range(range).send().await;
        assert_refused(refused, 400, "InvalidArgument");
    }
    for number in [0, 10_001] {
        let refused = copy_part(&f, &id, number).send().await;
        assert_refused(refused, 400, "InvalidArgument");
    }
    let changed = copy_part(&f, &id, 1).copy_source_if_match("\"other\"");
    assert_refused(changed.send().await, 412, "PreconditionFailed");
    let missing = copy_part(&f, &id, 1).copy_source(format!("{BUCKET}/missing"));
    assert_refused(missing.send().await, 404, "NoSuchKey");
    let elsewhere = copy_part(&f, &id, 1).copy_source("nowhere/original");
    assert_refused(elsewhere.send().await, 404, "NoSuchBucket");
    let closed = copy_part(&f, "no-such-upload", 1).send().await;
    assert_refused(closed, 404, "NoSuchUpload");
    let encrypted = copy_part(&f, &id, 1).sse_customer_algorithm("AES256");
    assert_refused(encrypted.send().await, 501, "NotImplemented");
    // The object, and the record of the upload.
    eventually("no part is left", || f.data_files().len() == 2).await;
    let parts = f.client.list_parts().bucket(BUCKET).key("copy");
    let parts = parts.upload_id(&id).send().await.unwrap();
    assert!(parts.parts().is_empty());
}

#[tokio::test]
async fn a_copy_of_a_part_after_an_abort_leaves_nothing() {
    let f = Fixture::new().await;
    f.put("original", content(MIB)).await;
    let id = f.create_upload("copy").await;
    let copies = futures_util::future::join_all((1..=8).map(|n| copy_part(&f, &id, n).send()));
    let abort = f.client.abort_multipart_upload().bucket(BUCKET).key("copy");
    let (copies, aborted) = tokio::join!(copies, abort.upload_id(&id).send());
    aborted.unwrap();
    for copy in copies {
        if let Err(e) = copy {
            assert_eq!(refusal(&e), (404, "NoSuchUpload".to_owned()));
        }
    }
    eventually("the original alone is left", || f.data_files().len() == 1).await;
}
