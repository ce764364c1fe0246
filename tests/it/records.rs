//! Image records: create and show (contract 4.1, 4.4), delete (4.6).

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::app::{Options, TestApp};
use crate::support::client::{Answer, Client, full};
use crate::support::proxy::Fault;
use crate::support::tokens::Tokens;
use crate::support::{content, eventually};

async fn post(client: &Client, body: &Value) -> Answer {
    client.post_json("/v2/images", body).await
}

async fn post_text(client: &Client, body: impl Into<Bytes>) -> Answer {
    let headers = [("accept", "application/json")];
    client
        .send(Method::POST, "/v2/images", &headers, full(body))
        .await
}

#[tokio::test]
async fn empty_object_gives_a_queued_record_with_every_default() {
    let app = TestApp::start().await;
    let answer = post(&app.client, &json!({})).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("openstack-image-store-ids"), Some("main"));
    assert_eq!(
        answer.header("openstack-image-import-methods"),
        Some("glance-direct,web-download,copy-image")
    );
    let mut image = answer.json();
    let id = image["id"].as_str().unwrap().to_owned();
    assert!(id.parse::<uuid::Uuid>().is_ok(), "{id}");
    let location = format!("http://{}/v2/images/{id}", app.client.addr);
    assert_eq!(answer.header("location"), Some(&*location));
    assert_eq!(app.client.image(&id).await, image);
    let created = image["created_at"].take();
    assert_eq!(image["updated_at"].take(), created);
    let created = created.as_str().unwrap();
    assert_eq!(created.len(), "2026-01-01T00:00:00Z".len(), "{created}");
    assert!(created.ends_with('Z'), "{created}");
    assert_eq!(
        image,
        json!({
            "id": id, "name": null, "status": "queued", "visibility": "shared", "owner": "admin", "protected": false,
            "os_hidden": false, "disk_format": null, "container_format": null, "min_disk": 0, "min_ram": 0,
            "size": null, "virtual_size": null, "checksum": null, "os_hash_algo": null, "os_hash_value": null,
            "tags": [], "created_at": null, "updated_at": null, "self": format!("/v2/images/{id}"),
            "file": format!("/v2/images/{id}/file"), "schema": "/v2/schemas/image"
        })
    );
    app.finish().await;
}

#[tokio::test]
async fn every_attribute_that_may_be_set_is_kept() {
    let app = TestApp::start().await;
    let body = json!({
        "id": "0a1b2c3d-0000-4000-8000-00000000abcd", "name": "n", "visibility": "public", "owner": "somebody",
        "protected": false, "os_hidden": true, "disk_format": "qcow2", "container_format": "bare", "min_disk": 3,
        "min_ram": 2_147_483_647, "tags": ["b", "a", "b"], "hw_disk_bus": "scsi", "kernel_id": null, "empty": ""
    });
    let answer = post(&app.client, &body).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
    let mut image = answer.json();
    let mut tags: Vec<Value> = image["tags"].take().as_array().unwrap().clone();
    tags.sort_by_key(Value::to_string);
    assert_eq!(tags, ["a", "b"]);
    for (name, value) in body.as_object().unwrap() {
        if name != "tags" {
            assert_eq!(image[name], *value, "{name}");
        }
    }
    app.finish().await;
}

#[tokio::test]
async fn text_outside_the_basic_plane_is_kept() {
    let app = TestApp::start().await;
    let text = "\u{1f4bf} \u{20bb7} e\u{301} \u{0}\u{7f}";
    let long = "\u{1f4bf}".repeat(255);
    let body = json!({"name": long, "tags": [text], "note \u{1f4bf}": text});
    if !app.is_sqlite() {
        assert_nul_is_refused(&app, &body).await;
        return app.finish().await;
    }
    let id = app.client.create(&body).await;
    let restarted = {
        let mut app = app;
        app.restart().await;
        app
    };
    let image = restarted.client.image(&id).await;
    assert_eq!(image["name"], long, "255 characters, not bytes");
    assert_eq!(image["tags"], json!([text]));
    assert_eq!(image["note \u{1f4bf}"], text);
    restarted.finish().await;
}

/// PostgreSQL has no texts with a NUL; without one the same is kept.
async fn assert_nul_is_refused(app: &TestApp, body: &Value) {
    let refused = app.client.post_json("/v2/images", body).await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    assert!(refused.text().contains("U+0000"), "{}", refused.text());
    let text = body.to_string().replace("\\u0000", "");
    let without: Value = serde_json::from_str(&text).unwrap();
    let id = app.client.create(&without).await;
    let image = app.client.image(&id).await;
    for (key, value) in without.as_object().unwrap() {
        assert_eq!(image[key], *value);
    }
}

#[tokio::test]
async fn refusal_of_a_record_has_the_code_of_the_contract_and_names_the_field() {
    let app = TestApp::start().await;
    let long = "x".repeat(256);
    let many: Vec<String> = (0..129).map(|n| format!("t{n}")).collect();
    let properties: serde_json::Map<String, Value> =
        many.iter().map(|name| (name.clone(), json!("v"))).collect();
    for (body, status, word) in [
        (json!({"id": "no-uuid"}), 400, "'id'"),
        (json!({"name": long}), 400, "'name'"),
        (json!({"visibility": "secret"}), 400, "'visibility'"),
        (json!({"disk_format": "floppy"}), 400, "'disk_format'"),
        (
            json!({"container_format": "box"}),
            400,
            "'container_format'",
        ),
        (json!({"min_disk": -1}), 400, "'min_disk'"),
        (json!({"min_ram": "1"}), 400, "'min_ram'"),
        (json!({"protected": "yes"}), 400, "'protected'"),
        (json!({"tags": [long]}), 400, "'tags'"),
        (json!({"tags": [7]}), 400, "'tags'"),
        (json!({"hw_cpu": 4}), 400, "'hw_cpu'"),
        (json!({"status": "active"}), 403, "'status'"),
        (json!({"size": 5}), 403, "'size'"),
        (json!({"size": "5"}), 400, "'size'"),
        (json!({"deleted": true}), 400, "'deleted'"),
        (json!({"location": 1}), 400, "'location'"),
        (json!({"checksum": "x"}), 403, "'checksum'"),
        (json!({"virtual_size": 5}), 403, "'virtual_size'"),
        (
            json!({"created_at": "2026-01-01T00:00:00Z"}),
            403,
            "'created_at'",
        ),
        (
            json!({"updated_at": "2026-01-01T00:00:00Z"}),
            403,
            "'updated_at'",
        ),
        (json!({"self": "/x"}), 403, "'self'"),
        (json!({"file": "/x"}), 403, "'file'"),
        (json!({"schema": "/x"}), 403, "'schema'"),
        (json!({"direct_url": "s3://x"}), 403, "'direct_url'"),
        (json!({"stores": "main"}), 403, "'stores'"),
        (json!({"locations": []}), 403, "'locations'"),
        (json!({"location": "x"}), 403, "'location'"),
        (json!({"deleted": "x"}), 403, "'deleted'"),
        (json!({"deleted_at": "x"}), 403, "'deleted_at'"),
        (json!({"os_glance_x": "x"}), 403, "'os_glance_x'"),
        (json!({"tags": many}), 413, "image_tag_quota"),
        (Value::Object(properties), 413, "image_property_quota"),
    ] {
        let answer = post(&app.client, &body).await;
        assert_eq!(answer.status, status, "{body}");
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains(word), "{body}: {message}");
    }
    let listed = app.client.get("/v2/images").await.json();
    assert_eq!(listed["images"], json!([]), "a refusal leaves no record");
    app.finish().await;
}

#[tokio::test]
async fn digests_at_creation_are_taken_and_have_no_effect() {
    let app = TestApp::start().await;
    let body = json!({"os_hash_algo": "sha512", "os_hash_value": "ab"});
    let answer = post(&app.client, &body).await;
    assert_eq!(answer.status, 201);
    let record = answer.json();
    assert_eq!(
        (&record["os_hash_algo"], &record["os_hash_value"]),
        (&Value::Null, &Value::Null)
    );
    app.finish().await;
}

#[tokio::test]
async fn full_quotas_of_tags_and_properties_are_accepted() {
    let app = TestApp::with(Options {
        tables: "[images]\ntag_quota = 2\nproperty_quota = 1\n".into(),
        ..Options::default()
    })
    .await;
    let full = json!({"tags": ["a", "b", "a"], "p": "1"});
    assert_eq!(post(&app.client, &full).await.status, 201);
    for over in [
        json!({"tags": ["a", "b", "c"]}),
        json!({"p": "1", "q": "2"}),
    ] {
        assert_eq!(post(&app.client, &over).await.status, 413, "{over}");
    }
    app.finish().await;
}

#[tokio::test]
async fn body_that_is_no_json_object_is_400_whatever_its_content_type() {
    let app = TestApp::start().await;
    for body in [
        "",
        "{",
        "[]",
        "\"x\"",
        "null",
        "1",
        "{\"name\": }",
        "{} {}",
        "\u{feff}{}",
    ] {
        let answer = post_text(&app.client, body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body:?}");
        assert!(answer.text().contains("request body"), "{}", answer.text());
    }
    let answer = post_text(&app.client, &b"{\"name\": \"\xff\"}"[..]).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    for kind in ["text/xml", "application/json", "nonsense"] {
        let headers = [("content-type", kind)];
        let answer = app
            .client
            .send(Method::POST, "/v2/images", &headers, full("{}"))
            .await;
        assert_eq!(answer.status, StatusCode::CREATED, "{kind}");
    }
    app.finish().await;
}

#[tokio::test]
async fn deeply_nested_json_is_400() {
    let app = TestApp::start().await;
    let answer = post_text(&app.client, "[".repeat(50_000)).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    app.finish().await;
}

#[tokio::test]
async fn json_body_above_a_mebibyte_is_413() {
    let app = TestApp::start().await;
    let padding = |size: usize| format!("{{}}{}", " ".repeat(size - 2));
    let answer = post_text(&app.client, padding(1024 * 1024)).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    let answer = post_text(&app.client, padding(1024 * 1024 + 1)).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(answer.text().contains("1048576 bytes"), "{}", answer.text());
    app.finish().await;
}

#[tokio::test]
async fn id_that_was_ever_used_is_409_also_by_a_deleted_or_foreign_image() {
    let tokens = Tokens::new();
    let app = tokens.start(Options::default()).await;
    let member = app.client.with_token("member-token");
    let stranger = app.client.with_token("stranger-token");
    let id = member.create(&json!({})).await;
    let again = json!({"id": id});
    let refused = async |client: &Client, why: &str| {
        let answer = post(client, &again).await;
        assert_eq!(answer.status, StatusCode::CONFLICT, "{why}");
        let message = format!("Image ID {id} already exists!");
        assert_eq!(answer.json()["message"], message);
    };
    refused(&member, "own").await;
    refused(&stranger, "foreign").await;
    assert_eq!(member.delete(&format!("/v2/images/{id}")).await.status, 204);
    refused(&member, "deleted").await;
    refused(&app.client, "administrator").await;
    app.finish().await;
}

#[tokio::test]
async fn owner_and_visibility_are_what_the_role_allows() {
    let tokens = Tokens::new();
    let app = tokens.start(Options::default()).await;
    for (token, body, status) in [
        ("member-token", json!({}), 201),
        ("member-token", json!({"owner": "own"}), 201),
        ("member-token", json!({"owner": "other"}), 403),
        ("member-token", json!({"owner": null}), 403),
        ("member-token", json!({"visibility": "public"}), 403),
        ("member-token", json!({"visibility": "community"}), 201),
        ("member-token", json!({"visibility": "private"}), 201),
        ("reader-token", json!({}), 403),
        ("roleless-token", json!({}), 403),
        ("admin-token", json!({"owner": "other"}), 201),
        ("admin-token", json!({"owner": null}), 201),
        ("admin-token", json!({"visibility": "public"}), 201),
    ] {
        let answer = post(&app.client.with_token(token), &body).await;
        assert_eq!(answer.status, status, "{token} {body}");
        if status == 201 {
            let default = if token == "admin-token" {
                "site"
            } else {
                "own"
            };
            let owner = body.get("owner").cloned().unwrap_or(json!(default));
            assert_eq!(answer.json()["owner"], owner, "{token} {body}");
        }
    }
    app.finish().await;
}

#[tokio::test]
async fn record_is_shown_to_those_who_may_see_it_and_absent_to_others() {
    let tokens = Tokens::new();
    let app = tokens.start(Options::default()).await;
    let seen_by = async |visibility: &str| {
        let body = json!({"visibility": visibility, "owner": "own"});
        let id = app.client.create(&body).await;
        let mut seen = String::new();
        for token in [
            "admin",
            "member",
            "reader",
            "roleless",
            "stranger",
            "stranger-reader",
        ] {
            let client = app.client.with_token(&format!("{token}-token"));
            let answer = client.get(&format!("/v2/images/{id}")).await;
            match answer.status.as_u16() {
                200 => seen.push('y'),
                404 => {
                    let text = format!("No image found with ID {id}");
                    assert!(answer.text().contains(&text));
                    seen.push('-');
                }
                other => panic!("{visibility} {token}: {other}"),
            }
        }
        seen
    };
    assert_eq!(seen_by("private").await, "yyy---");
    assert_eq!(seen_by("shared").await, "yyy---");
    assert_eq!(seen_by("community").await, "yyy-yy");
    assert_eq!(seen_by("public").await, "yyy-yy");
    app.finish().await;
}

#[tokio::test]
async fn deleted_image_is_gone_with_its_object() {
    let app = TestApp::start().await;
    let id = app.client.upload(content::bytes(1000)).await;
    assert_eq!(app.bucket.keys().await.len(), 1);
    let path = format!("/v2/images/{id}");
    let answer = app.client.delete(&path).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert!(answer.body.is_empty());
    assert!(app.bucket.keys().await.is_empty(), "before the answer");
    for path in [path.clone(), format!("{path}/file")] {
        assert_eq!(app.client.get(&path).await.status, 404, "{path}");
    }
    let again = app.client.delete(&path).await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);
    let text = format!("Failed to find image {id} to delete");
    assert!(again.text().contains(&text), "{}", again.text());
    assert_eq!(
        app.client.get("/v2/images").await.json()["images"],
        json!([])
    );
    app.finish().await;
}

#[tokio::test]
async fn image_without_data_or_whose_object_is_gone_is_deleted_all_the_same() {
    let app = TestApp::start().await;
    let queued = app.client.create_image().await;
    let lost = app.client.upload(content::bytes(10)).await;
    let key = app.bucket.keys().await.pop_first().unwrap();
    let delete = app.bucket.s3.delete_object().bucket(&app.bucket.name);
    delete.key(key).send().await.unwrap();
    for id in [queued, lost] {
        let answer = app.client.delete(&format!("/v2/images/{id}")).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
    }
    app.finish().await;
}

#[tokio::test]
async fn protected_image_is_not_deleted_even_by_an_administrator() {
    let app = TestApp::start().await;
    let body = json!({"protected": true, "disk_format": "raw", "container_format": "bare"});
    let id = app.client.create(&body).await;
    app.client.put_file(&id, &[], full("data")).await;
    let answer = app.client.delete(&format!("/v2/images/{id}")).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(answer.text().contains(&format!("Image {id} is protected")));
    assert_eq!(app.client.status(&id).await, "active");
    app.finish().await;
}

#[tokio::test]
async fn only_members_of_the_owner_and_administrators_delete() {
    let tokens = Tokens::new();
    let app = tokens.start(Options::default()).await;
    let private = app.client.create(&json!({"owner": "own"})).await;
    let public = json!({"owner": "own", "visibility": "public"});
    let public = app.client.create(&public).await;
    for (token, id, status) in [
        ("reader-token", &private, 403),
        ("roleless-token", &private, 404),
        ("stranger-token", &private, 404),
        ("stranger-token", &public, 403),
        ("stranger-reader-token", &public, 403),
        ("member-token", &private, 204),
        ("admin-token", &public, 204),
    ] {
        let client = app.client.with_token(token);
        let answer = client.delete(&format!("/v2/images/{id}")).await;
        assert_eq!(answer.status, status, "{token}");
    }
    app.finish().await;
}

#[tokio::test]
async fn delete_while_the_store_is_away_is_204_and_the_object_goes_later() {
    let mut app = TestApp::with(Options {
        faults: true,
        store: "retries = 0".into(),
        ..Options::default()
    })
    .await;
    let id = app.client.upload(content::bytes(1000)).await;
    let away = Fault::Answer(StatusCode::SERVICE_UNAVAILABLE, "SlowDown");
    app.proxy().fail_operation("delete", away, 0, usize::MAX);
    let answer = app.client.delete(&format!("/v2/images/{id}")).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_eq!(
        app.client.get(&format!("/v2/images/{id}")).await.status,
        404
    );
    assert_eq!(app.bucket.keys().await.len(), 1, "still there");
    app.proxy().heal();
    app.shut_down().await;
    // The next try would be half a minute away.
    let database = app.database().await;
    let moved = sqlx::query("UPDATE garbage SET due_at = 0");
    assert_eq!(moved.execute(&database).await.unwrap().rows_affected(), 1);
    database.close().await;
    app.restart().await;
    eventually("the object is removed", async || {
        app.bucket.keys().await.is_empty().then_some(())
    })
    .await;
    app.finish().await;
}
