//! PutObject, GetObject, HeadObject, DeleteObject(s), CopyObject.

use aws_sdk_s3::types::{Delete, MetadataDirective, ObjectIdentifier};
use aws_smithy_types::base64;
use md5::Digest;

use super::*;

pub(super) fn md5_hex(body: &[u8]) -> String {
    crate::embedded::records::Md5(md5::Md5::digest(body).into()).to_string()
}

#[tokio::test]
async fn an_object_comes_back_with_all_that_was_said_about_it() {
    let f = Fixture::new().await;
    let body = content(3 * MIB + 17);
    let put = f
        .client
        .put_object()
        .bucket(BUCKET)
        .key("a")
        .body(body.clone().into());
    put.content_type("application/x-qemu-disk")
        .cache_control("no-cache")
        .metadata("image-id", "42")
        .send()
        .await
        .unwrap();

    let head = f
        .client
        .head_object()
        .bucket(BUCKET)
        .key("a")
        .send()
        .await
        .unwrap();
    let got = f
        .client
        .get_object()
        .bucket(BUCKET)
        .key("a")
        .send()
        .await
        .unwrap();
    let etag = format!("\"{}\"", md5_hex(&body));
    assert_eq!((head.e_tag(), got.e_tag()), (Some(&*etag), Some(&*etag)));
    assert_eq!(
        (head.content_length(), got.content_length()),
        (Some(body.len() as i64), Some(body.len() as i64))
    );
    assert_eq!(got.content_type(), Some("application/x-qemu-disk"));
    assert_eq!(got.cache_control(), Some("no-cache"));
    assert_eq!(head.content_type(), got.content_type());
    assert_eq!(got.metadata().unwrap()["image-id"], "42");
    assert_eq!(head.metadata(), got.metadata());
    assert_eq!(got.accept_ranges(), Some("bytes"));
    assert!(got.last_modified().is_some());
    assert_eq!(head.last_modified(), got.last_modified());
    assert!(got.body.collect().await.unwrap().to_vec() == body);
}

#[tokio::test]
async fn keys_may_hold_anything() {
    let f = Fixture::new().await;
    let long = "k".repeat(1024);
    let keys = [
        "a",
        "a/",
        "a/b",
        "a//b",
        "/a",
        "/",
        " a ",
        "../../etc/passwd",
        "./.",
        "..",
        "ü/日本 +%2F?#&=\"'<>",
        "a\\b",
        "~",
        &long,
    ];
    for key in keys {
        f.put(key, key.as_bytes().to_vec()).await;
    }
    let f = f.restart_after(|_| {}).await;
    for key in keys {
        assert_eq!(f.get(key).await, key.as_bytes(), "{key}");
    }
    let too_long = f
        .client
        .put_object()
        .bucket(BUCKET)
        .key("k".repeat(1025))
        .send()
        .await;
    assert_refused(too_long, 400, "KeyTooLongError");
}

#[tokio::test]
async fn ranges_of_every_form() {
    let f = Fixture::new().await;
    let body = content(2 * MIB);
    f.put("whole", body.clone()).await;
    let (_, parts) = f.put_in_parts("parts").await;
    for (key, body) in [("whole", body), ("parts", parts)] {
        let size = body.len();
        let cases = [
            ("bytes=0-0".to_owned(), 0..1),
            ("bytes=0-".to_owned(), 0..size),
            (format!("bytes=7-{}", size * 2), 7..size),
            ("bytes=100-299".to_owned(), 100..300),
            (
                format!("bytes={}-{}", size - 2000, size - 500),
                size - 2000..size - 499,
            ),
            (format!("bytes={}-", size - 1), size - 1..size),
            ("bytes=-1".to_owned(), size - 1..size),
            (format!("bytes=-{}", size + 1), 0..size),
            (format!("bytes=-{}", 10 * size), 0..size),
        ];
        for (range, wanted) in cases {
            let got = f
                .client
                .get_object()
                .bucket(BUCKET)
                .key(key)
                .range(&range)
                .send()
                .await
                .unwrap();
            let content_range = format!("bytes {}-{}/{size}", wanted.start, wanted.end - 1);
            assert_eq!(got.content_range(), Some(&*content_range), "{range}");
            assert_eq!(got.content_length(), Some(wanted.len() as i64), "{range}");
            assert!(
                got.body.collect().await.unwrap().to_vec() == body[wanted],
                "{range}"
            );
        }
        for range in [
            format!("bytes={size}-"),
            format!("bytes={size}-{}", size + 5),
            "bytes=-0".to_owned(),
        ] {
            let refused = f
                .client
                .get_object()
                .bucket(BUCKET)
                .key(key)
                .range(&range)
                .send()
                .await
                .unwrap_err();
            assert_eq!(
                refusal(&refused),
                (416, "InvalidRange".to_owned()),
                "{range}"
            );
            let content_range = refused
                .raw_response()
                .unwrap()
                .headers()
                .get("content-range");
            assert_eq!(content_range, Some(&*format!("bytes */{size}")));
        }
        let head = f
            .client
            .head_object()
            .bucket(BUCKET)
            .key(key)
            .range("bytes=0-9")
            .send()
            .await
            .unwrap();
        assert_eq!(head.content_length(), Some(10));
    }
}

#[tokio::test]
async fn an_empty_object_has_no_ranges() {
    let f = Fixture::new().await;
    f.put("empty", Vec::new()).await;
    assert_eq!(f.get("empty").await, b"");
    for range in ["bytes=0-", "bytes=-5"] {
        let got = f
            .client
            .get_object()
            .bucket(BUCKET)
            .key("empty")
            .range(range)
            .send()
            .await;
        assert_refused(got, 416, "InvalidRange");
    }
}

#[tokio::test]
async fn digests_that_do_not_match_leave_nothing() {
    let f = Fixture::new().await;
    let put = || {
        f.client
            .put_object()
            .bucket(BUCKET)
            .key("a")
            .body(content(1000).into())
    };
    let other = base64::encode(md5::Md5::digest(b"other"));
    assert_refused(put().content_md5(other).send().await, 400, "BadDigest");
    assert_refused(put().content_md5("bm8=").send().await, 400, "InvalidDigest");
    assert_refused(
        put().checksum_crc32("AAAAAA==").send().await,
        400,
        "BadDigest",
    );
    assert_refused(
        put().checksum_sha256(base64::encode([0; 32])).send().await,
        400,
        "BadDigest",
    );
    eventually("no files", || f.data_files().is_empty()).await;
    assert_refused(
        f.client.head_object().bucket(BUCKET).key("a").send().await,
        404,
        "NotFound",
    );
    put()
        .content_md5(base64::encode(md5::Md5::digest(content(1000))))
        .send()
        .await
        .unwrap();
}

#[tokio::test]
async fn the_sdk_s_default_checksums_work() {
    let f = Fixture::new().await;
    let client = Client::from_conf(config(&f.store).build());
    let body = content(2 * MIB + 5);
    // From memory the checksum is a header; from a file it is a trailer of an aws-chunked body.
    let file = f.dir.path().join("source");
    std::fs::write(&file, &body).unwrap();
    let sources = [
        ByteStream::from(body.clone()),
        ByteStream::from_path(&file).await.unwrap(),
    ];
    for source in sources {
        let put = client
            .put_object()
            .bucket(BUCKET)
            .key("a")
            .body(source)
            .send()
            .await
            .unwrap();
        assert!(put.checksum_crc32().is_some());
        let got = client
            .get_object()
            .bucket(BUCKET)
            .key("a")
            .send()
            .await
            .unwrap();
        assert_eq!(got.content_encoding(), None);
        assert!(got.body.collect().await.unwrap().to_vec() == body);
    }
    let id = f.create_upload("b").await;
    let part = client
        .upload_part()
        .bucket(BUCKET)
        .key("b")
        .upload_id(&id)
        .part_number(1);
    let part = part
        .body(ByteStream::from_path(&file).await.unwrap())
        .send()
        .await
        .unwrap();
    let part = CompletedPart::builder()
        .part_number(1)
        .e_tag(part.e_tag.unwrap())
        .build();
    f.complete("b", &id, vec![part]).await.unwrap();
    assert!(f.get("b").await == body);
}

#[tokio::test]
async fn replacing_and_deleting_removes_files_but_not_under_readers() {
    let f = Fixture::new().await;
    let (_, body) = f.put_in_parts("a").await;
    let mut reader = f
        .client
        .get_object()
        .bucket(BUCKET)
        .key("a")
        .send()
        .await
        .unwrap()
        .body;
    let mut read = reader.next().await.unwrap().unwrap().to_vec();

    f.put("a", content(10)).await;
    assert_eq!(f.data_files().len(), 3);
    assert_eq!(f.get("a").await, content(10));
    f.client
        .delete_object()
        .bucket(BUCKET)
        .key("a")
        .send()
        .await
        .unwrap();
    assert_refused(
        f.client.get_object().bucket(BUCKET).key("a").send().await,
        404,
        "NoSuchKey",
    );

    while let Some(chunk) = reader.next().await {
        read.extend(chunk.unwrap());
    }
    assert!(read == body);
    drop(reader);
    // A directory goes after its files.
    eventually("all files and directories are gone", || {
        std::fs::read_dir(f.data()).unwrap().count() == 0
    })
    .await;
}

#[tokio::test]
async fn deleting_what_is_not_there_succeeds() {
    let f = Fixture::new().await;
    f.client
        .delete_object()
        .bucket(BUCKET)
        .key("never")
        .send()
        .await
        .unwrap();
    f.put("a", content(1)).await;
    f.put("b", content(1)).await;
    let ids = ["a", "never"].map(|key| ObjectIdentifier::builder().key(key).build().unwrap());
    let delete = Delete::builder()
        .set_objects(Some(ids.to_vec()))
        .build()
        .unwrap();
    let deleted = f
        .client
        .delete_objects()
        .bucket(BUCKET)
        .delete(delete)
        .send()
        .await
        .unwrap();
    let deleted: Vec<_> = deleted.deleted().iter().filter_map(|d| d.key()).collect();
    assert_eq!(deleted, ["a", "never"]);
    eventually("one file is left", || f.data_files().len() == 1).await;
    assert_eq!(f.get("b").await, content(1));
}

#[tokio::test]
async fn a_copy_outlives_its_original() {
    let f = Fixture::new().await;
    let (etag, body) = f.put_in_parts("a").await;
    let copy = || {
        f.client
            .copy_object()
            .bucket(BUCKET)
            .copy_source(format!("{BUCKET}/a"))
    };
    let copied = copy().key("b").send().await.unwrap();
    assert_eq!(copied.copy_object_result().unwrap().e_tag(), Some(&*etag));
    assert_refused(copy().key("a").send().await, 400, "InvalidRequest");
    let replaced = copy()
        .key("a")
        .metadata_directive(MetadataDirective::Replace)
        .metadata("new", "yes");
    replaced.send().await.unwrap();
    let head = f
        .client
        .head_object()
        .bucket(BUCKET)
        .key("a")
        .send()
        .await
        .unwrap();
    assert_eq!(head.metadata().unwrap()["new"], "yes");
    assert_refused(
        copy()
            .key("c")
            .copy_source_if_match("\"other\"")
            .send()
            .await,
        412,
        "PreconditionFailed",
    );
    f.client
        .delete_object()
        .bucket(BUCKET)
        .key("a")
        .send()
        .await
        .unwrap();
    let f = f.restart_after(|_| {}).await;
    assert!(f.get("b").await == body);
    let missing = f
        .client
        .copy_object()
        .bucket(BUCKET)
        .copy_source(format!("{BUCKET}/a"))
        .key("d")
        .send()
        .await;
    assert_refused(missing, 404, "NoSuchKey");
}

#[tokio::test]
async fn encryption_is_refused_and_metadata_has_a_bound() {
    let f = Fixture::new().await;
    let put = || {
        f.client
            .put_object()
            .bucket(BUCKET)
            .key("a")
            .body(content(5 * MIB).into())
    };
    let encrypted = put()
        .server_side_encryption(aws_sdk_s3::types::ServerSideEncryption::Aes256)
        .send()
        .await;
    assert_refused(encrypted, 501, "NotImplemented");
    assert_refused(
        put().metadata("m", "x".repeat(2048)).send().await,
        400,
        "MetadataTooLarge",
    );
}

#[tokio::test]
async fn of_keys_that_differ_in_a_space_the_right_one_is_deleted() {
    let f = Fixture::new().await;
    let keys = ["a", " a", "a ", "a&amp;", "a&", "\u{fc}/<\">\n"];
    for key in keys {
        f.put(key, key.as_bytes().to_vec()).await;
    }
    for (deleted, key) in keys.iter().enumerate().skip(1) {
        let object = ObjectIdentifier::builder().key(*key).build().unwrap();
        let delete = Delete::builder().objects(object).build().unwrap();
        let request = f.client.delete_objects().bucket(BUCKET).delete(delete);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.errors().len(), 0);
        let head = f.client.head_object().bucket(BUCKET).key(*key).send().await;
        assert_refused(head, 404, "NotFound");
        eventually("one less", || f.data_files().len() == keys.len() - deleted).await;
    }
    assert_eq!(f.get("a").await, b"a");
}

#[tokio::test]
async fn sixty_four_mebibytes_come_back_as_they_went() {
    let f = Fixture::new().await;
    let body = content(64 * MIB);
    let etag = f.put("a", body.clone()).await;
    assert_eq!(etag, format!("\"{}\"", md5_hex(&body)));
    assert!(f.get("a").await == body);
}
