//! Where image data is, and the removal of one of its copies (contract 1.6, 4.5, 6.7).

use http::{Method, StatusCode};
use serde_json::json;

use crate::support::client::{full, patch};
use crate::support::content;
use crate::support::copies::Copies;
use crate::support::tokens::{Tokens, entry};
use crate::support::upload::MIB;

const SHOWN: &str = "[images]\nshow_direct_url = true\nshow_multiple_locations = true\n";

/// Two copies on a site with tokens; its client is the administrator's.
async fn copies(tokens: &Tokens, tables: &str) -> Copies {
    let tables = format!("{}{tables}", tokens.table());
    Copies::with("auth = \"tokens\"", &tables, Some("admin-token")).await
}

fn id_of(copies: &Copies) -> String {
    copies.path.split('/').nth(3).unwrap().to_owned()
}

#[tokio::test]
async fn one_copy_can_be_removed_and_the_last_cannot() {
    let copies = Copies::new().await;
    let (client, id) = (&copies.app.client, id_of(&copies));
    let from = |store: &str| format!("/v2/stores/{store}/{id}");
    assert_eq!(client.delete(&from("nowhere")).await.status, 409);
    let absent = "/v2/stores/main/00000000-0000-4000-8000-000000000000";
    assert_eq!(client.delete(absent).await.status, 404);
    assert_eq!(client.delete("/v2/stores/main/no-uuid").await.status, 404);
    let removed = client.delete(&from("main")).await;
    assert_eq!(
        (removed.status, removed.body.len()),
        (StatusCode::NO_CONTENT, 0)
    );
    assert!(
        copies.app.bucket.keys().await.is_empty(),
        "the object has gone"
    );
    assert_eq!(client.image(&id).await["stores"], "other");
    assert_eq!(client.get(&copies.path).await.body, content::bytes(4 * MIB));
    assert_eq!(
        client.delete(&from("other")).await.status,
        403,
        "the last one"
    );
    assert_eq!(client.get(&copies.path).await.body, content::bytes(4 * MIB));
    let other = client.send(Method::GET, &from("main"), &[], full("")).await;
    assert_eq!(
        (other.status.as_u16(), other.header("allow")),
        (405, Some("DELETE"))
    );
    copies.finish().await;
}

#[tokio::test]
async fn a_copy_that_is_not_there_is_404_and_another_status_409() {
    let copies = Copies::new().await;
    let (client, id) = (&copies.app.client, id_of(&copies));
    let queued = client.create_image().await;
    assert_eq!(
        client
            .delete(&format!("/v2/stores/main/{queued}"))
            .await
            .status,
        409
    );
    let path = format!("/v2/images/{id}/actions/deactivate");
    client.send(Method::POST, &path, &[], full("")).await;
    assert_eq!(
        client.delete(&format!("/v2/stores/main/{id}")).await.status,
        409
    );
    let path = format!("/v2/images/{id}/actions/reactivate");
    client.send(Method::POST, &path, &[], full("")).await;
    let single = client.upload("data".into()).await;
    assert_eq!(
        client
            .delete(&format!("/v2/stores/other/{single}"))
            .await
            .status,
        403
    );
    client.delete(&format!("/v2/images/{single}")).await;
    copies.finish().await;
}

#[tokio::test]
async fn copies_are_removed_by_administrators_and_places_are_told_to_services() {
    let tokens = Tokens::new();
    let service = entry("service-token", Some("site"), "\"service\"");
    let admin = entry("admin-token", Some("site"), "\"admin\"");
    let member = entry("member-token", Some("site"), "\"member\"");
    let stranger = entry("stranger-token", Some("other"), "\"member\"");
    tokens.write(&(admin + &service + &member + &stranger));
    let copies = copies(&tokens, "").await;
    let id = id_of(&copies);
    let as_ = |token| copies.app.client.with_token(token);
    let (places, main) = (
        format!("/v2/images/{id}/locations"),
        format!("/v2/stores/main/{id}"),
    );
    for (token, listed, removed) in [
        ("stranger-token", 404, 404),
        ("member-token", 403, 403),
        ("service-token", 200, 404),
    ] {
        assert_eq!(as_(token).get(&places).await.status, listed, "{token}");
        assert_eq!(as_(token).delete(&main).await.status, removed, "{token}");
    }
    let list = copies.app.client.get(&places).await.json();
    let stores: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|l| &l["metadata"]["store"])
        .collect();
    assert_eq!(stores, ["main", "other"]);
    for location in list.as_array().unwrap() {
        let url = location["url"].as_str().unwrap();
        assert!(
            url.starts_with("s3://127.0.0.1:") && url.contains(&id),
            "{url}"
        );
        assert!(!url.contains('@'), "{url}");
    }
    copies.finish().await;
}

#[tokio::test]
async fn records_show_no_places_unless_the_site_wants_it() {
    let tokens = Tokens::new();
    let hidden = copies(&tokens, "").await;
    let record = hidden.app.client.image(&id_of(&hidden)).await;
    assert!(record.get("locations").is_none() && record.get("direct_url").is_none());
    let refused = json!([{"op": "remove", "path": "/locations/0"}]);
    let path = format!("/v2/images/{}", id_of(&hidden));
    assert_eq!(patch(&hidden.app.client, &path, refused).await.status, 403);
    hidden.finish().await;

    let shown = copies(&tokens, SHOWN).await;
    let (client, id) = (shown.app.client.clone(), id_of(&shown));
    let path = format!("/v2/images/{id}");
    patch(
        &client,
        &path,
        json!([{"op": "replace", "path": "/visibility", "value": "public"}]),
    )
    .await;
    let record = client.image(&id).await;
    assert_eq!(record["locations"].as_array().unwrap().len(), 2);
    assert_eq!(record["direct_url"], record["locations"][0]["url"]);
    assert_eq!(record["locations"][0]["metadata"], json!({"store": "main"}));
    let stranger = client.with_token("stranger-token").get(&path).await.json();
    assert!(stranger.get("locations").is_none() && stranger.get("direct_url").is_none());
    let queued = client.create_image().await;
    assert_eq!(client.image(&queued).await["locations"], json!([]));
    shown.finish().await;
}

#[tokio::test]
async fn patch_removes_a_copy_and_neither_adds_nor_exchanges_one() {
    let tokens = Tokens::new();
    let copies = copies(&tokens, SHOWN).await;
    let (client, id) = (&copies.app.client, id_of(&copies));
    let path = format!("/v2/images/{id}");
    let present = client.image(&id).await["locations"].clone();
    let elsewhere = json!({"url": "s3://127.0.0.1:1/b/k", "metadata": {}});
    for (body, status) in [
        (
            json!([{"op": "replace", "path": "/locations", "value": present}]),
            200,
        ),
        (
            json!([{"op": "replace", "path": "/locations", "value": []}]),
            403,
        ),
        (
            json!([{"op": "replace", "path": "/locations", "value": [elsewhere]}]),
            400,
        ),
        (
            json!([{"op": "add", "path": "/locations/-", "value": elsewhere}]),
            400,
        ),
        (
            json!([{"op": "add", "path": "/locations/-", "value": "x"}]),
            400,
        ),
        (json!([{"op": "remove", "path": "/locations/2"}]), 400),
        (json!([{"op": "remove", "path": "/locations"}]), 400),
        (
            json!([{"op": "remove", "path": "/locations/0"}, {"op": "remove", "path": "/locations/0"}]),
            403,
        ),
        (
            json!([{"op": "remove", "path": "/locations/0"}, {"op": "remove", "path": "/absent"}]),
            409,
        ),
    ] {
        let answer = patch(client, &path, body.clone()).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
        assert_eq!(client.image(&id).await["locations"], present, "{body}");
    }
    let both = json!([
        {"op": "remove", "path": "/locations/0"},
        {"op": "replace", "path": "/name", "value": "one copy"},
    ]);
    let answer = patch(client, &path, both).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["stores"], "other");
    assert_eq!(answer.json()["name"], "one copy");
    assert!(copies.app.bucket.keys().await.is_empty());
    assert_eq!(client.get(&copies.path).await.body, content::bytes(4 * MIB));
    copies.finish().await;
}
