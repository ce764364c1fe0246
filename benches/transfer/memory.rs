//! How much memory Oriel holds: idle, behind a slow store, and before slow clients.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use http::{Method, StatusCode, header};
use http_body_util::BodyExt;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout_at};

use crate::http::{Connection, body, bytes, read_small};
use crate::null_store::NullStore;
use crate::oriel::{Oriel, Store};
use crate::pattern::Pattern;
use crate::process::{Resident, resident};
use crate::report::{Limit, Section, progress};

/// The limits in MiB. That of uploads is the default budget of 256 MiB and 64 MiB for all else.
const IDLE_MIB: f64 = 40.0;
const UPLOADS_MIB: f64 = 256.0 + 64.0;
const DOWNLOADS_MIB: f64 = 128.0;

/// The limit of the time to start in seconds.
const START_SECONDS: f64 = 1.0;

const UPLOADS: usize = 32;
const DOWNLOADS: usize = 64;

/// The size of each image in bytes.
const IMAGE_SIZE: u64 = 256 << 20;

/// The rate of the slow store over all connections, and that of each slow client, in bytes per second.
const STORE_RATE: u64 = 10_000_000;
const CLIENT_RATE: f64 = 1e6;

/// How often memory is looked at.
const SAMPLE_EVERY: Duration = Duration::from_millis(200);

/// How long the loads are held.
#[derive(Clone, Copy, Debug)]
pub struct Duty {
    pub uploads: Duration,
    pub downloads: Duration,
    /// How long an idle process is watched after each start.
    pub idle: Duration,
    /// How often it is started.
    pub starts: usize,
}

/// Measures all three.
///
/// # Errors
/// If Oriel does not start or refuses a transfer.
pub async fn measure(pattern: &Pattern, duty: Duty, dir: &Path) -> Result<Vec<Section>> {
    Ok(vec![
        idle(duty, &dir.join("idle")).await?,
        uploads(pattern, duty.uploads, &dir.join("uploads")).await?,
        downloads(pattern, duty.downloads, &dir.join("downloads")).await?,
    ])
}

async fn idle(duty: Duty, dir: &Path) -> Result<Section> {
    fs::create_dir_all(dir).context("make a directory")?;
    let null_store = NullStore::start(dir, None).await?;
    let (mut starting, mut peaks) = (vec![], vec![]);
    for start in 1..=duty.starts {
        progress(&format!("memory: start {start} of {}", duty.starts));
        let oriel = Oriel::start(&Store::null(&null_store), dir).await?;
        oriel.list().await?;
        starting.push(oriel.started_in.as_secs_f64());
        let samples = watch(oriel.pid()?, duty.idle).await?;
        peaks.extend(samples.last().map(|sample| sample.peak_mib));
    }
    let mut section = Section::new("Idle".to_owned());
    section.note(
        "Resident memory at its highest (`VmHWM`) after a start and one list of images. The time to start is from the \
         start of the process to the first answer 200 to the health check.",
    );
    section.target("start", "s", Limit::AtMost(START_SECONDS), &starting);
    section.target("idle, peak memory", "MiB", Limit::AtMost(IDLE_MIB), &peaks);
    Ok(section)
}

async fn uploads(pattern: &Pattern, duration: Duration, dir: &Path) -> Result<Section> {
    fs::create_dir_all(dir).context("make a directory")?;
    let null_store = NullStore::start(dir, Some(STORE_RATE)).await?;
    let oriel = Oriel::start(&Store::null(&null_store), dir).await?;
    let mut clients = JoinSet::new();
    for _ in 0..UPLOADS {
        let image = oriel.create().await?;
        clients.spawn(upload(oriel.address, image, pattern.clone()));
    }
    progress(&format!("memory: {UPLOADS} uploads to a slow store"));
    let samples = watch_while(oriel.pid()?, duration, &mut clients).await;
    let samples = oriel.explain(samples)?;
    let taken = null_store.taken_bytes().await? as f64 / 1e6;
    let under_way = clients.len();
    // The clients go before Oriel, which then has an upload to roll back, not a grace period to wait.
    clients.shutdown().await;

    let mut section = Section::new("Memory behind a slow store".to_owned());
    section.note(format!(
        "{UPLOADS} uploads of {} MiB at once into a store that takes {} MB/s over all connections, for {} s; \
         {under_way} were under way at the end, and the store had taken {taken:.0} MB.",
        IMAGE_SIZE >> 20,
        STORE_RATE / 1_000_000,
        duration.as_secs(),
    ));
    memory(&mut section, "uploads", UPLOADS_MIB, &samples);
    Ok(section)
}

async fn downloads(pattern: &Pattern, duration: Duration, dir: &Path) -> Result<Section> {
    fs::create_dir_all(dir).context("make a directory")?;
    let null_store = NullStore::start(dir, None).await?;
    let store = Store::null(&null_store);
    let oriel = Oriel::start(&store, dir).await?;
    let image = oriel.create().await?;
    upload(oriel.address, image.clone(), pattern.clone()).await?;
    // Another process for the measurement: what the upload took does not count.
    drop(oriel);
    let oriel = Oriel::start(&store, dir).await?;

    progress(&format!("memory: {DOWNLOADS} slow downloads"));
    let end = Instant::now() + duration;
    let mut clients = JoinSet::new();
    for _ in 0..DOWNLOADS {
        clients.spawn(download(oriel.address, image.clone(), end));
    }
    let samples = watch(oriel.pid()?, duration).await?;
    let mut received = 0;
    while let Some(client) = clients.join_next().await {
        received += oriel.explain(client.context("client")?)?;
    }
    let rate = received as f64 / 1e6 / duration.as_secs_f64() / DOWNLOADS as f64;

    let mut section = Section::new("Memory before slow clients".to_owned());
    section.note(format!(
        "{DOWNLOADS} downloads at once by clients that read {:.0} MB/s each, for {} s; they got {rate:.2} MB/s each.",
        CLIENT_RATE / 1e6,
        duration.as_secs(),
    ));
    memory(&mut section, "slow downloads", DOWNLOADS_MIB, &samples);
    Ok(section)
}

/// Uploads an image whose bytes are made as they are sent.
async fn upload(peer: SocketAddr, image: String, pattern: Pattern) -> Result<()> {
    let mut connection = Connection::open(peer).await?;
    let response = connection
        .send(
            Method::PUT,
            &Oriel::file_path(&image),
            &[(header::CONTENT_TYPE, "application/octet-stream")],
            body(pattern.body(0..IMAGE_SIZE)),
        )
        .await?;
    let status = response.status();
    let answer = read_small(response.into_body()).await?;
    ensure!(
        status == StatusCode::NO_CONTENT,
        "upload: {status}: {}",
        String::from_utf8_lossy(&answer)
    );
    Ok(())
}

/// Downloads slowly until `end` and returns the bytes that came.
async fn download(peer: SocketAddr, image: String, end: Instant) -> Result<u64> {
    let mut connection = Connection::open(peer).await?;
    let started = Instant::now();
    let response = connection
        .send(Method::GET, &Oriel::file_path(&image), &[], bytes(""))
        .await?;
    ensure!(
        response.status() == StatusCode::OK,
        "download: {}",
        response.status()
    );
    let mut body = response.into_body();
    let mut received = 0;
    while let Ok(Some(frame)) = timeout_at(end, body.frame()).await {
        let frame = frame.context("download")?;
        received += frame.data_ref().map_or(0, |data| data.len() as u64);
        let due = started + Duration::from_secs_f64(received as f64 / CLIENT_RATE);
        sleep_until(due.min(end)).await;
    }
    Ok(received)
}

/// Looks at a process again and again for some time.
async fn watch(pid: u32, duration: Duration) -> Result<Vec<Resident>> {
    let end = Instant::now() + duration;
    let mut ticks = interval(SAMPLE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut samples = Vec::new();
    while ticks.tick().await < end {
        samples.push(resident(pid)?);
    }
    Ok(samples)
}

/// Looks at a process for some time or until its clients are done, and fails if one of them fails.
async fn watch_while(
    pid: u32,
    duration: Duration,
    clients: &mut JoinSet<Result<()>>,
) -> Result<Vec<Resident>> {
    let watch = watch(pid, duration);
    tokio::pin!(watch);
    loop {
        tokio::select! {
            samples = &mut watch => return samples,
            Some(client) = clients.join_next() => client.context("client")??,
        }
    }
}

/// Adds the figures of one load: what was resident during it, and the peak against the limit.
fn memory(section: &mut Section, name: &str, limit: f64, samples: &[Resident]) {
    let now: Vec<f64> = samples.iter().map(|sample| sample.now_mib).collect();
    let peak: Vec<f64> = samples
        .last()
        .iter()
        .map(|sample| sample.peak_mib)
        .collect();
    section.figure("resident, over time", "MiB", &now);
    section.target(
        format!("{name}, peak memory"),
        "MiB",
        Limit::AtMost(limit),
        &peak,
    );
}
