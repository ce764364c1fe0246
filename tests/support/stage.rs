//! Three servers on a PostgreSQL of the test's own, each over a link of its own.

use futures_util::future::join_all;
use sqlx::PgPool;

use super::client::Client;
use super::cluster::Cluster;
use super::link::Link;
use super::servers::{Options, SERVERS, Site};
use super::tokens::Tokens;

pub struct Stage {
    pub cluster: Cluster,
    pub links: Vec<Link>,
    pub site: Site,
    /// To the database, past every link.
    pub pool: PgPool,
    _tokens: Tokens,
}

impl Stage {
    /// With these keys of `[images]`, on links that `prepare` has seen. `None` without the programs of PostgreSQL, for which
    /// `what` is said to be skipped.
    pub async fn start(what: &str, images: &str, prepare: impl Fn(&Link)) -> Option<Self> {
        let cluster = Cluster::start(what).await?;
        let links = join_all((0..SERVERS).map(|_| Link::start(cluster.target()))).await;
        links.iter().for_each(prepare);
        let tokens = Tokens::new();
        let catalog = |server: usize| {
            let address = links[server].address();
            format!("url = \"postgres://postgres@{address}/postgres?sslmode=disable\"")
        };
        let site = Site::with(Options {
            top: "auth = \"tokens\"".into(),
            tables: format!("{}[images]\n{images}\n", tokens.table()),
            store: "part_size = \"5MiB\"".into(),
            stores: &[],
            catalogs: std::array::from_fn(catalog),
        })
        .await;
        Some(Self {
            pool: cluster.pool().await,
            cluster,
            links,
            site,
            _tokens: tokens,
        })
    }

    pub fn clients(&self) -> Vec<Client> {
        let servers = self.site.servers.iter();
        servers.map(|server| server.client.clone()).collect()
    }

    pub async fn stop(self) {
        drop(self.site);
        self.pool.close().await;
        self.cluster.stop().await;
    }
}
