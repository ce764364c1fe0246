//! Records made again from what a store holds, for a catalog that was lost.

use std::sync::Arc;

use super::status::{self, Facts};
use super::usage::{self, Delta};
use super::{Catalog, Error, Result, images, rows};
use crate::image::{DataFacts, Image, Location, ProjectId, Status};

/// An image as its object tells it.
#[derive(Debug, Clone)]
pub(crate) struct RecoveredImage {
    /// The record, queued; what it says is kept.
    pub record: Image,
    /// What was found out about the data.
    pub facts: DataFacts,
    /// Where the data is.
    pub location: Location,
    /// Only administrators shall read the data.
    pub is_deactivated: bool,
}

impl Catalog {
    /// Stores the record of an image that has its data already.
    ///
    /// # Errors
    /// [`Error::Taken`] when there is or was an image with its id.
    pub(crate) async fn recover_image(&self, recovered: RecoveredImage) -> Result<()> {
        let this = self.clone();
        self.detached(async move {
            let RecoveredImage {
                record,
                facts,
                location,
                is_deactivated,
            } = recovered;
            let mut tx = this.db.write().await?;
            images::insert(&mut tx, &record).await?;
            let id = &record.id;
            status::change(&mut tx, id, Status::Queued, Status::Saving, Facts::Cleared).await?;
            let facts = Facts::Set(&facts);
            status::change(&mut tx, id, Status::Saving, Status::Active, facts).await?;
            if is_deactivated {
                let (from, to) = (Status::Active, Status::Deactivated);
                status::change(&mut tx, id, from, to, Facts::Kept).await?;
            }
            images::insert_location(&mut tx, id, &location).await?;
            let image = rows::load(&mut tx, id).await?.ok_or(Error::Missing)?;
            let owner = image.owner.as_ref().map(ProjectId::as_str);
            usage::change(&mut tx, owner, Delta::of(&image)).await?;
            this.commit_as(tx, id, Some(Arc::new(image))).await
        })
        .await
    }
}
