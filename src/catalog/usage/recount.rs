//! The rows of usage compared with a count of all that they stand for, and set right by it.

use serde::Serialize;

use crate::catalog::db::{Builder, Connection, Row, query};
use crate::catalog::{Catalog, Result};

/// The numbers of a project.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Counters {
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

/// What a project's row says, and what a count at the same moment does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Recount {
    /// By the row; zeros where there is none.
    pub recorded: Counters,
    /// By the images and uploads that are there.
    pub counted: Counters,
}

impl Catalog {
    /// The project behind this one, in the order of their names, that has a row or anything to count; the empty one, of
    /// what has no owner, stands before all and is not told.
    ///
    /// # Errors
    /// [`crate::catalog::Error::Unavailable`].
    pub(crate) async fn next_project(&self, after: &str) -> Result<Option<String>> {
        let row = query(
            "SELECT MIN(project) AS project FROM (\
             SELECT MIN(project) AS project FROM project_usage WHERE project > $1 \
             UNION ALL SELECT MIN(owner) FROM images WHERE deleted_at IS NULL AND owner > $1 \
             UNION ALL SELECT MIN(owner) FROM uploads WHERE owner > $1) AS projects",
        )
        .bind(after)
        .fetch_one(&mut self.db.read().await?)
        .await?;
        row.get("project")
    }

    /// Counts what a project holds, beside what its row says: by one statement, so that both are of one moment.
    ///
    /// # Errors
    /// [`crate::catalog::Error::Unavailable`].
    pub(crate) async fn recount(&self, project: &str) -> Result<Recount> {
        recount(&mut self.db.read().await?, project).await
    }

    /// Sets a project's row to what a count says; gives what was there before.
    ///
    /// # Errors
    /// [`crate::catalog::Error::Unavailable`].
    pub(crate) async fn set_usage_right(&self, project: &str) -> Result<Recount> {
        let (this, project) = (self.clone(), project.to_owned());
        self.detached(async move {
            let mut tx = this.db.write().await?;
            query(
                "INSERT INTO project_usage (project, bytes, reserved_bytes, images, uploads) VALUES ($1, 0, 0, 0, 0) \
                 ON CONFLICT DO NOTHING",
            )
            .bind(&project)
            .execute(&mut tx)
            .await?;
            // Whoever changes what is counted comes to this row before the end of his transaction: what he has done is
            // either committed and counted, or waits here and adds his own afterwards.
            let row = query("SELECT project FROM project_usage WHERE project = $1").bind(&project);
            row.locking(&tx).fetch_one(&mut tx).await?;
            let found = recount(&mut tx, &project).await?;
            query(
                "UPDATE project_usage SET bytes = $2, reserved_bytes = $3, images = $4, uploads = $5, \
                 staged_bytes = $6 WHERE project = $1",
            )
            .bind(&project)
            .bind(found.counted.bytes)
            .bind(found.counted.reserved)
            .bind(found.counted.images)
            .bind(found.counted.uploads)
            .bind(found.counted.staged)
            .execute(&mut tx)
            .await?;
            tx.commit().await?;
            Ok(found)
        })
        .await
    }
}

async fn recount(db: &mut Connection, project: &str) -> Result<Recount> {
    let mut count = Builder::new("SELECT ");
    count.push(sum(
        "i.size",
        "images i JOIN image_locations l ON l.image_id = i.id",
    ));
    push_owned(&mut count, project).push(" AND i.deleted_at IS NULL) + ");
    count.push(sum("s.size", STAGED));
    push_owned(&mut count, project).push(") AS counted_bytes, ");
    count.push(sum("reserved_bytes", "uploads"));
    push_owned(&mut count, project).push(") AS counted_reserved, ");
    count.push(sum("1", "images"));
    push_owned(&mut count, project).push(" AND deleted_at IS NULL) AS counted_images, ");
    count.push(sum("1", "uploads"));
    push_owned(&mut count, project).push(" AND purpose NOT IN ('convert', 'copy')) + ");
    count.push(sum("1", STAGED));
    push_owned(&mut count, project).push(" AND s.position = 0) AS counted_uploads, ");
    count.push(sum("s.size", STAGED));
    push_owned(&mut count, project).push(" AND s.position = 0) + ");
    count.push(sum("reserved_bytes", "uploads"));
    push_owned(&mut count, project).push(" AND purpose IN ('stage', 'fetch')) AS counted_staged, ");
    count.push(
        "u.bytes, u.reserved_bytes, u.images, u.uploads, u.staged_bytes \
         FROM (SELECT 1 AS one) AS always LEFT JOIN project_usage u ON u.project = ",
    );
    count.push_bind(project);
    let row = count.build().fetch_one(db).await?;
    Ok(Recount {
        recorded: Counters {
            bytes: recorded(&row, "bytes")?,
            reserved: recorded(&row, "reserved_bytes")?,
            images: recorded(&row, "images")?,
            uploads: recorded(&row, "uploads")?,
            staged: recorded(&row, "staged_bytes")?,
        },
        counted: Counters {
            bytes: row.get("counted_bytes")?,
            reserved: row.get("counted_reserved")?,
            images: row.get("counted_images")?,
            uploads: row.get("counted_uploads")?,
            staged: row.get("counted_staged")?,
        },
    })
}

/// What is staged, with its image.
const STAGED: &str = "images i JOIN staged_objects s ON s.image_id = i.id";

/// The beginning of a sum over some rows, of what is told behind it.
fn sum(what: &str, rows: &str) -> String {
    format!("(SELECT CAST(COALESCE(SUM({what}), 0) AS BIGINT) FROM {rows} WHERE ")
}

fn recorded(row: &Row, column: &str) -> Result<i64> {
    Ok(row.get::<Option<i64>>(column)?.unwrap_or(0))
}

/// What a project owns; the empty one what has no owner. Said with an equality alone, which every database finds by an index.
fn push_owned<'a>(query: &'a mut Builder, project: &str) -> &'a mut Builder {
    if project.is_empty() {
        query.push("(owner IS NULL OR owner = '')")
    } else {
        query.push("owner = ").push_bind(project)
    }
}
