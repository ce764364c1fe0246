//! The primary is lost under load and its synchronous standby takes over: what was answered is there.

use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Method, StatusCode};
use rustix::process::Signal;
use serde_json::json;
use tokio::time::Instant;

use crate::support::client::{Client, full};
use crate::support::stage::Stage;
use crate::support::{audit, content, eventually, say};

const CLIENTS: usize = 6;

/// Answered uploads before the primary is killed, and with its successor before the load ends.
const BEFORE: usize = 60;
const AFTER: usize = 60;

/// How long a client waits for an answer, and after one that was none.
const PATIENCE: Duration = Duration::from_secs(15);
const BACKOFF: Duration = Duration::from_millis(50);

/// An upload that was answered with 204, and when.
struct Answered {
    image: String,
    number: usize,
    at: Instant,
}

struct Load {
    clients: Vec<Client>,
    numbers: AtomicUsize,
    answered: Mutex<Vec<Answered>>,
    /// Images that were made, and whose upload has no certain answer.
    doubtful: Mutex<Vec<(String, usize)>>,
    is_over: AtomicBool,
}

/// A few KiB mostly; one in twenty is longer than a part.
fn data_of(number: usize) -> Bytes {
    let length = if number.is_multiple_of(20) {
        6 * 1024 * 1024
    } else {
        5_000
    };
    content::slice(number as u64 * 31, length + number as u64)
}

impl Load {
    fn answered(&self) -> usize {
        self.answered.lock().unwrap().len()
    }

    fn any_client(&self) -> &Client {
        &self.clients[fastrand::usize(..self.clients.len())]
    }

    /// The status of the answer, if there is one.
    async fn ask(&self, method: Method, path: &str, kind: &str, body: Bytes) -> Option<StatusCode> {
        let headers = [("content-type", kind)];
        let asking = self.any_client().open(method, path, &headers, full(body));
        let answer = tokio::time::timeout(PATIENCE, asking).await.ok()?.ok()?;
        (answer.status() != StatusCode::SERVICE_UNAVAILABLE).then_some(answer.status())
    }

    /// One image with its data.
    async fn upload(&self) -> ControlFlow<()> {
        let number = self.numbers.fetch_add(1, Ordering::SeqCst);
        let image = uuid::Uuid::new_v4().to_string();
        let record = json!({"id": image, "name": number.to_string(), "disk_format": "raw", "container_format": "bare"});
        let created = self
            .ask(
                Method::POST,
                "/v2/images",
                "application/json",
                record.to_string().into(),
            )
            .await;
        if created.is_none() {
            return ControlFlow::Break(());
        }
        assert_eq!(created, Some(StatusCode::CREATED));
        let path = format!("/v2/images/{image}/file");
        let kind = "application/octet-stream";
        let stored = self.ask(Method::PUT, &path, kind, data_of(number)).await;
        match stored {
            Some(status) => {
                assert_eq!(status, StatusCode::NO_CONTENT);
                let at = Instant::now();
                let answered = Answered { image, number, at };
                self.answered.lock().unwrap().push(answered);
                ControlFlow::Continue(())
            }
            None => {
                self.doubtful.lock().unwrap().push((image, number));
                ControlFlow::Break(())
            }
        }
    }

    async fn run(&self) {
        join_all((0..CLIENTS).map(async |_| {
            while !self.is_over.load(Ordering::SeqCst) {
                if self.upload().await.is_break() {
                    tokio::time::sleep(BACKOFF).await;
                }
            }
        }))
        .await;
    }

    async fn until(&self, count: usize) {
        eventually("uploads are answered", async || {
            (self.answered() >= count).then_some(())
        })
        .await;
    }

    /// Whether the image has its data, to the byte, by any server.
    async fn is_there(&self, image: &str, number: usize) -> bool {
        let path = format!("/v2/images/{image}/file");
        let back = self.any_client().get(&path).await;
        back.status == StatusCode::OK && back.body == data_of(number)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_is_there_after_the_standby_took_over() {
    let Some(mut stage) = Stage::start("failover to a standby", "", |_| {}).await else {
        return;
    };
    let standby = stage.cluster.add_standby().await;
    let load = Load {
        clients: stage
            .clients()
            .iter()
            .map(|client| client.with_token("member-token"))
            .collect(),
        numbers: AtomicUsize::new(1),
        answered: Mutex::default(),
        doubtful: Mutex::default(),
        is_over: AtomicBool::new(false),
    };
    let failing_over = async {
        load.until(BEFORE).await;
        let killed_at = Instant::now();
        stage.cluster.crash(Signal::KILL).await;
        let before = load.answered();
        standby.promote().await;
        // The address moves.
        for link in &stage.links {
            link.move_to(standby.target());
            link.cut();
            link.heal();
        }
        load.until(before + AFTER).await;
        load.is_over.store(true, Ordering::SeqCst);
        (before, killed_at)
    };
    let ((), (before, killed_at)) = tokio::join!(load.run(), failing_over);

    let answered = std::mem::take(&mut *load.answered.lock().unwrap());
    let mut found = 0;
    for it in &answered {
        assert!(
            load.is_there(&it.image, it.number).await,
            "lost: {}",
            it.image
        );
        found += 1;
    }
    // The longest time between two answers, from the last one before the loss on.
    let mut moments: Vec<Instant> = answered.iter().map(|it| it.at).collect();
    moments.sort();
    let first = moments.partition_point(|at| *at <= killed_at).max(1) - 1;
    let pauses = moments[first..]
        .windows(2)
        .map(|two| two[1].duration_since(two[0]));
    let away = pauses.max().unwrap();
    let pool = standby.pool().await;
    audit::until_settled(&pool, &stage.site.bucket).await;
    // Whole or not at all.
    let doubtful = std::mem::take(&mut *load.doubtful.lock().unwrap());
    for (image, number) in &doubtful {
        let client = load.any_client();
        match client.status(image).await.as_str() {
            "queued" => {}
            "active" => assert!(load.is_there(image, *number).await),
            other => panic!("{image} is {other}"),
        }
    }
    say(&format!(
        "failover: {before} uploads answered before and {} after, {found} found; {} without an answer; {:.1} s without service",
        answered.len() - before,
        doubtful.len(),
        away.as_secs_f64(),
    ));
    pool.close().await;
    stage.stop().await;
    standby.stop().await;
}
