//! The SDK client of a store: transport, credentials, timeouts, and the options a profile decides.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    SharedCredentialsProvider, StalledStreamProtectionConfig,
};

use super::Options;
use super::credentials::FileCredentials;
use super::error::PassingAnswers;
use super::transport::transport;
use super::{location, objects};
use crate::config::{Profile, Secret, Store as StoreConfig};
use crate::net::client_tls;

const FIRST_BACKOFF: Duration = Duration::from_millis(100);
/// Also as far as a store's `Retry-After` goes.
pub(super) const LONGEST_BACKOFF: Duration = Duration::from_secs(5);

/// What a profile decides unless the store says otherwise (measured behaviour of these servers).
struct ProfileDefaults {
    /// A SHA-256 over every payload costs more than the whole proxying; plain HTTP to AWS is the only place for it.
    sign_payload: bool,
    /// The SDK's default sends checksum trailers, which Ceph RGW answers with 400 and older MinIO does not know.
    request_checksums: bool,
}

fn defaults(profile: Profile) -> ProfileDefaults {
    match profile {
        Profile::Aws => ProfileDefaults {
            sign_payload: false,
            request_checksums: true,
        },
        Profile::Ceph
        | Profile::Minio
        | Profile::Seaweedfs
        | Profile::Localstack
        | Profile::Embedded => ProfileDefaults {
            sign_payload: false,
            request_checksums: false,
        },
    }
}

/// Which server a store is on, and as whom we come to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    /// None is AWS.
    endpoint: Option<String>,
    region: String,
    access_key: Option<String>,
    secret_key: Option<Secret>,
    /// With neither this nor keys it is whom the SDK's chain says, the same for all stores.
    credentials_file: Option<PathBuf>,
}

impl Account {
    fn of(config: &StoreConfig) -> Self {
        let endpoint = config.endpoint.as_deref();
        Self {
            endpoint: endpoint.map(|url| url.trim_end_matches('/').to_owned()),
            region: config.region.clone(),
            access_key: config.access_key.clone(),
            secret_key: config.secret_key.clone(),
            credentials_file: config.credentials_file.clone(),
        }
    }
}

pub(super) fn options(config: &StoreConfig) -> Options {
    Options {
        account: Account::of(config),
        bucket: config.bucket.clone(),
        prefix: config.prefix.clone(),
        region: config.region.clone(),
        is_aws: config.endpoint.is_none(),
        sign_payload: config
            .sign_payload
            .unwrap_or(defaults(config.profile).sign_payload),
        part_size: config.part_size.bytes(),
        parts_in_flight: config.parts_in_flight,
        connect_timeout: config.connect_timeout.duration(),
        read_timeout: config.read_timeout.duration(),
        complete_timeout: config.complete_timeout.duration(),
        retries: config.retries,
        etag_is_md5: config.etag_is_md5,
        weight: config.weight,
        description: config.description.clone(),
        location_base: location::base(config),
        create_bucket: config.create_bucket || config.is_embedded(),
    }
}

pub(super) async fn connect(config: &StoreConfig) -> anyhow::Result<aws_sdk_s3::Client> {
    let http = http_client(config)?;
    let checksums = config
        .request_checksums
        .unwrap_or(defaults(config.profile).request_checksums);
    let mut builder = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(config.region.clone()))
        .force_path_style(config.path_style)
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(config.retries.saturating_add(1))
                .with_initial_backoff(FIRST_BACKOFF)
                .with_max_backoff(LONGEST_BACKOFF),
        )
        .timeout_config(objects::time_limits(
            config.connect_timeout.duration(),
            config.read_timeout.duration(),
            config.retries,
        ))
        .retry_classifier(PassingAnswers)
        // Uploads have a limit per part, downloads one per pause; this would be a third rule over the same bytes.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .request_checksum_calculation(if checksums {
            RequestChecksumCalculation::WhenSupported
        } else {
            RequestChecksumCalculation::WhenRequired
        })
        // The image's own digests cover the bytes; a second check would hash every download again.
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .credentials_provider(credentials(config, http.clone()).await?)
        .http_client(http);
    if let Some(endpoint) = &config.endpoint {
        builder = builder.endpoint_url(endpoint);
    }
    Ok(aws_sdk_s3::Client::from_conf(builder.build()))
}

fn http_client(config: &StoreConfig) -> anyhow::Result<aws_sdk_s3::config::SharedHttpClient> {
    let speaks_tls = (config.endpoint.as_ref()).is_none_or(|url| url.starts_with("https:"));
    let tls = client_tls(config.ca_bundle.as_deref(), speaks_tls)
        .context("cannot use ca_bundle, or the system's certificate authorities")?;
    Ok(transport(tls, config.connect_timeout.duration()))
}

/// Static keys, a file that is read again when it changes, or the SDK's chain (roles, profiles, instance metadata).
async fn credentials(
    config: &StoreConfig,
    http: aws_sdk_s3::config::SharedHttpClient,
) -> anyhow::Result<SharedCredentialsProvider> {
    if let (Some(access), Some(secret)) = (&config.access_key, &config.secret_key) {
        let keys = Credentials::new(access, secret.expose(), None, None, "configuration");
        return Ok(SharedCredentialsProvider::new(keys));
    }
    if let Some(path) = &config.credentials_file {
        return Ok(SharedCredentialsProvider::new(FileCredentials::open(path)?));
    }
    let chain = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .region(Region::new(config.region.clone()))
        .load()
        .await;
    chain
        .credentials_provider()
        .context("the SDK offers no chain of credentials")
}
