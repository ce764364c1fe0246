//! Pages of images: keyset paging over (created_at, id), newest first, so that a page costs the same wherever it stands.

use sqlx::{QueryBuilder, Sqlite};

use super::rows::{self, COLUMNS};
use super::{Catalog, Result};
use crate::image::{Image, ImageId, Micros, ProjectId};

/// Whose images a list holds (contract 4.9, scoping).
#[derive(Debug, Clone)]
pub enum Scope {
    /// An administrator's default: everything but other projects' community images.
    Administrator {
        /// The caller's own project.
        project: Option<ProjectId>,
    },
    /// A project's default: its own, public ones and those without an owner.
    Project(Option<ProjectId>),
}

/// The last image of the page before.
#[derive(Debug, Clone)]
pub struct Marker {
    /// When it was made.
    pub created_at: Micros,
    /// Its id.
    pub id: ImageId,
}

/// One page to ask for.
#[derive(Debug, Clone)]
pub struct Page {
    /// Whose images.
    pub scope: Scope,
    /// Where the page before ended.
    pub after: Option<Marker>,
    /// Most images to return.
    pub limit: u32,
}

impl Catalog {
    /// Lists live, not hidden images, newest first.
    ///
    /// # Errors
    /// [`super::Error::Unavailable`].
    pub async fn list_images(&self, page: Page) -> Result<Vec<Image>> {
        if page.limit == 0 {
            return Ok(Vec::new());
        }
        let mut query = QueryBuilder::<Sqlite>::new("SELECT ");
        query
            .push(COLUMNS)
            .push(" FROM images WHERE deleted_at IS NULL AND os_hidden = 0 AND (owner IS NULL");
        let project = match &page.scope {
            Scope::Administrator { project } => {
                query.push(" OR visibility <> 'community'");
                project
            }
            Scope::Project(project) => {
                query.push(" OR visibility = 'public'");
                project
            }
        };
        if let Some(project) = project {
            query.push(" OR owner = ").push_bind(project.as_str());
        }
        query.push(")");
        if let Some(marker) = &page.after {
            query
                .push(" AND (created_at, id) < (")
                .push_bind(marker.created_at);
            query.push(", ").push_bind(marker.id.as_str()).push(")");
        }
        query
            .push(" ORDER BY created_at DESC, id DESC LIMIT ")
            .push_bind(page.limit);
        let mut reader = self.db.reader().acquire().await?;
        let found = query.build().fetch_all(&mut *reader).await?;
        rows::load_page(&mut reader, &found).await
    }
}
