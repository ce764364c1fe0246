//! The records that the store keeps as JSON beside the data, and the names of part files.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use md5::Digest;
use s3s::dto::Timestamp;
use serde::{Deserialize, Serialize};

/// An MD5 digest; prints as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(super) struct Md5(pub(super) [u8; 16]);

impl fmt::Display for Md5 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl FromStr for Md5 {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(format!("{text:?} is not an MD5 digest"));
        }
        let number = u128::from_str_radix(text, 16).map_err(|e| e.to_string())?;
        Ok(Self(number.to_be_bytes()))
    }
}

impl From<Md5> for String {
    fn from(md5: Md5) -> Self {
        md5.to_string()
    }
}

impl TryFrom<String> for Md5 {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// Milliseconds since 1970: as much as S3 tells of a time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub(super) struct Millis(u64);

impl Millis {
    pub(super) fn now() -> Self {
        SystemTime::now().into()
    }

    /// Whole seconds, the precision of HTTP dates.
    pub(super) fn seconds(self) -> i64 {
        i64::try_from(self.0 / 1000).unwrap_or(i64::MAX)
    }
}

impl From<SystemTime> for Millis {
    fn from(time: SystemTime) -> Self {
        let elapsed = time
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Self(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
    }
}

impl From<Millis> for Timestamp {
    fn from(millis: Millis) -> Self {
        (SystemTime::UNIX_EPOCH + Duration::from_millis(millis.0)).into()
    }
}

/// `bucket.json`.
#[derive(Serialize, Deserialize)]
pub(super) struct BucketRecord {
    pub(super) created: Millis,
}

/// What a client says about an object and gets back with it, byte for byte.
#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Headers {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content_encoding: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content_language: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content_disposition: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cache_control: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expires: Option<Timestamp>,
    #[serde(skip_serializing_if = "HashMap::is_empty")]
    pub(super) metadata: HashMap<String, String>,
}

/// One file of data. `sequence` grows with every part that an upload takes, so that of two files with one number,
/// left by a crash in the middle of a replacement, the newer is known.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Part {
    pub(super) number: u16,
    pub(super) sequence: u64,
    pub(super) md5: Md5,
    pub(super) size: u64,
    pub(super) modified: Millis,
}

impl Part {
    pub(super) fn file_name(&self) -> String {
        format!("{:05}-{:010}-{}", self.number, self.sequence, self.md5)
    }

    /// Reads the name back. Size and time are the file's own.
    pub(super) fn parse(name: &str, size: u64, modified: Millis) -> Option<Self> {
        let mut fields = name.splitn(3, '-');
        let part = Self {
            number: fields.next()?.parse().ok()?,
            sequence: fields.next()?.parse().ok()?,
            md5: fields.next()?.parse().ok()?,
            size,
            modified,
        };
        (part.file_name() == name).then_some(part)
    }
}

/// `upload.json`.
#[derive(Serialize, Deserialize)]
pub(super) struct UploadRecord {
    pub(super) key: String,
    pub(super) initiated: Millis,
    pub(super) headers: Headers,
}

/// A manifest: what an object is. Writing it is what makes the object be.
#[derive(Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) key: String,
    /// The name of its directory under `data`; of a multipart upload, the upload id.
    pub(super) data: String,
    /// Without quotes.
    pub(super) etag: String,
    pub(super) size: u64,
    pub(super) modified: Millis,
    pub(super) is_multipart: bool,
    pub(super) headers: Headers,
    pub(super) parts: Vec<Part>,
}

/// The ETag of an object made of parts: the digest of their digests, and their number.
pub(super) fn multipart_etag(parts: impl ExactSizeIterator<Item = Md5>) -> String {
    let count = parts.len();
    let mut digest = md5::Md5::new();
    parts.for_each(|part| digest.update(part.0));
    format!("{}-{count}", Md5(digest.finalize().into()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn part_names_read_back(number: u16, sequence: u64, md5: [u8; 16], size: u64, modified: u32) {
            let part = Part { number, sequence, md5: Md5(md5), size, modified: Millis(modified.into()) };
            prop_assert_eq!(Part::parse(&part.file_name(), size, part.modified), Some(part));
        }

        #[test]
        fn other_names_are_not_parts(name in "\\PC{0,60}") {
            prop_assume!(name.split('-').count() != 3);
            prop_assert_eq!(Part::parse(&name, 0, Millis(0)), None);
        }
    }

    #[test]
    fn sloppy_part_names_are_refused() {
        let md5 = "d41d8cd98f00b204e9800998ecf8427e";
        for name in [
            format!("1-1-{md5}"),
            format!("00001-0000000001-{}", md5.to_uppercase()),
            "00001--".into(),
        ] {
            assert_eq!(Part::parse(&name, 0, Millis(0)), None, "{name}");
        }
    }

    #[test]
    fn multipart_etag_is_the_digest_of_digests() {
        // Two empty parts, computed with `printf` and `md5sum`.
        let empty: Md5 = "d41d8cd98f00b204e9800998ecf8427e".parse().unwrap();
        assert_eq!(
            multipart_etag([empty, empty].into_iter()),
            "5873dd45edd01f09c1ef2e7819369e8e-2"
        );
    }
}
