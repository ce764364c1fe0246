//! The store behind the real SDK, over its port, one module per group of operations.
#![expect(
    clippy::disallowed_methods,
    reason = "the bodies of these tests are small, and their tasks end with them"
)]

mod buckets;
mod conditions;
mod copies;
mod durability;
mod faults;
mod listing;
mod multipart;
mod objects;
mod races;
mod refusals;

use std::fmt::Debug;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{
    BehaviorVersion, Builder, Credentials, Region, RequestChecksumCalculation,
    ResponseChecksumValidation,
};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::EmbeddedStore;

const BUCKET: &str = "images";
const MIB: usize = 1024 * 1024;
const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A store on a directory of its own, a client, and one bucket.
struct Fixture {
    dir: TempDir,
    store: EmbeddedStore,
    client: Client,
}

impl Fixture {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::start(dir.path(), ANY_PORT).await.unwrap();
        let client = client(&store);
        client.create_bucket().bucket(BUCKET).send().await.unwrap();
        Self { dir, store, client }
    }

    /// Stops the store, lets `change` have its way with the directory, and starts again.
    async fn restart_after(self, change: impl FnOnce(&Path)) -> Self {
        self.store.stop().await;
        change(self.dir.path());
        let store = EmbeddedStore::start(self.dir.path(), ANY_PORT)
            .await
            .unwrap();
        let client = client(&store);
        Self {
            dir: self.dir,
            store,
            client,
        }
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("buckets").join(BUCKET).join("data")
    }

    /// All files with data, published or not.
    fn data_files(&self) -> Vec<PathBuf> {
        let mut found = files(&self.dir.path().join("tmp"));
        found.extend(files(&self.data()));
        found
    }

    async fn put(&self, key: &str, body: Vec<u8>) -> String {
        let put = self
            .client
            .put_object()
            .bucket(BUCKET)
            .key(key)
            .body(body.into())
            .send()
            .await
            .unwrap();
        put.e_tag.unwrap()
    }

    async fn get(&self, key: &str) -> Vec<u8> {
        let got = self
            .client
            .get_object()
            .bucket(BUCKET)
            .key(key)
            .send()
            .await
            .unwrap();
        got.body.collect().await.unwrap().to_vec()
    }

    async fn create_upload(&self, key: &str) -> String {
        let created = self
            .client
            .create_multipart_upload()
            .bucket(BUCKET)
            .key(key)
            .send()
            .await
            .unwrap();
        created.upload_id.unwrap()
    }

    async fn upload_part(&self, key: &str, id: &str, number: i32, body: Vec<u8>) -> CompletedPart {
        let request = self
            .client
            .upload_part()
            .bucket(BUCKET)
            .key(key)
            .upload_id(id)
            .part_number(number);
        let sent = request.body(ByteStream::from(body)).send().await.unwrap();
        CompletedPart::builder()
            .part_number(number)
            .e_tag(sent.e_tag.unwrap())
            .build()
    }

    async fn complete(
        &self,
        key: &str,
        id: &str,
        parts: Vec<CompletedPart>,
    ) -> Result<String, (u16, String)> {
        let list = CompletedMultipartUpload::builder()
            .set_parts(Some(parts))
            .build();
        let request = self
            .client
            .complete_multipart_upload()
            .bucket(BUCKET)
            .key(key)
            .upload_id(id);
        let completed = request.multipart_upload(list).send().await;
        completed
            .map(|done| done.e_tag.unwrap())
            .map_err(|e| refusal(&e))
    }

    /// Makes an object of two parts: 5 MiB and a little.
    async fn put_in_parts(&self, key: &str) -> (String, Vec<u8>) {
        let body = content(5 * MIB + 1000);
        let id = self.create_upload(key).await;
        let first = self
            .upload_part(key, &id, 1, body[..5 * MIB].to_vec())
            .await;
        let second = self
            .upload_part(key, &id, 2, body[5 * MIB..].to_vec())
            .await;
        let etag = self.complete(key, &id, vec![first, second]).await.unwrap();
        (etag, body)
    }
}

fn config(store: &EmbeddedStore) -> Builder {
    let credentials = Credentials::new(
        store.access_key(),
        store.secret_key(),
        None,
        None,
        "embedded",
    );
    aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .region(Region::new("us-east-1"))
        .endpoint_url(store.endpoint())
        .credentials_provider(credentials)
        .force_path_style(true)
}

fn client(store: &EmbeddedStore) -> Client {
    let config = config(store)
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    Client::from_conf(config.build())
}

/// Byte N is a function of N, so that any range can be checked.
fn content(length: usize) -> Vec<u8> {
    (0..length)
        .map(|n| (n.wrapping_mul(31) >> 3) as u8 ^ (n >> 11) as u8)
        .collect()
}

/// Status and code of an answer that is an error.
fn refusal<E: ProvideErrorMetadata + Debug>(error: &SdkError<E>) -> (u16, String) {
    let status = error
        .raw_response()
        .unwrap_or_else(|| panic!("no answer: {error:?}"))
        .status()
        .as_u16();
    (status, error.code().unwrap_or_default().to_owned())
}

#[track_caller]
fn assert_refused<T: Debug, E: ProvideErrorMetadata + Debug>(
    result: Result<T, SdkError<E>>,
    status: u16,
    code: &str,
) {
    assert_eq!(refusal(&result.unwrap_err()), (status, code.to_owned()));
}

/// All files below a directory.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    // Directories may vanish while they are read.
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        match entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            true => found.extend(files(&entry.path())),
            false => found.push(entry.path()),
        }
    }
    found
}

/// Waits for a condition, for at most ten seconds.
async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    while !holds() {
        assert!(
            tokio::time::Instant::now() < deadline,
            "never happened: {what}"
        );
        tick.tick().await;
    }
}

/// A future that must end soon.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), future)
        .await
        .expect("took too long")
}

/// A PUT whose body the test sends piece by piece, on a connection of its own.
struct RawPut {
    stream: TcpStream,
}

impl RawPut {
    /// Sends the head of a presigned request.
    async fn begin(request: &aws_sdk_s3::presigning::PresignedRequest, length: usize) -> Self {
        let uri: http::Uri = request.uri().parse().unwrap();
        let host = uri.authority().unwrap().as_str();
        let path = uri.path_and_query().unwrap();
        let mut head =
            format!("PUT {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {length}\r\n");
        for (name, value) in request.headers() {
            if !name.eq_ignore_ascii_case("content-length") {
                head += &format!("{name}: {value}\r\n");
            }
        }
        head += "\r\n";
        let mut stream = TcpStream::connect(host).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        Self { stream }
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// The answer, as far as it comes in one go.
    async fn answer(&mut self) -> String {
        let mut answer = vec![0; 4096];
        let length = soon(self.stream.read(&mut answer)).await.unwrap();
        String::from_utf8_lossy(&answer[..length]).into_owned()
    }
}

fn presigning() -> aws_sdk_s3::presigning::PresigningConfig {
    aws_sdk_s3::presigning::PresigningConfig::expires_in(Duration::from_secs(60)).unwrap()
}
