//! The measured product: its process, and as much of its API as the bench needs.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use http::{Method, StatusCode, header};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use crate::http::{Connection, bytes, free_port};
use crate::null_store::{BUCKET, NullStore};
use crate::process::Process;

/// How long Oriel may take to answer its health check.
const START_LIMIT: Duration = Duration::from_secs(60);

/// How often the health check is asked for. The time to start is no finer than this.
const START_POLL: Duration = Duration::from_millis(5);

/// An S3 store as Oriel is configured with it.
#[derive(Clone, Debug)]
pub struct Store {
    /// The name of the store in the report.
    pub name: String,
    /// The profile that suits the store's vendor.
    pub profile: String,
    /// `http://host:port`.
    pub endpoint: String,
    pub region: String,
    pub bucket: String,
    pub access_key: String,
    pub secret_key: String,
}

impl Store {
    /// The null store with unsigned payloads, so that a signature is not part of what is compared.
    pub fn null(store: &NullStore) -> Self {
        Self {
            name: "null store".to_owned(),
            profile: "seaweedfs".to_owned(),
            endpoint: format!("http://{}", store.address),
            region: "us-east-1".to_owned(),
            bucket: BUCKET.to_owned(),
            access_key: "k".to_owned(),
            secret_key: "s".to_owned(),
        }
    }
}

/// A running Oriel.
#[derive(Debug)]
pub struct Oriel {
    process: Process,
    pub address: SocketAddr,
    /// From the start of the process to its first answer.
    pub started_in: Duration,
}

impl Oriel {
    /// Starts Oriel in front of `store` with its catalog in `dir`, where it stays between starts, and waits until it
    /// is healthy. All but the addresses, the catalog and the store is as the defaults have it.
    ///
    /// # Errors
    /// If it ends or does not become healthy in time, with its last words.
    pub async fn start(store: &Store, dir: &Path) -> Result<Self> {
        let address = free_port()?;
        let config = dir.join("oriel.toml");
        fs::write(&config, configuration(store, dir, address)).context("write oriel.toml")?;
        let started = Instant::now();
        let mut process = Process::spawn(
            Command::new(env!("CARGO_BIN_EXE_oriel"))
                .args(["serve", "--config"])
                .arg(&config),
            &dir.join("oriel.log"),
        )?;
        while !is_healthy(address).await {
            process.ensure_running().context("oriel")?;
            if started.elapsed() > START_LIMIT {
                bail!("oriel is not healthy:\n{}", process.last_words());
            }
            sleep(START_POLL).await;
        }
        Ok(Self {
            process,
            address,
            started_in: started.elapsed(),
        })
    }

    /// The process id.
    ///
    /// # Errors
    /// If Oriel has ended.
    pub fn pid(&self) -> Result<u32> {
        self.process.pid()
    }

    /// Adds to an error what Oriel itself said last.
    ///
    /// # Errors
    /// Those of `outcome`.
    pub fn explain<T>(&self, outcome: Result<T>) -> Result<T> {
        outcome.map_err(|error| {
            let words = self.process.last_words();
            anyhow!("{error:#}; oriel's last words:\n{words}")
        })
    }

    /// The path of an image's data.
    pub fn file_path(image: &str) -> String {
        format!("/v2/images/{image}/file")
    }

    /// The address of an image's data.
    pub fn file_url(&self, image: &str) -> String {
        format!("http://{}{}", self.address, Self::file_path(image))
    }

    /// Creates an image without data and returns its id.
    ///
    /// # Errors
    /// If Oriel refuses.
    pub async fn create(&self) -> Result<String> {
        let image =
            json!({"name": "bench", "disk_format": "raw", "container_format": "bare"}).to_string();
        let answer = Connection::open(self.address)
            .await?
            .call(
                Method::POST,
                "/v2/images",
                &[(header::CONTENT_TYPE, "application/json")],
                bytes(image),
                StatusCode::CREATED,
            )
            .await?;
        let image: Value = serde_json::from_slice(&answer).context("created image")?;
        let id = image["id"].as_str().context("id of the created image")?;
        Ok(id.to_owned())
    }

    /// Returns the record of an image.
    ///
    /// # Errors
    /// If there is none.
    pub async fn get(&self, image: &str) -> Result<Value> {
        let path = format!("/v2/images/{image}");
        let answer = self.call(Method::GET, &path, StatusCode::OK).await?;
        serde_json::from_slice(&answer).context("image")
    }

    /// Lists the images, to have done some work.
    ///
    /// # Errors
    /// If Oriel refuses.
    pub async fn list(&self) -> Result<()> {
        self.call(Method::GET, "/v2/images", StatusCode::OK).await?;
        Ok(())
    }

    /// Deletes an image and its data.
    ///
    /// # Errors
    /// If Oriel refuses.
    pub async fn delete(&self, image: &str) -> Result<()> {
        let path = format!("/v2/images/{image}");
        self.call(Method::DELETE, &path, StatusCode::NO_CONTENT)
            .await?;
        Ok(())
    }

    async fn call(&self, method: Method, path: &str, expected: StatusCode) -> Result<Vec<u8>> {
        Connection::open(self.address)
            .await?
            .call(method, path, &[], bytes(""), expected)
            .await
    }
}

async fn is_healthy(address: SocketAddr) -> bool {
    let Ok(mut connection) = Connection::open(address).await else {
        return false;
    };
    connection
        .call(Method::GET, "/healthcheck", &[], bytes(""), StatusCode::OK)
        .await
        .is_ok()
}

fn configuration(store: &Store, dir: &Path, address: SocketAddr) -> String {
    // Rust's and TOML's basic strings agree on every escape that a key or path can need.
    let Store {
        profile,
        endpoint,
        region,
        bucket,
        access_key,
        secret_key,
        ..
    } = store;
    let catalog = dir.join("catalog.sqlite");
    format!(
        r#"auth = "none"

[server]
listen = "{address}"

[metrics]
listen = "off"

[catalog]
path = {catalog:?}

[store.bench]
profile = {profile:?}
endpoint = {endpoint:?}
region = {region:?}
bucket = {bucket:?}
access_key = {access_key:?}
secret_key = {secret_key:?}
create_bucket = true
"#
    )
}
