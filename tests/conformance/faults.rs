//! Trouble on the wire between service and store, each kind as the store at hand reacts to what is done about it.

use http::StatusCode;

use crate::stores::{PART, Subject, assert_holds};
use crate::support::client::full;
use crate::support::content;
use crate::support::proxy::Fault;

const ALWAYS: usize = usize::MAX;

fn internal_error() -> Fault {
    Fault::Answer(StatusCode::INTERNAL_SERVER_ERROR, "InternalError")
}

fn slow_down() -> Fault {
    Fault::Answer(StatusCode::SERVICE_UNAVAILABLE, "SlowDown")
}

pub async fn failed_parts_are_sent_again(subject: &Subject) {
    let app = subject.app_with_faults().await;
    for fault in [
        internal_error(),
        slow_down(),
        Fault::Refuse,
        Fault::LoseAnswer,
    ] {
        app.proxy().fail_operation("part", fault, 0, 1);
    }
    let bytes = content::bytes(3 * PART);
    let id = app.client.upload(bytes.clone()).await;
    assert_eq!(app.proxy().count("part"), 3 + 4);
    assert_holds(&app, &id, &bytes).await;
    subject.finish(app).await;
}

pub async fn download_that_breaks_is_resumed(subject: &Subject) {
    let app = subject.app_with_faults().await;
    let bytes = content::bytes(2 * PART + 9);
    let id = app.client.upload(bytes.clone()).await;
    // In the first part, in the second, and a refusal in between.
    app.proxy()
        .fail_operation("get", Fault::ResetAfter(PART - 1), 0, 1);
    app.proxy().fail_operation("get", slow_down(), 0, 1);
    app.proxy()
        .fail_operation("get", Fault::EndAfter(PART + 1), 0, 1);
    assert_holds(&app, &id, &bytes).await;
    let resumed = app
        .metric("oriel_download_resumes_total{store=\"main\"}")
        .await;
    assert_eq!((app.proxy().count("get"), resumed), (4, 2.0));
    subject.finish(app).await;
}

pub async fn lost_answer_of_put_is_no_loss(subject: &Subject) {
    let app = subject.app_with_faults().await;
    app.proxy().fail_operation("put", Fault::LoseAnswer, 0, 1);
    let bytes = content::bytes(100_000);
    let id = app.client.upload(bytes.clone()).await;
    assert_holds(&app, &id, &bytes).await;
    subject.finish(app).await;
}

/// The second CompleteMultipartUpload is answered with success by some stores and with NoSuchUpload by others.
pub async fn lost_answer_of_complete_is_no_loss(subject: &Subject) {
    let app = subject.app_with_faults().await;
    app.proxy()
        .fail_operation("complete", Fault::LoseAnswer, 0, 1);
    let bytes = content::bytes(PART + 100_000);
    let id = app.client.upload(bytes.clone()).await;
    assert_eq!(app.proxy().count("complete"), 2);
    assert_holds(&app, &id, &bytes).await;
    subject.finish(app).await;
}

pub async fn completion_that_never_works_is_rolled_back(subject: &Subject) {
    let app = subject.app_with_faults().await;
    app.proxy()
        .fail_operation("complete", internal_error(), 0, ALWAYS);
    let id = app.client.create_image().await;
    let body = full(content::bytes(PART + 1));
    let answer = app.client.put_file(&id, &[], body).await;
    assert_eq!(
        answer.status,
        StatusCode::SERVICE_UNAVAILABLE,
        "{}",
        answer.text()
    );
    assert!(answer.header("retry-after").is_some());
    assert_eq!(app.client.status(&id).await, "queued");
    subject.finish(app).await;
}

pub async fn abort_that_fails_is_repeated(subject: &Subject) {
    let app = subject.app_with_faults().await;
    app.proxy().fail_operation("abort", slow_down(), 0, 1);
    app.proxy().fail_operation("abort", Fault::LoseAnswer, 0, 1);
    app.proxy()
        .fail_operation("complete", internal_error(), 0, ALWAYS);
    let id = app.client.create_image().await;
    let body = full(content::bytes(PART + 1));
    let answer = app.client.put_file(&id, &[], body).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    subject.finish(app).await;
}
