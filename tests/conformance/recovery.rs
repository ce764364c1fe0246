//! The service goes away in the middle of an upload. Afterwards the image is active and whole or queued and gone,
//! never in between.

use std::pin::pin;

use http::{Method, StatusCode};

use crate::stores::{PART, Subject, assert_holds};
use crate::support::app::{Options, TestApp};
use crate::support::child::{self, Server};
use crate::support::client::{Client, full};
use crate::support::proxy::Fault;
use crate::support::{content, eventually};

const ALWAYS: usize = usize::MAX;
const SIZE: u64 = 2 * PART;

/// The service ends without waiting for anybody.
fn options(subject: &Subject) -> Options {
    Options {
        server: "drain_grace = \"0s\"".into(),
        faults: true,
        ..subject.options()
    }
}

/// Uploads to a new image until the store has seen `operation`, then does `what` to the service; gives the image's id.
async fn interrupt(
    app: &TestApp,
    client: &Client,
    operation: &str,
    what: impl Future<Output = ()>,
) -> String {
    let id = client.create_image().await;
    let path = format!("/v2/images/{id}/file");
    let headers = [("content-type", "application/octet-stream")];
    let body = full(content::bytes(SIZE));
    let mut upload = pin!(client.open(Method::PUT, &path, &headers, body));
    tokio::select! {
        answer = &mut upload => panic!("answered before the end: {answer:?}"),
        () = eventually(operation, async || (app.proxy().count(operation) > 0).then_some(())) => {}
    }
    what.await;
    if let Ok(answer) = upload.await {
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
    id
}

async fn until_status(app: &TestApp, id: &str, status: &str) {
    eventually(status, async || {
        (app.client.status(id).await == status).then_some(())
    })
    .await;
}

pub async fn stop_during_completion_leaves_nothing(subject: &Subject) {
    let mut app = TestApp::with(options(subject)).await;
    app.proxy()
        .fail_operation("complete", Fault::Hang, 0, ALWAYS);
    app.shut_down().await;
    let server = Server::start(&app.config_file()).await;
    let client = server.client.clone();
    let stop = async { server.terminate().await };
    let id = interrupt(&app, &client, "complete", stop).await;
    let (status, log) = server.ended().await;
    assert!(status.success(), "{log}");
    // Rolled back before the end, not by the next start.
    assert!(app.bucket.open_uploads().await.is_empty());
    assert!(app.bucket.keys().await.is_empty());
    app.restart().await;
    assert_eq!(app.client.status(&id).await, "queued");
    subject.finish(app).await;
}

/// Kills the service when it has sent `operation`, and starts it again.
async fn kill_at(app: &mut TestApp, operation: &str) -> String {
    app.shut_down().await;
    let server = Server::start(&app.config_file()).await;
    let client = server.client.clone();
    let id = interrupt(app, &client, operation, server.kill()).await;
    app.proxy().heal();
    app.restart().await;
    id
}

pub async fn kill_before_completion_goes_back(subject: &Subject) {
    let mut app = TestApp::with(options(subject)).await;
    app.proxy()
        .fail_operation("complete", Fault::Hang, 0, ALWAYS);
    let id = kill_at(&mut app, "complete").await;
    until_status(&app, &id, "queued").await;
    let again = content::bytes(10);
    let answer = app.client.put_file(&id, &[], full(again.clone())).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text());
    assert_holds(&app, &id, &again).await;
    subject.finish(app).await;
}

pub async fn kill_after_completion_goes_forward(subject: &Subject) {
    let mut app = TestApp::with(options(subject)).await;
    // The store has completed the upload, and the service dies before it can know.
    app.proxy()
        .fail_operation("complete", Fault::LoseAnswer, 0, ALWAYS);
    app.proxy().fail_operation("head", Fault::Hang, 0, ALWAYS);
    let id = kill_at(&mut app, "head").await;
    until_status(&app, &id, "active").await;
    assert_holds(&app, &id, &content::bytes(SIZE)).await;
    subject.finish(app).await;
}

pub async fn check_finds_the_store_fit(subject: &Subject) {
    let mut app = subject.app().await;
    app.shut_down().await;
    let file = app.config_file();
    let check = child::oriel(&["check", "--config", file.to_str().unwrap()]).await;
    assert!(check.status.success(), "{}{}", check.stdout, check.stderr);
    assert!(!check.stdout.contains("FAULT"), "{}", check.stdout);
    let steps = check
        .stdout
        .lines()
        .filter(|line| line.starts_with("ok    store.main: "));
    assert!(steps.count() >= 5, "{}", check.stdout);
    app.restart().await;
    subject.finish(app).await;
}
