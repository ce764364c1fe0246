//! `[store.NAME]`: one S3 bucket that keeps image bytes.

use std::path::PathBuf;

use super::choice::choice;
use super::read::Section;
use super::setting::{HttpUrl, Setting};
use super::units::{ByteSize, Secret, Span};

/// The word that stands for the S3 server inside, in place of an endpoint.
const EMBEDDED: &str = "embedded";

/// S3 takes parts of this size only; the last of an object may be smaller.
const PART_SIZES: std::ops::RangeInclusive<ByteSize> = ByteSize::mib(5)..=ByteSize::gib(5);

/// S3 keys have 1024 bytes; this leaves room for the ids of image and attempt.
const LONGEST_PREFIX: usize = 512;

/// The reference service keeps its own staging stores under such names.
const RESERVED_PREFIX: &str = "os_glance";

choice! {
    /// The kind of S3 server, which sets what it can do.
    Profile {
        /// Amazon S3 and what behaves like it.
        Aws = "aws",
        /// Ceph RADOS Gateway.
        Ceph = "ceph",
        /// MinIO.
        Minio = "minio",
        /// SeaweedFS.
        Seaweedfs = "seaweedfs",
        /// LocalStack, for tests.
        Localstack = "localstack",
        /// The S3 server inside.
        Embedded = "embedded",
    }
}

/// One S3 bucket, or a part of one, that keeps image bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// The http(s) URL of the S3 server, or `"embedded"` for the one inside. Default: none, which means AWS.
    pub endpoint: Option<String>,
    /// The region that requests are signed for. Default `"us-east-1"`.
    pub region: String,
    /// The bucket. Required; an embedded store has the default `"images"`.
    pub bucket: String,
    /// What every object key begins with; a folder ends with `/`. Default `""`. Set it to share a bucket.
    pub prefix: String,
    /// The access key id. Default: none. Goes with `secret_key`. With neither it nor `credentials_file` the usual
    /// chain of AWS SDKs is asked: environment, profile files, instance role.
    pub access_key: Option<String>,
    /// The secret access key. Default: none. Better given by the environment than in the file.
    pub secret_key: Option<Secret>,
    /// A file with `access_key`, `secret_key` and perhaps `session_token`, read again when it changes. Default: none.
    /// Use it where keys rotate. Not together with `access_key`.
    pub credentials_file: Option<PathBuf>,
    /// A PEM file of certificate authorities to trust in place of the system's. Default: none. Needs https.
    pub ca_bundle: Option<PathBuf>,
    /// Whether the bucket stands in the path of URLs and not in the host name. Default: true when there is an
    /// endpoint, else false.
    pub path_style: bool,
    /// The kind of S3 server. Default `"aws"`; an embedded store has `"embedded"`.
    pub profile: Profile,
    /// Whether the bytes of parts are signed as well as the request's head. Default: as the profile says. Set it true
    /// for a server that refuses unsigned payloads.
    pub sign_payload: Option<bool>,
    /// Whether requests carry a checksum of their bytes in the way newer S3 servers know. Default: as the profile
    /// says. Set it false for a server that answers uploads with 400.
    pub request_checksums: Option<bool>,
    /// Whether the ETag of an object that one request stored is the MD5 of its bytes, as on every server named above.
    /// Default true: it is compared then. Set it false for a server, or a way of encrypting, where it is not.
    pub etag_is_md5: bool,
    /// How long connecting may take. Default `"3s"`.
    pub connect_timeout: Span,
    /// How long one try of a request may take, from connecting to the last byte of the answer, beside a second for
    /// every 256 KiB sent; and how long the server may pause in the middle of a download. Default `"60s"`.
    pub read_timeout: Span,
    /// How long one try to have the parts of an upload put together may take, to the last byte of the answer. Default
    /// `"5m"`. Raise it for servers that copy the parts of large images. A copy that the server makes has as long, and a second
    /// for every 16 MiB.
    pub complete_timeout: Span,
    /// How often a request that failed for a passing reason is tried again, after a pause of 5 seconds at most. Default
    /// 3. All tries of a request together have no more time than so many tries and pauses.
    pub retries: u32,
    /// The size of an upload's parts, 5 MiB to 5 GiB; larger when an image would need more than 10000. Default
    /// `"8MiB"`. Larger parts mean fewer requests and more memory.
    pub part_size: ByteSize,
    /// How many parts of one upload are sent at once. Default 4. Raise it for servers that are far away.
    pub parts_in_flight: usize,
    /// Whether the bucket is made at start when it is missing. Default false.
    pub create_bucket: bool,
    /// The order of stores that hold the same image: a higher weight is read first. Default 0.
    pub weight: i32,
    /// What the list of stores says about this one. Default `""`.
    pub description: String,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            endpoint: None,
            region: "us-east-1".to_owned(),
            bucket: "images".to_owned(),
            prefix: String::new(),
            access_key: None,
            secret_key: None,
            credentials_file: None,
            ca_bundle: None,
            path_style: false,
            profile: Profile::Aws,
            sign_payload: None,
            request_checksums: None,
            etag_is_md5: true,
            connect_timeout: Span::seconds(3),
            read_timeout: Span::seconds(60),
            complete_timeout: Span::seconds(300),
            retries: 3,
            part_size: ByteSize::mib(8),
            parts_in_flight: 4,
            create_bucket: false,
            weight: 0,
            description: String::new(),
        }
    }
}

impl Store {
    /// Whether the store is the S3 server inside.
    pub fn is_embedded(&self) -> bool {
        self.endpoint.as_deref() == Some(EMBEDDED)
    }

    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        let endpoint = section.take_optional("endpoint").map(|Endpoint(text)| text);
        let is_embedded = endpoint.as_deref() == Some(EMBEDDED);
        let store = Self {
            path_style: section.take("path_style", endpoint.is_some()),
            endpoint,
            region: section.take_word("region", default.region),
            bucket: if is_embedded {
                section.take_word("bucket", default.bucket)
            } else {
                section.take_required("bucket", default.bucket)
            },
            prefix: section.take("prefix", default.prefix),
            access_key: section.take_optional("access_key"),
            secret_key: section.take_optional("secret_key"),
            credentials_file: section.take_optional("credentials_file"),
            ca_bundle: section.take_optional("ca_bundle"),
            profile: section.take(
                "profile",
                if is_embedded {
                    Profile::Embedded
                } else {
                    default.profile
                },
            ),
            sign_payload: section.take_optional("sign_payload"),
            request_checksums: section.take_optional("request_checksums"),
            etag_is_md5: section.take("etag_is_md5", default.etag_is_md5),
            connect_timeout: section.take_timeout("connect_timeout", default.connect_timeout),
            read_timeout: section.take_timeout("read_timeout", default.read_timeout),
            complete_timeout: section.take_timeout("complete_timeout", default.complete_timeout),
            retries: section.take("retries", default.retries),
            part_size: section.take("part_size", default.part_size),
            parts_in_flight: section.take("parts_in_flight", default.parts_in_flight),
            create_bucket: section.take("create_bucket", default.create_bucket),
            weight: section.take("weight", default.weight),
            description: section.take("description", default.description),
        };
        store.check(section);
        store
    }

    /// Whether an object of one store could be taken for an object of the other.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let same_bucket = self.bucket == other.bucket
            && match (&self.endpoint, &other.endpoint) {
                (None, None) => self.region == other.region,
                (ours, theirs) => ours == theirs,
            };
        same_bucket
            && (self.prefix.starts_with(&other.prefix) || other.prefix.starts_with(&self.prefix))
    }

    fn check(&self, section: &mut Section<'_>) {
        section.require(
            PART_SIZES.contains(&self.part_size),
            "part_size",
            format!(
                "must be from {} to {}",
                PART_SIZES.start(),
                PART_SIZES.end()
            ),
            self.part_size,
        );
        section.require(
            self.parts_in_flight > 0,
            "parts_in_flight",
            "must be at least 1",
            self.parts_in_flight,
        );
        section.require(
            !self.prefix.starts_with('/') && self.prefix.len() <= LONGEST_PREFIX,
            "prefix",
            format!("must not begin with / nor have more than {LONGEST_PREFIX} bytes"),
            &self.prefix,
        );
        section.require(
            !self.bucket.contains('/'),
            "bucket",
            "must be a name without /",
            &self.bucket,
        );
        if self.access_key.is_some() != self.secret_key.is_some() {
            let (given, missing) = match self.access_key {
                Some(_) => ("access_key", "secret_key"),
                None => ("secret_key", "access_key"),
            };
            section.fault(missing, format!("is required with {given}"));
        }
        if self.access_key.is_some() && self.credentials_file.is_some() {
            section.fault("credentials_file", "must not stand beside access_key");
        }
        if self.ca_bundle.is_some()
            && self
                .endpoint
                .as_ref()
                .is_some_and(|url| !url.starts_with("https:"))
        {
            section.fault("ca_bundle", "needs an endpoint with https");
        }
    }
}

/// The URL of an S3 server, or the word for the one inside.
struct Endpoint(String);

impl Setting for Endpoint {
    const RULE: &'static str =
        "must be an http or https URL without user, query or fragment, or \"embedded\"";

    fn from_text(text: &str) -> Option<Self> {
        if text == EMBEDDED {
            return Some(Self(text.to_owned()));
        }
        HttpUrl::from_text(text).map(|HttpUrl(url)| Self(url))
    }
}

/// Checks the name of a store, which stands in headers, object records and metrics.
pub(super) fn check_name(name: &str, section: &mut Section<'_>) {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !(1..=64).contains(&name.len()) || !name.bytes().all(is_plain) {
        section.fault_here("must have a name of 1 to 64 letters, digits, - and _");
    }
    if name.starts_with(RESERVED_PREFIX) {
        section.fault_here(format!(
            "must not have a name that begins with {RESERVED_PREFIX}"
        ));
    }
}
