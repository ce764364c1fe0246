//! What the command does while servers run, and when it cannot do its work.

use std::path::Path;

use super::*;
use crate::support::child::Server;
use crate::support::client::full;
use crate::support::database;
use crate::support::proxy::{Fault, FaultProxy};
use crate::support::upload::{MIB, fed, until_status};

#[tokio::test]
async fn catalog_in_a_file_that_a_server_holds_is_a_clear_error() {
    let mut site = Site::start().await;
    if !site.app.is_sqlite() {
        return;
    }
    site.app.restart().await;
    let config = site.app.config_file();
    let output = oriel(&["fsck", "--config", config.to_str().unwrap()]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(
        output.stderr.contains("in use by another process") && output.stdout.is_empty(),
        "{output:?}"
    );
    site.app.finish().await;
}

#[tokio::test]
async fn what_cannot_be_run_ends_with_two() {
    let site = Site::start().await;
    let config = site.app.config_file();
    let config = config.to_str().unwrap();
    for (arguments, about) in [
        (&["--config", "nowhere.toml"][..], "nowhere.toml"),
        (&["--config", config, "--store", "other"], "store.other"),
        (&["--config", config, "--yes"], "--repair"),
        (&["--config", config, "--rate", "x"], "--rate"),
    ] {
        let arguments = [&["fsck"], arguments].concat();
        let output = eventually("the catalog is free", async || {
            let output = oriel(&arguments).await;
            (!output.stderr.contains("in use by another process")).then_some(output)
        })
        .await;
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(output.stderr.contains(about), "{output:?}");
    }
}

/// A catalog that is not there is not made: every object would be one that no record knows.
#[tokio::test]
async fn catalog_file_that_is_not_there_is_an_error() {
    let site = Site::start().await;
    let text = std::fs::read_to_string(site.app.config_file()).unwrap();
    let at = text.find("[catalog]\n").unwrap() + "[catalog]\n".len();
    let end = at + text[at..].find('\n').unwrap();
    let missing = site.app.dir().join("missing.sqlite");
    let text = format!("{}path = {missing:?}{}", &text[..at], &text[end..]);
    let config = site.app.dir().join("other.toml");
    std::fs::write(&config, text).unwrap();
    let output = oriel(&["fsck", "--config", config.to_str().unwrap()]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stderr.contains("missing.sqlite"), "{output:?}");
    assert!(!missing.exists());
}

#[tokio::test]
async fn store_that_is_away_is_said_and_the_rest_is_looked_at() {
    let embedded = Embedded::start().await;
    let endpoint = embedded.endpoint();
    let away = FaultProxy::start(&endpoint.url).await;
    let mut app = TestApp::with(Options {
        top: "auth = \"none\"\ndefault_store = \"main\"".into(),
        tables: format!(
            "[store.away]\nendpoint = {:?}\nbucket = \"second\"\naccess_key = {:?}\nsecret_key = {:?}\n\
             profile = \"embedded\"\ncreate_bucket = true\nretries = 0\n",
            away.url(),
            endpoint.access_key,
            endpoint.secret_key
        ),
        endpoint: Some(endpoint.clone()),
        ..Options::default()
    })
    .await;
    let image = app.client.upload(content::bytes(1000)).await;
    app.shut_down().await;
    let key = app.bucket.keys().await.pop_first().unwrap();
    let site = Site {
        app,
        embedded,
        image,
        key,
    };
    site.orphan().await;
    away.fail(|_, _| true, Fault::Refuse, 0, usize::MAX);
    let told = site.fsck(&[]).await;
    assert_eq!(told.code, 2);
    told.finding("orphaned_object");
    let incomplete = told.of_type("incomplete");
    assert_eq!(incomplete.len(), 2, "{told:?}");
    assert_eq!(incomplete[0]["what"], "objects of store away");
    // Where only the other store was asked for, nothing is missing.
    assert_eq!(site.fsck(&["--store", "main"]).await.code, 1);
    assert_eq!(site.fsck(&["--store", "away"]).await.code, 2);
}

/// A catalog of several servers, one of which runs.
async fn running(dir: &Path, embedded: &Embedded) -> Option<Server> {
    let catalog = database::shared_setting().await?;
    let endpoint = embedded.endpoint();
    let text = format!(
        "auth = \"none\"\n[server]\nlisten = \"127.0.0.1:0\"\ndrain_delay = \"0s\"\n[metrics]\nlisten = \"off\"\n\
         [catalog]\n{catalog}\n[store.main]\nendpoint = {url:?}\nbucket = \"images\"\nprofile = \"embedded\"\n\
         create_bucket = true\naccess_key = {access:?}\nsecret_key = {secret:?}\n",
        url = endpoint.url,
        access = endpoint.access_key,
        secret = endpoint.secret_key,
    );
    let config = dir.join("oriel.toml");
    std::fs::write(&config, text).unwrap();
    Some(Server::start(&config).await)
}

#[tokio::test]
async fn upload_under_way_is_no_finding() {
    let (dir, embedded) = (tempfile::tempdir().unwrap(), Embedded::start().await);
    let Some(server) = running(dir.path(), &embedded).await else {
        return;
    };
    let bucket = crate::support::store::Bucket::new(&embedded.endpoint(), "images");
    let id = server.client.create_image().await;
    let (feed, body) = fed();
    let upload = server.client.put_file(&id, &[], body);
    let config = dir.path().join("oriel.toml");
    let looking = async {
        // More than a part, so that a multipart upload is open.
        for _ in 0..20 {
            assert!(feed.send(content::bytes(MIB)).await);
        }
        eventually("a multipart upload is open", async || {
            (bucket.open_uploads().await.len() == 1).then_some(())
        })
        .await;
        let arguments = [
            "fsck",
            "--json",
            "--min-age",
            "0s",
            "--repair",
            "--yes",
            "--config",
        ];
        let output = oriel(&[&arguments[..], &[config.to_str().unwrap()]].concat()).await;
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let first: Value = serde_json::from_str(output.stdout.lines().next().unwrap()).unwrap();
        assert_eq!(
            (&first["type"], &first["reason"]),
            (&"left".into(), &"under_way".into())
        );
        assert_eq!(output.stdout.lines().count(), 2, "{output:?}");
        drop(feed);
    };
    let (answer, ()) = tokio::join!(upload, looking);
    assert_eq!(answer.status, 204, "{}", answer.text());
    until_status(&server.client, &id, "active").await;
}

/// Everything changes all the time, and nothing of it is a finding, nor is anything repaired away.
#[tokio::test]
async fn servers_at_work_give_no_findings() {
    const ROUNDS: usize = 4;
    let (dir, embedded) = (tempfile::tempdir().unwrap(), Embedded::start().await);
    let Some(server) = running(dir.path(), &embedded).await else {
        return;
    };
    let client = &server.client;
    let is_over = std::sync::atomic::AtomicBool::new(false);
    let working = futures_util::future::join_all((0..4_u64).map(async |worker| {
        let mut last = None;
        let mut n = 0;
        while !is_over.load(std::sync::atomic::Ordering::SeqCst) {
            let id = client.create_image().await;
            let bytes = content::bytes(1000 + worker);
            let answer = client.put_file(&id, &[], full(bytes)).await;
            assert_eq!(answer.status, 204, "{}", answer.text());
            if let Some(last) = last.replace(id) {
                let gone = client.delete(&format!("/v2/images/{last}")).await;
                assert_eq!(gone.status, 204);
            }
            n += 1;
        }
        assert!(n > 2, "{n}");
        let data = client
            .get(&format!("/v2/images/{}/file", last.unwrap()))
            .await;
        assert_eq!(data.body, content::bytes(1000 + worker));
    }));
    let config = dir.path().join("oriel.toml");
    let looking = async {
        for _ in 0..ROUNDS {
            let arguments = [
                "fsck",
                "--min-age",
                "0s",
                "--repair",
                "--yes",
                "--verify",
                "--config",
            ];
            let output = oriel(&[&arguments[..], &[config.to_str().unwrap()]].concat()).await;
            assert_eq!(output.status.code(), Some(0), "{output:?}");
            assert!(!output.stdout.contains("FAULT"), "{output:?}");
        }
        is_over.store(true, std::sync::atomic::Ordering::SeqCst);
    };
    tokio::join!(working, looking);
}
