//! What a project may hold, checked in the transactions that would go over it (contract 5.6).
//!
//! An upload under way counts from its beginning, by what it has declared or reserved so far, and a deletion meanwhile
//! does not free that (OSSA 2015-003). So uploads at once cannot overshoot together.

use sqlx::{Row, SqliteConnection};

use super::{Catalog, Error, Result};

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

/// What a project holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Bytes of data, once per copy, and of what uploads under way have reserved.
    pub bytes: u64,
    /// Images, whatever their status.
    pub images: u64,
    /// Uploads under way.
    pub uploading: u64,
}

impl Usage {
    /// Bytes as whole MiB, which limits are counted in.
    pub(crate) fn mib(&self) -> u64 {
        self.bytes / MIB
    }
}

impl Catalog {
    /// What the project holds now.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub(crate) async fn usage(&self, owner: Option<&str>) -> Result<Usage> {
        let mut reader = self.db.reader().acquire().await?;
        Ok(Usage {
            bytes: bytes(&mut reader, owner).await?,
            images: images(&mut reader, owner).await?,
            uploading: uploading(&mut reader, owner).await?,
        })
    }
}

/// Fails when the owner holds more bytes than it may, `delta` of them by what is being written.
pub(super) async fn check_bytes(
    tx: &mut SqliteConnection,
    owner: Option<&str>,
    limits: &Limits,
    delta: u64,
) -> Result<()> {
    if limits.storage_quota.is_none() && limits.size_total.is_none() {
        return Ok(());
    }
    let wanted = bytes(tx, owner).await?;
    if let Some(quota) = limits.storage_quota.filter(|quota| wanted > *quota) {
        return Err(Error::OverQuota { quota, wanted });
    }
    match limits.size_total {
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
pub(super) async fn room(
    tx: &mut SqliteConnection,
    owner: Option<&str>,
    limits: &Limits,
) -> Result<Option<u64>> {
    let total = limits.size_total.map(|limit| limit.saturating_mul(MIB));
    let Some(most) = limits.storage_quota.into_iter().chain(total).min() else {
        return Ok(None);
    };
    Ok(Some(most.saturating_sub(bytes(tx, owner).await?)))
}

/// Fails when the owner has more images than it may, the one being made included.
pub(super) async fn check_images(
    tx: &mut SqliteConnection,
    owner: Option<&str>,
    limits: &Limits,
) -> Result<()> {
    let Some(limit) = limits.images else {
        return Ok(());
    };
    let count = images(tx, owner).await?;
    if count > limit {
        return Err(over(
            owner,
            "image_count_total",
            limit,
            count.saturating_sub(1),
            1,
        ));
    }
    Ok(())
}

/// Fails when the owner has more uploads under way than it may, the one that begins included.
pub(super) async fn check_uploading(
    tx: &mut SqliteConnection,
    owner: Option<&str>,
    limits: &Limits,
) -> Result<()> {
    let Some(limit) = limits.uploading else {
        return Ok(());
    };
    let count = uploading(tx, owner).await?;
    if count > limit {
        return Err(over(owner, "image_count_uploading", limit, count, 0));
    }
    Ok(())
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

async fn bytes(tx: &mut SqliteConnection, owner: Option<&str>) -> Result<u64> {
    number(
        tx,
        "SELECT (SELECT COALESCE(SUM(i.size), 0) FROM images i JOIN image_locations l ON l.image_id = i.id \
           WHERE i.owner IS NOT DISTINCT FROM $1 AND i.deleted_at IS NULL) \
         + (SELECT COALESCE(SUM(u.reserved_bytes), 0) FROM uploads u WHERE u.owner IS NOT DISTINCT FROM $1) AS number",
        owner,
    )
    .await
}

async fn images(tx: &mut SqliteConnection, owner: Option<&str>) -> Result<u64> {
    number(
        tx,
        "SELECT COUNT(*) AS number FROM images WHERE owner IS NOT DISTINCT FROM $1 AND deleted_at IS NULL",
        owner,
    )
    .await
}

async fn uploading(tx: &mut SqliteConnection, owner: Option<&str>) -> Result<u64> {
    number(
        tx,
        "SELECT COUNT(*) AS number FROM uploads WHERE owner IS NOT DISTINCT FROM $1",
        owner,
    )
    .await
}

async fn number(
    tx: &mut SqliteConnection,
    query: &'static str,
    owner: Option<&str>,
) -> Result<u64> {
    let row = sqlx::query(query).bind(owner).fetch_one(tx).await?;
    Ok(row.try_get::<i64, _>("number")?.try_into().unwrap_or(0))
}
