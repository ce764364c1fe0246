//! Whole transfers by curl: the client that people compare with, and one that costs the bench nothing.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

/// Downloads `url` to nowhere and returns the wall time in seconds.
///
/// # Errors
/// If curl fails, or if not exactly `size` bytes came.
pub async fn download(url: &str, size: u64) -> Result<f64> {
    let (bytes, seconds) = run(&["--output", "/dev/null"], "%{size_download}", url).await?;
    ensure!(bytes == size, "curl got {bytes} of {size} bytes from {url}");
    Ok(seconds)
}

/// Uploads a file with its length known and returns the wall time in seconds. `headers` are whole lines.
///
/// # Errors
/// If curl fails, or if not exactly `size` bytes went.
pub async fn upload(file: &Path, size: u64, headers: &[&str], url: &str) -> Result<f64> {
    let file = file.to_str().context("path of the content")?;
    let mut arguments = vec!["--upload-file", file];
    for header in headers {
        arguments.extend(["--header", header]);
    }
    let (bytes, seconds) = run(&arguments, "%{size_upload}", url).await?;
    ensure!(bytes == size, "curl sent {bytes} of {size} bytes to {url}");
    Ok(seconds)
}

/// Sends a DELETE.
///
/// # Errors
/// If curl fails.
pub async fn delete(url: &str) -> Result<()> {
    run(&["--request", "DELETE"], "0", url).await?;
    Ok(())
}

/// The first line of `curl --version` up to its version, or nothing.
pub async fn version() -> Option<String> {
    let output = Command::new("curl").arg("--version").output().await.ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let words: Vec<&str> = text.split_ascii_whitespace().take(2).collect();
    Some(words.join(" "))
}

async fn run(arguments: &[&str], bytes: &str, url: &str) -> Result<(u64, f64)> {
    let output = Command::new("curl")
        // First, or the caller's own settings are read.
        .args(["--disable", "--silent", "--show-error", "--fail"])
        .args(["--noproxy", "*", "--write-out"])
        .arg(format!("\n{bytes} %{{time_total}}"))
        .args(arguments)
        .arg(url)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .context("start curl")?;
    ensure!(
        output.status.success(),
        "curl {url}: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let text = String::from_utf8_lossy(&output.stdout);
    // What precedes the last line is the answer's body.
    let line = text.lines().last().unwrap_or_default();
    let (bytes, seconds) = line.split_once(' ').context("figures of curl")?;
    Ok((
        bytes.parse().context("bytes of curl")?,
        seconds.parse().context("seconds of curl")?,
    ))
}
