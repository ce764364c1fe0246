//! Copies that an S3 server makes itself, from one of its buckets to another: no byte of the image passes through the service.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::import::{ended_task, import};
use crate::support::beside::Beside;
use crate::support::child::Server;
use crate::support::client::{Body, Client, full};
use crate::support::proxy::Fault;
use crate::support::upload::{MIB, chunked_of, make_garbage_due, stage};
use crate::support::{content, eventually};

const ALWAYS: usize = usize::MAX;

/// Requests with bytes of an image in them, as [`bytes_of`] counts them.
const BYTES: [&str; 3] = ["put", "part", "get"];
const COPIES: [&str; 3] = ["copy", "copy_part", "complete"];

async fn begin(client: &Client, body: Body) -> String {
    let id = client.create_image().await;
    let staged = stage(client, &id, &[], body).await;
    assert_eq!(staged.status, StatusCode::NO_CONTENT, "{}", staged.text());
    id
}

async fn accepted(client: &Client, id: &str) {
    let answer = import(client, id, json!({"all_stores": true})).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text());
}

/// Requests of [`BYTES`] so far. Reads are those of the first bucket: whether a copy is there is asked by a read as well.
fn bytes_of(site: &Beside) -> [usize; 3] {
    let bucket = format!("GET /{}/", site.main.name);
    let is_read = |line: &&String| {
        let key = line.strip_prefix(&bucket);
        key.is_some_and(|key| !key.starts_with('?'))
    };
    let seen = site.proxy.seen();
    let reads = seen.iter().filter(is_read);
    [
        site.proxy.count("put"),
        site.proxy.count("part"),
        reads.count(),
    ]
}

/// What an import to both stores has asked the server for.
struct Asked {
    id: String,
    task: Value,
    /// Requests of [`BYTES`].
    bytes: [usize; 3],
    /// Requests of [`COPIES`].
    copies: [usize; 3],
}

async fn imported(site: &Beside, body: Body) -> Asked {
    let client = &site.app.client;
    let id = begin(client, body).await;
    let (bytes, copies) = (bytes_of(site), site.counts(COPIES));
    accepted(client, &id).await;
    let task = ended_task(client, &id).await;
    let since = |now: [usize; 3], then: [usize; 3]| std::array::from_fn(|at| now[at] - then[at]);
    Asked {
        id,
        task,
        bytes: since(bytes_of(site), bytes),
        copies: since(site.counts(COPIES), copies),
    }
}

/// Both stores have the image, whole and as an upload would have left it; it goes without a rest.
async fn assert_copied(site: &Beside, asked: &Asked, bytes: &Bytes) {
    let (client, id) = (&site.app.client, &asked.id);
    assert_eq!(asked.task["status"], "success", "{}", asked.task);
    let copied = format!("Copied {} MiB", bytes.len() as u64 / MIB);
    assert_eq!(asked.task["message"], copied);
    let image = client.image(id).await;
    assert_eq!(image["status"], "active", "{image}");
    assert_eq!(image["stores"], "main,second");
    for store in ["main", "second"] {
        let file = format!("/v2/images/{id}/file?prefer={store}");
        assert!(
            client.get(&file).await.body == *bytes,
            "{store}: other bytes"
        );
    }
    let keys = site.second.keys().await;
    let key = keys.iter().find(|key| key.contains(id.as_str())).unwrap();
    let head = site.second.s3.head_object().bucket(&site.second.name);
    let head = head.key(key).send().await.unwrap();
    assert_eq!(head.content_type(), Some("application/octet-stream"));
    let named = head.metadata().unwrap();
    assert_eq!(named["oriel-image-id"], *id);
    assert!(key.contains(&named["oriel-attempt-id"]), "{key} {named:?}");
    client.delete(&format!("/v2/images/{id}")).await;
    site.until_nothing_is_left(id).await;
}

#[tokio::test]
async fn server_with_both_buckets_copies_and_no_byte_comes_here() {
    let site = Beside::with("prefix = \"a b+ü/\"", None).await;
    for (size, is_declared) in [(0, true), (MIB, true), (20 * MIB, true), (20 * MIB, false)] {
        let bytes = content::bytes(size);
        let body = match is_declared {
            true => full(bytes.clone()),
            false => chunked_of(size),
        };
        let asked = imported(&site, body).await;
        assert_eq!(asked.bytes, [0, 0, 0], "{size}: {BYTES:?}");
        assert_eq!(asked.copies, [1, 0, 0], "{size}: {COPIES:?}");
        assert_copied(&site, &asked, &bytes).await;
    }
    site.app.finish().await;
}

#[tokio::test]
async fn data_of_parts_is_copied_part_by_part_where_the_server_refuses_the_whole() {
    let site = Beside::start().await;
    let refused = Fault::Answer(StatusCode::NOT_IMPLEMENTED, "NotImplemented");
    site.proxy.fail_operation("copy", refused, 0, ALWAYS);
    let bytes = content::bytes(20 * MIB);
    // The second time it is known.
    for copies in [1, 0] {
        let asked = imported(&site, full(bytes.clone())).await;
        assert_eq!(asked.bytes, [0, 0, 0], "{BYTES:?}");
        assert_eq!(asked.copies, [copies, 3, 1], "{COPIES:?}");
        assert_copied(&site, &asked, &bytes).await;
    }
    site.app.finish().await;
}

#[tokio::test]
async fn server_that_refuses_to_copy_gets_the_bytes_and_is_not_asked_again() {
    let mut site = Beside::start().await;
    for (status, code) in [
        (501, "NotImplemented"),
        (403, "AccessDenied"),
        (400, "InvalidRequest"),
        (503, "SlowDown"),
        // The head has been sent when the copy fails.
        (200, "InternalError"),
        (200, "AccessDenied"),
    ] {
        site.app.restart().await;
        let refused = Fault::Answer(StatusCode::from_u16(status).unwrap(), code);
        for operation in ["copy", "copy_part"] {
            site.proxy
                .fail_operation(operation, refused.clone(), 0, ALWAYS);
        }
        let small = content::bytes(MIB);
        for copies in [1, 0] {
            let asked = imported(&site, full(small.clone())).await;
            assert_eq!(asked.bytes, [1, 0, 1], "{status} {code}: {BYTES:?}");
            assert_eq!(asked.copies, [copies, 0, 0], "{status} {code}: {COPIES:?}");
            assert_copied(&site, &asked, &small).await;
        }
        let large = content::bytes(20 * MIB);
        let asked = imported(&site, full(large.clone())).await;
        assert_eq!(asked.bytes, [0, 3, 1], "{status} {code}: {BYTES:?}");
        let [copies, parts, completed] = asked.copies;
        assert!((1..=3).contains(&parts), "{status} {code}: {parts}");
        assert_eq!((copies, completed), (0, 1), "{status} {code}");
        assert_copied(&site, &asked, &large).await;
        site.proxy.heal();
    }
    site.app.finish().await;
}

#[tokio::test]
async fn copy_whose_answer_is_lost_is_found() {
    let site = Beside::start().await;
    site.proxy.fail_operation("copy", Fault::LoseAnswer, 0, 1);
    let bytes = content::bytes(MIB);
    let asked = imported(&site, full(bytes.clone())).await;
    assert_eq!((asked.bytes, asked.copies), ([0, 0, 0], [1, 0, 0]));
    assert_copied(&site, &asked, &bytes).await;
    site.app.finish().await;
}

/// Nothing would tell what was copied.
#[tokio::test]
async fn server_whose_etags_tell_nothing_is_not_asked_to_copy() {
    let site = Beside::with("etag_is_md5 = false", None).await;
    let bytes = content::bytes(MIB);
    let asked = imported(&site, full(bytes.clone())).await;
    assert_eq!((asked.bytes, asked.copies), ([1, 0, 1], [0, 0, 0]));
    assert_copied(&site, &asked, &bytes).await;
    site.app.finish().await;
}

/// Replaces the copy of an image with other bytes, which say that they are it.
async fn change_copy(site: &Beside, id: &str, bytes: Bytes) {
    let key = site.second.keys().await.pop_first().unwrap();
    assert!(key.contains(id), "{key}");
    let (s3, name) = (&site.second.s3, &site.second.name);
    let head = s3
        .head_object()
        .bucket(name)
        .key(&key)
        .send()
        .await
        .unwrap();
    let put = s3.put_object().bucket(name).key(&key).body(bytes.into());
    put.set_metadata(head.metadata).send().await.unwrap();
}

#[tokio::test]
async fn copy_of_other_bytes_is_no_copy() {
    for (size, other) in [(MIB, MIB), (20 * MIB, 20 * MIB), (MIB, MIB - 1)] {
        let site = Beside::start().await;
        let client = &site.app.client;
        let release = Arc::new(Notify::new());
        let held = Fault::Hold(Arc::clone(&release));
        let id = begin(client, full(content::bytes(size))).await;
        let looks = site.proxy.count("head");
        site.proxy.fail_operation("head", held, 0, 1);
        let bytes = bytes_of(&site);
        accepted(client, &id).await;
        eventually("the service looks at the copy", async || {
            (site.proxy.count("head") > looks).then_some(())
        })
        .await;
        change_copy(&site, &id, content::slice(1, other)).await;
        release.notify_one();
        let task = ended_task(client, &id).await;
        assert_eq!(task["status"], "failure", "{task}");
        let message = task["message"].as_str().unwrap();
        assert!(
            message.contains("is not the data that was staged"),
            "{message}"
        );
        assert_eq!(bytes_of(&site), bytes, "{BYTES:?}");
        assert_eq!(client.status(&id).await, "queued");
        site.until_nothing_is_left(&id).await;
        site.app.finish().await;
    }
}

#[tokio::test]
async fn image_that_is_deleted_during_its_copy_leaves_nothing() {
    let site = Beside::start().await;
    let client = &site.app.client;
    for (size, operation) in [(MIB, "copy"), (20 * MIB, "copy"), (20 * MIB, "copy_part")] {
        let release = Arc::new(Notify::new());
        if operation == "copy_part" {
            let refused = Fault::Answer(StatusCode::NOT_IMPLEMENTED, "NotImplemented");
            site.proxy.fail_operation("copy", refused, 0, 1);
        }
        let id = begin(client, full(content::bytes(size))).await;
        let asked = site.proxy.count(operation);
        let held = Fault::Hold(Arc::clone(&release));
        site.proxy.fail_operation(operation, held, 0, 1);
        accepted(client, &id).await;
        eventually("the copy is under way", async || {
            (site.proxy.count(operation) > asked).then_some(())
        })
        .await;
        let deleted = client.delete(&format!("/v2/images/{id}")).await;
        assert_eq!(deleted.status, StatusCode::NO_CONTENT, "{}", deleted.text());
        release.notify_one();
        let removal = format!("DELETE /{}/", site.second.name);
        eventually("the copy is removed", async || {
            let mut seen = site.proxy.seen().into_iter();
            seen.find(|line| line.starts_with(&removal) && line.contains(&id))
        })
        .await;
        site.until_nothing_is_left(&id).await;
    }
    site.app.finish().await;
}

/// Lets a request go that nobody waits for any more: its object appears beside the image's own, and goes when it is due.
async fn assert_late_copy_is_removed(site: &mut Beside, id: &str, release: &Notify) {
    release.notify_one();
    eventually("the copy is made late", async || {
        (site.second.keys().await.len() == 2).then_some(())
    })
    .await;
    site.app.shut_down().await;
    make_garbage_due(&site.app).await;
    site.app.restart().await;
    eventually("the late copy is gone", async || {
        (site.second.keys().await.len() == 1).then_some(())
    })
    .await;
    let file = format!("/v2/images/{id}/file?prefer=second");
    let back = site.app.client.get(&file).await;
    assert!(back.body == content::bytes(MIB), "other bytes came back");
}

#[tokio::test]
async fn copy_that_takes_too_long_is_given_up_and_removed_when_it_comes_late() {
    let mut site = Beside::with("complete_timeout = \"1s\"", None).await;
    let release = Arc::new(Notify::new());
    let held = Fault::Hold(Arc::clone(&release));
    site.proxy.fail_operation("copy", held, 0, 1);
    let asked = imported(&site, full(content::bytes(MIB))).await;
    assert_eq!(asked.task["status"], "success", "{}", asked.task);
    assert_eq!((asked.bytes, asked.copies), ([1, 0, 1], [1, 0, 0]));
    assert_late_copy_is_removed(&mut site, &asked.id, &release).await;
    site.app.finish().await;
}

#[tokio::test]
async fn stop_ends_a_copy_and_the_start_makes_another() {
    let mut site = Beside::start().await;
    let release = Arc::new(Notify::new());
    let held = Fault::Hold(Arc::clone(&release));
    site.proxy.fail_operation("copy", held, 0, 1);
    let id = begin(&site.app.client, full(content::bytes(MIB))).await;
    accepted(&site.app.client, &id).await;
    eventually("the copy is under way", async || {
        (site.proxy.count("copy") == 1).then_some(())
    })
    .await;
    site.app.restart().await;
    let task = ended_task(&site.app.client, &id).await;
    assert_eq!(task["status"], "success", "{task}");
    assert_eq!(site.proxy.count("copy"), 2);
    assert_late_copy_is_removed(&mut site, &id, &release).await;
    site.app.finish().await;
}

/// The server has made the copy, and the service dies before it has looked at it. Forward where the ETag of the copy says by
/// itself what it is; else it is made again.
#[tokio::test]
async fn kill_after_the_copy_takes_it_for_what_its_etag_tells() {
    let mut site = Beside::start().await;
    site.app.shut_down().await;
    for (size, is_told) in [(MIB, true), (20 * MIB, false)] {
        let server = Server::start(&site.app.config_file()).await;
        let id = begin(&server.client, full(content::bytes(size))).await;
        let looks = site.proxy.count("head");
        site.proxy.fail_operation("head", Fault::Hang, 0, ALWAYS);
        accepted(&server.client, &id).await;
        eventually("the service looks at the copy", async || {
            (site.proxy.count("head") > looks).then_some(())
        })
        .await;
        server.kill().await;
        let copies = site.second.keys().await;
        assert_eq!(copies.len(), 1);

        site.proxy.heal();
        // The import goes on beside the recovery.
        let release = Arc::new(Notify::new());
        let held = Fault::Hold(Arc::clone(&release));
        site.proxy.fail_operation("copy", held, 0, 1);
        let server = Server::start(&site.app.config_file()).await;
        eventually("the copy is settled", async || match is_told {
            true => {
                let image = server.client.image(&id).await;
                let missing = image["os_glance_importing_to_stores"].as_str()?;
                (!missing.contains("second")).then_some(())
            }
            false => site.second.keys().await.is_empty().then_some(()),
        })
        .await;
        release.notify_one();
        let task = ended_task(&server.client, &id).await;
        assert_eq!(task["status"], "success", "{task}");
        eventually("there is one copy", async || {
            let now = site.second.keys().await;
            (now.len() == 1 && (now == copies) == is_told).then_some(())
        })
        .await;
        let file = format!("/v2/images/{id}/file?prefer=second");
        let back = server.client.get(&file).await;
        assert!(back.body == content::bytes(size), "other bytes came back");
        server.client.delete(&format!("/v2/images/{id}")).await;
        site.until_nothing_is_left(&id).await;
        site.proxy.heal();
        server.kill().await;
    }
    site.app.restart().await;
    site.app.finish().await;
}
