//! Bodies of every shape go in and come back: none, one and several parts, of known and unknown size.

use bytes::Bytes;
use http::StatusCode;

use crate::stores::{MIB, PART, Subject, assert_holds};
use crate::support::app::{Options, TestApp};
use crate::support::client::{chunked, full};
use crate::support::{content, disk};

/// What the store saw of an upload: PutObject and UploadPart requests.
#[track_caller]
fn assert_requests(app: &TestApp, puts: usize, parts: usize) {
    let proxy = app.proxy();
    assert_eq!(
        (proxy.count("put"), proxy.count("part")),
        (puts, parts),
        "{:?}",
        proxy.seen()
    );
    let uploads = usize::from(parts > 0);
    assert_eq!(proxy.count("create_upload"), uploads);
    assert_eq!(proxy.count("complete"), uploads);
}

/// Uploads bytes of known size; they take that many PutObject and UploadPart requests.
async fn round_trip(subject: &Subject, bytes: Bytes, puts: usize, parts: usize) {
    let app = subject.app_with_faults().await;
    let id = app.client.upload(bytes.clone()).await;
    assert_requests(&app, puts, parts);
    assert_holds(&app, &id, &bytes).await;
    subject.finish(app).await;
}

pub async fn small_body_is_one_request(subject: &Subject) {
    round_trip(subject, content::bytes(100_001), 1, 0).await;
}

pub async fn body_without_a_byte_is_an_image(subject: &Subject) {
    round_trip(subject, Bytes::new(), 1, 0).await;
}

pub async fn body_of_one_part_is_one_request(subject: &Subject) {
    round_trip(subject, content::bytes(PART), 1, 0).await;
}

pub async fn one_byte_more_makes_two_parts(subject: &Subject) {
    round_trip(subject, content::bytes(PART + 1), 0, 2).await;
}

pub async fn body_of_unknown_size_is_sent_in_parts(subject: &Subject) {
    let app = subject.app_with_faults().await;
    let bytes = content::bytes(3 * PART + 70_001);
    // Frames that fit no border of anything.
    let frames = bytes.chunks(777_777).map(Bytes::copy_from_slice).collect();
    let id = app.client.create_image().await;
    let answer = app.client.put_file(&id, &[], chunked(frames)).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text());
    assert_requests(&app, 0, 4);
    assert_holds(&app, &id, &bytes).await;
    subject.finish(app).await;
}

pub async fn parts_of_the_default_size_come_back(subject: &Subject) {
    let options = Options {
        store: String::new(),
        faults: true,
        ..subject.options()
    };
    let app = TestApp::with(options).await;
    let bytes = content::bytes(25 * MIB);
    let id = app.client.create_image().await;
    let answer = app.client.put_file(&id, &[], full(bytes.clone())).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text());
    assert_requests(&app, 0, 4);
    assert_holds(&app, &id, &bytes).await;
    subject.finish(app).await;
}

pub async fn disk_image_is_sound_afterwards(subject: &Subject) {
    let Some(workshop) = disk::Workshop::open() else {
        return;
    };
    let app = subject.app().await;
    disk::travel(&app, &workshop, disk::QCOW2).await;
    subject.finish(app).await;
}
