//! What a project may hold (contract 5.6), checked on what it holds in the transaction that would go over it.
//!
//! An upload under way counts from its beginning, by what it has declared or reserved so far, and a deletion meanwhile
//! does not free that (OSSA 2015-003). So uploads at once cannot overshoot together.

use super::usage::Usage;
use super::{Error, Result};

const MIB: u64 = 1024 * 1024;

/// The limits of one project; `None` is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    /// The site's quota, bytes: data once per copy, uploads under way included.
    pub storage_quota: Option<u64>,
    /// `image_size_total` of the identity service, MiB: the same sum.
    pub size_total: Option<u64>,
    /// `image_count_total`: images.
    pub images: Option<u64>,
    /// `image_count_uploading`: uploads at once.
    pub uploading: Option<u64>,
}

impl Limits {
    /// Fails when the owner holds more bytes than it may, `delta` of them by what is being written.
    pub(super) fn check_bytes(&self, owner: Option<&str>, usage: Usage, delta: u64) -> Result<()> {
        let wanted = usage.bytes;
        if let Some(quota) = self.storage_quota.filter(|quota| wanted > *quota) {
            return Err(Error::OverQuota { quota, wanted });
        }
        match self.size_total {
            Some(limit) if wanted > limit.saturating_mul(MIB) => Err(over(
                owner,
                "image_size_total",
                limit,
                wanted.saturating_sub(delta) / MIB,
                delta.div_ceil(MIB),
            )),
            _ => Ok(()),
        }
    }

    /// Bytes that the owner may still take; `None` for any number.
    pub(super) fn room(&self, usage: Usage) -> Option<u64> {
        let total = self.size_total.map(|limit| limit.saturating_mul(MIB));
        let most = self.storage_quota.into_iter().chain(total).min()?;
        Some(most.saturating_sub(usage.bytes))
    }

    /// Fails when the owner has more images than it may, the one being made included.
    pub(super) fn check_images(&self, owner: Option<&str>, usage: Usage) -> Result<()> {
        match self.images {
            Some(limit) if usage.images > limit => Err(over(
                owner,
                "image_count_total",
                limit,
                usage.images.saturating_sub(1),
                1,
            )),
            _ => Ok(()),
        }
    }

    /// Fails when the owner has more uploads under way than it may, the one that begins included.
    pub(super) fn check_uploading(&self, owner: Option<&str>, usage: Usage) -> Result<()> {
        match self.uploading {
            Some(limit) if usage.uploading > limit => {
                let count = usage.uploading;
                Err(over(owner, "image_count_uploading", limit, count, 0))
            }
            _ => Ok(()),
        }
    }
}

fn over(owner: Option<&str>, resource: &'static str, limit: u64, usage: u64, delta: u64) -> Error {
    Error::OverLimit {
        project: owner.unwrap_or("nobody").to_owned(),
        resource,
        limit,
        usage,
        delta,
    }
}
