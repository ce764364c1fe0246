//! A checker of histories: clients do everything that can be done with images through any of three servers, while servers,
//! links and the database fail, and all that was answered must be explained by one image that is changed by one at a time.
//!
//! `ORIEL_HISTORY_SECONDS` says how long it goes on, 15 else; each kind of fault comes once in any case. A line at its end
//! counts what was done.
//!
//! That it can find a stale read is shown each time, by a run with the trust rule off: the link to the database alters the
//! question that a server asks before it trusts its memory (`catalog/follower.rs`), so that it is told nothing new. There is
//! no switch in the program for that. `cargo test --test it histories::` runs both.

mod client;
mod faults;
mod history;
mod model;
mod teeth;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use crate::support::link::Link;
use crate::support::stage::Stage;
use crate::support::{audit, database, say};
use client::{Tracked, World};
use faults::trouble;
use model::Action;

/// Rounds that go on at once; each has its own images and clients.
const GROUPS: usize = 3;
const IMAGES: usize = 3;
const CLIENTS: usize = 5;

/// What each client does in a round.
const OPERATIONS: usize = 12;

/// What the images of a project may take together: less than the clients would like.
const QUOTA: u64 = 8 * 1024 * 1024;
const QUOTA_LOOK: Duration = Duration::from_millis(50);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histories_of_three_servers_are_those_of_one_whatever_fails() {
    let seconds = database::variable("ORIEL_HISTORY_SECONDS").map_or(15, |it| it.parse().unwrap());
    let quota = format!("user_storage_quota = {QUOTA}");
    let stage = Stage::start("histories of several servers", &quota, |_| {});
    let Some(mut stage) = stage.await else {
        return;
    };
    let world = World::new(stage.clients());
    let begun = Instant::now();
    let (is_over, is_done) = (AtomicBool::new(false), AtomicBool::new(false));
    let looking = stage.pool.clone();
    let failing = async {
        let end = begun + Duration::from_secs(seconds);
        let faults = trouble(&mut stage, &world, end).await;
        is_over.store(true, Ordering::SeqCst);
        faults
    };
    let acting = async {
        let groups = (0..GROUPS).map(|group| group_of_clients(group, &world, &is_over));
        let images = join_all(groups).await.into_iter().flatten();
        let images: Vec<(Tracked, String)> = images.collect();
        is_done.store(true, Ordering::SeqCst);
        images
    };
    let (faults, images, ()) = tokio::join!(failing, acting, quota_holds(&looking, &is_done));
    audit::until_settled(&stage.pool, &stage.site.bucket).await;
    let mut violations = Vec::new();
    for (image, name) in &images {
        for action in [Action::Read, Action::Download, Action::ListMembers] {
            world.act(CLIENTS, image, name, action).await;
        }
        violations.extend(image.history.lock().unwrap().explain().err());
    }
    let faults: Vec<String> = faults
        .iter()
        .map(|(kind, n)| format!("{kind:?} {n}"))
        .collect();
    say(&format!(
        "histories: {} operations answered and {} not, {} uploads over the quota, on {} images in {} s; faults: {}; \
         violations: {}",
        world.answered.load(Ordering::Relaxed),
        world.unanswered.load(Ordering::Relaxed),
        world.over_quota.load(Ordering::Relaxed),
        images.len(),
        begun.elapsed().as_secs(),
        faults.join(", "),
        violations.len(),
    ));
    assert!(violations.is_empty(), "{}", violations.join("\n\n"));
    drop(looking);
    stage.stop().await;
}

/// Rounds until it is over; gives every image there was. Those of the round before are deleted, so that there is room.
async fn group_of_clients(
    group: usize,
    world: &Arc<World>,
    is_over: &AtomicBool,
) -> Vec<(Tracked, String)> {
    let mut all = Vec::new();
    let mut last: (Vec<Tracked>, String) = Default::default();
    for round in 0.. {
        let name = format!("group-{group}-round-{round}");
        let images: Vec<Tracked> = (0..IMAGES).map(|_| Tracked::new()).collect();
        play(world, &images, &name).await;
        let (images, name) = std::mem::replace(&mut last, (images, name));
        for image in images {
            world.act(CLIENTS, &image, &name, Action::Delete).await;
            all.push((image, name.clone()));
        }
        if is_over.load(Ordering::SeqCst) {
            break;
        }
    }
    let (images, name) = last;
    all.extend(images.into_iter().map(|image| (image, name.clone())));
    all
}

/// A round: some clients do anything with a few images.
async fn play(world: &Arc<World>, images: &[Tracked], name: &str) {
    join_all((0..CLIENTS).map(async |client| {
        for image in images {
            world.act(client, image, name, Action::Create).await;
        }
        for _ in 0..OPERATIONS {
            let image = &images[fastrand::usize(..images.len())];
            if image.history.lock().unwrap().is_full() {
                continue;
            }
            match fastrand::u32(..100) {
                ..6 => world.list(client, images, name).await,
                at => world.act(client, image, name, action(at, world)).await,
            }
        }
    }))
    .await;
}

/// One of them, most often what changes or reads a record.
fn action(at: u32, world: &World) -> Action {
    match at {
        6..30 => Action::Read,
        30..40 => Action::ReadShared,
        40..52 => Action::Download,
        52..56 => Action::ListMembers,
        56..66 => Action::Begin(world.number()),
        66..76 => Action::Write(world.number()),
        76..80 => Action::Claim(world.number()),
        80..84 => Action::Release,
        84..88 => Action::Share,
        88..92 => Action::Unshare,
        92..95 => Action::Deactivate,
        95..98 => Action::Reactivate,
        _ => Action::Delete,
    }
}

/// Looks again and again whether a project has more than it may.
async fn quota_holds(pool: &sqlx::PgPool, is_done: &AtomicBool) {
    while !is_done.load(Ordering::SeqCst) {
        // The database may be away.
        if let Ok(bytes) = audit::most_bytes(pool).await {
            assert!(bytes <= QUOTA, "{bytes} bytes of {QUOTA}");
        }
        tokio::time::sleep(QUOTA_LOOK).await;
    }
}

/// What makes memory true is a question to the database. Told that nothing has changed, a server gives out what it
/// remembers, and that must be found.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_trust_rule_a_stale_read_is_found() {
    const WITHIN: Duration = Duration::from_secs(60);
    /// Asks what has changed since the question before, and what not.
    const QUESTION: &str = "AND NOT pg_visible_in_snapshot(xid,";
    const CONTRARY: &str = "AND     pg_visible_in_snapshot(xid,";
    let deceive = |link: &Link| link.replace(QUESTION, CONTRARY);
    let stage = Stage::start("teeth of the checker of histories", "", deceive);
    let Some(stage) = stage.await else {
        return;
    };
    let world = World::new(stage.clients());
    let begun = Instant::now();
    let found = loop {
        assert!(begun.elapsed() < WITHIN, "no stale read is found");
        let images: Vec<Tracked> = (0..IMAGES).map(|_| Tracked::new()).collect();
        play(&world, &images, "stale").await;
        let mut histories = images
            .iter()
            .map(|image| image.history.lock().unwrap().explain());
        if let Some(found) = histories.find_map(Result::err) {
            break found;
        }
    };
    let altered: usize = stage.links.iter().map(Link::replaced).sum();
    assert!(altered > 0, "the question has other words now");
    say(&format!(
        "histories without the trust rule: a violation after {} ms",
        begun.elapsed().as_millis()
    ));
    println!("{found}");
    stage.stop().await;
}
