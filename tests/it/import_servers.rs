//! Imports on several servers that are killed: every one of them ends, and as it was asked for.

use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::future::join_all;
use http::StatusCode;
use serde_json::{Value, json};

use crate::import::{ended_task, import};
use crate::support::client::full;
use crate::support::servers::{SERVERS, Site};
use crate::support::upload::stage;
use crate::support::web::{Page, WebServer};
use crate::support::{content, database};

/// An import that is to be asked for, of these bytes.
struct Trial {
    id: String,
    body: Value,
    bytes: Bytes,
}

/// One image for each way to import, prepared as far as that needs.
async fn prepare(site: &Site, web: &WebServer, round: usize) -> Vec<Trial> {
    let client = site.random_client();
    let mut trials = Vec::new();
    for (n, way) in ["stage", "packed", "web", "chunks", "copy"]
        .into_iter()
        .enumerate()
    {
        // About the border between one request and parts, on both sides.
        let bytes = content::bytes(fastrand::u64(1..12 * 1024 * 1024));
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&bytes).unwrap();
        let packed = Bytes::from(encoder.finish().unwrap());
        let path = format!("/{round}/{n}");
        let mut body = json!({"method": {"name": "glance-direct"}, "all_stores": true});
        let id = if way == "copy" {
            body["method"] = json!({"name": "copy-image"});
            client.upload(bytes.clone()).await
        } else {
            client.create_image().await
        };
        match way {
            "stage" | "packed" => {
                let data = if way == "packed" {
                    packed
                } else {
                    bytes.clone()
                };
                let staged = stage(client, &id, &[], full(data)).await;
                assert_eq!(staged.status, StatusCode::NO_CONTENT, "{}", staged.text());
            }
            "web" | "chunks" => {
                let page = Page::new(if way == "chunks" {
                    packed
                } else {
                    bytes.clone()
                });
                let page = if way == "chunks" {
                    page.in_chunks()
                } else {
                    page
                };
                web.put(&path, page);
                body["method"] = json!({"name": "web-download", "uri": web.url(&path)});
            }
            _ => {}
        }
        trials.push(Trial { id, body, bytes });
    }
    trials
}

#[tokio::test]
async fn imports_end_as_they_were_asked_for_when_servers_are_killed_at_any_moment() {
    let rounds =
        database::variable("ORIEL_KILL_ROUNDS").map_or(4, |rounds| rounds.parse().unwrap());
    let web = WebServer::start().await;
    let tables = format!(
        "[import]\nallow_private_addresses = true\nallowed_ports = [{}]\ntasks_per_project = 20\n\
         plugins = [\"image_decompression\"]\n",
        web.port()
    );
    let Some(mut site) = Site::of_stores(&tables, &["second"]).await else {
        return;
    };
    for round in 0..rounds {
        let trials = prepare(&site, &web, round).await;
        let victim = site.servers.remove(fastrand::usize(..SERVERS));
        for trial in &trials {
            let client = &site.servers[fastrand::usize(..SERVERS - 1)].client;
            let answer = import(client, &trial.id, trial.body.clone()).await;
            assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text());
        }
        tokio::time::sleep(Duration::from_millis(fastrand::u64(..400))).await;
        victim.kill().await;
        site.servers.push(site.start_server(0).await);
        join_all(trials.iter().map(async |trial| {
            let (id, client) = (&trial.id, site.random_client());
            let task = ended_task(client, id).await;
            assert_eq!(task["status"], "success", "round {round}: {task}");
            let image = client.image(id).await;
            assert_eq!(image["status"], "active", "round {round}: {image}");
            assert_eq!(image["stores"], "main,second", "round {round}: {image}");
            assert!(image.get("os_glance_import_task").is_none(), "{image}");
            for store in ["main", "second"] {
                let file = format!("/v2/images/{id}/file?prefer={store}");
                let back = site.random_client().get(&file).await.body;
                assert!(back == trial.bytes, "round {round}: {id} in {store}");
            }
            let gone = client.delete(&format!("/v2/images/{id}")).await;
            assert_eq!(gone.status, StatusCode::NO_CONTENT, "{}", gone.text());
        }))
        .await;
    }
    site.until_settled(&[]).await;
    site.assert_sound().await;
}
