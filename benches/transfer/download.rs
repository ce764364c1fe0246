//! What a whole download costs, through Oriel, through nginx and without either.

use anyhow::{Context, Result};
use http::Uri;

use crate::curl;
use crate::nginx::{Buffers, Nginx, Program};
use crate::process::cpu_seconds;
use crate::report::{Limit, Section, progress};
use crate::setup::Setup;

/// How much of nginx's CPU time Oriel may use, with nginx's own buffers and with large ones.
const OF_NGINX: [(Buffers, f64); 2] = [(Buffers::Default, 0.7), (Buffers::Large, 1.2)];

/// How much of the rate of a download without Oriel there must be with it.
const OF_DIRECT: f64 = 0.9;

/// Why nginx's figures may be missing.
const NO_NGINX: &str = "nginx is not installed";

/// One way to the content.
struct Way {
    name: &'static str,
    url: String,
    /// The processes whose CPU time counts; none when nothing is between.
    pids: Vec<u32>,
    /// CPU seconds per GiB, by round.
    cpu: Vec<f64>,
    /// MB per second, by round.
    rate: Vec<f64>,
    _nginx: Option<Nginx>,
}

impl Way {
    fn new(name: &'static str, url: String, pids: Vec<u32>, nginx: Option<Nginx>) -> Self {
        Self {
            name,
            url,
            pids,
            cpu: Vec::new(),
            rate: Vec::new(),
            _nginx: nginx,
        }
    }
}

/// Runs one warming and `runs` interleaved rounds over all ways; every round starts with another way.
///
/// # Errors
/// If a download fails or nginx is installed and does not start.
pub async fn measure(setup: &Setup, nginx: Option<&Program>, runs: usize) -> Result<Section> {
    let content = &setup.content;
    let mut ways = ways(setup, nginx).await?;
    for round in 0..=runs {
        progress(&format!("{}: download {round} of {runs}", setup.store));
        for turn in 0..ways.len() {
            let at = (turn + round) % ways.len();
            let way = &mut ways[at];
            let before = cpu_seconds(&way.pids)?;
            let seconds = curl::download(&way.url, content.size).await?;
            let cpu = cpu_seconds(&way.pids)? - before;
            if round > 0 {
                way.cpu.push(cpu / content.gib());
                way.rate.push(content.mb() / seconds);
            }
        }
    }

    let mut section = Section::new(format!(
        "Download, {:.2} GiB, {}",
        content.gib(),
        setup.store
    ));
    section.note(
        "Whole GET by curl. CPU time is user and system time of the process between client and store: of Oriel, or of \
         nginx's master and its one worker (`worker_processes 1`).",
    );
    let (direct, between) = ways.split_last().context("ways")?;
    for way in between {
        section.figure(format!("CPU, {}", way.name), "s/GiB", &way.cpu);
    }
    for way in &ways {
        section.figure(format!("rate, {}", way.name), "MB/s", &way.rate);
    }
    let (oriel, proxies) = between.split_first().context("ways")?;
    for (index, (buffers, limit)) in OF_NGINX.into_iter().enumerate() {
        let name = format!("{}: download, CPU of {}", setup.store, buffers.as_str());
        match proxies.get(index) {
            Some(proxy) => section.paired_target(
                name,
                "x",
                Limit::AtMost(limit),
                (&oriel.cpu, &proxy.cpu),
                |oriel, proxy| oriel / proxy,
            ),
            None => section.skipped_target(name, "x", Limit::AtMost(limit), NO_NGINX),
        }
    }
    section.paired_target(
        format!("{}: download, rate of a direct GET", setup.store),
        "x",
        Limit::AtLeast(OF_DIRECT),
        (&oriel.rate, &direct.rate),
        |oriel, direct| oriel / direct,
    );
    Ok(section)
}

/// Oriel first, then each nginx if there is one, and last the store itself.
async fn ways(setup: &Setup, nginx: Option<&Program>) -> Result<Vec<Way>> {
    let oriel = &setup.oriel;
    let mut ways = vec![Way::new(
        "Oriel",
        oriel.file_url(&setup.image),
        vec![oriel.pid()?],
        None,
    )];
    let direct: Uri = setup.direct.get.parse().context("address in the store")?;
    let authority = direct.authority().context("address in the store")?;
    let path = direct.path_and_query().context("address in the store")?;
    if let Some(program) = nginx {
        for (buffers, _) in OF_NGINX {
            let dir = setup.dir.join(format!("{buffers:?}"));
            let nginx = Nginx::start(program, buffers, authority.as_str(), &dir).await?;
            let url = format!("http://{}{path}", nginx.authority);
            let pids = nginx.pids.clone();
            ways.push(Way::new(buffers.as_str(), url, pids, Some(nginx)));
        }
    }
    let url = setup.direct.get.clone();
    ways.push(Way::new("curl from the store itself", url, vec![], None));
    Ok(ways)
}
