//! Metadata definitions: namespaces here, what is in them in `parts`, definition files in `load`.
//!
//! They are read seldom and all at once, so they are not cached. Names are kept apart by the tables' keys alone: nothing
//! is looked up first, so of two writers one gets [`Error::Taken`].

mod load;
mod parts;

use super::db::{self, WriteTx};
use super::db::{Builder, Connection, Row, query};
use super::rows::bad_row;
use super::{Catalog, Direction, Error, Judge, Result, now};
use crate::image::{Denial, Micros, Viewer};
use crate::metadef::{
    Association, Attributes, Contents, Dated, Definition, Namespace, NamespaceVisibility, Part,
};
pub(crate) use load::{Loaded, OnExisting};
pub(crate) use parts::{PartPage, PartSortKey};

/// A column that namespaces can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NamespaceSortKey {
    /// `namespace`, the name.
    Name,
    /// `created_at`.
    CreatedAt,
    /// `updated_at`.
    UpdatedAt,
}

impl NamespaceSortKey {
    /// Every key.
    pub(crate) const ALL: [NamespaceSortKey; 3] = [
        NamespaceSortKey::Name,
        NamespaceSortKey::CreatedAt,
        NamespaceSortKey::UpdatedAt,
    ];

    /// The key of this name in a query.
    pub(crate) fn find(name: &str) -> Option<Self> {
        let mut all = NamespaceSortKey::ALL.into_iter();
        all.find(|key| key.as_str() == name)
    }

    /// The name in a query.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            NamespaceSortKey::Name => "namespace",
            NamespaceSortKey::CreatedAt => "created_at",
            NamespaceSortKey::UpdatedAt => "updated_at",
        }
    }

    fn as_sql(self) -> &'static str {
        match self {
            NamespaceSortKey::Name => "name",
            NamespaceSortKey::CreatedAt => "created_at",
            NamespaceSortKey::UpdatedAt => "updated_at",
        }
    }
}

/// One page of namespaces to ask for.
#[derive(Debug, Clone)]
pub(crate) struct NamespacePage {
    /// Only namespaces this caller sees.
    pub viewer: Viewer,
    /// Only namespaces of this visibility.
    pub visibility: Option<NamespaceVisibility>,
    /// Only namespaces associated with one of these resource types; `None` for all.
    pub resource_types: Option<Vec<String>>,
    /// First key of the order; ties by name.
    pub sort_key: NamespaceSortKey,
    /// Its direction, and that of the ties.
    pub direction: Direction,
    /// Id of the last namespace of the page before.
    pub after: Option<String>,
    /// Most namespaces to return; `None` for all.
    pub limit: Option<u32>,
}

impl Catalog {
    /// Finds a namespace by its name.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub(crate) async fn find_namespace(&self, name: &str) -> Result<Option<Namespace>> {
        let row = query("SELECT * FROM metadef_namespaces WHERE name = $1")
            .bind(name)
            .fetch_optional(&mut self.db.read().await?)
            .await?;
        row.as_ref().map(namespace_of).transpose()
    }

    /// Lists namespaces, each with its associations and nothing else in it.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub(crate) async fn list_namespaces(
        &self,
        page: NamespacePage,
    ) -> Result<Vec<(Namespace, Contents)>> {
        let mut query = Builder::new("SELECT * FROM metadef_namespaces WHERE TRUE");
        push_filters(&mut query, &page);
        let key = page.sort_key.as_sql();
        let (direction, comparison) = match page.direction {
            Direction::Ascending => ("ASC", ">"),
            Direction::Descending => ("DESC", "<"),
        };
        if let Some(after) = &page.after {
            query
                .push(format!(
                    " AND ({key}, name) {comparison} (SELECT {key}, name FROM metadef_namespaces WHERE id = "
                ))
                .push_bind(after)
                .push(")");
        }
        query.push(format!(" ORDER BY {key} {direction}, name {direction}"));
        if let Some(limit) = page.limit {
            query.push(" LIMIT ").push_bind(limit);
        }
        let mut reader = self.db.read().await?;
        let rows = query.build().fetch_all(&mut reader).await?;
        let namespaces: Vec<Namespace> = rows.iter().map(namespace_of).collect::<Result<_>>()?;
        parts::with_associations(&mut reader, namespaces).await
    }

    /// Stores a new namespace with its parts, all or nothing.
    ///
    /// # Errors
    /// [`Error::Taken`] when any namespace has the name, or two parts of a kind have one.
    pub(crate) async fn create_namespace(
        &self,
        definition: Definition,
    ) -> Result<(Namespace, Contents)> {
        let this = self.clone();
        self.detached(async move {
            let mut tx = this.db.write().await?;
            let now = now();
            let namespace = insert(&mut tx, &definition.attributes, now).await?;
            parts::insert_all(
                &mut tx,
                &namespace.id,
                &definition,
                parts::Clash::Refuse,
                now,
            )
            .await?;
            tx.commit().await?;
            Ok((namespace, definition.into_contents(now)))
        })
        .await
    }

    /// Replaces the attributes of a namespace, its name included; what is in it stays.
    ///
    /// # Errors
    /// What `judge` says; [`Error::NoNamespace`]; [`Error::Taken`] when another namespace has the new name.
    pub(crate) async fn update_namespace(
        &self,
        id: &str,
        attributes: Attributes,
        judge: Judge<Namespace>,
    ) -> Result<Namespace> {
        let (this, id) = (self.clone(), id.to_owned());
        self.detached(async move {
            let (mut tx, _) = this.write_in_namespace(&id, judge).await?;
            let namespace = update(&mut tx, &id, &attributes, now()).await?;
            tx.commit().await?;
            Ok(namespace)
        })
        .await
    }

    /// Removes a namespace with everything in it.
    ///
    /// # Errors
    /// What `judge` says; [`Error::NoNamespace`]; [`Error::Protected`].
    pub(crate) async fn delete_namespace(&self, id: &str, judge: Judge<Namespace>) -> Result<()> {
        let (this, id) = (self.clone(), id.to_owned());
        self.detached(async move {
            let mut tx = this.delete_in_namespace(&id, judge).await?;
            delete(&mut tx, &id).await?;
            tx.commit().await?;
            Ok(())
        })
        .await
    }

    /// Begins to write a namespace or something in it, which `judge` allows or not by what this transaction has loaded.
    async fn write_in_namespace(
        &self,
        id: &str,
        judge: Judge<Namespace>,
    ) -> Result<(WriteTx, Namespace)> {
        let mut tx = self.db.write().await?;
        let row = query("SELECT * FROM metadef_namespaces WHERE id = $1")
            .bind(id)
            .locking(&tx)
            .fetch_optional(&mut tx)
            .await?;
        let namespace = namespace_of(&row.ok_or(Error::NoNamespace)?)?;
        judge(&namespace).map_err(|denial| match denial {
            Denial::Hidden => Error::NoNamespace,
            other => other.into(),
        })?;
        Ok((tx, namespace))
    }

    /// The same, to remove something.
    async fn delete_in_namespace(&self, id: &str, judge: Judge<Namespace>) -> Result<WriteTx> {
        let (tx, namespace) = self.write_in_namespace(id, judge).await?;
        if namespace.attributes.protected {
            return Err(Error::Protected);
        }
        Ok(tx)
    }
}

fn push_filters(query: &mut Builder, page: &NamespacePage) {
    if !page.viewer.is_admin {
        query.push(" AND (visibility = 'public'");
        if let Some(project) = &page.viewer.project {
            query.push(" OR owner = ").push_bind(project.as_str());
        }
        query.push(")");
    }
    if let Some(visibility) = page.visibility {
        query
            .push(" AND visibility = ")
            .push_bind(visibility.as_str());
    }
    if let Some(resource_types) = &page.resource_types {
        query
            .push(" AND id IN (SELECT namespace_id FROM metadef_parts WHERE kind = ")
            .push_bind(Association::KIND)
            .push(" AND name IN (");
        query.push_list(resource_types.iter());
        query.push("))");
    }
}

async fn insert(tx: &mut Connection, attributes: &Attributes, now: Micros) -> Result<Namespace> {
    let id = uuid::Uuid::new_v4().to_string();
    let inserted = query(
        "INSERT INTO metadef_namespaces (id, name, display_name, description, visibility, protected, owner, created_at, \
         updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8) ON CONFLICT DO NOTHING",
    )
    .bind(&id)
    .bind(&attributes.name)
    .bind(&attributes.display_name)
    .bind(&attributes.description)
    .bind(attributes.visibility.as_str())
    .bind(attributes.protected)
    .bind(attributes.owner.as_ref().map(|owner| owner.as_str()))
    .bind(now)
    .execute(tx)
    .await?;
    if inserted == 0 {
        return Err(Error::Taken);
    }
    Ok(Namespace {
        id,
        attributes: attributes.clone(),
        created_at: now,
        updated_at: now,
    })
}

async fn update(
    tx: &mut Connection,
    id: &str,
    attributes: &Attributes,
    now: Micros,
) -> Result<Namespace> {
    let row = query(
        "UPDATE metadef_namespaces SET name = $1, display_name = $2, description = $3, visibility = $4, protected = $5, \
         owner = $6, updated_at = $7 WHERE id = $8 RETURNING *",
    )
    .bind(&attributes.name)
    .bind(&attributes.display_name)
    .bind(&attributes.description)
    .bind(attributes.visibility.as_str())
    .bind(attributes.protected)
    .bind(attributes.owner.as_ref().map(|owner| owner.as_str()))
    .bind(now)
    .bind(id)
    .fetch_optional(tx)
    .await
    .map_err(db::taken)?;
    namespace_of(&row.ok_or(Error::Missing)?)
}

async fn delete(tx: &mut Connection, id: &str) -> Result<()> {
    query("DELETE FROM metadef_namespaces WHERE id = $1")
        .bind(id)
        .execute(tx)
        .await?;
    Ok(())
}

fn namespace_of(row: &Row) -> Result<Namespace> {
    let owner: Option<String> = row.get("owner")?;
    Ok(Namespace {
        id: row.get("id")?,
        attributes: Attributes {
            name: row.get("name")?,
            display_name: row.get("display_name")?,
            description: row.get("description")?,
            visibility: row.get::<String>("visibility")?.parse().map_err(bad_row)?,
            protected: row.get("protected")?,
            owner: owner.map(|owner| owner.as_str().into()),
        },
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

fn dated_of<T: Part>(row: &Row) -> Result<Dated<T>> {
    let body: String = row.get("body")?;
    Ok(Dated {
        part: serde_json::from_str(&body).map_err(bad_row)?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}
