//! What a project may hold (contract 5.6), checked on what it holds in the transaction that would go over it.
//!
//! An upload under way counts from its beginning, by what it has declared or reserved so far, and a deletion meanwhile
//! does not free that (OSSA 2015-003). So uploads at once cannot overshoot together.

use serde::{Deserialize, Serialize};

use super::usage::Usage;
use super::{Error, Result};

const MIB: u64 = 1024 * 1024;

/// The limit of uploads under way, in the words of the identity service.
pub(crate) const UPLOADS_AT_ONCE: &str = "image_count_uploading";

/// The limits of one project; `None` is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Limits {
    /// The site's quota, bytes: data once per copy, uploads under way included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_quota: Option<u64>,
    /// `image_size_total` of the identity service, MiB: the same sum.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_total: Option<u64>,
    /// `image_count_total`: images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<u64>,
    /// `image_count_uploading`: uploads at once, images that have their data staged included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uploading: Option<u64>,
    /// `image_stage_total`, MiB: what is staged and being staged. For attempts to stage alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub staged: Option<u64>,
}

impl Limits {
    /// Those of what does not stage.
    pub(crate) fn without_staging(self) -> Self {
        Self {
            staged: None,
            ..self
        }
    }

    /// Fails when the owner holds more bytes than it may, `delta` of them by what is being written.
    pub(super) fn check_bytes(&self, owner: Option<&str>, usage: Usage, delta: u64) -> Result<()> {
        let wanted = usage.bytes;
        if let Some(quota) = self.storage_quota.filter(|quota| wanted > *quota) {
            return Err(Error::OverQuota { quota, wanted });
        }
        self.check_staged(owner, usage, delta)?;
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

    /// Fails when the owner has more bytes staged than it may.
    fn check_staged(&self, owner: Option<&str>, usage: Usage, delta: u64) -> Result<()> {
        match self.staged {
            Some(limit) if usage.staged > limit.saturating_mul(MIB) => Err(over(
                owner,
                "image_stage_total",
                limit,
                usage.staged.saturating_sub(delta) / MIB,
                delta.div_ceil(MIB),
            )),
            _ => Ok(()),
        }
    }

    /// Bytes that the owner may still take; `None` for any number.
    pub(super) fn room(&self, usage: Usage) -> Option<u64> {
        let bytes = |limit: u64| limit.saturating_mul(MIB);
        let total = self.size_total.map(bytes);
        let most = self.storage_quota.into_iter().chain(total).min();
        let room = most.map(|most| most.saturating_sub(usage.bytes));
        let staged = self.staged.map(bytes);
        let to_stage = staged.map(|most| most.saturating_sub(usage.staged));
        room.into_iter().chain(to_stage).min()
    }

    /// Whether bytes have to be reserved as they come.
    pub(crate) fn bounds_bytes(&self) -> bool {
        self.storage_quota.is_some() || self.size_total.is_some() || self.staged.is_some()
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
                Err(over(owner, UPLOADS_AT_ONCE, limit, count, 0))
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
