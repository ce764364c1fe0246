//! Data that is read to see whether it still is what the record says, at a rate that leaves the store to others.

use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use tokio::time::Instant;

use super::digest::Digests;
use super::{Result, Transfers};
use crate::config::HashAlgorithm;
use crate::image::{Image, Location};
use crate::store::ByteSpan;

/// A reader that was kept waiting by the store makes up for no more than this of the time.
const MOST_ARREARS: Duration = Duration::from_secs(1);

/// How fast data is read, all of it together.
#[derive(Debug)]
pub(crate) struct ReadRate {
    bytes_per_second: u64,
    /// When the bytes so far are paid for.
    paid_at: Instant,
}

impl ReadRate {
    /// So many bytes a second, at least one.
    pub(crate) fn new(bytes_per_second: u64) -> Self {
        Self {
            bytes_per_second: bytes_per_second.max(1),
            paid_at: Instant::now(),
        }
    }

    /// Waits for as long as these bytes may take.
    async fn pay(&mut self, bytes: usize) {
        let earliest = Instant::now().checked_sub(MOST_ARREARS);
        self.paid_at = earliest.map_or(self.paid_at, |earliest| self.paid_at.max(earliest));
        self.paid_at += Duration::from_secs_f64(bytes as f64 / self.bytes_per_second as f64);
        tokio::time::sleep_until(self.paid_at).await;
    }
}

/// A digest that the data does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WrongDigest {
    /// The attribute of the record.
    pub attribute: &'static str,
    /// What it says.
    pub recorded: String,
    /// What the bytes say.
    pub found: String,
}

impl Transfers {
    /// Reads one copy of an image's data to its end; gives the first digest of the record that it does not have.
    ///
    /// # Errors
    /// [`super::Error::DataMissing`], and what keeps the store from giving all of it.
    pub(crate) async fn verify(
        &self,
        image: &Image,
        copy: &Location,
        rate: &mut ReadRate,
    ) -> Result<Option<WrongDigest>> {
        let algorithm: Option<HashAlgorithm> = image
            .os_hash_algo
            .as_ref()
            .and_then(|name| name.parse().ok());
        let only = Image {
            locations: vec![copy.clone()],
            ..image.clone()
        };
        let size = image.size.unwrap_or_default();
        let digests = self
            .read_all(
                &only,
                size,
                algorithm.unwrap_or(self.rules.algorithm),
                rate,
                |_| {},
            )
            .await?;
        let known = [
            ("checksum", &image.checksum, digests.checksum),
            // One of an algorithm that is not ours cannot be compared.
            (
                "os_hash_value",
                algorithm.map_or(&None, |_| &image.os_hash_value),
                digests.hash,
            ),
        ];
        let wrong = known.into_iter().find_map(|(attribute, recorded, found)| {
            let recorded = recorded.as_ref().filter(|recorded| **recorded != found)?;
            Some(WrongDigest {
                attribute,
                recorded: recorded.clone(),
                found,
            })
        });
        Ok(wrong)
    }

    /// Reads an image's data of `size` bytes to the end, at a rate; `look` sees all of it.
    ///
    /// # Errors
    /// [`super::Error::DataMissing`], and what keeps the stores from giving all of it.
    pub(super) async fn read_all(
        &self,
        image: &Image,
        size: u64,
        algorithm: HashAlgorithm,
        rate: &mut ReadRate,
        mut look: impl FnMut(&Bytes) + Send,
    ) -> Result<Digests> {
        let mut digester = self.digests.start(algorithm);
        if let Some(last) = size.checked_sub(1) {
            let span = ByteSpan { first: 0, last };
            let delivery = self.deliver(image, size, span, &[]).await?;
            let mut bytes = std::pin::pin!(delivery.into_stream());
            while let Some(bytes) = bytes.try_next().await? {
                rate.pay(bytes.len()).await;
                look(&bytes);
                digester = digester.update(bytes).await?;
            }
        }
        Ok(digester.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn bytes_come_no_faster_than_the_rate_says() {
        let (begun, mut rate) = (Instant::now(), ReadRate::new(1000));
        for _ in 0..10 {
            rate.pay(500).await;
        }
        assert_eq!(begun.elapsed().as_secs(), 5);
        tokio::time::sleep(Duration::from_secs(60)).await;
        let begun = Instant::now();
        for _ in 0..10 {
            rate.pay(500).await;
        }
        assert_eq!(begun.elapsed().as_secs(), 4, "a pause is not made up for");
    }
}
