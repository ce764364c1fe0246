//! What an object tells of an image whose record is lost.

use super::verify::ReadRate;
use super::{Result, Transfers};
use crate::format::Inspection;
use crate::image::{DataFacts, Image};

/// What the data of an image is, by the data alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recovered {
    /// Size and digests, of all bytes as they are now.
    pub facts: DataFacts,
    /// What the inspectors take it for, else raw.
    pub disk_format: &'static str,
    /// Why an upload of it would be refused.
    pub refusal: Option<String>,
}

impl Transfers {
    /// Reads the data of `image`, of `size` bytes in its one location, to the end.
    ///
    /// # Errors
    /// [`super::Error::DataMissing`], and what keeps the store from giving all of it.
    pub(crate) async fn recover(
        &self,
        image: &Image,
        size: u64,
        rate: &mut ReadRate,
    ) -> Result<Recovered> {
        let mut inspection = Inspection::new();
        let algorithm = self.rules.algorithm;
        let digests = self
            .read_all(image, size, algorithm, rate, |bytes| inspection.feed(bytes))
            .await?;
        let identity = self.rules.formats.identify(&inspection.finish());
        Ok(Recovered {
            facts: DataFacts {
                size,
                virtual_size: identity.virtual_size,
                checksum: digests.checksum,
                os_hash_algo: digests.algorithm.as_str().to_owned(),
                os_hash_value: digests.hash,
            },
            disk_format: identity.disk_format,
            refusal: identity.refusal.map(|refusal| refusal.to_string()),
        })
    }
}
