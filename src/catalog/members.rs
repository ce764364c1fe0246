//! The member list of a shared image.
//!
//! Every change goes through the image's own commit, so that the cached record knows at once whom it is shared with.

use super::db::{Connection, Row, query};
use super::rows::{self, bad_row};
use super::{Catalog, Error, Judge, Result, now};
use crate::image::{Image, ImageId, MemberStatus, Micros, ProjectId, Visibility};

/// A project an image is shared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    /// The image.
    pub image: ImageId,
    /// The project.
    pub project: ProjectId,
    /// What it has answered.
    pub status: MemberStatus,
    /// When the image was shared with it.
    pub created_at: Micros,
    /// When it last answered.
    pub updated_at: Micros,
}

impl Catalog {
    /// The member list, in the order of the project ids.
    ///
    /// # Errors
    /// [`Error::Missing`]; [`Error::NotShared`]; [`Error::Unavailable`].
    pub(crate) async fn list_members(&self, image: &ImageId) -> Result<Vec<Member>> {
        // The image in the same statement: the list of one that was just deleted is none, and not empty.
        let rows = query(
            "SELECT i.visibility, m.* FROM images i LEFT JOIN image_members m ON m.image_id = i.id \
             WHERE i.id = $1 ORDER BY m.member_id",
        )
        .bind(image.as_str())
        .fetch_all(&mut self.db.read().await?)
        .await?;
        let first = rows.first().ok_or(Error::Missing)?;
        if first.get::<String>("visibility")? != Visibility::Shared.as_str() {
            return Err(Error::NotShared);
        }
        if first.get::<Option<String>>("member_id")?.is_none() {
            return Ok(Vec::new());
        }
        rows.iter().map(member_of).collect()
    }

    /// One row of it.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub(crate) async fn find_member(
        &self,
        image: &ImageId,
        project: &ProjectId,
    ) -> Result<Option<Member>> {
        let row = query("SELECT * FROM image_members WHERE image_id = $1 AND member_id = $2")
            .bind(image.as_str())
            .bind(project.as_str())
            .fetch_optional(&mut self.db.read().await?)
            .await?;
        row.as_ref().map(member_of).transpose()
    }

    /// Shares the image with a project, whose answer is pending.
    ///
    /// # Errors
    /// What `judge` says; [`Error::Missing`]; [`Error::NotShared`]; [`Error::Taken`] when it is a member already; [`Error::TooManyMembers`]
    /// over `quota` members, `None` being no limit. Nothing is changed then.
    pub(crate) async fn create_member(
        &self,
        image: &ImageId,
        project: &ProjectId,
        quota: Option<u64>,
        judge: Judge,
    ) -> Result<Member> {
        let (this, image, project) = (self.clone(), image.clone(), project.clone());
        self.detached(async move {
            let mut tx = this.db.write().await?;
            let created_at = shared_image(&mut tx, &image, judge).await?.created_at;
            let now = now();
            let inserted = query(
                "INSERT INTO image_members (image_id, member_id, status, created_at, updated_at, image_created_at) \
                 VALUES ($1, $2, 'pending', $3, $3, $4) ON CONFLICT DO NOTHING",
            )
            .bind(image.as_str())
            .bind(project.as_str())
            .bind(now)
            .bind(created_at)
            .execute(&mut tx)
            .await?;
            if inserted == 0 {
                return Err(Error::Taken);
            }
            if let Some(quota) = quota {
                check_quota(&mut tx, &image, quota).await?;
            }
            this.commit(tx, &image).await?;
            Ok(Member {
                image,
                project,
                status: MemberStatus::Pending,
                created_at: now,
                updated_at: now,
            })
        })
        .await
    }

    /// Writes down what the project has answered.
    ///
    /// # Errors
    /// What `judge` says; [`Error::Missing`] without the image or the row; [`Error::NotShared`].
    pub(crate) async fn update_member(
        &self,
        image: &ImageId,
        project: &ProjectId,
        status: MemberStatus,
        judge: Judge,
    ) -> Result<Member> {
        let (this, image, project) = (self.clone(), image.clone(), project.clone());
        self.detached(async move {
            let mut tx = this.db.write().await?;
            shared_image(&mut tx, &image, judge).await?;
            let row = query(
                "UPDATE image_members SET status = $1, updated_at = $2 WHERE image_id = $3 AND member_id = $4 \
                 RETURNING *",
            )
            .bind(status.as_str())
            .bind(now())
            .bind(image.as_str())
            .bind(project.as_str())
            .fetch_optional(&mut tx)
            .await?;
            let member = member_of(&row.ok_or(Error::Missing)?)?;
            this.commit(tx, &image).await?;
            Ok(member)
        })
        .await
    }

    /// Ends a share.
    ///
    /// # Errors
    /// What `judge` says; [`Error::Missing`] without the image or the row; [`Error::NotShared`].
    pub(crate) async fn delete_member(
        &self,
        image: &ImageId,
        project: &ProjectId,
        judge: Judge,
    ) -> Result<()> {
        let (this, image, project) = (self.clone(), image.clone(), project.clone());
        self.detached(async move {
            let mut tx = this.db.write().await?;
            shared_image(&mut tx, &image, judge).await?;
            let deleted = query("DELETE FROM image_members WHERE image_id = $1 AND member_id = $2")
                .bind(image.as_str())
                .bind(project.as_str())
                .execute(&mut tx)
                .await?;
            if deleted == 0 {
                return Err(Error::Missing);
            }
            this.commit(tx, &image).await.map(drop)
        })
        .await
    }
}

/// The record as judged, which has a member list in use only while it is shared.
async fn shared_image(tx: &mut Connection, id: &ImageId, judge: Judge) -> Result<Image> {
    let image = rows::lock(tx, id).await?.ok_or(Error::Missing)?;
    judge(&image)?;
    if image.visibility == Visibility::Shared {
        Ok(image)
    } else {
        Err(Error::NotShared)
    }
}

async fn check_quota(tx: &mut Connection, image: &ImageId, quota: u64) -> Result<()> {
    let row = query("SELECT COUNT(*) AS members FROM image_members WHERE image_id = $1")
        .bind(image.as_str())
        .fetch_one(tx)
        .await?;
    let wanted = u64::try_from(row.get::<i64>("members")?).map_err(bad_row)?;
    if wanted > quota {
        Err(Error::TooManyMembers { quota, wanted })
    } else {
        Ok(())
    }
}

fn member_of(row: &Row) -> Result<Member> {
    Ok(Member {
        image: row.get::<String>("image_id")?.parse().map_err(bad_row)?,
        project: row.get::<String>("member_id")?.as_str().into(),
        status: row.get::<String>("status")?.parse().map_err(bad_row)?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}
