//! What the figures depend on: the machine and the versions. No names of hosts, users or folders.

use std::fs;
use std::path::Path;

use time::OffsetDateTime;

use crate::curl;
use crate::nginx::Program;

/// The crates on the path of the bytes.
const CRATES: [&str; 9] = [
    "tokio",
    "hyper",
    "axum",
    "aws-sdk-s3",
    "aws-smithy-http-client",
    "md-5",
    "ring",
    "sqlx",
    "mimalloc",
];

/// Gathers the facts, a line each. What cannot be found out is left out.
pub async fn gather(nginx: Option<&Program>) -> Vec<String> {
    let mut facts = vec![
        format!("date: {}", OffsetDateTime::now_utc().date()),
        format!("oriel {}", env!("CARGO_PKG_VERSION")),
    ];
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    facts.extend(cpu_model().map(|model| format!("CPU: {model}, {cores} cores for all processes")));
    facts.extend(memory().map(|gib| format!("memory: {gib:.1} GiB")));
    facts.extend(
        read("/proc/sys/kernel/osrelease").map(|release| format!("kernel: Linux {release}")),
    );
    facts.extend(curl::version().await);
    facts.extend(nginx.map(|program| format!("{}, one worker process", program.version)));
    let crates = crate_versions().unwrap_or_default();
    facts.push(format!("crates: {}", crates.join(", ")));
    facts.extend(load("before"));
    facts
}

/// The load average, for a reader to judge how much else was going on; `None` if the kernel does not tell.
pub fn load(when: &str) -> Option<String> {
    let averages = read("/proc/loadavg")?;
    let one_minute = averages.split_ascii_whitespace().next()?;
    Some(format!("load {when} the run: {one_minute}"))
}

fn cpu_model() -> Option<String> {
    let (_, model) = cpu_line("model name")?;
    Some(model)
}

fn cpu_line(name: &str) -> Option<(String, String)> {
    let info = read("/proc/cpuinfo")?;
    info.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == name)
        .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
}

fn memory() -> Option<f64> {
    let info = read("/proc/meminfo")?;
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: f64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(kib / f64::from(1 << 20))
}

/// Names and versions of [`CRATES`] in the lock file.
fn crate_versions() -> Option<Vec<String>> {
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock");
    let lock: toml::Table = fs::read_to_string(lock).ok()?.parse().ok()?;
    let packages = lock.get("package")?.as_array()?;
    let versions = CRATES.iter().flat_map(|name| {
        packages
            .iter()
            .filter(|package| package.get("name").and_then(|value| value.as_str()) == Some(*name))
            .filter_map(|package| package.get("version")?.as_str())
            .map(move |version| format!("{name} {version}"))
    });
    Some(versions.collect())
}

fn read(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}
