//! What is in a namespace. The four kinds of parts are kept alike.

use std::collections::HashMap;

use super::dated_of;
use crate::catalog::db;
use crate::catalog::db::{Builder, Connection, query};
use crate::catalog::rows::bad_row;
use crate::catalog::{Catalog, Direction, Error, Judge, Result, now};
use crate::image::Micros;
use crate::metadef::{Association, Contents, Dated, Definition, Namespace, Part, Tag};

/// A column that parts can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PartSortKey {
    /// `name`.
    Name,
    /// `created_at`.
    CreatedAt,
    /// `updated_at`.
    UpdatedAt,
}

impl PartSortKey {
    /// Every key.
    pub(crate) const ALL: [PartSortKey; 3] = [
        PartSortKey::Name,
        PartSortKey::CreatedAt,
        PartSortKey::UpdatedAt,
    ];

    /// The key of this name in a query.
    pub(crate) fn find(name: &str) -> Option<Self> {
        let mut all = PartSortKey::ALL.into_iter();
        all.find(|key| key.as_sql() == name)
    }

    /// The column, which has the name of the key.
    pub(crate) fn as_sql(self) -> &'static str {
        match self {
            PartSortKey::Name => "name",
            PartSortKey::CreatedAt => "created_at",
            PartSortKey::UpdatedAt => "updated_at",
        }
    }
}

/// One page of the parts of a kind to ask for.
#[derive(Debug, Clone)]
pub(crate) struct PartPage {
    /// First key of the order; ties by name.
    pub sort_key: PartSortKey,
    /// Its direction, and that of the ties.
    pub direction: Direction,
    /// Name of the last part of the page before.
    pub after: Option<String>,
    /// Most parts to return; `None` for all.
    pub limit: Option<u32>,
}

/// What becomes of a part whose name another of its kind has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clash {
    /// Neither is changed, and the whole write fails.
    Refuse,
    /// The old one stays.
    Keep,
    /// The new one takes its place.
    Overwrite,
}

/// What a namespace may hold, bytes; thirty times the largest that comes with the program.
const NAMESPACE_BYTES: i64 = 4 * 1024 * 1024;

/// What an answer adds to a part at least, bytes: its name, times, links.
const FRAME_BYTES: i64 = 512;

impl Catalog {
    /// Everything in a namespace, in the order in which it was made.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub(crate) async fn namespace_contents(&self, namespace: &Namespace) -> Result<Contents> {
        let rows =
            query("SELECT * FROM metadef_parts WHERE namespace_id = $1 ORDER BY created_at, name")
                .bind(&namespace.id)
                .fetch_all(&mut self.db.read().await?)
                .await?;
        let mut contents = Contents::default();
        for row in &rows {
            match row.get("kind")? {
                "property" => contents.properties.push(dated_of(row)?),
                "object" => contents.objects.push(dated_of(row)?),
                "tag" => contents.tags.push(dated_of(row)?),
                Association::KIND => contents.associations.push(dated_of(row)?),
                unknown => return Err(bad_row(UnknownKind(unknown.to_owned()))),
            }
        }
        Ok(contents)
    }

    /// The parts of one kind, in the order in which they were made.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub(crate) async fn all_parts<T: Part>(&self, namespace: &Namespace) -> Result<Vec<Dated<T>>> {
        let rows = query(
            "SELECT * FROM metadef_parts WHERE namespace_id = $1 AND kind = $2 ORDER BY created_at, name",
        )
        .bind(&namespace.id)
        .bind(T::KIND)
        .fetch_all(&mut self.db.read().await?)
        .await?;
        rows.iter().map(dated_of).collect()
    }

    /// A page of the parts of one kind.
    ///
    /// # Errors
    /// [`Error::Missing`] when no part has the name that the page is to come after.
    pub(crate) async fn list_parts<T: Part>(
        &self,
        namespace: &Namespace,
        page: PartPage,
    ) -> Result<Vec<Dated<T>>> {
        let mut query = Builder::new("SELECT * FROM metadef_parts WHERE namespace_id = ");
        query
            .push_bind(&namespace.id)
            .push(" AND kind = ")
            .push_bind(T::KIND);
        let key = page.sort_key.as_sql();
        let (direction, comparison) = match page.direction {
            Direction::Ascending => ("ASC", ">"),
            Direction::Descending => ("DESC", "<"),
        };
        if let Some(name) = &page.after {
            let after: Dated<T> = self
                .find_part(namespace, name)
                .await?
                .ok_or(Error::Missing)?;
            query.push(format!(" AND ({key}, name) {comparison} ("));
            match page.sort_key {
                PartSortKey::Name => query.push_bind(name),
                PartSortKey::CreatedAt => query.push_bind(after.created_at),
                PartSortKey::UpdatedAt => query.push_bind(after.updated_at),
            };
            query.push(", ").push_bind(name).push(")");
        }
        query.push(format!(" ORDER BY {key} {direction}, name {direction}"));
        if let Some(limit) = page.limit {
            query.push(" LIMIT ").push_bind(limit);
        }
        let rows = query.build().fetch_all(&mut self.db.read().await?).await?;
        rows.iter().map(dated_of).collect()
    }

    /// Finds a part by its name.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub(crate) async fn find_part<T: Part>(
        &self,
        namespace: &Namespace,
        name: &str,
    ) -> Result<Option<Dated<T>>> {
        let row = query(
            "SELECT * FROM metadef_parts WHERE namespace_id = $1 AND kind = $2 AND name = $3",
        )
        .bind(&namespace.id)
        .bind(T::KIND)
        .bind(name)
        .fetch_optional(&mut self.db.read().await?)
        .await?;
        row.as_ref().map(dated_of).transpose()
    }

    /// Stores a new part.
    ///
    /// # Errors
    /// What `judge` says; [`Error::NoNamespace`]; [`Error::Taken`] when another part of the kind has the name.
    pub(crate) async fn create_part<T: Part>(
        &self,
        namespace: &Namespace,
        part: T,
        judge: Judge<Namespace>,
    ) -> Result<Dated<T>> {
        let (this, id) = (self.clone(), namespace.id.clone());
        self.detached(async move {
            let (mut tx, _) = this.write_in_namespace(&id, judge).await?;
            let now = now();
            insert(&mut tx, &id, &part, Clash::Refuse, now).await?;
            check_size(&mut tx, &id).await?;
            tx.commit().await?;
            Ok(Dated {
                part,
                created_at: now,
                updated_at: now,
            })
        })
        .await
    }

    /// Replaces a part, its name included.
    ///
    /// # Errors
    /// What `judge` says; [`Error::NoNamespace`]; [`Error::Missing`]; [`Error::Taken`] when another part of the kind has
    /// the new name.
    pub(crate) async fn update_part<T: Part>(
        &self,
        namespace: &Namespace,
        name: &str,
        part: T,
        judge: Judge<Namespace>,
    ) -> Result<Dated<T>> {
        let (this, id, name) = (self.clone(), namespace.id.clone(), name.to_owned());
        self.detached(async move {
            let (mut tx, _) = this.write_in_namespace(&id, judge).await?;
            let row = query(
                "UPDATE metadef_parts SET name = $1, body = $2, updated_at = $3 \
                 WHERE namespace_id = $4 AND kind = $5 AND name = $6 RETURNING created_at, updated_at",
            )
            .bind(part.name())
            .bind(serde_json::to_string(&part).map_err(bad_row)?)
            .bind(now())
            .bind(&id)
            .bind(T::KIND)
            .bind(&name)
            .fetch_optional(&mut tx)
            .await
            .map_err(db::taken)?;
            let row = row.ok_or(Error::Missing)?;
            let dated = Dated {
                part,
                created_at: row.get("created_at")?,
                updated_at: row.get("updated_at")?,
            };
            check_size(&mut tx, &id).await?;
            tx.commit().await?;
            Ok(dated)
        })
        .await
    }

    /// Removes a part.
    ///
    /// # Errors
    /// What `judge` says; [`Error::NoNamespace`]; [`Error::Missing`]; [`Error::Protected`] in a protected namespace.
    pub(crate) async fn delete_part<T: Part>(
        &self,
        namespace: &Namespace,
        name: &str,
        judge: Judge<Namespace>,
    ) -> Result<()> {
        let (this, id, name) = (self.clone(), namespace.id.clone(), name.to_owned());
        self.detached(async move {
            let (mut tx, namespace) = this.write_in_namespace(&id, judge).await?;
            let deleted = query(
                "DELETE FROM metadef_parts WHERE namespace_id = $1 AND kind = $2 AND name = $3",
            )
            .bind(&id)
            .bind(T::KIND)
            .bind(&name)
            .execute(&mut tx)
            .await?;
            if deleted == 0 {
                return Err(Error::Missing);
            }
            if namespace.attributes.protected {
                return Err(Error::Protected);
            }
            tx.commit().await?;
            Ok(())
        })
        .await
    }

    /// Removes every part of a kind.
    ///
    /// # Errors
    /// What `judge` says; [`Error::NoNamespace`]; [`Error::Protected`].
    pub(crate) async fn delete_parts<T: Part>(
        &self,
        namespace: &Namespace,
        judge: Judge<Namespace>,
    ) -> Result<()> {
        let (this, id) = (self.clone(), namespace.id.clone());
        self.detached(async move {
            let mut tx = this.delete_in_namespace(&id, judge).await?;
            delete_kind(&mut tx, &id, T::KIND).await?;
            tx.commit().await?;
            Ok(())
        })
        .await
    }

    /// Stores several tags, in the place of those that are there unless `keep`. All or nothing; no tags change nothing.
    ///
    /// # Errors
    /// What `judge` says; [`Error::NoNamespace`]; [`Error::Taken`] when two would have one name.
    pub(crate) async fn create_tags(
        &self,
        namespace: &Namespace,
        tags: Vec<Tag>,
        keep: bool,
        judge: Judge<Namespace>,
    ) -> Result<()> {
        let (this, id) = (self.clone(), namespace.id.clone());
        self.detached(async move {
            let (mut tx, _) = this.write_in_namespace(&id, judge).await?;
            // As the reference service: an empty list is no way to delete the tags.
            if !keep && !tags.is_empty() {
                delete_kind(&mut tx, &id, Tag::KIND).await?;
            }
            insert_kind(&mut tx, &id, &tags, Clash::Refuse, &mut now()).await?;
            check_size(&mut tx, &id).await?;
            tx.commit().await?;
            Ok(())
        })
        .await
    }

    /// Every resource type that any namespace was ever associated with, by name.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub(crate) async fn list_resource_types(&self) -> Result<Vec<Dated<String>>> {
        let rows = query("SELECT * FROM metadef_resource_types ORDER BY name")
            .fetch_all(&mut self.db.read().await?)
            .await?;
        let types = rows.iter().map(|row| {
            Ok(Dated {
                part: row.get("name")?,
                created_at: row.get("created_at")?,
                updated_at: row.get("updated_at")?,
            })
        });
        types.collect()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("unknown kind of metadata definition: {0}")]
struct UnknownKind(String);

/// Gives each namespace the resource types it is for: one statement for a page, whatever its length.
pub(super) async fn with_associations(
    db: &mut Connection,
    namespaces: Vec<Namespace>,
) -> Result<Vec<(Namespace, Contents)>> {
    if namespaces.is_empty() {
        return Ok(Vec::new());
    }
    let mut query = Builder::new("SELECT * FROM metadef_parts WHERE kind = ");
    query
        .push_bind(Association::KIND)
        .push(" AND namespace_id IN (");
    query.push_list(namespaces.iter().map(|namespace| &namespace.id));
    query.push(") ORDER BY created_at, name");
    let mut found: HashMap<String, Vec<Dated<Association>>> = HashMap::new();
    for row in query.build().fetch_all(db).await? {
        let id = row.get("namespace_id")?;
        found.entry(id).or_default().push(dated_of(&row)?);
    }
    let with = namespaces.into_iter().map(|namespace| {
        let contents = Contents {
            associations: found.remove(&namespace.id).unwrap_or_default(),
            ..Contents::default()
        };
        (namespace, contents)
    });
    Ok(with.collect())
}

/// Stores every part of a definition; gives how many rows were written.
pub(super) async fn insert_all(
    tx: &mut Connection,
    id: &str,
    definition: &Definition,
    clash: Clash,
    now: Micros,
) -> Result<u64> {
    let mut at = now;
    let mut written = insert_kind(tx, id, &definition.associations, clash, &mut at).await?;
    written += insert_kind(tx, id, &definition.properties, clash, &mut at).await?;
    written += insert_kind(tx, id, &definition.objects, clash, &mut at).await?;
    written += insert_kind(tx, id, &definition.tags, clash, &mut at).await?;
    check_size(tx, id).await?;
    Ok(written)
}

/// Fails when a namespace holds more than it may, what is being written included: an answer shows all of it at once.
async fn check_size(tx: &mut Connection, id: &str) -> Result<()> {
    let row = query(
        "SELECT CAST(COALESCE(SUM(OCTET_LENGTH(body) + $1), 0) AS BIGINT) AS bytes FROM metadef_parts WHERE namespace_id = $2",
    )
    .bind(FRAME_BYTES)
    .bind(id)
    .fetch_one(tx)
    .await?;
    if row.get::<i64>("bytes")? > NAMESPACE_BYTES {
        return Err(Error::NamespaceFull {
            most: NAMESPACE_BYTES,
        });
    }
    Ok(())
}

/// Each is a microsecond younger than the one before, so that the order in which they were given is kept.
async fn insert_kind<T: Part>(
    tx: &mut Connection,
    id: &str,
    parts: &[T],
    clash: Clash,
    at: &mut Micros,
) -> Result<u64> {
    let mut written = 0;
    for part in parts {
        written += insert(tx, id, part, clash, *at).await?;
        *at += 1;
    }
    Ok(written)
}

async fn insert<T: Part>(
    tx: &mut Connection,
    id: &str,
    part: &T,
    clash: Clash,
    now: Micros,
) -> Result<u64> {
    if let Some(name) = part.resource_type() {
        query(
            "INSERT INTO metadef_resource_types (name, created_at, updated_at) VALUES ($1, $2, $2) \
             ON CONFLICT DO NOTHING",
        )
        .bind(name)
        .bind(now)
        .execute(&mut *tx)
        .await?;
    }
    let on_clash = match clash {
        Clash::Refuse | Clash::Keep => " ON CONFLICT DO NOTHING",
        Clash::Overwrite => {
            " ON CONFLICT (namespace_id, kind, name) \
             DO UPDATE SET body = excluded.body, updated_at = excluded.updated_at"
        }
    };
    let mut query = Builder::new(
        "INSERT INTO metadef_parts (namespace_id, kind, name, body, created_at, updated_at) VALUES (",
    );
    query.push_bind(id).push(", ").push_bind(T::KIND);
    query.push(", ").push_bind(part.name());
    let body = serde_json::to_string(part).map_err(bad_row)?;
    query.push(", ").push_bind(body);
    query.push(", ").push_bind(now).push(", ").push_bind(now);
    query.push(")").push(on_clash);
    let written = query.build().execute(tx).await?;
    if written == 0 && clash == Clash::Refuse {
        return Err(Error::Taken);
    }
    Ok(written)
}

async fn delete_kind(tx: &mut Connection, id: &str, kind: &'static str) -> Result<()> {
    query("DELETE FROM metadef_parts WHERE namespace_id = $1 AND kind = $2")
        .bind(id)
        .bind(kind)
        .execute(tx)
        .await?;
    Ok(())
}
