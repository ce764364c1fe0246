//! Whole definitions in one transaction, as the command line loads them.

use super::parts::{Clash, insert_all};
use super::{delete, insert, update};
use crate::catalog::db::query;
use crate::catalog::{Catalog, Result, now};
use crate::metadef::Definition;

/// What to do with a namespace that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnExisting {
    /// Leave it alone.
    Skip,
    /// Add the parts it lacks.
    Add,
    /// Add the parts it lacks, and let the new ones take the place of those it has; its attributes become the new ones.
    Overlay,
    /// Make it what is loaded, and nothing else.
    Replace,
}

/// What became of a definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loaded {
    /// The namespace is new.
    Created,
    /// It was there and was left alone.
    Skipped,
    /// It was there; so many of its parts were written.
    Merged(u64),
    /// It was there and is now what was loaded.
    Replaced,
}

impl Catalog {
    /// Stores a definition, all of it or nothing.
    ///
    /// # Errors
    /// [`crate::catalog::Error::Unavailable`].
    pub(crate) async fn load_definition(
        &self,
        definition: Definition,
        existing: OnExisting,
    ) -> Result<Loaded> {
        let this = self.clone();
        self.detached(async move {
            let mut tx = this.db.write().await?;
            let (attributes, now) = (&definition.attributes, now());
            let row = query("SELECT id FROM metadef_namespaces WHERE name = $1")
                .bind(&attributes.name)
                .locking(&tx)
                .fetch_optional(&mut tx)
                .await?;
            let id: Option<String> = row.map(|row| row.get("id")).transpose()?;
            let loaded = match (id, existing) {
                (None, _) => {
                    let id = insert(&mut tx, attributes, now).await?.id;
                    insert_all(&mut tx, &id, &definition, Clash::Refuse, now).await?;
                    Loaded::Created
                }
                (Some(_), OnExisting::Skip) => Loaded::Skipped,
                (Some(id), OnExisting::Add) => {
                    let added = insert_all(&mut tx, &id, &definition, Clash::Keep, now).await?;
                    Loaded::Merged(added)
                }
                (Some(id), OnExisting::Overlay) => {
                    update(&mut tx, &id, attributes, now).await?;
                    let clash = Clash::Overwrite;
                    Loaded::Merged(insert_all(&mut tx, &id, &definition, clash, now).await?)
                }
                (Some(id), OnExisting::Replace) => {
                    update(&mut tx, &id, attributes, now).await?;
                    query("DELETE FROM metadef_parts WHERE namespace_id = $1")
                        .bind(&id)
                        .execute(&mut tx)
                        .await?;
                    insert_all(&mut tx, &id, &definition, Clash::Refuse, now).await?;
                    Loaded::Replaced
                }
            };
            tx.commit().await?;
            Ok(loaded)
        })
        .await
    }

    /// Removes a namespace by its name, protected or not; false when there is none.
    ///
    /// # Errors
    /// [`crate::catalog::Error::Unavailable`].
    pub(crate) async fn unload_namespace(&self, name: &str) -> Result<bool> {
        let (this, name) = (self.clone(), name.to_owned());
        self.detached(async move {
            let mut tx = this.db.write().await?;
            let row = query("SELECT id FROM metadef_namespaces WHERE name = $1")
                .bind(&name)
                .locking(&tx)
                .fetch_optional(&mut tx)
                .await?;
            let Some(row) = row else {
                return Ok(false);
            };
            delete(&mut tx, row.get("id")?).await?;
            tx.commit().await?;
            Ok(true)
        })
        .await
    }
}
