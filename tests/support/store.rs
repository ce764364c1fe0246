//! The S3 server under test and a client of our own to look into it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region, RequestChecksumCalculation};
use bytes::Bytes;
use oriel::EmbeddedStore;
use tempfile::TempDir;

use super::eventually;

/// Where a store is and how to speak to it.
#[derive(Debug, Clone)]
pub struct Endpoint {
    pub profile: String,
    pub url: String,
    pub access_key: String,
    pub secret_key: String,
    pub region: String,
}

/// The embedded store, which most tests use.
pub struct Embedded {
    pub server: EmbeddedStore,
    dir: TempDir,
}

impl Embedded {
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let server = EmbeddedStore::start(&dir.path().join("store"), any)
            .await
            .unwrap();
        Self { server, dir }
    }

    /// The same with an object, or a multipart upload that is open, older by so much: the store is stopped, its record of it
    /// changed, and it is started at the same address.
    pub async fn with_older(self, key: &str, by: Duration) -> Self {
        let Self { server, dir } = self;
        let endpoint = server.endpoint();
        let address = endpoint.strip_prefix("http://").unwrap().parse().unwrap();
        server.stop().await;
        let root = dir.path().join("store");
        assert!(set_back(&root, key, by), "{key} is not in the store");
        // A child that another test is just starting holds every lock of this process until it has become its program.
        let server = eventually("the store starts again", async || {
            EmbeddedStore::start(&root, address).await.ok()
        })
        .await;
        Self { server, dir }
    }

    pub fn endpoint(&self) -> Endpoint {
        Endpoint {
            profile: "embedded".into(),
            url: self.server.endpoint(),
            access_key: self.server.access_key().into(),
            secret_key: self.server.secret_key().into(),
            region: "us-east-1".into(),
        }
    }
}

/// Changes the times in the record of a key; true when it was found below `dir`.
fn set_back(dir: &Path, key: &str, by: Duration) -> bool {
    std::fs::read_dir(dir).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return set_back(&path, key, by);
        }
        if path.extension().is_none_or(|ending| ending != "json") {
            return false;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let mut record: serde_json::Value = serde_json::from_str(&text).unwrap();
        if record["key"] != key {
            return false;
        }
        for time in ["modified", "initiated"] {
            if let Some(millis) = record[time].as_u64() {
                record[time] = (millis - u64::try_from(by.as_millis()).unwrap()).into();
            }
        }
        std::fs::write(&path, record.to_string()).unwrap();
        true
    })
}

/// Looks into a bucket without the service.
#[derive(Clone)]
pub struct Bucket {
    pub s3: aws_sdk_s3::Client,
    pub name: String,
}

impl Bucket {
    pub fn new(endpoint: &Endpoint, name: &str) -> Self {
        let keys = Credentials::new(
            &endpoint.access_key,
            &endpoint.secret_key,
            None,
            None,
            "test",
        );
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(endpoint.region.clone()))
            .endpoint_url(&endpoint.url)
            .force_path_style(true)
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .credentials_provider(keys)
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build();
        Self {
            s3: aws_sdk_s3::Client::from_conf(config),
            name: name.to_owned(),
        }
    }

    /// Keys of all objects.
    pub async fn keys(&self) -> BTreeSet<String> {
        let mut pages = self
            .s3
            .list_objects_v2()
            .bucket(&self.name)
            .into_paginator()
            .send();
        let mut keys = BTreeSet::new();
        while let Some(page) = pages.next().await {
            keys.extend(
                page.unwrap()
                    .contents
                    .unwrap_or_default()
                    .into_iter()
                    .filter_map(|object| object.key),
            );
        }
        keys
    }

    /// Keys of all open multipart uploads.
    pub async fn open_uploads(&self) -> Vec<String> {
        let page = self
            .s3
            .list_multipart_uploads()
            .bucket(&self.name)
            .send()
            .await
            .unwrap();
        page.uploads
            .unwrap_or_default()
            .into_iter()
            .filter_map(|upload| upload.key)
            .collect()
    }

    /// Stores an object without the service.
    pub async fn put(&self, key: &str, bytes: Bytes) {
        let put = self.s3.put_object().bucket(&self.name).key(key);
        put.body(bytes.into()).send().await.unwrap();
    }

    /// Deletes every object and the bucket itself, for stores that outlive the test.
    pub async fn remove(&self) {
        for key in self.keys().await {
            let delete = self.s3.delete_object().bucket(&self.name).key(key);
            delete.send().await.unwrap();
        }
        let delete = self.s3.delete_bucket().bucket(&self.name);
        delete.send().await.unwrap();
    }
}
