//! `PUT /v2/images/{id}/file` that goes well, and what others see meanwhile (contract 2.1, 2.3, 2.6).

use std::fmt::Write;

use bytes::Bytes;
use http::{Method, StatusCode};
use md5::{Digest, Md5};
use ring::digest::{Algorithm, SHA256, SHA512, digest};
use serde_json::json;

use crate::support::app::{Options, TestApp};
use crate::support::client::{chunked, full};
use crate::support::store::{Bucket, Embedded};
use crate::support::upload::{MIB, assert_refused, chunked_of, fed, head, until_status};
use crate::support::{content, eventually};

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn hash(algorithm: &'static Algorithm, bytes: &[u8]) -> String {
    hex(digest(algorithm, bytes))
}

/// What is shown only of an image with data.
const DATA_FIELDS: [&str; 5] = [
    "size",
    "virtual_size",
    "checksum",
    "os_hash_algo",
    "os_hash_value",
];

#[tokio::test]
async fn image_of_several_parts_comes_back_whole_and_by_range() {
    let app = TestApp::start().await;
    let size = 20 * MIB + 5;
    let id = app.client.upload(content::bytes(size)).await;
    let path = format!("/v2/images/{id}/file");
    let whole = app.client.get(&path).await;
    assert_eq!(whole.status, StatusCode::OK);
    assert_eq!(whole.body, content::bytes(size));
    let range = app
        .client
        .get_with(&path, &[("range", "bytes=8388600-8388620")])
        .await;
    assert_eq!(range.status, StatusCode::PARTIAL_CONTENT);
    assert_eq!(range.body, content::slice(8_388_600, 21));
    app.finish().await;
}

#[tokio::test]
async fn chunked_upload_of_unknown_size_is_measured() {
    let app = TestApp::start().await;
    let id = app.client.create_image().await;
    let answer = app.client.put_file(&id, &[], chunked_of(9 * MIB)).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    let image = app.client.image(&id).await;
    assert_eq!(image["size"], 9 * MIB);
    assert_eq!(image["status"], "active");
    app.finish().await;
}

#[tokio::test]
async fn success_is_204_with_a_request_id_and_no_location() {
    let app = TestApp::start().await;
    let id = app.client.create_image().await;
    let answer = app
        .client
        .put_file(&id, &[("x-openstack-request-id", "req-mine")], full("x"))
        .await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert!(answer.body.is_empty());
    assert_eq!(
        answer.header("content-type"),
        Some("text/html; charset=UTF-8")
    );
    assert_eq!(answer.header("x-openstack-request-id"), Some("req-mine"));
    assert_eq!(answer.header("location"), None);
    app.finish().await;
}

/// Sizes about the border between one request and parts: 8 MiB is the part size.
#[tokio::test]
async fn record_tells_size_digests_and_place_of_the_bytes() {
    let app = TestApp::start().await;
    for size in [1, 8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 16 * MIB] {
        let bytes = content::bytes(size);
        let id = app.client.create_image().await;
        let before = app.client.image(&id).await;
        for field in DATA_FIELDS {
            assert!(before[field].is_null(), "{field}: {before}");
        }
        let answer = app.client.put_file(&id, &[], full(bytes.clone())).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text());
        let image = app.client.image(&id).await;
        assert_eq!(image["status"], "active");
        assert_eq!(image["size"], size);
        assert_eq!(image["virtual_size"], size);
        assert_eq!(image["checksum"], hex(Md5::digest(&bytes)));
        assert_eq!(image["os_hash_algo"], "sha512");
        assert_eq!(image["os_hash_value"], hash(&SHA512, &bytes));
        assert_eq!(image["stores"], "main");
        assert_eq!(image["name"], before["name"]);
        assert_eq!(image["created_at"], before["created_at"]);
    }
    app.finish().await;
}

#[tokio::test]
async fn upload_moves_updated_at_and_leaves_created_at() {
    let app = TestApp::start().await;
    let id = app.client.create_image().await;
    let created = app.client.image(&id).await["created_at"].clone();
    // Times are shown to the second: a later record tells that the next one has begun.
    eventually("a second has passed", async || {
        let other = app.client.create_image().await;
        (app.client.image(&other).await["created_at"] != created).then_some(())
    })
    .await;
    app.client.put_file(&id, &[], full("x")).await;
    let image = app.client.image(&id).await;
    assert_eq!(image["created_at"], created);
    assert!(image["updated_at"].as_str() > created.as_str(), "{image}");
    app.finish().await;
}

#[tokio::test]
async fn sha256_sites_record_sha256_and_still_md5() {
    let app = TestApp::with(Options {
        tables: "[images]\nhashing_algorithm = \"sha256\"\n".into(),
        ..Options::default()
    })
    .await;
    let bytes = content::bytes(9 * MIB);
    let id = app.client.upload(bytes.clone()).await;
    let image = app.client.image(&id).await;
    assert_eq!(image["checksum"], hex(Md5::digest(&bytes)));
    assert_eq!(image["os_hash_algo"], "sha256");
    assert_eq!(image["os_hash_value"], hash(&SHA256, &bytes));
    app.finish().await;
}

/// `openstack image create` with a standard input that is no terminal does this.
#[tokio::test]
async fn empty_body_makes_an_active_image_of_size_zero() {
    let app = TestApp::start().await;
    for (headers, body) in [
        (vec![("content-length", "0")], full("")),
        (vec![], chunked(vec![])),
        (vec![("x-openstack-image-size", "0")], chunked(vec![])),
        (vec![("x-openstack-image-size", "0")], full("")),
    ] {
        let id = app.client.create_image().await;
        let answer = app.client.put_file(&id, &headers, body).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{headers:?}");
        let image = app.client.image(&id).await;
        assert_eq!(image["status"], "active", "{headers:?}");
        assert_eq!(image["size"], 0);
        assert!(image["virtual_size"].is_null(), "{image}");
        assert_eq!(image["checksum"], "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(image["os_hash_value"], hash(&SHA512, b""));
    }
    app.finish().await;
}

#[tokio::test]
async fn declared_size_of_zero_means_unknown() {
    let app = TestApp::start().await;
    let id = app.client.create_image().await;
    let zero = [("x-openstack-image-size", "0")];
    let answer = app.client.put_file(&id, &zero, chunked_of(7)).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text());
    assert_eq!(app.client.image(&id).await["size"], 7);
    app.finish().await;
}

#[tokio::test]
async fn declared_size_that_comes_true_is_accepted_on_a_chunked_body() {
    let app = TestApp::start().await;
    let size = 9 * MIB + 1;
    let id = app.client.create_image().await;
    let declared = size.to_string();
    let headers = [("x-openstack-image-size", declared.as_str())];
    let answer = app.client.put_file(&id, &headers, chunked_of(size)).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text());
    assert_eq!(app.client.image(&id).await["size"], size);
    app.finish().await;
}

#[tokio::test]
async fn virtual_size_is_the_one_the_format_states() {
    let app = TestApp::start().await;
    for (container, expected) in [("bare", json!(64 * MIB)), ("ovf", json!(null))] {
        let id = app
            .client
            .create(&json!({"disk_format": "qcow2", "container_format": container}))
            .await;
        let answer = app.client.put_file(&id, &[], full(content::qcow2(0))).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text());
        let image = app.client.image(&id).await;
        assert_eq!(image["virtual_size"], expected, "{container}");
        assert_eq!(image["size"], 64 * 1024);
    }
    app.finish().await;
}

#[tokio::test]
async fn image_goes_to_the_store_that_the_header_names() {
    let (embedded, second) = (Embedded::start().await, Embedded::start().await);
    let other = second.endpoint();
    let app = TestApp::with(Options {
        top: "auth = \"none\"\ndefault_store = \"main\"".into(),
        tables: format!(
            "[store.other]\nendpoint = {:?}\nbucket = \"elsewhere\"\nprofile = \"embedded\"\n\
             access_key = {:?}\nsecret_key = {:?}\ncreate_bucket = true\n",
            other.url, other.access_key, other.secret_key
        ),
        endpoint: Some(embedded.endpoint()),
        ..Options::default()
    })
    .await;
    let elsewhere = Bucket::new(&other, "elsewhere");
    let id = app.client.create_image().await;
    let answer = app
        .client
        .put_file(&id, &[("x-image-meta-store", "other")], full("there"))
        .await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text());
    assert_eq!(app.client.image(&id).await["stores"], "other");
    assert_eq!(elsewhere.keys().await.len(), 1);
    assert!(app.bucket.keys().await.is_empty());
    let back = app.client.get(&format!("/v2/images/{id}/file")).await;
    assert_eq!(back.body, "there");
    app.client.delete(&format!("/v2/images/{id}")).await;
    assert!(elsewhere.keys().await.is_empty());
    app.finish().await;
}

#[tokio::test]
async fn image_in_saving_shows_no_data_and_refuses_a_second_upload() {
    let app = TestApp::start().await;
    let id = app.client.create_image().await;
    let (feed, body) = fed();
    let size = 9 * MIB;
    let (first, ()) = tokio::join!(app.client.put_file(&id, &[], body), async {
        // More than a part, so that bytes are in the store too.
        for at in 0..size / MIB {
            assert!(feed.send(content::slice(at * MIB, MIB)).await);
        }
        until_status(&app.client, &id, "saving").await;
        let image = app.client.image(&id).await;
        for field in DATA_FIELDS {
            assert!(image[field].is_null(), "{field}: {image}");
        }
        let data = app.client.get(&format!("/v2/images/{id}/file")).await;
        assert_eq!(data.status, StatusCode::NO_CONTENT);
        let second = app.client.put_file(&id, &[], chunked_of(3)).await;
        assert_refused(
            &second,
            StatusCode::CONFLICT,
            "Image status transition from saving to saving is not allowed",
        );
        assert_eq!(app.client.status(&id).await, "saving");
        drop(feed);
    });
    assert_eq!(first.status, StatusCode::NO_CONTENT, "{}", first.text());
    let back = app.client.get(&format!("/v2/images/{id}/file")).await;
    assert_eq!(back.body, content::bytes(size));
    app.finish().await;
}

/// The loser gets what a late second upload gets, not the reference service's 410.
#[tokio::test]
async fn of_two_uploads_begun_together_one_wins_and_the_other_is_a_conflict() {
    let app = TestApp::start().await;
    for _ in 0..20 {
        let id = app.client.create_image().await;
        let bytes = [Bytes::from_static(b"one"), Bytes::from_static(b"other")];
        let (one, other) = tokio::join!(
            app.client.put_file(&id, &[], full(bytes[0].clone())),
            app.client.put_file(&id, &[], full(bytes[1].clone()))
        );
        let winner = match (one.status, other.status) {
            (StatusCode::NO_CONTENT, StatusCode::CONFLICT) => &bytes[0],
            (StatusCode::CONFLICT, StatusCode::NO_CONTENT) => &bytes[1],
            odd => panic!("{odd:?}"),
        };
        let back = app.client.get(&format!("/v2/images/{id}/file")).await;
        assert_eq!(back.body, winner);
    }
    app.finish().await;
}

#[tokio::test]
async fn image_deleted_during_its_upload_is_410_to_the_uploader() {
    let app = TestApp::start().await;
    for size in [MIB, 9 * MIB] {
        let id = app.client.create_image().await;
        let (feed, body) = fed();
        let (upload, ()) = tokio::join!(app.client.put_file(&id, &[], body), async {
            for at in 0..size / MIB {
                assert!(feed.send(content::slice(at * MIB, MIB)).await);
            }
            until_status(&app.client, &id, "saving").await;
            let deleted = app.client.delete(&format!("/v2/images/{id}")).await;
            assert_eq!(deleted.status, StatusCode::NO_CONTENT);
            drop(feed);
        });
        assert_refused(&upload, StatusCode::GONE, "deleted during the upload");
        let image = app.client.get(&format!("/v2/images/{id}")).await;
        assert_eq!(image.status, StatusCode::NOT_FOUND);
        let again = app.client.put_file(&id, &[], full("x")).await;
        assert_eq!(again.status, StatusCode::NOT_FOUND);
    }
    app.finish().await;
}

#[tokio::test]
async fn second_upload_of_an_active_image_is_a_conflict() {
    let app = TestApp::start().await;
    let id = app.client.upload(content::bytes(10)).await;
    let again = app
        .client
        .put_file(&id, &[], full(content::bytes(MIB)))
        .await;
    assert_refused(
        &again,
        StatusCode::CONFLICT,
        "Image status transition from active to saving is not allowed",
    );
    let back = app.client.get(&format!("/v2/images/{id}/file")).await;
    assert_eq!(back.body, content::bytes(10));
    app.finish().await;
}

#[tokio::test]
async fn client_that_expects_100_gets_it_before_it_sends() {
    let app = TestApp::start().await;
    let id = app.client.create_image().await;
    let mut raw = app.client.raw().await;
    raw.write(head(&id, &["Content-Length: 5", "Expect: 100-continue"]))
        .await;
    assert!(raw.read_head().await.starts_with("HTTP/1.1 100 "));
    raw.write("bytes").await;
    assert!(raw.read_head().await.starts_with("HTTP/1.1 204 "));
    assert_eq!(app.client.image(&id).await["size"], 5);
    app.finish().await;
}

#[tokio::test]
async fn content_type_may_have_parameters() {
    let app = TestApp::start().await;
    let id = app.client.create_image().await;
    let answer = app
        .client
        .send(
            Method::PUT,
            &format!("/v2/images/{id}/file"),
            &[("content-type", "Application/Octet-Stream; charset=utf-8")],
            full("x"),
        )
        .await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text());
    app.finish().await;
}
