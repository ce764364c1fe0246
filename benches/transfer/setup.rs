//! What one round of transfers needs: content, a store, Oriel in front of it with an image, and a way around Oriel.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{
    BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
};
use aws_sdk_s3::presigning::PresigningConfig;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use md5::{Digest, Md5};
use ring::digest::{self, SHA512};

use crate::curl;
use crate::http::{Connection, bytes};
use crate::null_store::NullStore;
use crate::oriel::{Oriel, Store};
use crate::pattern::Pattern;

/// How long a signed address is good for: longer than any run.
const SIGNATURE_LIFE: Duration = Duration::from_secs(6 * 3600);

/// The header of an upload to Oriel.
const OCTETS: &str = "Content-Type: application/octet-stream";

/// A file with the first bytes of the pattern.
#[derive(Clone, Debug)]
pub struct Content {
    pub pattern: Pattern,
    pub file: PathBuf,
    pub size: u64,
}

impl Content {
    /// Writes `size` bytes of the pattern to a file in `dir`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub async fn write(pattern: Pattern, size: u64, dir: &Path) -> Result<Self> {
        let file = dir.join(format!("content-{size}"));
        let content = Self {
            pattern,
            file,
            size,
        };
        let copy = content.clone();
        tokio::task::spawn_blocking(move || {
            let mut writer = BufWriter::new(File::create(&copy.file)?);
            copy.pattern.write(copy.size, &mut writer)?;
            writer.flush()?;
            // Else the disk is busy with it while the first rounds run.
            writer.get_ref().sync_all()
        })
        .await
        .context("write the content")?
        .context("write the content")?;
        Ok(content)
    }

    /// Size in GiB, for figures per GiB.
    pub fn gib(&self) -> f64 {
        self.size as f64 / f64::from(1 << 30)
    }

    /// Size in MB (of 10^6 bytes), for figures per second.
    pub fn mb(&self) -> f64 {
        self.size as f64 / 1e6
    }
}

/// Addresses of an object in the store itself: the way around Oriel. Signed where the store wants it.
#[derive(Clone, Debug)]
pub struct Direct {
    pub put: String,
    pub get: String,
    pub delete: String,
}

impl Direct {
    fn unsigned(store: &Store, key: &str) -> Self {
        let url = format!("{}/{}/{key}", store.endpoint, store.bucket);
        Self {
            put: url.clone(),
            get: url.clone(),
            delete: url,
        }
    }

    async fn signed(store: &Store, key: &str) -> Result<Self> {
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(&store.endpoint)
            .region(Region::new(store.region.clone()))
            .credentials_provider(Credentials::new(
                &store.access_key,
                &store.secret_key,
                None,
                None,
                "bench",
            ))
            .force_path_style(true)
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .build();
        let client = Client::from_conf(config);
        let bucket = &store.bucket;
        let life = PresigningConfig::expires_in(SIGNATURE_LIFE).context("signature")?;
        let put = client.put_object().bucket(bucket).key(key);
        let get = client.get_object().bucket(bucket).key(key);
        let delete = client.delete_object().bucket(bucket).key(key);
        Ok(Self {
            put: put.presigned(life.clone()).await?.uri().to_owned(),
            get: get.presigned(life.clone()).await?.uri().to_owned(),
            delete: delete.presigned(life).await?.uri().to_owned(),
        })
    }
}

/// All that is started.
#[derive(Debug)]
pub struct Setup {
    /// How the report calls the store.
    pub store: String,
    pub oriel: Oriel,
    /// The image in Oriel that holds the content.
    pub image: String,
    /// The object in the store that holds the content.
    pub direct: Direct,
    pub content: Content,
    pub dir: PathBuf,
    _null_store: Option<NullStore>,
}

impl Setup {
    /// Starts Oriel in front of a null store.
    ///
    /// # Errors
    /// If anything does not start, or if what comes back is not what went in.
    pub async fn with_null_store(content: Content, dir: PathBuf) -> Result<Self> {
        fs::create_dir_all(&dir).context("make a directory")?;
        let null_store = NullStore::start(&dir, None).await?;
        let store = Store::null(&null_store);
        let direct = Direct::unsigned(&store, "direct");
        Self::start(&store, Some(null_store), direct, content, dir).await
    }

    /// Starts Oriel in front of a store that runs already.
    ///
    /// # Errors
    /// If Oriel does not start, the store refuses, or what comes back is not what went in.
    pub async fn with_store(store: &Store, content: Content, dir: PathBuf) -> Result<Self> {
        fs::create_dir_all(&dir).context("make a directory")?;
        let direct = Direct::signed(store, "direct").await?;
        Self::start(store, None, direct, content, dir).await
    }

    async fn start(
        store: &Store,
        null_store: Option<NullStore>,
        direct: Direct,
        content: Content,
        dir: PathBuf,
    ) -> Result<Self> {
        let oriel = Oriel::start(store, &dir).await?;
        let image = oriel.create().await?;
        let setup = Self {
            store: store.name.clone(),
            oriel,
            image,
            direct,
            content,
            dir,
            _null_store: null_store,
        };
        let fill = async {
            setup.upload_to_oriel(&setup.image).await?;
            setup.upload_direct().await?;
            setup.verify().await
        };
        setup.oriel.explain(fill.await)?;
        Ok(setup)
    }

    /// Uploads the content by curl to an image of Oriel and returns the wall time in seconds.
    ///
    /// # Errors
    /// If the upload fails.
    pub async fn upload_to_oriel(&self, image: &str) -> Result<f64> {
        let url = self.oriel.file_url(image);
        curl::upload(&self.content.file, self.content.size, &[OCTETS], &url).await
    }

    /// Uploads the content by curl to the store itself and returns the wall time in seconds.
    ///
    /// # Errors
    /// If the upload fails.
    pub async fn upload_direct(&self) -> Result<f64> {
        curl::upload(&self.content.file, self.content.size, &[], &self.direct.put).await
    }

    /// Deletes what was put into the store.
    ///
    /// # Errors
    /// If Oriel or the store refuse.
    pub async fn clean(&self) -> Result<()> {
        self.oriel.delete(&self.image).await?;
        curl::delete(&self.direct.delete).await
    }

    /// Checks once that the image's record holds the content's size and digests and that its data are the content:
    /// else the figures would be of something that does not work.
    async fn verify(&self) -> Result<()> {
        let image = self.oriel.get(&self.image).await?;
        let (size, pattern) = (self.content.size, self.content.pattern.clone());
        let (md5, sha512) = tokio::task::spawn_blocking(move || digests(&pattern, size))
            .await
            .context("digests")?;
        for (field, expected) in [
            ("status", "active"),
            ("checksum", &md5),
            ("os_hash_algo", "sha512"),
            ("os_hash_value", &sha512),
        ] {
            let found = &image[field];
            ensure!(
                found.as_str() == Some(expected),
                "{field} of the image is {found}, not {expected:?}"
            );
        }
        ensure!(
            image["size"].as_u64() == Some(size),
            "size of the image is {}, not {size}",
            image["size"]
        );

        let mut connection = Connection::open(self.oriel.address).await?;
        let path = Oriel::file_path(&self.image);
        let response = connection.send(Method::GET, &path, &[], bytes("")).await?;
        ensure!(
            response.status() == StatusCode::OK,
            "download: {}",
            response.status()
        );
        let mut body = response.into_body();
        let mut offset = 0;
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame.context("download")?.into_data() {
                ensure!(
                    self.content.pattern.matches(offset, &data),
                    "wrong bytes after offset {offset}"
                );
                offset += data.len() as u64;
            }
        }
        ensure!(offset == size, "downloaded {offset} of {size} bytes");
        Ok(())
    }
}

/// MD5 and SHA-512 in hex of the first `size` bytes of the pattern, by the crates that Oriel uses, on this thread.
pub fn digests(pattern: &Pattern, size: u64) -> (String, String) {
    let mut md5 = Md5::new();
    let mut sha512 = digest::Context::new(&SHA512);
    for piece in pattern.pieces(0..size) {
        md5.update(&piece);
        sha512.update(&piece);
    }
    (hex(&md5.finalize()), hex(sha512.finish().as_ref()))
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
