//! A server that is alone on its PostgreSQL answers from memory without a question, and nobody can tell by what it answers.

use std::sync::atomic::{AtomicBool, Ordering};

use http::StatusCode;
use serde_json::json;

use crate::support::app::{Options, TestApp};
use crate::support::child::Server;
use crate::support::client::patch;
use crate::support::{database, eventually};

async fn server(catalog: &str) -> TestApp {
    TestApp::with(Options {
        catalog: Some(catalog.to_owned()),
        ..Options::default()
    })
    .await
}

async fn until_alone(app: &TestApp) {
    eventually("the server is alone", async || {
        (app.metric("oriel_catalog_alone").await == 1.0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn answered_write_of_a_second_server_is_seen_by_one_that_was_alone() {
    let Some(url) = database::own_database().await else {
        return;
    };
    let catalog = format!("url = {url:?}");
    let first = server(&catalog).await;
    let id = first.client.create(&json!({"n": "0"})).await;
    let path = format!("/v2/images/{id}");
    for round in 1..=3_u64 {
        until_alone(&first).await;
        let second = server(&catalog).await;
        let is_written = AtomicBool::new(false);
        let writing = async {
            let change = json!([{"op": "replace", "path": "/n", "value": round.to_string()}]);
            let answer = patch(&second.client, &path, change).await;
            is_written.store(true, Ordering::SeqCst);
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        };
        let reading = async {
            let mut reads = 0;
            loop {
                let is_over = is_written.load(Ordering::SeqCst);
                let n = first.client.image(&id).await["n"].clone();
                reads += 1;
                if is_over {
                    assert_eq!(n, round.to_string(), "after {reads} reads");
                    break reads;
                }
            }
        };
        let ((), reads) = tokio::join!(writing, reading);
        assert!(reads > 10, "the record is in memory by then: {reads}");
        assert_eq!(first.metric("oriel_catalog_alone").await, 0.0);
        second.finish().await;
    }
    first.finish().await;
}

/// Its lease is still there, and nobody renews it.
#[tokio::test]
async fn server_that_was_alone_and_is_killed_keeps_nobody_from_writing() {
    let Some(url) = database::own_database().await else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("oriel.toml");
    let text = format!(
        "auth = \"none\"\n[server]\nlisten = \"127.0.0.1:0\"\n[metrics]\nlisten = \"off\"\n[catalog]\nurl = {url:?}\n\
         [embedded]\ndata_dir = {:?}\n[store.main]\nendpoint = \"embedded\"\n",
        dir.path().join("data")
    );
    std::fs::write(&config, text).unwrap();
    let killed = Server::start(&config).await;
    let pool = sqlx::PgPool::connect(&url).await.unwrap();
    let holder = async || {
        let holder = "SELECT holder FROM memory_lease";
        let holder: Option<String> = sqlx::query_scalar(holder).fetch_one(&pool).await.unwrap();
        holder
    };
    let before = eventually("the lease is taken", holder).await;
    drop(killed);
    let next = server(&format!("url = {url:?}")).await;
    next.client.create(&json!({})).await;
    until_alone(&next).await;
    assert_ne!(holder().await, Some(before));
    next.finish().await;
    assert_eq!(holder().await, None, "given back");
    pool.close().await;
}
