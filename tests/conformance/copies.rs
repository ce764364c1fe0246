//! Two stores in buckets of one server: the second one gets its copy, and the server moves the bytes.

use http::StatusCode;
use serde_json::json;

use crate::stores::{MIB, PART, Subject, assert_holds};
use crate::support::beside::Beside;
use crate::support::client::full;
use crate::support::proxy::Fault;
use crate::support::upload::stage;
use crate::support::{content, eventually};

async fn open(subject: &Subject) -> Beside {
    // What has to be encoded where the original is named.
    let store = format!("part_size = \"{}MiB\"\nprefix = \"a b+ü/\"", PART / MIB);
    Beside::with(&store, subject.endpoint.as_ref()).await
}

/// Imports an image of so many bytes into both stores, looks at it in both, and deletes it.
async fn travel(site: &Beside, size: u64, is_by_server: bool) {
    let client = &site.app.client;
    let bytes = content::bytes(size);
    let id = client.create_image().await;
    let staged = stage(client, &id, &[], full(bytes.clone())).await;
    assert_eq!(staged.status, StatusCode::NO_CONTENT, "{}", staged.text());
    let before = site.counts(["put", "part"]);
    let body = json!({"method": {"name": "glance-direct"}, "all_stores": true});
    let import = format!("/v2/images/{id}/import");
    let accepted = client.post_json(&import, &body).await;
    assert_eq!(accepted.status, StatusCode::ACCEPTED, "{}", accepted.text());
    eventually("the image is active", async || {
        (client.status(&id).await == "active").then_some(())
    })
    .await;
    assert_eq!(client.image(&id).await["stores"], "main,second");
    let is_without_us = site.counts(["put", "part"]) == before;
    assert_eq!(is_without_us, is_by_server, "{:?}", site.proxy.seen());
    assert_holds(&site.app, &id, &bytes).await;
    let file = format!("/v2/images/{id}/file?prefer=second");
    assert!(
        client.get(&file).await.body == bytes,
        "other bytes came back"
    );
    client.delete(&format!("/v2/images/{id}")).await;
    site.until_nothing_is_left(&id).await;
}

async fn finish(subject: &Subject, site: Beside) {
    let Beside {
        app, main, second, ..
    } = site;
    app.finish().await;
    if subject.endpoint.is_some() {
        main.remove().await;
        second.remove().await;
    }
}

pub async fn second_bucket_gets_a_copy(subject: &Subject) {
    let site = open(subject).await;
    for size in [0, 100_001, 3 * PART + 70_001] {
        travel(&site, size, true).await;
    }
    finish(subject, site).await;
}

/// As it is with more than 5 GiB.
pub async fn second_bucket_gets_a_copy_of_parts(subject: &Subject) {
    let site = open(subject).await;
    let refused = Fault::Answer(StatusCode::NOT_IMPLEMENTED, "NotImplemented");
    site.proxy.fail_operation("copy", refused, 0, 1);
    // SeaweedFS gives parts that it copies other ETags than parts that are sent.
    let server = subject.endpoint.as_ref();
    let is_by_server = server.is_none_or(|server| server.profile != "seaweedfs");
    travel(&site, 3 * PART + 70_001, is_by_server).await;
    assert!(site.proxy.count("copy_part") > 0, "{:?}", site.proxy.seen());
    finish(subject, site).await;
}
