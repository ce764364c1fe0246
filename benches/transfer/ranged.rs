//! How much later a small range arrives through Oriel than from the store itself.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use http::{Method, StatusCode, Uri, header};
use http_body_util::BodyExt;
use tokio::time::Instant;

use crate::http::{Connection, bytes};
use crate::oriel::Oriel;
use crate::report::{Limit, Section, progress};
use crate::setup::Setup;
use crate::stats::Summary;

/// The length of a range in bytes.
const LENGTH: u64 = 1 << 20;

/// Requests of a block to each side. A block gives one median.
const REQUESTS: usize = 100;

/// How much later the median may be, in milliseconds.
const LATER_MS: f64 = 1.5;

/// One side: a connection that is kept, and the path of the content.
struct Side {
    connection: Connection,
    path: String,
}

impl Side {
    async fn open(peer: SocketAddr, path: String) -> Result<Self> {
        Ok(Self {
            connection: Connection::open(peer).await?,
            path,
        })
    }

    /// Gets the range at `offset` and returns the milliseconds from the request to its last byte.
    async fn get(&mut self, setup: &Setup, offset: u64) -> Result<f64> {
        let range = format!("bytes={offset}-{}", offset + LENGTH - 1);
        let mut frames = Vec::new();
        let started = Instant::now();
        let response = self
            .connection
            .send(
                Method::GET,
                &self.path,
                &[(header::RANGE, &range)],
                bytes(""),
            )
            .await?;
        let status = response.status();
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            frames.extend(frame.context("ranged GET")?.into_data());
        }
        let elapsed = started.elapsed();

        ensure!(
            status == StatusCode::PARTIAL_CONTENT,
            "{range} of {}: {status}",
            self.path
        );
        let mut at = offset;
        for frame in frames {
            ensure!(
                setup.content.pattern.matches(at, &frame),
                "{range} of {}: wrong bytes after offset {at}",
                self.path
            );
            at += frame.len() as u64;
        }
        ensure!(
            at == offset + LENGTH,
            "{range} of {}: {} bytes",
            self.path,
            at - offset
        );
        Ok(elapsed.as_secs_f64() * 1e3)
    }
}

/// Runs one warming and `runs` blocks of requests at random offsets, in turns to Oriel and to the store.
///
/// # Errors
/// If a request fails or brings wrong bytes.
pub async fn measure(setup: &Setup, runs: usize) -> Result<Section> {
    let direct: Uri = setup.direct.get.parse().context("address in the store")?;
    let (peer, path) = direct
        .authority()
        .zip(direct.path_and_query())
        .context("address in the store")?;
    let peer = peer.as_str().parse().context("address in the store")?;
    let mut direct = Side::open(peer, path.to_string()).await?;
    let mut oriel = Side::open(setup.oriel.address, Oriel::file_path(&setup.image)).await?;

    let mut random = fastrand::Rng::with_seed(1);
    let (mut with, mut without) = (vec![], vec![]);
    for block in 0..=runs {
        progress(&format!("{}: ranges {block} of {runs}", setup.store));
        let (mut block_with, mut block_without) = (vec![], vec![]);
        for request in 0..REQUESTS {
            let offset = random.u64(0..=setup.content.size - LENGTH);
            if request % 2 == 0 {
                block_without.push(direct.get(setup, offset).await?);
                block_with.push(oriel.get(setup, offset).await?);
            } else {
                block_with.push(oriel.get(setup, offset).await?);
                block_without.push(direct.get(setup, offset).await?);
            }
        }
        if block > 0 {
            with.push(median(block_with)?);
            without.push(median(block_without)?);
        }
    }

    let mut section = Section::new(format!("Ranged GET, 1 MiB, {}", setup.store));
    section.note(format!(
        "From the request to its last byte, at random offsets over one kept connection to each side, in turns. Each \
         measurement is the median of {REQUESTS} requests."
    ));
    section.figure("latency, Oriel", "ms", &with);
    section.figure("latency, the store itself", "ms", &without);
    section.paired_target(
        format!("{}: 1 MiB ranged GET, later than direct", setup.store),
        "ms",
        Limit::AtMost(LATER_MS),
        (&with, &without),
        |with, without| with - without,
    );
    Ok(section)
}

fn median(values: Vec<f64>) -> Result<f64> {
    Ok(Summary::of(values).context("no requests")?.median)
}
