//! Two stores in buckets of one server: the second one gets its copy, whoever moves the bytes.

use http::StatusCode;
use serde_json::json;

use crate::stores::{MIB, PART, Subject, assert_holds};
use crate::support::beside::Beside;
use crate::support::client::full;
use crate::support::upload::stage;
use crate::support::{content, eventually};

/// Says of each copy whether the server has made it.
#[expect(clippy::print_stdout, reason = "servers differ, and this tells how")]
pub async fn second_bucket_gets_a_copy(subject: &Subject) {
    let part_size = format!("part_size = \"{}MiB\"", PART / MIB);
    let site = Beside::with(&part_size, subject.endpoint.as_ref()).await;
    let client = &site.app.client;
    for size in [0, 100_001, 3 * PART + 70_001] {
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
        let is_by_server = site.counts(["put", "part"]) == before;
        println!("{size} bytes copied by the server: {is_by_server}");
        // What comes with the program does.
        assert!(is_by_server || subject.endpoint.is_some());
        assert_holds(&site.app, &id, &bytes).await;
        let file = format!("/v2/images/{id}/file?prefer=second");
        assert!(
            client.get(&file).await.body == bytes,
            "other bytes came back"
        );
        client.delete(&format!("/v2/images/{id}")).await;
        site.until_nothing_is_left(&id).await;
    }
    let Beside {
        app, main, second, ..
    } = site;
    app.finish().await;
    if subject.endpoint.is_some() {
        main.remove().await;
        second.remove().await;
    }
}
