//! `PATCH /v2/images/{id}` (contract 4.5).

use http::Method;
use serde_json::{Value, json};

use crate::support::app::{Options, TestApp};
use crate::support::client::{Answer, full};
use crate::support::tokens::Tokens;
use crate::support::{content, eventually};

const V21: &str = "application/openstack-images-v2.1-json-patch";
const V20: &str = "application/openstack-images-v2.0-json-patch";

async fn patch(app: &TestApp, id: &str, media_type: &str, body: Value) -> Answer {
    let headers = [("content-type", media_type), ("accept", "application/json")];
    let path = format!("/v2/images/{id}");
    app.client
        .send(Method::PATCH, &path, &headers, full(body.to_string()))
        .await
}

#[tokio::test]
async fn patch_of_stores_is_taken_without_effect_and_an_empty_addition_of_locations_is_400() {
    let app = TestApp::start().await;
    let id = app.client.create(&json!({"name": "a"})).await;
    for (operation, status) in [
        (json!({"op": "add", "path": "/stores", "value": "x"}), 200),
        (json!({"op": "add", "path": "/stores", "value": 1}), 400),
        (
            json!({"op": "replace", "path": "/stores", "value": "x"}),
            409,
        ),
        (json!({"op": "remove", "path": "/stores"}), 409),
        (json!({"op": "add", "path": "/locations", "value": []}), 400),
    ] {
        let answer = patch(&app, &id, V21, json!([operation])).await;
        assert_eq!(answer.status, status, "{operation}: {}", answer.text());
    }
    assert_eq!(app.client.image(&id).await.get("stores"), None);
    app.finish().await;
}

#[tokio::test]
async fn properties_of_an_image_are_bounded_together() {
    let app = TestApp::with(Options {
        tables: "[images]\nproperties_size = 1000\n".into(),
        ..Options::default()
    })
    .await;
    // A name of 4 bytes and a value of 496.
    let half = "v".repeat(496);
    let more = format!("{half}v");
    for (second, status) in [(&half, 201), (&more, 413)] {
        let body = json!({"p_01": half, "p_02": second});
        let path = "/v2/images";
        let answer = app.client.post_json(path, &body).await;
        assert_eq!(answer.status, status);
        if status == 413 {
            assert!(answer.text().contains("properties_size"));
        }
    }
    let id = app.client.create(&json!({"p_01": half})).await;
    let add = async |name: &str, value: &str| {
        let operation = json!([{"op": "add", "path": format!("/{name}"), "value": value}]);
        patch(&app, &id, V21, operation).await.status
    };
    assert_eq!(add("p_02", &more).await, 413);
    assert_eq!(app.client.image(&id).await.get("p_02"), None);
    assert_eq!(add("p_02", &half).await, 200);
    assert_eq!(add("x", "").await, 413, "names count");
    assert_eq!(add("p_02", "").await, 200);
    assert_eq!(add("é", "é").await, 200);
    app.finish().await;
}

#[tokio::test]
async fn patch_writes_what_it_changes_and_nothing_else() {
    let app = TestApp::start().await;
    let body = json!({"kept": "1", "changed": "1", "gone": "1", "tags": ["kept", "gone"]});
    let id = app.client.create(&body).await;
    let database = app.database().await;
    for (name, moment) in [("d", "DELETE ON"), ("u", "UPDATE ON"), ("i", "INSERT ON")] {
        for (table, column) in [("image_properties", "name"), ("image_tags", "value")] {
            let row = if name == "i" { "NEW" } else { "OLD" };
            let trigger = format!("CREATE TRIGGER {table}_{name} BEFORE {moment} {table}");
            let when = format!("{row}.{column} = 'kept'");
            let trigger = if app.is_sqlite() {
                format!("{trigger} WHEN {when} BEGIN SELECT RAISE(ABORT, 'written in vain'); END")
            } else {
                format!(
                    "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
                     $$BEGIN RAISE EXCEPTION 'written in vain'; END$$; \
                     {trigger} FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION refuse()"
                )
            };
            sqlx::raw_sql(sqlx::AssertSqlSafe(trigger))
                .execute(&database)
                .await
                .unwrap();
        }
    }
    let answer = patch(
        &app,
        &id,
        V21,
        json!([
            {"op": "replace", "path": "/changed", "value": "2"},
            {"op": "remove", "path": "/gone"},
            {"op": "add", "path": "/new", "value": "1"},
            {"op": "replace", "path": "/tags", "value": ["kept", "new"]},
        ]),
    )
    .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let expected = answer.json();
    database.close().await;
    let mut app = app;
    app.restart().await;
    let image = app.client.image(&id).await;
    assert_eq!(image, expected);
    assert_eq!(
        (
            &image["kept"],
            &image["changed"],
            &image["new"],
            image.get("gone"),
            &image["tags"]
        ),
        (
            &json!("1"),
            &json!("2"),
            &json!("1"),
            None,
            &json!(["kept", "new"])
        )
    );
    app.finish().await;
}

#[tokio::test]
async fn patch_changes_attributes_and_properties_in_both_dialects() {
    let app = TestApp::start().await;
    let id = app
        .client
        .create(&json!({"name": "a", "os_distro": "debian"}))
        .await;
    let answer = patch(
        &app,
        &id,
        &format!("{V21}; charset=utf-8"),
        json!([
            {"op": "add", "path": "/name", "value": "b"},
            {"op": "remove", "path": "/os_distro"},
            {"op": "add", "path": "/hw_cpu", "value": "4"},
            {"op": "replace", "path": "/tags", "value": ["y", "x", "x"]},
        ]),
    )
    .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let image = answer.json();
    assert_eq!(
        (&image["name"], &image["hw_cpu"], &image["tags"]),
        (&json!("b"), &json!("4"), &json!(["x", "y"]))
    );
    assert_eq!(image.get("os_distro"), None);
    assert_eq!(app.client.image(&id).await, image);
    let old = patch(
        &app,
        &id,
        V20,
        json!([{"replace": "/visibility", "value": "public"}]),
    )
    .await;
    assert_eq!(old.json()["visibility"], "public");
    let mut app = app;
    app.restart().await;
    assert_eq!(app.client.image(&id).await, old.json());
    app.finish().await;
}

#[tokio::test]
async fn refused_patch_changes_nothing() {
    let app = TestApp::start().await;
    let id = app.client.create(&json!({"name": "a"})).await;
    let before = app.client.image(&id).await;
    for (media_type, body, status) in [
        (
            V21,
            json!([{"op": "add", "path": "/name", "value": "b"}, {"op": "remove", "path": "/absent"}]),
            409,
        ),
        (
            V21,
            json!([{"op": "add", "path": "/name", "value": "b"}, {"op": "add", "path": "/status", "value": "active"}]),
            403,
        ),
        (
            V21,
            json!([{"op": "add", "path": "/name", "value": "b"}, {"op": "add", "path": "/min_ram", "value": -1}]),
            400,
        ),
        (V20, json!([{"add": "/name", "value": "b"}]), 409),
        (V21, json!({"name": "b"}), 400),
        ("application/json", json!([]), 415),
    ] {
        let answer = patch(&app, &id, media_type, body.clone()).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
        if status == 415 {
            assert_eq!(
                answer.header("accept-patch").unwrap(),
                format!("{V20}, {V21}")
            );
        }
    }
    assert_eq!(app.client.image(&id).await, before);
    app.finish().await;
}

#[tokio::test]
async fn patch_during_an_upload_is_kept() {
    let app = TestApp::start().await;
    let id = app.client.create_image().await;
    let (more, rest) = tokio::sync::mpsc::channel::<bytes::Bytes>(1);
    let body = futures_util::stream::unfold(rest, async |mut rest| {
        rest.recv()
            .await
            .map(|bytes| (Ok(http_body::Frame::data(bytes)), rest))
    });
    let body = http_body_util::BodyExt::boxed_unsync(http_body_util::StreamBody::new(body));
    let upload = app.client.put_file(&id, &[], body);
    let meanwhile = async {
        more.send(content::bytes(10)).await.unwrap();
        eventually("the upload runs", async || {
            (app.client.status(&id).await == "saving").then_some(())
        })
        .await;
        let renamed = patch(
            &app,
            &id,
            V21,
            json!([{"op": "replace", "path": "/name", "value": "kept"}]),
        )
        .await;
        assert_eq!(renamed.status, 200, "{}", renamed.text());
        let fixed = patch(
            &app,
            &id,
            V21,
            json!([{"op": "replace", "path": "/disk_format", "value": "iso"}]),
        )
        .await;
        assert_eq!(fixed.status, 403);
        drop(more);
    };
    let (uploaded, ()) = tokio::join!(upload, meanwhile);
    assert_eq!(uploaded.status, 204, "{}", uploaded.text());
    let image = app.client.image(&id).await;
    assert_eq!(
        (&image["name"], &image["status"], &image["size"]),
        (&json!("kept"), &json!("active"), &json!(10))
    );
    app.finish().await;
}

#[tokio::test]
async fn protected_image_may_be_patched_and_then_deleted() {
    let app = TestApp::start().await;
    let id = app.client.create(&json!({"protected": true})).await;
    assert_eq!(
        app.client.delete(&format!("/v2/images/{id}")).await.status,
        403
    );
    patch(
        &app,
        &id,
        V21,
        json!([{"op": "replace", "path": "/protected", "value": false}]),
    )
    .await;
    assert_eq!(
        app.client.delete(&format!("/v2/images/{id}")).await.status,
        204
    );
    app.finish().await;
}

#[tokio::test]
async fn owner_is_changed_by_administrators_only_by_add_as_by_replace() {
    let tokens = Tokens::new();
    let app = tokens.start(Options::default()).await;
    let member = app.client.with_token("member-token");
    let id = member.create_image().await;
    let path = format!("/v2/images/{id}");
    let headers = [("content-type", V21)];
    for op in ["add", "replace"] {
        let body = json!([{"op": op, "path": "/owner", "value": "other"}]).to_string();
        let refused = member
            .send(Method::PATCH, &path, &headers, full(body))
            .await;
        assert_eq!(refused.status, 403, "{op}");
        assert_eq!(member.image(&id).await["owner"], "own", "{op}");
    }
    let body = json!([{"op": "add", "path": "/owner", "value": "other"}]).to_string();
    let given = app
        .client
        .send(Method::PATCH, &path, &headers, full(body))
        .await;
    assert_eq!(
        (given.status.as_u16(), &given.json()["owner"]),
        (200, &json!("other"))
    );
    assert_eq!(member.get(&path).await.status, 404);
    app.finish().await;
}
