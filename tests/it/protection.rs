//! Property protection (contract 4.2).

use serde_json::json;

use crate::support::app::Options;
use crate::support::client::{Client, patch};
use crate::support::tokens::Tokens;

#[tokio::test]
async fn protected_properties_are_created_read_changed_and_deleted_by_whom_the_file_names() {
    let tokens = Tokens::new();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("protections.conf");
    let text = "[^secret_]\ncreate = admin\nread = admin\nupdate = admin\ndelete = admin\n\
                [^fixed_]\ncreate = member\nread = @\nupdate = !\ndelete = admin\n\
                [^open_]\ncreate = @\nread = @\nupdate = @\ndelete = @\n";
    std::fs::write(&file, text).unwrap();
    let app = tokens
        .start(Options {
            tables: format!(
                "[images]\nproperty_protection_file = {:?}\n",
                file.display().to_string()
            ),
            ..Options::default()
        })
        .await;
    let (admin, member) = (&app.client, app.client.with_token("member-token"));
    for (body, status) in [
        (json!({"open_a": "1", "fixed_a": "1"}), 201),
        (json!({"secret_a": "1"}), 403),
        (json!({"unnamed": "1"}), 403),
    ] {
        let answer = member.post_json("/v2/images", &body).await;
        assert_eq!(answer.status, status, "{body}");
    }
    let id = admin
        .create(&json!({"owner": "own", "secret_a": "1", "open_a": "1"}))
        .await;
    let path = format!("/v2/images/{id}");
    assert!(member.image(&id).await.get("secret_a").is_none());
    assert_eq!(admin.image(&id).await["secret_a"], "1");
    let found = async |client: &Client, query: &str| {
        client.get(&format!("/v2/images?{query}")).await.json()["images"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(found(admin, "secret_a=1").await, 1);
    assert_eq!(
        found(&member, "secret_a=1").await,
        0,
        "values cannot be tried out"
    );
    for (client, body, status) in [
        (
            &member,
            json!([{"op": "replace", "path": "/secret_a", "value": "1"}]),
            403,
        ),
        (&member, json!([{"op": "remove", "path": "/secret_a"}]), 403),
        (
            &member,
            json!([{"op": "add", "path": "/secret_b", "value": "2"}]),
            403,
        ),
        (
            &member,
            json!([{"op": "add", "path": "/fixed_b", "value": "2"}]),
            200,
        ),
        (
            &member,
            json!([{"op": "replace", "path": "/fixed_b", "value": "3"}]),
            403,
        ),
        (
            admin,
            json!([{"op": "replace", "path": "/fixed_b", "value": "3"}]),
            403,
        ),
        (&member, json!([{"op": "remove", "path": "/fixed_b"}]), 403),
        (admin, json!([{"op": "remove", "path": "/fixed_b"}]), 200),
        (
            &member,
            json!([{"op": "replace", "path": "/open_a", "value": "3"}]),
            200,
        ),
        (
            &member,
            json!([{"op": "replace", "path": "/open_a", "value": "4"}, {"op": "remove", "path": "/secret_a"}]),
            403,
        ),
    ] {
        let answer = patch(client, &path, body.clone()).await;
        assert_eq!(answer.status, status, "{body}");
        if status == 200 {
            let sees = answer.json().get("secret_a").is_some();
            assert_eq!(sees, std::ptr::eq(client, admin), "{body}");
        }
    }
    let record = admin.image(&id).await;
    assert_eq!(
        (&record["secret_a"], &record["open_a"]),
        (&json!("1"), &json!("3"))
    );
    app.finish().await;
}
