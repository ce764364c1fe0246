//! Several processes on one PostgreSQL catalog and the same store: what holds on one holds on all of them together.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Method, StatusCode};
use serde_json::json;

use crate::support::client::{full, patch};
use crate::support::servers::{LEASE, SERVERS, Site};
use crate::support::upload::{fed, until_status};
use crate::support::{content, database};

#[tokio::test]
async fn no_read_is_older_than_a_write_that_was_answered_before_it() {
    const WRITES: u64 = 150;
    let Some(site) = Site::start("").await else {
        return;
    };
    let id = site.client(0).create(&json!({"n": "0"})).await;
    let path = format!("/v2/images/{id}");
    let (answered, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    let writing = async {
        for n in 1..=WRITES {
            let change = json!([{"op": "replace", "path": "/n", "value": n.to_string()}]);
            let answer = patch(site.random_client(), &path, change).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
            answered.store(n, Ordering::SeqCst);
        }
        is_over.store(true, Ordering::SeqCst);
    };
    let reading = join_all((0..2 * SERVERS).map(async |reader| {
        let mut reads = 0;
        while !is_over.load(Ordering::SeqCst) {
            let least = answered.load(Ordering::SeqCst);
            let image = site.client(reader).image(&id).await;
            let n: u64 = image["n"].as_str().unwrap().parse().unwrap();
            assert!(n >= least, "server {reader} says {n} after {least}");
            reads += 1;
        }
        reads
    }));
    let ((), reads) = tokio::join!(writing, reading);
    assert!(reads.iter().all(|reads| *reads > 10), "{reads:?}");
}

#[tokio::test]
async fn one_of_the_uploads_to_an_image_wins_whichever_server_has_them() {
    let Some(site) = Site::start("").await else {
        return;
    };
    let mut images = Vec::new();
    for round in 0..20_usize {
        let id = site.client(round).create_image().await;
        let body = |n: usize| content::bytes(1000 + n as u64);
        let answers = join_all((0..2 * SERVERS).map(async |n| {
            let sent = site.client(n).put_file(&id, &[], full(body(n))).await;
            sent.status.as_u16()
        }))
        .await;
        let winners: Vec<usize> = (0..answers.len()).filter(|n| answers[*n] == 204).collect();
        assert!(
            winners.len() == 1 && answers.iter().all(|status| matches!(status, 204 | 409)),
            "{answers:?}"
        );
        let path = format!("/v2/images/{id}/file");
        for server in 0..SERVERS {
            let back = site.client(server).get(&path).await;
            assert_eq!((back.status, back.body), (StatusCode::OK, body(winners[0])));
        }
        images.push(id);
    }
    site.until_settled(&images).await;
}

#[tokio::test]
async fn quota_is_not_overshot_by_uploads_on_all_servers() {
    let Some(site) = Site::start("user_storage_quota = \"10MiB\"").await else {
        return;
    };
    let client = site.client(0);
    let mut images = Vec::new();
    for _ in 0..24 {
        images.push(client.create_image().await);
    }
    let answers = join_all(images.iter().enumerate().map(async |(n, id)| {
        let body = full(content::bytes(1024 * 1024));
        site.client(n).put_file(id, &[], body).await.status.as_u16()
    }))
    .await;
    let accepted = answers.iter().filter(|status| **status == 204).count();
    assert_eq!(accepted, 10, "{answers:?}");
    assert!(answers.iter().all(|status| matches!(status, 204 | 413)));
    // What one of them gives back is there for one more.
    let first = answers.iter().position(|status| *status == 204).unwrap();
    let path = format!("/v2/images/{}", images[first]);
    assert_eq!(site.client(1).delete(&path).await.status, 204);
    let refused = images
        .iter()
        .zip(&answers)
        .filter(|(_, status)| **status == 413);
    let mut accepted = 0;
    for (n, (id, _)) in refused.take(2).enumerate() {
        let body = full(content::bytes(1024 * 1024));
        let answer = site.client(n).put_file(id, &[], body).await;
        accepted += u32::from(answer.status == StatusCode::NO_CONTENT);
    }
    assert_eq!(accepted, 1);
    images.remove(first);
    site.until_settled(&images).await;
}

/// An upload that outlasts many leases is nobody else's; one whose server was killed soon is.
#[tokio::test]
async fn uploads_are_another_servers_business_only_when_their_lease_ran_out() {
    let Some(mut site) = Site::start("").await else {
        return;
    };
    let killed = site.servers.pop().unwrap();
    let (left, slow) = (
        site.client(0).create_image().await,
        site.client(0).create_image().await,
    );
    let (feed_of_left, body) = fed();
    let left_behind = killed.client.clone();
    let headers = [("content-type", "application/octet-stream")];
    let path = format!("/v2/images/{left}/file");
    let breaking_off = left_behind.open(Method::PUT, &path, &headers, body);
    let killing = async {
        assert!(feed_of_left.send(content::bytes(6_000_000)).await);
        until_status(site.client(0), &left, "saving").await;
        killed.kill().await;
    };
    let (answer, ()) = tokio::join!(breaking_off, killing);
    assert!(answer.is_err());

    let (feed, body) = fed();
    let uploading = site.client(0).put_file(&slow, &[], body);
    let feeding = async {
        // The other server settles the killed one's upload, and sees this one as well, again and again.
        assert!(feed.send(Bytes::from_static(b"slow ")).await);
        until_status(site.client(1), &left, "queued").await;
        let deadline = tokio::time::Instant::now() + 2 * LEASE;
        while tokio::time::Instant::now() < deadline {
            assert_eq!(site.client(1).status(&slow).await, "saving");
        }
        assert!(feed.send(Bytes::from_static(b"but whole")).await);
        drop(feed);
    };
    let (answer, ()) = tokio::join!(uploading, feeding);
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text());
    let again = site.client(1).put_file(&left, &[], full("again")).await;
    assert_eq!(again.status, StatusCode::NO_CONTENT, "{}", again.text());
    site.servers.push(site.start_server(0).await);
    site.until_settled(&[left, slow]).await;
}

/// Servers are killed one after the other while all of them take uploads.
#[tokio::test]
async fn no_image_is_lost_or_stuck_when_servers_are_killed_at_any_moment() {
    let rounds =
        database::variable("ORIEL_KILL_ROUNDS").map_or(8, |rounds| rounds.parse().unwrap());
    let Some(mut site) = Site::start("").await else {
        return;
    };
    let pool = content::bytes(24 * 1024 * 1024);
    let (mut images, mut accepted) = (Vec::new(), 0);
    for round in 0..rounds {
        let victim = site.servers.remove(fastrand::usize(..SERVERS));
        let clients =
            [&victim, &site.servers[0], &site.servers[1]].map(|server| server.client.clone());
        let mut trials = Vec::new();
        for n in 0..2 * SERVERS {
            // About the border between one request and parts, on both sides.
            let size = fastrand::usize(1..12 * 1024 * 1024);
            trials.push((site.servers[0].client.create_image().await, n, size));
        }
        let uploading = join_all(trials.iter().map(async |(id, n, size)| {
            let path = format!("/v2/images/{id}/file");
            let headers = [("content-type", "application/octet-stream")];
            let body = full(pool.slice(*n..*n + *size));
            let answer = clients[n % SERVERS]
                .open(Method::PUT, &path, &headers, body)
                .await;
            answer.ok().map(|answer| answer.status())
        }));
        let moment = Duration::from_millis(fastrand::u64(..900));
        let killing = async {
            tokio::time::sleep(moment).await;
            victim.kill().await;
        };
        let (answers, ()) = tokio::join!(uploading, killing);
        site.servers.push(site.start_server(0).await);
        for ((id, n, size), answer) in trials.iter().zip(answers) {
            let is_victims = n % SERVERS == 0;
            assert!(
                is_victims || answer == Some(StatusCode::NO_CONTENT),
                "round {round}: {answer:?}"
            );
            if answer == Some(StatusCode::NO_CONTENT) {
                accepted += 1;
                let back = site
                    .random_client()
                    .get(&format!("/v2/images/{id}/file"))
                    .await;
                assert!(
                    back.body == pool.slice(*n..*n + *size),
                    "round {round}: {id}"
                );
                // However long it goes on, what is kept is little.
                if round % 8 > 0 {
                    let gone = site
                        .random_client()
                        .delete(&format!("/v2/images/{id}"))
                        .await;
                    assert_eq!(gone.status, StatusCode::NO_CONTENT, "{}", gone.text());
                    continue;
                }
            }
            images.push(id.clone());
        }
    }
    site.until_settled(&images).await;
    site.assert_sound().await;
    assert!(accepted >= rounds * 4);
}
