//! Attempts whose process is gone: finding them and taking them over.

use std::time::Duration;

use super::{Purpose, Upload, push_lease_end, upload_of};
use crate::catalog::db::{Builder, query};
use crate::catalog::rows::micros;
use crate::catalog::{Catalog, Result};
use crate::image::{AttemptId, ImageId, Micros};

/// An attempt that nobody works on, as its row was found.
#[derive(Debug, Clone)]
pub(crate) struct Abandoned {
    /// The attempt.
    pub upload: Upload,
    node: String,
    lease_until: Micros,
}

/// An attempt whose lease ran out.
#[derive(Debug, Clone)]
pub(crate) struct Lapsed {
    /// As its row was found.
    pub found: Abandoned,
    /// For how long it has been so, by the database's clock.
    pub since: Duration,
}

impl Catalog {
    /// Attempts nobody works on: their lease ran out, or their process is gone. Where this process has the database alone, a
    /// row of another is a dead one's; elsewhere only the end of its lease says so, by the database's clock.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub(crate) async fn list_abandoned_uploads(&self) -> Result<Vec<Abandoned>> {
        let mut reader = self.db.read().await?;
        let mut query = Builder::new("SELECT uploads.*, lease_until < ");
        query.push(reader.words().now);
        // What another release does it settles itself.
        query.push(" AS has_lapsed FROM uploads WHERE purpose IN (");
        query.push_list(Purpose::ALL.map(Purpose::as_str));
        query.push(") ORDER BY lease_until");
        let rows = query.build().fetch_all(&mut reader).await?;
        let mut abandoned = Vec::new();
        for row in &rows {
            let (upload, node) = (upload_of(row)?, row.get::<String>("node")?);
            let is_abandoned = match self.leases.has_lapsed(&upload.attempt) {
                Some(has_lapsed) => has_lapsed,
                // This process works on none but those whose leases it knows.
                None if node == *self.node => true,
                None => self.db.is_exclusive() || row.get("has_lapsed")?,
            };
            if is_abandoned {
                abandoned.push(Abandoned {
                    upload,
                    node,
                    lease_until: row.get("lease_until")?,
                });
            }
        }
        Ok(abandoned)
    }

    /// Takes over an abandoned attempt as it was listed; false when it has ended, was renewed or is another's meanwhile. From
    /// here on whoever worked on it can write nothing of it any more.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub(crate) async fn claim_upload(&self, found: &Abandoned, lease: Duration) -> Result<bool> {
        let (this, found) = (self.clone(), found.clone());
        self.detached(async move {
            let mut tx = this.db.write().await?;
            let mut row = Builder::new("UPDATE uploads SET node = ");
            row.push_bind(&*this.node).push(", lease_until = ");
            push_lease_end(&mut row, &tx, lease);
            row.push(" WHERE attempt_id = ")
                .push_bind(found.upload.attempt.as_str());
            row.push(" AND node = ").push_bind(&found.node);
            row.push(" AND lease_until = ").push_bind(found.lease_until);
            let claimed = row.build().execute(&mut tx).await?;
            tx.commit().await?;
            Ok(claimed == 1)
        })
        .await
    }

    /// Attempts in the order of their ids whose lease ran out so long ago that somebody should have settled them; of those
    /// behind `after` at most `limit`.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub(crate) async fn list_lapsed_uploads(
        &self,
        longer_than: Duration,
        after: Option<&AttemptId>,
        limit: u32,
    ) -> Result<Vec<Lapsed>> {
        let mut reader = self.db.read().await?;
        let now = reader.words().now;
        let mut query = Builder::new(format!(
            "SELECT uploads.*, {now} - lease_until AS since FROM uploads WHERE lease_until < {now} - "
        ));
        query.push_bind(micros(longer_than));
        query.push(" AND attempt_id > ");
        query.push_bind(after.map_or("", AttemptId::as_str));
        query.push(" ORDER BY attempt_id LIMIT ").push_bind(limit);
        let rows = query.build().fetch_all(&mut reader).await?;
        let lapsed = rows.iter().map(|row| {
            Ok(Lapsed {
                found: Abandoned {
                    upload: upload_of(row)?,
                    node: row.get("node")?,
                    lease_until: row.get("lease_until")?,
                },
                since: Duration::from_micros(row.get::<i64>("since")?.unsigned_abs()),
            })
        });
        lapsed.collect()
    }

    /// Whether an attempt is still as it was found: nobody has renewed it, taken it over or ended it.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub(crate) async fn is_still_abandoned(&self, found: &Abandoned) -> Result<bool> {
        let same = "SELECT 1 FROM uploads WHERE attempt_id = $1 AND node = $2 AND lease_until = $3";
        let row = query(same)
            .bind(found.upload.attempt.as_str())
            .bind(&found.node)
            .bind(found.lease_until)
            .fetch_optional(&mut self.db.read().await?)
            .await?;
        Ok(row.is_some())
    }

    /// Whether an image has any attempt, at work or abandoned.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub(crate) async fn has_attempts(&self, image: &ImageId) -> Result<bool> {
        let row = query("SELECT 1 FROM uploads WHERE image_id = $1 LIMIT 1")
            .bind(image.as_str())
            .fetch_optional(&mut self.db.read().await?)
            .await?;
        Ok(row.is_some())
    }

    /// True when an attempt's row still exists.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub(crate) async fn is_upload_known(&self, attempt: &AttemptId) -> Result<bool> {
        let row = query("SELECT 1 FROM uploads WHERE attempt_id = $1")
            .bind(attempt.as_str())
            .fetch_optional(&mut self.db.read().await?)
            .await?;
        Ok(row.is_some())
    }
}
