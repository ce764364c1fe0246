//! Uploads that are refused, in the order of the checks (contract 2.2), and what each refusal leaves: nothing.

use http::{Method, StatusCode};
use serde_json::json;

use crate::support::app::{Options, TestApp};
use crate::support::client::{Answer, Client, full};
use crate::support::content;
use crate::support::tokens::Tokens;
use crate::support::upload::{
    MIB, assert_is_clean, assert_nothing_is_left, assert_refused, chunked_of, fed, until_status,
};

const NO_IMAGE: &str = "00000000-0000-4000-8000-000000000000";

/// A `PUT` of a few bytes whose headers are exactly these.
async fn put(client: &Client, id: &str, headers: &[(&str, &str)]) -> Answer {
    let mut all = vec![("accept", "application/json")];
    all.extend_from_slice(headers);
    let path = format!("/v2/images/{id}/file");
    client.send(Method::PUT, &path, &all, full("data")).await
}

fn images(keys: &str) -> Options {
    Options {
        tables: format!("[images]\n{keys}\n"),
        ..Options::default()
    }
}

/// Each request is wrong in everything from its own rung downwards.
#[tokio::test]
async fn checks_come_in_the_order_of_the_contract() {
    let tokens = Tokens::new();
    let app = tokens.start(Options::default()).await;
    let (member, reader) = (
        app.client.with_token("member-token"),
        app.client.with_token("reader-token"),
    );
    let active = member.create_image().await;
    member.put_file(&active, &[], full("x")).await;
    let bare = member.create(&json!({"name": "without formats"})).await;

    let nobody = Client::new(app.client.addr);
    let bytes = ("content-type", "application/octet-stream");
    let (text, size, store) = (
        ("content-type", "text/plain"),
        ("x-openstack-image-size", "many"),
        ("x-image-meta-store", "nowhere"),
    );
    for (client, id, headers, status) in [
        (&nobody, NO_IMAGE, vec![text, size, store], 401),
        (&reader, NO_IMAGE, vec![text, size, store], 415),
        (&reader, NO_IMAGE, vec![bytes, size, store], 400),
        (&reader, NO_IMAGE, vec![bytes, store], 400),
        (&reader, NO_IMAGE, vec![bytes], 404),
        (&reader, &active, vec![bytes], 403),
        (&member, &active, vec![bytes], 409),
        (&member, &bare, vec![bytes], 400),
    ] {
        let answer = put(client, id, &headers).await;
        assert_eq!(
            answer.status.as_u16(),
            status,
            "{headers:?}: {}",
            answer.text()
        );
    }
    app.finish().await;
}

#[tokio::test]
async fn upload_without_a_good_token_is_401_with_a_challenge() {
    let tokens = Tokens::new();
    let app = tokens.start(Options::default()).await;
    let id = app.client.create_image().await;
    let nobody = Client::new(app.client.addr);
    for client in [
        &nobody,
        &nobody.with_token("made-up"),
        &nobody.with_token("expired-token"),
    ] {
        let answer = client.put_file(&id, &[], full("data")).await;
        assert_refused(&answer, StatusCode::UNAUTHORIZED, "requires authentication");
        assert!(answer.header("www-authenticate").is_some());
    }
    assert_nothing_is_left(&app, &id).await;
    app.finish().await;
}

#[tokio::test]
async fn content_type_other_than_octet_stream_is_415() {
    let app = TestApp::start().await;
    let id = app.client.create_image().await;
    for headers in [
        vec![],
        vec![("content-type", "application/json")],
        vec![("content-type", "application/octet-streams")],
        vec![("content-type", "")],
    ] {
        for id in [&id, NO_IMAGE] {
            let answer = put(&app.client, id, &headers).await;
            assert_refused(&answer, StatusCode::UNSUPPORTED_MEDIA_TYPE, "Content-Type");
        }
    }
    assert_nothing_is_left(&app, &id).await;
    app.finish().await;
}

#[tokio::test]
async fn declared_size_that_is_not_digits_is_400() {
    let app = TestApp::start().await;
    let id = app.client.create_image().await;
    for size in [
        "-1",
        "+5",
        "1_0",
        "5.0",
        "0x10",
        "4 4",
        "four",
        "",
        "18446744073709551616",
    ] {
        for id in [&id, NO_IMAGE] {
            let headers = [("x-openstack-image-size", size)];
            let answer = app.client.put_file(id, &headers, chunked_of(4)).await;
            assert_refused(&answer, StatusCode::BAD_REQUEST, "X-OpenStack-Image-Size");
        }
    }
    assert_nothing_is_left(&app, &id).await;
    app.finish().await;
}

#[tokio::test]
async fn store_that_is_not_configured_is_400() {
    let app = TestApp::start().await;
    let id = app.client.create_image().await;
    for store in ["nowhere", "os_glance_staging_store", "", "Main"] {
        for id in [&id, NO_IMAGE] {
            let headers = [("x-image-meta-store", store)];
            let answer = app.client.put_file(id, &headers, full("data")).await;
            assert_refused(&answer, StatusCode::BAD_REQUEST, "X-Image-Meta-Store");
        }
    }
    assert_nothing_is_left(&app, &id).await;
    app.finish().await;
}

#[tokio::test]
async fn image_that_is_absent_malformed_or_hidden_is_404_in_the_same_words() {
    let tokens = Tokens::new();
    let app = tokens.start(Options::default()).await;
    let member = app.client.with_token("member-token");
    let private = member
        .create(&json!({"disk_format": "raw", "container_format": "bare", "visibility": "private"}))
        .await;
    let stranger = app.client.with_token("stranger-token");
    for id in [NO_IMAGE, "not-an-id", "..", &private] {
        let answer = stranger.put_file(id, &[], full("data")).await;
        assert_refused(
            &answer,
            StatusCode::NOT_FOUND,
            &format!("No image found with ID {id}"),
        );
    }
    assert_nothing_is_left(&app, &private).await;
    app.finish().await;
}

#[tokio::test]
async fn reader_and_other_projects_are_403_on_an_image_they_can_read() {
    let tokens = Tokens::new();
    let app = tokens.start(Options::default()).await;
    let formats = |visibility: &str| json!({"disk_format": "raw", "container_format": "bare", "visibility": visibility});
    let member = app.client.with_token("member-token");
    let own = member.create_image().await;
    let public = app.client.create(&formats("public")).await;
    let community = member.create(&formats("community")).await;
    for (token, id) in [
        ("reader-token", &own),
        ("member-token", &public),
        ("stranger-token", &public),
        ("stranger-token", &community),
        ("stranger-reader-token", &community),
    ] {
        let client = app.client.with_token(token);
        let answer = client.put_file(id, &[], full("data")).await;
        assert_refused(&answer, StatusCode::FORBIDDEN, "upload_image");
    }
    // Without any role not even the record may be read.
    let roleless = app.client.with_token("roleless-token");
    let answer = roleless.put_file(&own, &[], full("data")).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND, "{}", answer.text());
    for id in [&own, &public, &community] {
        assert_nothing_is_left(&app, id).await;
    }
    // Lists leave out other projects' community images, and `finish` goes by the list.
    app.client.delete(&format!("/v2/images/{community}")).await;
    app.finish().await;
}

#[tokio::test]
async fn formats_that_are_missing_are_named_in_a_400() {
    let app = TestApp::start().await;
    for (body, message) in [
        (
            json!({"container_format": "bare"}),
            "Property disk_format must be set prior to saving data.",
        ),
        (
            json!({"disk_format": "raw"}),
            "Property container_format must be set prior to saving data.",
        ),
        (
            json!({}),
            "Properties disk_format, container_format must be set prior to saving data.",
        ),
    ] {
        let id = app.client.create(&body).await;
        let answer = app.client.put_file(&id, &[], full("data")).await;
        assert_refused(&answer, StatusCode::BAD_REQUEST, message);
        assert_is_clean(&app, &id).await;
    }
    app.finish().await;
}

#[tokio::test]
async fn declared_size_over_the_cap_is_413_before_a_byte_is_read() {
    let app = TestApp::with(images("size_cap = \"1MiB\"")).await;
    let id = app.client.create_image().await;
    let size = (MIB + 1).to_string();
    let by_header = [("x-openstack-image-size", size.as_str())];
    let (feed, body) = fed();
    let answer = app.client.put_file(&id, &by_header, body).await;
    assert_refused(&answer, StatusCode::PAYLOAD_TOO_LARGE, "image_size_cap");
    drop(feed);
    let answer = app
        .client
        .put_file(&id, &[], full(content::bytes(MIB + 1)))
        .await;
    assert_refused(&answer, StatusCode::PAYLOAD_TOO_LARGE, "image_size_cap");
    assert_nothing_is_left(&app, &id).await;
    app.finish().await;
}

#[tokio::test]
async fn body_of_unknown_size_is_cut_at_the_cap() {
    let app = TestApp::with(images("size_cap = \"12MiB\"")).await;
    let id = app.client.create_image().await;
    for over in [12 * MIB + 1, 20 * MIB] {
        let answer = app.client.put_file(&id, &[], chunked_of(over)).await;
        assert_refused(&answer, StatusCode::PAYLOAD_TOO_LARGE, "image_size_cap");
        assert_is_clean(&app, &id).await;
    }
    let answer = app.client.put_file(&id, &[], chunked_of(12 * MIB)).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text());
    app.finish().await;
}

#[tokio::test]
async fn body_that_never_ends_is_cut_at_the_cap() {
    let app = TestApp::with(images("size_cap = \"6MiB\"")).await;
    let id = app.client.create_image().await;
    let (feed, body) = fed();
    let (answer, ()) = tokio::join!(app.client.put_file(&id, &[], body), async {
        let piece = content::bytes(MIB);
        let refused = "oriel_uploads_total{outcome=\"refused\"}";
        while app.metric(refused).await == 0.0 {
            assert!(feed.send(piece.clone()).await);
        }
    });
    assert_refused(&answer, StatusCode::PAYLOAD_TOO_LARGE, "image_size_cap");
    assert_nothing_is_left(&app, &id).await;
    app.finish().await;
}

#[tokio::test]
async fn quota_counts_what_a_project_has_and_declares() {
    let app = TestApp::with(images("user_storage_quota = \"10MiB\"")).await;
    app.client.upload(content::bytes(6 * MIB)).await;
    let id = app.client.create_image().await;
    let answer = app
        .client
        .put_file(&id, &[], full(content::bytes(4 * MIB + 1)))
        .await;
    assert_refused(&answer, StatusCode::PAYLOAD_TOO_LARGE, "user_storage_quota");
    assert_is_clean(&app, &id).await;
    // What fits to the last byte is taken, and then the project is full.
    let answer = app
        .client
        .put_file(&id, &[], full(content::bytes(4 * MIB)))
        .await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text());
    let more = app.client.create_image().await;
    let answer = app.client.put_file(&more, &[], full("x")).await;
    assert_refused(&answer, StatusCode::PAYLOAD_TOO_LARGE, "user_storage_quota");
    app.client.delete(&format!("/v2/images/{id}")).await;
    assert_nothing_is_left(&app, &more).await;
    app.finish().await;
}

/// The reference service leaves such an image in saving for ever.
#[tokio::test]
async fn quota_cuts_a_body_of_unknown_size_and_queues_the_image() {
    let app = TestApp::with(images("user_storage_quota = \"10MiB\"")).await;
    let id = app.client.create_image().await;
    for over in [10 * MIB + 1, 20 * MIB] {
        let answer = app.client.put_file(&id, &[], chunked_of(over)).await;
        assert_refused(&answer, StatusCode::PAYLOAD_TOO_LARGE, "user_storage_quota");
        assert_is_clean(&app, &id).await;
    }
    let answer = app.client.put_file(&id, &[], chunked_of(10 * MIB)).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text());
    app.finish().await;
}

#[tokio::test]
async fn quota_is_each_projects_own() {
    let tokens = Tokens::new();
    let app = tokens.start(images("user_storage_quota = \"1MiB\"")).await;
    for token in ["member-token", "stranger-token"] {
        let client = app.client.with_token(token);
        client.upload(content::bytes(MIB)).await;
        let id = client.create_image().await;
        let answer = client.put_file(&id, &[], full("x")).await;
        assert_refused(&answer, StatusCode::PAYLOAD_TOO_LARGE, "user_storage_quota");
    }
    app.finish().await;
}

#[tokio::test]
async fn uploads_at_once_with_declared_sizes_fill_the_quota_but_no_more() {
    let app = TestApp::with(images("user_storage_quota = \"10MiB\"")).await;
    let upload = async || {
        let id = app.client.create_image().await;
        let bytes = full(content::bytes(4 * MIB));
        (app.client.put_file(&id, &[], bytes).await, id)
    };
    let answers = tokio::join!(upload(), upload(), upload(), upload());
    let mut accepted = 0;
    for (answer, id) in [answers.0, answers.1, answers.2, answers.3] {
        match answer.status {
            StatusCode::NO_CONTENT => accepted += 1,
            _ => {
                assert_refused(&answer, StatusCode::PAYLOAD_TOO_LARGE, "user_storage_quota");
                assert_is_clean(&app, &id).await;
            }
        }
    }
    assert_eq!(accepted, 2);
    app.finish().await;
}

/// Nobody can know which of them fit; together they must not overshoot, and what was refused gives its share back.
#[tokio::test]
async fn uploads_at_once_of_unknown_size_cannot_overshoot_the_quota() {
    let app = TestApp::with(images("user_storage_quota = \"10MiB\"")).await;
    let upload = async || {
        let id = app.client.create_image().await;
        let answer = app.client.put_file(&id, &[], chunked_of(4 * MIB)).await;
        (answer, id)
    };
    let answers = tokio::join!(upload(), upload(), upload(), upload());
    let (mut accepted, mut refused) = (0, Vec::new());
    for (answer, id) in [answers.0, answers.1, answers.2, answers.3] {
        match answer.status {
            StatusCode::NO_CONTENT => accepted += 1,
            _ => {
                assert_refused(&answer, StatusCode::PAYLOAD_TOO_LARGE, "user_storage_quota");
                refused.push(id);
            }
        }
    }
    assert!(accepted <= 2, "{accepted} times 4 MiB in 10 MiB");
    for id in refused.iter().take(2 - accepted) {
        let again = app.client.put_file(id, &[], chunked_of(4 * MIB)).await;
        assert_eq!(again.status, StatusCode::NO_CONTENT, "{}", again.text());
    }
    app.finish().await;
}

#[tokio::test]
async fn body_of_another_size_than_declared_is_400() {
    let app = TestApp::start().await;
    let id = app.client.create_image().await;
    // Within a part and beyond one, too short and too long.
    for (declared, sent) in [
        (MIB, MIB - 1),
        (MIB, MIB + 1),
        (MIB, 0),
        (9 * MIB, 9 * MIB - 1),
        (9 * MIB, 9 * MIB + 1),
        (9 * MIB, MIB),
    ] {
        let declared = declared.to_string();
        let headers = [("x-openstack-image-size", declared.as_str())];
        let answer = app.client.put_file(&id, &headers, chunked_of(sent)).await;
        assert_refused(&answer, StatusCode::BAD_REQUEST, "Size mismatch");
        assert_is_clean(&app, &id).await;
        // Both headers cannot come true together.
        let length = full(content::bytes(sent));
        let answer = app.client.put_file(&id, &headers, length).await;
        if sent > 0 {
            assert_refused(&answer, StatusCode::BAD_REQUEST, "Size mismatch");
        } else {
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.text());
        }
    }
    assert_nothing_is_left(&app, &id).await;
    app.finish().await;
}

#[tokio::test]
async fn bytes_of_another_format_than_claimed_are_415() {
    let app = TestApp::start().await;
    let id = app
        .client
        .create(&json!({"disk_format": "qcow2", "container_format": "bare"}))
        .await;
    for body in [full(content::bytes(MIB)), chunked_of(9 * MIB)] {
        let answer = app.client.put_file(&id, &[], body).await;
        assert_refused(
            &answer,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Image disk_format qcow2 does not match stream data raw",
        );
        // The reference service keeps the bytes and even serves them.
        assert_is_clean(&app, &id).await;
    }
    let answer = app.client.put_file(&id, &[], full(content::qcow2(0))).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text());
    app.finish().await;
}

#[tokio::test]
async fn qcow2_with_a_backing_file_is_415_whatever_the_claim() {
    let app = TestApp::start().await;
    for claim in ["qcow2", "raw"] {
        let id = app
            .client
            .create(&json!({"disk_format": claim, "container_format": "bare"}))
            .await;
        let answer = app
            .client
            .put_file(&id, &[], full(content::qcow2(512)))
            .await;
        assert_refused(
            &answer,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Image failed safety checks",
        );
        assert_is_clean(&app, &id).await;
        let answer = app.client.put_file(&id, &[], full(content::qcow2(0))).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text());
    }
    app.finish().await;
}

#[tokio::test]
async fn refused_second_upload_leaves_the_quota_of_the_first_alone() {
    let app = TestApp::with(images("user_storage_quota = \"10MiB\"")).await;
    let id = app.client.create_image().await;
    let (feed, body) = fed();
    let (first, ()) = tokio::join!(app.client.put_file(&id, &[], body), async {
        assert!(feed.send(content::bytes(6 * MIB)).await);
        until_status(&app.client, &id, "saving").await;
        let second = app.client.put_file(&id, &[], chunked_of(MIB)).await;
        assert_eq!(second.status, StatusCode::CONFLICT);
        assert!(feed.send(content::slice(6 * MIB, 4 * MIB)).await);
        drop(feed);
    });
    assert_eq!(first.status, StatusCode::NO_CONTENT, "{}", first.text());
    app.finish().await;
}

/// OSSA 2015-003: deleting the image of an upload under way must not make room for another.
#[tokio::test]
async fn quota_still_counts_an_upload_whose_image_was_deleted() {
    let app = TestApp::with(images("user_storage_quota = \"10MiB\"")).await;
    let id = app.client.create_image().await;
    let (feed, body) = fed();
    let size = (8 * MIB).to_string();
    let headers = [("x-openstack-image-size", size.as_str())];
    let (upload, ()) = tokio::join!(app.client.put_file(&id, &headers, body), async {
        assert!(feed.send(content::slice(0, MIB)).await);
        until_status(&app.client, &id, "saving").await;
        let deleted = app.client.delete(&format!("/v2/images/{id}")).await;
        assert_eq!(deleted.status, StatusCode::NO_CONTENT);
        let other = app.client.create_image().await;
        let answer = app
            .client
            .put_file(&other, &[], full(content::bytes(4 * MIB)))
            .await;
        assert_refused(&answer, StatusCode::PAYLOAD_TOO_LARGE, "user_storage_quota");
        for at in 1..8 {
            assert!(feed.send(content::slice(at * MIB, MIB)).await);
        }
        drop(feed);
    });
    assert_refused(&upload, StatusCode::GONE, "deleted during the upload");
    let other = app.client.create_image().await;
    let answer = app
        .client
        .put_file(&other, &[], full(content::bytes(9 * MIB)))
        .await;
    assert_eq!(
        answer.status,
        StatusCode::NO_CONTENT,
        "the room is free again"
    );
    app.finish().await;
}
