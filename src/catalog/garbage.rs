//! Bytes that no image needs any more. A row is written in the transaction that gives the bytes up and removed when the
//! store has confirmed that they are gone, so nothing is forgotten when the store or this process is away in between.

use std::time::Duration;

use super::db::{Connection, query};
use super::rows::micros;
use super::{Catalog, Result, now};
use crate::image::{Micros, StoreId};

/// When the store did not take a removal, the next try waits this long.
const AGAIN_AFTER: Duration = Duration::from_secs(30);

/// An object and perhaps an open multipart upload to be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Garbage {
    /// The store that holds it.
    pub store: StoreId,
    /// The object's key.
    pub key: String,
    /// What may still be open under that key.
    pub parts: OpenParts,
}

/// What is known of an unfinished multipart upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OpenParts {
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
    /// Lists what is due in a store for removal at `until`, oldest first, at most `limit` rows.
    ///
    /// # Errors
    /// [`super::Error::Unavailable`].
    pub(crate) async fn list_garbage(
        &self,
        store: &StoreId,
        until: Micros,
        limit: u32,
    ) -> Result<Vec<Garbage>> {
        let rows = query(
            "SELECT object_key, upload_id FROM garbage WHERE store = $1 AND due_at <= $2 ORDER BY due_at LIMIT $3",
        )
        .bind(store.as_str())
        .bind(until)
        .bind(limit)
        .fetch_all(&mut self.db.read().await?)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Garbage {
                    store: store.clone(),
                    key: row.get("object_key")?,
                    parts: OpenParts::from_column(row.get("upload_id")?),
                })
            })
            .collect()
    }

    /// Counts what waits for removal, due or not, for each store that has any.
    ///
    /// # Errors
    /// [`super::Error::Unavailable`].
    pub(crate) async fn count_garbage(&self) -> Result<Vec<(StoreId, u64)>> {
        let rows = query("SELECT store, COUNT(*) AS waiting FROM garbage GROUP BY store")
            .fetch_all(&mut self.db.read().await?)
            .await?;
        rows.iter()
            .map(|row| {
                let waiting: i64 = row.get("waiting")?;
                let store = row.get::<String>("store")?.as_str().into();
                Ok((store, waiting.unsigned_abs()))
            })
            .collect()
    }

    /// Forgets garbage that was due at `until` and that the store has removed: what is due later is to be removed once
    /// more. All in one transaction, since each waits for the disk.
    ///
    /// # Errors
    /// [`super::Error::Unavailable`]; the rows stay and the removals are tried again, which does no harm.
    pub(crate) async fn forget_garbage(&self, items: &[&Garbage], until: Micros) -> Result<()> {
        self.alter_garbage(
            "DELETE FROM garbage WHERE due_at <= $1 AND store = $2 AND object_key = $3",
            until,
            items,
        )
        .await
    }

    /// Puts off garbage that the store could not remove now, by half a minute.
    ///
    /// # Errors
    /// [`super::Error::Unavailable`].
    pub(crate) async fn defer_garbage(&self, items: &[&Garbage]) -> Result<()> {
        self.alter_garbage(
            "UPDATE garbage SET due_at = $1 WHERE due_at < $1 AND store = $2 AND object_key = $3",
            now().saturating_add(micros(AGAIN_AFTER)),
            items,
        )
        .await
    }

    /// Runs a statement about a time, a store and a key for every item.
    async fn alter_garbage(
        &self,
        statement: &'static str,
        time: Micros,
        items: &[&Garbage],
    ) -> Result<()> {
        if items.is_empty() {
            return Ok(());
        }
        let this = self.clone();
        let items: Vec<Garbage> = items.iter().copied().cloned().collect();
        self.detached(async move {
            let mut tx = this.db.write_soon().await?;
            for item in &items {
                query(statement)
                    .bind(time)
                    .bind(item.store.as_str())
                    .bind(&item.key)
                    .execute(&mut tx)
                    .await?;
            }
            tx.commit().await?;
            Ok(())
        })
        .await
    }
}

/// Adds an item within the transaction that gives it up.
pub(super) async fn insert(tx: &mut Connection, item: &Garbage, due_at: Micros) -> Result<()> {
    query(
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
