//! What goes wrong with servers, their links to the database, and the database.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use rustix::process::Signal;
use tokio::time::Instant;

use super::client::World;
use crate::support::eventually;
use crate::support::link::{Direction, Flow};
use crate::support::servers::SERVERS;
use crate::support::stage::Stage;

/// One kind of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    ServerKilled,
    LinkCut,
    QuestionsHeld,
    AnswersHeld,
    QuestionsSlow,
    AnswersSlow,
    QuestionsLost,
    AnswersLost,
    BackendsTerminated,
    DatabaseStopped,
    DatabaseKilled,
}

const FAULTS: [Fault; 11] = [
    Fault::ServerKilled,
    Fault::LinkCut,
    Fault::QuestionsHeld,
    Fault::AnswersHeld,
    Fault::QuestionsSlow,
    Fault::AnswersSlow,
    Fault::QuestionsLost,
    Fault::AnswersLost,
    Fault::BackendsTerminated,
    Fault::DatabaseStopped,
    Fault::DatabaseKilled,
];

/// Makes trouble of every kind at least once, one after the other in any order, and goes on until `end`; counts it.
pub async fn trouble(stage: &mut Stage, world: &Arc<World>, end: Instant) -> BTreeMap<Fault, u32> {
    let mut counts = BTreeMap::new();
    loop {
        let mut kinds = FAULTS;
        fastrand::shuffle(&mut kinds);
        for kind in kinds {
            if counts.len() == FAULTS.len() && Instant::now() >= end {
                return counts;
            }
            suffer(stage, kind, world).await;
            *counts.entry(kind).or_default() += 1;
            until_served(stage).await;
            some_time(100..500).await;
        }
    }
}

/// Lets the clients go on for so many milliseconds.
async fn some_time(milliseconds: std::ops::Range<u64>) {
    tokio::time::sleep(Duration::from_millis(fastrand::u64(milliseconds))).await;
}

async fn suffer(stage: &mut Stage, kind: Fault, world: &Arc<World>) {
    let server = fastrand::usize(..SERVERS);
    match kind {
        Fault::ServerKilled => replace_server(stage, server, world).await,
        Fault::LinkCut => {
            stage.links[server].cut();
            some_time(50..800).await;
        }
        Fault::QuestionsHeld => disturb(stage, server, Direction::ToServer, Flow::Held).await,
        Fault::AnswersHeld => disturb(stage, server, Direction::FromServer, Flow::Held).await,
        Fault::QuestionsSlow => disturb(stage, server, Direction::ToServer, slow()).await,
        Fault::AnswersSlow => disturb(stage, server, Direction::FromServer, slow()).await,
        Fault::QuestionsLost => disturb(stage, server, Direction::ToServer, Flow::Lost).await,
        Fault::AnswersLost => disturb(stage, server, Direction::FromServer, Flow::Lost).await,
        Fault::BackendsTerminated => {
            let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                       WHERE starts_with(application_name, 'oriel-')";
            sqlx::query(end).execute(&stage.pool).await.unwrap();
        }
        Fault::DatabaseStopped => crash(stage, Signal::QUIT).await,
        Fault::DatabaseKilled => crash(stage, Signal::KILL).await,
    }
    stage.links[server].heal();
}

fn slow() -> Flow {
    Flow::Slow(Duration::from_millis(fastrand::u64(5..100)))
}

async fn disturb(stage: &Stage, server: usize, direction: Direction, flow: Flow) {
    let link = &stage.links[server];
    link.set(direction, flow);
    some_time(50..1200).await;
    // What was held is carried on now, or never.
    if fastrand::bool() {
        link.cut();
    }
}

async fn replace_server(stage: &mut Stage, server: usize, world: &Arc<World>) {
    stage.site.servers.remove(server).kill().await;
    let new = stage.site.start_server(server).await;
    world.servers.lock().unwrap()[server] = new.client.clone();
    stage.site.servers.insert(server, new);
}

async fn crash(stage: &mut Stage, signal: Signal) {
    stage.cluster.crash(signal).await;
    some_time(1..300).await;
    stage.cluster.restart().await;
}

/// Waits until every server answers again, and the test's own connections do.
async fn until_served(stage: &Stage) {
    for server in &stage.site.servers {
        let client = server.client.with_token("member-token");
        eventually("the server answers", async || {
            let answer = client.get("/v2/images?limit=1").await;
            (answer.status == StatusCode::OK).then_some(())
        })
        .await;
    }
    eventually("the database answers", async || {
        let sign = sqlx::query("SELECT 1").execute(&stage.pool).await;
        sign.ok()
    })
    .await;
}
