//! The plugins of imports (contract 6.4): packed data is unpacked on the way, and the site's properties are put on images.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::StatusCode;
use serde_json::{Value, json};

use crate::import::{Site, accepted, ended_task};
use crate::support::app::Options;
use crate::support::client::full;
use crate::support::content;
use crate::support::proxy::Fault;
use crate::support::tokens::{Tokens, entry};
use crate::support::upload::{MIB, stage, until_status};
use crate::support::web::{Page, WebServer};

const UNPACKING: &str = "plugins = [\"image_decompression\"]";

fn gzip(bytes: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap().into()
}

async fn web_and_site(more: &str, images: &str) -> (WebServer, Site) {
    let web = WebServer::start().await;
    let import = format!(
        "allow_private_addresses = true\nallowed_ports = [{}]\n{more}",
        web.port()
    );
    let site = Site::with(&import, images).await;
    (web, site)
}

fn from(web: &WebServer, path: &str) -> Value {
    json!({"method": {"name": "web-download", "uri": web.url(path)}})
}

/// The record says what is stored, and that is what was packed.
async fn assert_unpacked(site: &Site, id: &str, bytes: &Bytes) {
    let task = ended_task(site.client(), id).await;
    assert_eq!(task["status"], "success", "{task}");
    let image = site.client().image(id).await;
    assert_eq!(image["size"], bytes.len(), "{image}");
    let uploaded = site.client().upload(bytes.clone()).await;
    let uploaded = site.client().image(&uploaded).await;
    for fact in ["checksum", "os_hash_value", "virtual_size"] {
        assert_eq!(image[fact], uploaded[fact], "as by an upload: {fact}");
    }
    let file = site.client().get(&format!("/v2/images/{id}/file")).await;
    assert!(file.body == *bytes, "other bytes came back");
    let path = format!("/v2/images/{}", uploaded["id"].as_str().unwrap());
    site.client().delete(&path).await;
}

#[tokio::test]
async fn packed_data_of_the_web_is_unpacked_and_other_data_taken_as_it_is() {
    let (web, site) = web_and_site(UNPACKING, "").await;
    for (size, more) in [
        (0, json!({})),
        (5000, json!({})),
        (20 * MIB, json!({"all_stores": true})),
    ] {
        let bytes = content::bytes(size);
        for page in [bytes.clone(), gzip(&bytes)] {
            web.put("/image", Page::new(page));
            let id = site.client().create_image().await;
            let mut body = from(&web, "/image");
            for (key, value) in more.as_object().unwrap() {
                body[key] = value.clone();
            }
            accepted(site.client(), &id, body).await;
            assert_unpacked(&site, &id, &bytes).await;
            site.client().delete(&format!("/v2/images/{id}")).await;
            site.until_nothing_is_left(&id).await;
        }
    }
    site.app.finish().await;
}

#[tokio::test]
async fn packed_data_that_is_staged_is_unpacked() {
    let site = Site::start(UNPACKING).await;
    for (size, more) in [
        (5000, json!({})),
        (5000, json!({"stores": ["second"]})),
        (20 * MIB, json!({"all_stores": true})),
        (
            MIB,
            json!({"all_stores": true, "all_stores_must_succeed": false}),
        ),
    ] {
        let bytes = content::bytes(size);
        for staged in [bytes.clone(), gzip(&bytes)] {
            let id = site.staged(staged).await;
            accepted(site.client(), &id, more.clone()).await;
            assert_unpacked(&site, &id, &bytes).await;
            let image = site.client().image(&id).await;
            let stores = image["stores"].as_str().unwrap().split(',').count();
            let mut keys = site.app.bucket.keys().await;
            keys.extend(site.second.keys().await);
            let keys = keys.iter().filter(|key| key.contains(&id)).count();
            assert_eq!(keys, stores, "what was staged is gone: {image}");
            site.client().delete(&format!("/v2/images/{id}")).await;
            site.until_nothing_is_left(&id).await;
        }
    }
    site.app.finish().await;
}

#[tokio::test]
async fn packed_data_stays_packed_where_the_record_or_the_site_says_so() {
    let bytes = gzip(&content::bytes(5000));
    let compressed = json!({"disk_format": "raw", "container_format": "compressed"});
    let bare = json!({"disk_format": "raw", "container_format": "bare"});
    for (plugins, record) in [(UNPACKING, compressed), ("", bare)] {
        let (web, site) = web_and_site(plugins, "").await;
        web.put("/image", Page::new(bytes.clone()));
        for is_staged in [false, true] {
            let id = site.client().create(&record).await;
            if is_staged {
                let staged = stage(site.client(), &id, &[], full(bytes.clone())).await;
                assert_eq!(staged.status, StatusCode::NO_CONTENT, "{}", staged.text());
                accepted(site.client(), &id, json!({})).await;
            } else {
                accepted(site.client(), &id, from(&web, "/image")).await;
            }
            until_status(site.client(), &id, "active").await;
            let file = site.client().get(&format!("/v2/images/{id}/file")).await;
            assert!(file.body == bytes, "other bytes came back");
        }
        site.app.finish().await;
    }
}

/// What is staged in the store that refuses the rest is packed, and no image's data.
#[tokio::test]
async fn store_that_refuses_what_is_unpacked_does_not_have_the_image() {
    let site = Site::start(UNPACKING).await;
    let id = site.client().create_image().await;
    let store = [("x-image-meta-store", "second")];
    let staged = stage(
        site.client(),
        &id,
        &store,
        full(gzip(&content::bytes(5000))),
    )
    .await;
    assert_eq!(staged.status, StatusCode::NO_CONTENT, "{}", staged.text());
    let away = Fault::Answer(StatusCode::SERVICE_UNAVAILABLE, "SlowDown");
    site.to_second.fail_operation("put", away, 0, usize::MAX);
    let more = json!({"stores": ["second"], "all_stores_must_succeed": false});
    accepted(site.client(), &id, more).await;
    let task = ended_task(site.client(), &id).await;
    assert_eq!(task["status"], "failure", "{task}");
    let image = site.client().image(&id).await;
    assert_eq!(image["status"], "queued", "{image}");
    assert_eq!(image["os_glance_failed_import"], "second");
    site.until_nothing_is_left(&id).await;
    site.app.finish().await;
}

#[tokio::test]
async fn packed_data_that_is_damaged_or_too_large_fails_the_import() {
    let cap = format!("size_cap = {}", 10 * MIB);
    let (web, site) = web_and_site(UNPACKING, &cap).await;
    let packed = gzip(&content::bytes(500_000));
    let mut wrong = packed.to_vec();
    let end = wrong.len() - 6;
    wrong[end] ^= 1;
    let zeros = gzip(&vec![0; 40 * 1024 * 1024]);
    for (data, about) in [
        (packed.slice(..packed.len() / 2), "ends too early"),
        (Bytes::from(wrong), "damaged"),
        (zeros, "larger than"),
    ] {
        web.put("/image", Page::new(data.clone()));
        let fetched = site.client().create_image().await;
        accepted(site.client(), &fetched, from(&web, "/image")).await;
        let staged = site.staged(data).await;
        accepted(site.client(), &staged, json!({})).await;
        for id in [fetched, staged] {
            let task = ended_task(site.client(), &id).await;
            assert_eq!(task["status"], "failure", "{task}");
            let message = task["message"].as_str().unwrap();
            assert!(message.contains(about), "{about}: {message}");
            assert_eq!(site.client().status(&id).await, "queued");
            site.until_nothing_is_left(&id).await;
        }
    }
    site.app.finish().await;
}

#[tokio::test]
async fn properties_of_the_site_are_put_on_what_others_than_administrators_import() {
    let tokens = Tokens::new();
    tokens.write(
        &[
            entry("admin-token", Some("site"), "\"admin\""),
            entry("member", Some("own"), "\"member\""),
        ]
        .concat(),
    );
    let app = tokens
        .start(Options {
            tables: "[import]\nplugins = [\"inject_image_metadata\"]\n\
                     inject = [\"os_origin:imported\", \"hw_disk_bus: virtio\"]\n"
                .into(),
            ..Options::default()
        })
        .await;
    for (token, is_injected) in [("member", true), ("admin-token", false)] {
        let client = app.client.with_token(token);
        let id = client.create_image().await;
        let staged = stage(&client, &id, &[], full(content::bytes(1000))).await;
        assert_eq!(staged.status, StatusCode::NO_CONTENT, "{}", staged.text());
        assert!(client.image(&id).await.get("os_origin").is_none());
        accepted(&client, &id, json!({})).await;
        until_status(&client, &id, "active").await;
        let image = client.image(&id).await;
        assert_eq!(image["os_origin"] == "imported", is_injected, "{image}");
        assert_eq!(image["hw_disk_bus"] == "virtio", is_injected, "{image}");
    }
    app.finish().await;
}
