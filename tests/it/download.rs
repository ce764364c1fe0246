//! `GET /v2/images/{id}/file` that goes well, and what it refuses (contract 3.1 to 3.3, with 10.6).

use bytes::Bytes;
use http::{Method, StatusCode};

use crate::support::app::{Options, TestApp};
use crate::support::client::{Answer, Client, full};
use crate::support::store::{Bucket, Embedded};
use crate::support::tokens::Tokens;
use crate::support::{content, eventually};

/// The image of the contract's table.
const TEN: &[u8] = b"0123456789";

fn file(id: &str) -> String {
    format!("/v2/images/{id}/file")
}

async fn get(client: &Client, id: &str, headers: &[(&str, &str)]) -> Answer {
    client.get_with(&file(id), headers).await
}

/// Two stores on two buckets of one server.
async fn with_two_stores() -> (TestApp, Bucket, Embedded) {
    let embedded = Embedded::start().await;
    let endpoint = embedded.endpoint();
    let app = TestApp::with(Options {
        top: "auth = \"none\"\ndefault_store = \"main\"".into(),
        tables: format!(
            "[store.other]\nendpoint = {:?}\nbucket = \"second\"\naccess_key = {:?}\nsecret_key = {:?}\n\
             profile = \"embedded\"\ncreate_bucket = true\n",
            endpoint.url, endpoint.access_key, endpoint.secret_key
        ),
        endpoint: Some(endpoint.clone()),
        ..Options::default()
    })
    .await;
    (app, Bucket::new(&endpoint, "second"), embedded)
}

#[tokio::test]
async fn whole_image_comes_with_every_header_of_the_contract() {
    let app = TestApp::start().await;
    let bytes = content::bytes(100_000);
    let id = app.client.upload(bytes.clone()).await;
    let image = app.client.image(&id).await;
    let answer = app.client.get(&file(&id)).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body, bytes);
    let etag = format!("\"{}\"", image["os_hash_value"].as_str().unwrap());
    for (name, expected) in [
        ("content-type", Some("application/octet-stream")),
        ("content-length", Some("100000")),
        ("content-md5", image["checksum"].as_str()),
        ("accept-ranges", Some("bytes")),
        ("etag", Some(etag.as_str())),
        ("content-range", None),
        ("transfer-encoding", None),
        ("last-modified", None),
        ("cache-control", None),
    ] {
        assert_eq!(answer.header(name), expected, "{name}");
    }
    assert!(
        answer
            .header("x-openstack-request-id")
            .unwrap()
            .starts_with("req-")
    );
    app.finish().await;
}

#[tokio::test]
async fn empty_image_is_200_without_a_byte() {
    let app = TestApp::start().await;
    let id = app.client.upload(Bytes::new()).await;
    let answer = app.client.get(&file(&id)).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("content-length"), Some("0"));
    assert_eq!(
        answer.header("content-md5"),
        Some("d41d8cd98f00b204e9800998ecf8427e")
    );
    assert!(answer.body.is_empty());
    app.finish().await;
}

#[tokio::test]
async fn image_without_data_is_204_whatever_is_asked_of_it() {
    let app = TestApp::start().await;
    let id = app.client.create_image().await;
    for headers in [
        &[] as &[(&str, &str)],
        &[("range", "bytes=0-4")],
        &[("range", "bytes=-5")],
        &[("content-range", "bytes 0-4/10")],
        &[("if-none-match", "*")],
    ] {
        let answer = get(&app.client, &id, headers).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{headers:?}");
        assert_eq!(answer.header("content-type"), None, "{headers:?}");
        assert_eq!(answer.header("content-length"), None, "{headers:?}");
        assert!(answer.body.is_empty());
    }
    app.finish().await;
}

#[tokio::test]
async fn image_being_saved_is_204() {
    let app = TestApp::start().await;
    let id = app.client.create_image().await;
    let mut upload = app.client.raw().await;
    upload
        .write(format!(
            "PUT {} HTTP/1.1\r\nhost: x\r\ncontent-type: application/octet-stream\r\ncontent-length: 10\r\n\r\n01234",
            file(&id)
        ))
        .await;
    eventually("the upload has begun", async || {
        (app.client.status(&id).await == "saving").then_some(())
    })
    .await;
    let during = app.client.get(&file(&id)).await;
    assert_eq!(during.status, StatusCode::NO_CONTENT);
    upload.write("56789").await;
    assert!(upload.read_head().await.starts_with("HTTP/1.1 204 "));
    assert_eq!(app.client.get(&file(&id)).await.body, TEN);
    app.finish().await;
}

#[tokio::test]
async fn every_satisfiable_range_of_the_contract_is_206() {
    let app = TestApp::start().await;
    let id = app.client.upload(Bytes::from_static(TEN)).await;
    let whole = app.client.get(&file(&id)).await;
    for (range, first, last) in [
        ("bytes=0-4", 0, 4),
        ("bytes=5-", 5, 9),
        ("bytes=-3", 7, 9),
        ("bytes=0-99", 0, 9),
        ("bytes=0-99999999999999999999", 0, 9),
        ("bytes=9-9", 9, 9),
        ("bytes=0-9", 0, 9),
        ("bytes=0-", 0, 9),
        ("bytes=-10", 0, 9),
        ("bytes=-20", 0, 9),
        ("Bytes = 2 - 004", 2, 4),
    ] {
        let answer = get(&app.client, &id, &[("range", range)]).await;
        assert_eq!(answer.status, StatusCode::PARTIAL_CONTENT, "{range}");
        assert_eq!(answer.body, TEN[first..=last], "{range}");
        let content_range = format!("bytes {first}-{last}/10");
        assert_eq!(answer.header("content-range"), Some(&*content_range));
        let length = (last - first + 1).to_string();
        assert_eq!(answer.header("content-length"), Some(&*length), "{range}");
        // Of the whole image, also on a part of it.
        for same in ["content-md5", "etag", "content-type", "accept-ranges"] {
            assert!(answer.header(same).is_some(), "{range}: {same}");
            assert_eq!(answer.header(same), whole.header(same), "{range}: {same}");
        }
    }
    let none = get(&app.client, &id, &[("range", "")]).await;
    assert_eq!(none.status, StatusCode::RANGE_NOT_SATISFIABLE);
    app.finish().await;
}

#[tokio::test]
async fn range_past_the_end_is_416_with_the_size() {
    let app = TestApp::start().await;
    let id = app.client.upload(Bytes::from_static(TEN)).await;
    for range in ["bytes=10-", "bytes=10-12", "bytes=-0"] {
        let answer = get(&app.client, &id, &[("range", range)]).await;
        assert_eq!(answer.status, StatusCode::RANGE_NOT_SATISFIABLE, "{range}");
        assert_eq!(
            answer.header("content-range"),
            Some("bytes */10"),
            "{range}"
        );
        assert!(answer.text().contains("10 bytes"), "{}", answer.text());
    }
    app.finish().await;
}

#[tokio::test]
async fn malformed_range_is_416_and_names_the_header() {
    let app = TestApp::start().await;
    let id = app.client.upload(Bytes::from_static(TEN)).await;
    let empty = app.client.create_image().await;
    for range in [
        "bytes=5-2",
        "bytes=a-b",
        "bytes=",
        "bytes=4",
        "bytes=-",
        "bytes=+1-2",
        "items=0-4",
        "bytes 0-4",
        "0-4",
    ] {
        let answer = get(&app.client, &id, &[("range", range)]).await;
        assert_eq!(answer.status, StatusCode::RANGE_NOT_SATISFIABLE, "{range}");
        assert_eq!(answer.header("content-range"), None, "{range}");
        assert!(answer.text().contains("Invalid Range header"), "{range}");
        let without_data = get(&app.client, &empty, &[("range", range)]).await;
        assert_eq!(without_data.status, StatusCode::RANGE_NOT_SATISFIABLE);
    }
    app.finish().await;
}

#[tokio::test]
async fn several_ranges_are_400() {
    let app = TestApp::start().await;
    let id = app.client.upload(Bytes::from_static(TEN)).await;
    let answer = get(&app.client, &id, &[("range", "bytes=0-4,6-7")]).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.text().contains("multiple ranges"));
    app.finish().await;
}

#[tokio::test]
async fn every_range_of_an_empty_image_is_416() {
    let app = TestApp::start().await;
    let id = app.client.upload(Bytes::new()).await;
    for range in ["bytes=0-1", "bytes=-1", "bytes=0-"] {
        let answer = get(&app.client, &id, &[("range", range)]).await;
        assert_eq!(answer.status, StatusCode::RANGE_NOT_SATISFIABLE, "{range}");
        assert_eq!(answer.header("content-range"), Some("bytes */0"), "{range}");
    }
    app.finish().await;
}

#[tokio::test]
async fn legacy_content_range_selects_bytes_unless_there_is_a_range() {
    let app = TestApp::start().await;
    let id = app.client.upload(Bytes::from_static(TEN)).await;
    for length in ["10", "*", "77"] {
        let legacy = format!("bytes 2-4/{length}");
        let answer = get(&app.client, &id, &[("content-range", &legacy)]).await;
        assert_eq!(answer.status, StatusCode::PARTIAL_CONTENT, "{legacy}");
        assert_eq!(answer.body, TEN[2..=4]);
    }
    let both = [("content-range", "bytes 2-4/10"), ("range", "bytes=0-1")];
    assert_eq!(get(&app.client, &id, &both).await.body, TEN[0..=1]);
    for bad in ["bytes */10", "bytes 4-2/10", "bytes=0-4", "bytes 20-30/*"] {
        let answer = get(&app.client, &id, &[("content-range", bad)]).await;
        assert_eq!(answer.status, StatusCode::RANGE_NOT_SATISFIABLE, "{bad}");
    }
    app.finish().await;
}

#[tokio::test]
async fn if_none_match_with_the_images_etag_is_304_and_asks_no_store() {
    let app = TestApp::with_faults().await;
    let id = app.client.upload(Bytes::from_static(TEN)).await;
    let etag = app.client.get(&file(&id)).await;
    let etag = etag.header("etag").unwrap();
    let before = app.proxy().count("get");
    for condition in [etag, "*", &format!("W/{etag}"), &format!("\"x\", {etag}")] {
        let answer = get(&app.client, &id, &[("if-none-match", condition)]).await;
        assert_eq!(answer.status, StatusCode::NOT_MODIFIED, "{condition}");
        assert_eq!(answer.header("etag"), Some(etag));
        assert!(answer.body.is_empty());
    }
    assert_eq!(app.proxy().count("get"), before);
    let other = get(&app.client, &id, &[("if-none-match", "\"x\"")]).await;
    assert_eq!(other.status, StatusCode::OK);
    app.finish().await;
}

#[tokio::test]
async fn if_match_with_another_etag_is_412() {
    let app = TestApp::start().await;
    let id = app.client.upload(Bytes::from_static(TEN)).await;
    let etag = app.client.get(&file(&id)).await;
    let etag = etag.header("etag").unwrap();
    for (condition, status) in [
        (etag, StatusCode::OK),
        ("*", StatusCode::OK),
        ("\"x\"", StatusCode::PRECONDITION_FAILED),
        (&format!("W/{etag}"), StatusCode::PRECONDITION_FAILED),
    ] {
        let answer = get(&app.client, &id, &[("if-match", condition)]).await;
        assert_eq!(answer.status, status, "{condition}");
    }
    app.finish().await;
}

#[tokio::test]
async fn if_range_gives_the_range_only_for_the_same_image() {
    let app = TestApp::start().await;
    let id = app.client.upload(Bytes::from_static(TEN)).await;
    let etag = app.client.get(&file(&id)).await;
    let etag = etag.header("etag").unwrap();
    for (condition, status, length) in [
        (etag, StatusCode::PARTIAL_CONTENT, 3),
        ("\"x\"", StatusCode::OK, 10),
        (&format!("W/{etag}"), StatusCode::OK, 10),
        ("Wed, 21 Oct 2026 07:28:00 GMT", StatusCode::OK, 10),
    ] {
        let headers = [("range", "bytes=0-2"), ("if-range", condition)];
        let answer = get(&app.client, &id, &headers).await;
        assert_eq!(answer.status, status, "{condition}");
        assert_eq!(answer.body.len(), length, "{condition}");
    }
    app.finish().await;
}

#[tokio::test]
async fn upload_lands_in_the_store_it_names_and_comes_back_from_there() {
    let (app, second, embedded) = with_two_stores().await;
    let id = app.client.create_image().await;
    let headers = [("x-image-meta-store", "other")];
    let answer = app.client.put_file(&id, &headers, full(TEN)).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_eq!(app.client.image(&id).await["stores"], "other");
    assert!(app.bucket.keys().await.is_empty());
    assert_eq!(second.keys().await.len(), 1);
    assert_eq!(app.client.get(&file(&id)).await.body, TEN);
    app.client.delete(&format!("/v2/images/{id}")).await;
    eventually("the object is removed", async || {
        second.keys().await.is_empty().then_some(())
    })
    .await;
    app.finish().await;
    embedded.server.stop().await;
}

#[tokio::test]
async fn preferred_store_must_exist_but_need_not_have_the_image() {
    let (app, _, embedded) = with_two_stores().await;
    let id = app.client.upload(Bytes::from_static(TEN)).await;
    for prefer in ["main", "other", "other,main", "other%2Cmain", "", "%20main"] {
        let answer = app
            .client
            .get(&format!("{}?prefer={prefer}", file(&id)))
            .await;
        assert_eq!(answer.status, StatusCode::OK, "{prefer:?}");
        assert_eq!(answer.body, TEN);
    }
    for prefer in ["nowhere", "main,nowhere", "%ff"] {
        let answer = app
            .client
            .get(&format!("{}?prefer={prefer}", file(&id)))
            .await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{prefer:?}");
        assert!(answer.text().contains("prefer"), "{}", answer.text());
    }
    app.finish().await;
    embedded.server.stop().await;
}

#[tokio::test]
async fn reader_may_see_an_image_but_not_download_it() {
    let tokens = Tokens::new();
    let app = tokens.start(Options::default()).await;
    let member = app.client.with_token("member-token");
    let own = member.upload(Bytes::from_static(TEN)).await;
    let public = app
        .client
        .create(&serde_json::json!({"visibility": "public", "disk_format": "raw", "container_format": "bare"}))
        .await;
    app.client.put_file(&public, &[], full(TEN)).await;
    for (token, id, status) in [
        ("member-token", &own, StatusCode::OK),
        ("admin-token", &own, StatusCode::OK),
        ("reader-token", &own, StatusCode::FORBIDDEN),
        ("roleless-token", &own, StatusCode::NOT_FOUND),
        ("stranger-token", &own, StatusCode::NOT_FOUND),
        ("stranger-reader-token", &own, StatusCode::NOT_FOUND),
        ("stranger-token", &public, StatusCode::OK),
        ("stranger-reader-token", &public, StatusCode::FORBIDDEN),
    ] {
        let answer = get(&app.client.with_token(token), id, &[]).await;
        assert_eq!(answer.status, status, "{token}");
    }
    app.finish().await;
}

#[tokio::test]
async fn deactivated_image_is_403_but_for_administrators() {
    let tokens = Tokens::new();
    let mut app = tokens.start(Options::default()).await;
    let id = app
        .client
        .with_token("member-token")
        .upload(Bytes::from_static(TEN))
        .await;
    app.shut_down().await;
    let database = app.database().await;
    let sql = "UPDATE images SET status = $1";
    let to = async |status: &str| {
        let done = sqlx::query(sql).bind(status).execute(&database).await;
        assert_eq!(done.unwrap().rows_affected(), 1);
    };
    to("deactivated").await;
    app.restart().await;
    for (token, status) in [
        ("admin-token", StatusCode::OK),
        ("member-token", StatusCode::FORBIDDEN),
        ("reader-token", StatusCode::FORBIDDEN),
        ("stranger-token", StatusCode::NOT_FOUND),
    ] {
        let answer = get(&app.client.with_token(token), &id, &[]).await;
        assert_eq!(answer.status, status, "{token}");
        if status == StatusCode::FORBIDDEN {
            assert!(answer.text().contains("has been deactivated"), "{token}");
        }
    }
    app.shut_down().await;
    to("active").await;
    database.close().await;
    app.restart().await;
    app.client = app.client.with_token("admin-token");
    app.finish().await;
}

#[tokio::test]
async fn image_that_is_not_there_is_404_and_named() {
    let app = TestApp::start().await;
    for id in ["00000000-0000-4000-8000-000000000000", "no-uuid", "%20"] {
        let answer = app.client.get(&file(id)).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{id}");
        assert!(answer.text().contains("No image found with ID"), "{id}");
    }
    app.finish().await;
}

#[tokio::test]
async fn download_with_a_body_is_400() {
    let app = TestApp::start().await;
    let id = app.client.upload(Bytes::from_static(TEN)).await;
    let answer = app
        .client
        .send(Method::GET, &file(&id), &[], full("x"))
        .await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.text().contains("A body is not expected"));
    let answer = get(&app.client, &id, &[("content-length", "0")]).await;
    assert_eq!(answer.status, StatusCode::OK, "clients send an empty one");
    app.finish().await;
}

#[tokio::test]
async fn head_of_a_file_is_405_with_the_methods_it_has() {
    let app = TestApp::start().await;
    let id = app.client.upload(Bytes::from_static(TEN)).await;
    let answer = app
        .client
        .send(Method::HEAD, &file(&id), &[], full(""))
        .await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.header("allow"), Some("GET, PUT"));
    assert!(answer.body.is_empty());
    app.finish().await;
}

#[tokio::test]
async fn download_of_a_cached_record_runs_no_sql() {
    let app = TestApp::start().await;
    let id = app.client.upload(Bytes::from_static(TEN)).await;
    // Twice: where others write as well, the first has its own upload told as news.
    for _ in 0..2 {
        app.client.get(&file(&id)).await;
    }
    let hits = app.metric("oriel_cache_hits_total").await;
    let misses = app.metric("oriel_cache_misses_total").await;
    for _ in 0..3 {
        assert_eq!(app.client.get(&file(&id)).await.status, StatusCode::OK);
    }
    assert_eq!(app.metric("oriel_cache_hits_total").await, hits + 3.0);
    assert_eq!(app.metric("oriel_cache_misses_total").await, misses);
    app.finish().await;
}

#[tokio::test]
async fn every_download_is_one_get_of_the_store() {
    let app = TestApp::with_faults().await;
    let id = app.client.upload(content::bytes(3_000_000)).await;
    let looked = app.proxy().count("head");
    for (number, range) in ["bytes=0-", "bytes=0-9", "bytes=1000000-1999999", "bytes=-1"]
        .into_iter()
        .enumerate()
    {
        let answer = get(&app.client, &id, &[("range", range)]).await;
        assert!(answer.status.is_success(), "{range}");
        assert_eq!(app.proxy().count("get"), number + 1, "{range}");
        assert_eq!(app.proxy().count("head"), looked, "{range}");
    }
    app.finish().await;
}
