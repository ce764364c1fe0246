//! What an upload costs Oriel, beside the digests that no implementation can do without.

use anyhow::{Context, Result};

use crate::process::{cpu_seconds, thread_cpu_seconds};
use crate::report::{Limit, Section, progress};
use crate::setup::{Content, Setup, digests};

/// How much more than the digests an upload may cost, in CPU seconds per GiB.
const OVER_THE_FLOOR: f64 = 1.3;

/// Runs `runs` interleaved rounds: the digests alone, an upload to Oriel, an upload to the store itself.
///
/// # Errors
/// If an upload fails.
pub async fn measure(setup: &Setup, runs: usize) -> Result<Section> {
    let content = &setup.content;
    let pid = [setup.oriel.pid()?];
    let (mut floor, mut cpu, mut rate, mut direct) = (vec![], vec![], vec![], vec![]);
    for round in 1..=runs {
        progress(&format!("{}: upload {round} of {runs}", setup.store));
        floor.push(hash_floor(content).await? / content.gib());

        let image = setup.oriel.create().await?;
        let before = cpu_seconds(&pid)?;
        let seconds = setup.upload_to_oriel(&image).await?;
        cpu.push((cpu_seconds(&pid)? - before) / content.gib());
        rate.push(content.mb() / seconds);
        setup.oriel.delete(&image).await?;

        direct.push(content.mb() / setup.upload_direct().await?);
    }

    let mut section = Section::new(format!("Upload, {:.2} GiB, {}", content.gib(), setup.store));
    section.note(
        "PUT with a known length by curl. The floor is MD5 and SHA-512 over the same bytes on one thread, by the \
         crates that Oriel uses. CPU time is user and system time of the Oriel process alone.",
    );
    section.figure("CPU, hash floor", "s/GiB", &floor);
    section.figure("CPU, Oriel", "s/GiB", &cpu);
    section.figure("rate, Oriel", "MB/s", &rate);
    section.figure("rate, curl to the store itself", "MB/s", &direct);
    section.paired_target(
        format!("{}: upload, CPU over the hash floor", setup.store),
        "s/GiB",
        Limit::AtMost(OVER_THE_FLOOR),
        (&cpu, &floor),
        |oriel, floor| oriel - floor,
    );
    Ok(section)
}

/// CPU seconds of the digests over the whole content, on a thread of their own.
async fn hash_floor(content: &Content) -> Result<f64> {
    let (pattern, size) = (content.pattern.clone(), content.size);
    tokio::task::spawn_blocking(move || -> Result<f64> {
        let before = thread_cpu_seconds()?;
        std::hint::black_box(digests(&pattern, size));
        Ok(thread_cpu_seconds()? - before)
    })
    .await
    .context("hash floor")?
}
