//! Bytes that no image needs any more. A row is written in the transaction that gives the bytes up and removed when the
//! store has confirmed that they are gone, so nothing is forgotten when the store or this process is away in between.

use sqlx::{Row, SqliteConnection};

use super::{Catalog, Result, now};
use crate::image::{Micros, StoreId};

/// An object and perhaps an open multipart upload to be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Garbage {
    /// The store that holds it.
    pub store: StoreId,
    /// The object's key.
    pub key: String,
    /// What may still be open under that key.
    pub parts: OpenParts,
}

/// What is known of an unfinished multipart upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenParts {
    /// The object was published: nothing is open.
    None,
    /// This multipart upload may be open.
    Upload(String),
    /// One may be open whose id was never recorded: the store has to be asked.
    Unknown,
}

impl OpenParts {
    /// As the column has it: null for none, empty for unknown.
    fn as_column(&self) -> Option<&str> {
        match self {
            OpenParts::None => None,
            OpenParts::Upload(id) => Some(id),
            OpenParts::Unknown => Some(""),
        }
    }

    fn from_column(text: Option<String>) -> Self {
        match text {
            None => OpenParts::None,
            Some(id) if id.is_empty() => OpenParts::Unknown,
            Some(id) => OpenParts::Upload(id),
        }
    }
}

impl Catalog {
    /// Lists what is due for removal, oldest first, at most `limit` rows.
    ///
    /// # Errors
    /// [`super::Error::Unavailable`].
    pub async fn list_garbage(&self, limit: u32) -> Result<Vec<Garbage>> {
        let rows = sqlx::query(
            "SELECT store, object_key, upload_id FROM garbage WHERE due_at <= $1 ORDER BY due_at LIMIT $2",
        )
        .bind(now())
        .bind(limit)
        .fetch_all(self.db.reader())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Garbage {
                    store: row.try_get::<String, _>("store")?.as_str().into(),
                    key: row.try_get("object_key")?,
                    parts: OpenParts::from_column(row.try_get("upload_id")?),
                })
            })
            .collect()
    }

    /// Forgets garbage that the store has removed, unless it is to be removed once more later.
    ///
    /// # Errors
    /// [`super::Error::Unavailable`]; the row stays and the removal is tried again, which does no harm.
    pub async fn forget_garbage(&self, item: &Garbage) -> Result<()> {
        let (this, item) = (self.clone(), item.clone());
        self.detached(async move {
            let mut tx = this.db.write().await?;
            sqlx::query(
                "DELETE FROM garbage WHERE store = $1 AND object_key = $2 AND due_at <= $3",
            )
            .bind(item.store.as_str())
            .bind(&item.key)
            .bind(now())
            .execute(&mut *tx)
            .await?;
            tx.commit().await?;
            Ok(())
        })
        .await
    }

    /// Puts off garbage that the store could not remove now.
    ///
    /// # Errors
    /// [`super::Error::Unavailable`].
    pub async fn defer_garbage(&self, item: &Garbage, due_at: Micros) -> Result<()> {
        let (this, item) = (self.clone(), item.clone());
        self.detached(async move {
            let mut tx = this.db.write().await?;
            sqlx::query(
                "UPDATE garbage SET due_at = $1 WHERE store = $2 AND object_key = $3 AND due_at < $1",
            )
            .bind(due_at)
            .bind(item.store.as_str())
            .bind(&item.key)
            .execute(&mut *tx)
            .await?;
            tx.commit().await?;
            Ok(())
        })
        .await
    }
}

/// Adds an item within the transaction that gives it up.
pub(super) async fn insert(
    tx: &mut SqliteConnection,
    item: &Garbage,
    due_at: Micros,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO garbage (store, object_key, upload_id, due_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
    )
    .bind(item.store.as_str())
    .bind(&item.key)
    .bind(item.parts.as_column())
    .bind(due_at)
    .execute(tx)
    .await?;
    Ok(())
}
