//! What a project holds, as a row that is changed in the transaction of what it counts.
//!
//! Whoever changes a row has it to himself until the transaction ends, so what it then says can be checked: projects cannot
//! overshoot by doing two things at once.

use super::db::{Connection, Row, query};
use super::rows::signed;
use super::{Catalog, Limits, Purpose, Result, staging};
use crate::image::{Image, ProjectId};
pub(crate) use recount::Counters;

mod recount;

const MIB: u64 = 1024 * 1024;

/// What a project holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Bytes of data, once per copy, and of what uploads under way have reserved.
    pub bytes: u64,
    /// Images, whatever their status.
    pub images: u64,
    /// Uploads under way, and images that have their data staged.
    pub uploading: u64,
    /// Of the bytes, those that are staged or being staged.
    pub staged: u64,
}

impl Usage {
    /// Bytes as whole MiB, which limits are counted in.
    pub(crate) fn mib(&self) -> u64 {
        self.bytes / MIB
    }

    /// The same with so many bytes more.
    pub(super) fn with_bytes(self, more: u64) -> Self {
        Self {
            bytes: self.bytes.saturating_add(more),
            ..self
        }
    }

    /// The same with one upload more.
    pub(super) fn with_upload(self) -> Self {
        Self {
            uploading: self.uploading.saturating_add(1),
            ..self
        }
    }

    /// Staged bytes as whole MiB.
    pub(crate) fn staged_mib(&self) -> u64 {
        self.staged / MIB
    }
}

/// By how much what a project holds is changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Delta {
    /// Bytes of data, once per copy.
    pub bytes: i64,
    /// Bytes that uploads under way have reserved.
    pub reserved: i64,
    /// Images.
    pub images: i64,
    /// Uploads under way, and images that have their data staged.
    pub uploads: i64,
    /// Of the bytes, those that are staged or being staged.
    pub staged: i64,
}

impl Delta {
    /// A new image.
    pub(super) const IMAGE: Delta = Delta {
        bytes: 0,
        reserved: 0,
        images: 1,
        uploads: 0,
        staged: 0,
    };

    /// An image with its data.
    pub(super) fn of(image: &Image) -> Self {
        let copies = i64::try_from(image.locations.len()).unwrap_or(i64::MAX);
        Self {
            bytes: image.size.map_or(0, signed).saturating_mul(copies),
            ..Self::IMAGE
        }
    }

    /// More or less bytes of data.
    pub(super) fn bytes(bytes: i64) -> Self {
        Self {
            bytes,
            ..Self::default()
        }
    }

    /// Data of so many bytes that waits for an import.
    pub(super) fn staged(bytes: i64) -> Self {
        Self {
            bytes,
            uploads: 1,
            staged: bytes,
            ..Self::default()
        }
    }

    /// More or less bytes reserved by an attempt.
    pub(super) fn reserved(purpose: Purpose, bytes: i64) -> Self {
        let staged = if purpose.is_staged() { bytes } else { 0 };
        Self {
            reserved: bytes,
            staged,
            ..Self::default()
        }
    }

    /// An attempt that has reserved so much. What is made of staged data, or copied of it, is no upload of its own: the image counts as one while it
    /// is imported.
    pub(super) fn attempt(purpose: Purpose, reserved: i64) -> Self {
        Self {
            uploads: i64::from(!matches!(purpose, Purpose::Convert | Purpose::Copy)),
            ..Self::reserved(purpose, reserved)
        }
    }

    /// Both.
    pub(super) fn and(self, other: Delta) -> Self {
        Self {
            bytes: self.bytes.saturating_add(other.bytes),
            reserved: self.reserved.saturating_add(other.reserved),
            images: self.images.saturating_add(other.images),
            uploads: self.uploads.saturating_add(other.uploads),
            staged: self.staged.saturating_add(other.staged),
        }
    }

    /// The same, taken away.
    pub(super) fn gone(self) -> Self {
        Self {
            bytes: -self.bytes,
            reserved: -self.reserved,
            images: -self.images,
            uploads: -self.uploads,
            staged: -self.staged,
        }
    }
}

impl Catalog {
    /// What the project holds now.
    ///
    /// # Errors
    /// [`super::Error::Unavailable`].
    pub(crate) async fn usage(&self, owner: Option<&str>) -> Result<Usage> {
        read(&mut self.db.read().await?, owner).await
    }

    /// Fails when a project holds more than it may already.
    ///
    /// # Errors
    /// [`super::Error::OverQuota`], [`super::Error::OverLimit`].
    pub(crate) async fn check_limits(&self, owner: Option<&str>, limits: Limits) -> Result<()> {
        if !limits.bounds_bytes() {
            return Ok(());
        }
        limits.check_bytes(owner, self.usage(owner).await?, 0)
    }
}

/// What a project holds by the last commit; others may be changing it.
pub(super) async fn read(db: &mut Connection, owner: Option<&str>) -> Result<Usage> {
    let row = query(
        "SELECT bytes, reserved_bytes, images, uploads, staged_bytes FROM project_usage WHERE project = $1",
    )
    .bind(owner.unwrap_or_default())
    .fetch_optional(db)
    .await?;
    row.as_ref().map_or_else(|| Ok(Usage::default()), usage_of)
}

/// Changes what a project holds; gives what it holds then.
pub(super) async fn change(tx: &mut Connection, owner: Option<&str>, by: Delta) -> Result<Usage> {
    let row = query(
        "INSERT INTO project_usage (project, bytes, reserved_bytes, images, uploads, staged_bytes) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (project) DO UPDATE SET bytes = project_usage.bytes + excluded.bytes, \
         reserved_bytes = project_usage.reserved_bytes + excluded.reserved_bytes, \
         images = project_usage.images + excluded.images, uploads = project_usage.uploads + excluded.uploads, \
         staged_bytes = project_usage.staged_bytes + excluded.staged_bytes \
         RETURNING bytes, reserved_bytes, images, uploads, staged_bytes",
    )
    .bind(owner.unwrap_or_default())
    .bind(by.bytes)
    .bind(by.reserved)
    .bind(by.images)
    .bind(by.uploads)
    .bind(by.staged)
    .fetch_one(tx)
    .await?;
    usage_of(&row)
}

/// An image with all it has, `from` another project, is its owner's.
pub(super) async fn change_owner<'a>(
    tx: &mut Connection,
    from: Option<&'a ProjectId>,
    image: &'a Image,
) -> Result<()> {
    let to = image.owner.as_ref();
    if from == to {
        return Ok(());
    }
    let what = Delta::of(image).and(staging::held(tx, image).await?);
    let name = |owner: Option<&'a ProjectId>| owner.map(ProjectId::as_str);
    let mut steps = [(name(from), what.gone()), (name(to), what)];
    change_in_order(tx, &mut steps).await
}

/// Changes what two projects hold: in one order for all, so that two who do so do not wait for each other.
pub(super) async fn change_in_order(
    tx: &mut Connection,
    steps: &mut [(Option<&str>, Delta); 2],
) -> Result<()> {
    steps.sort_by_key(|(owner, _)| owner.unwrap_or_default());
    for (owner, delta) in steps {
        change(tx, *owner, *delta).await?;
    }
    Ok(())
}

fn usage_of(row: &Row) -> Result<Usage> {
    let number = |name| row.get::<i64>(name).map(|n| u64::try_from(n).unwrap_or(0));
    Ok(Usage {
        bytes: number("bytes")?.saturating_add(number("reserved_bytes")?),
        images: number("images")?,
        uploading: number("uploads")?,
        staged: number("staged_bytes")?,
    })
}

#[cfg(test)]
mod tests;
