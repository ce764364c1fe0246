//! Pages of images: filters, sort keys and keyset paging, so that a page costs the same wherever it stands.
//!
//! What a caller may see is a union of kinds: its own images, public ones, those shared with it. Each kind is a query of
//! its own, with the way that suits it (`plan`), of one page at most; the page is made of their pages. The kinds exclude
//! each other, so nothing comes twice. Nothing here grows with the catalog but the indexes.

mod condition;
mod plan;
mod query;
mod records;
mod scope;

use std::sync::Arc;

use super::db::{Builder, Connection};
use super::rows;
use super::{Catalog, Error, Result};
use crate::image::{Image, MemberStatus, Micros, ProjectId, Visibility};
use condition::Condition;
use plan::Counter;
use query::{Found, Part, segments};
pub(crate) use records::Listed;

/// Whose images a list holds (contract 4.9, scoping).
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    /// The caller's own project.
    pub project: Option<ProjectId>,
    /// Administrators see every project's images.
    pub is_admin: bool,
    /// The audience asked for.
    pub audience: Audience,
    /// Which of the caller's shares count, by its answer; `None` is any.
    pub member_status: Option<MemberStatus>,
}

/// Which visibilities a list holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audience {
    /// Everything the caller may see but community images of others or of nobody, and shared ones of nobody.
    Default,
    /// Everything the caller may see.
    All,
    /// One visibility.
    Only(Visibility),
}

/// A text column that can be filtered on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextColumn {
    /// `id`.
    Id,
    /// `name`.
    Name,
    /// `status`.
    Status,
    /// `container_format`.
    ContainerFormat,
    /// `disk_format`.
    DiskFormat,
    /// `owner`.
    Owner,
    /// `checksum`.
    Checksum,
    /// `os_hash_algo`.
    OsHashAlgo,
    /// `os_hash_value`.
    OsHashValue,
}

impl TextColumn {
    fn as_sql(self) -> &'static str {
        match self {
            TextColumn::Id => "id",
            TextColumn::Name => "name",
            TextColumn::Status => "status",
            TextColumn::ContainerFormat => "container_format",
            TextColumn::DiskFormat => "disk_format",
            TextColumn::Owner => "owner",
            TextColumn::Checksum => "checksum",
            TextColumn::OsHashAlgo => "os_hash_algo",
            TextColumn::OsHashValue => "os_hash_value",
        }
    }
}

/// A number or time column that can be filtered on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NumberColumn {
    /// `size`, bytes.
    Size,
    /// `virtual_size`, bytes.
    VirtualSize,
    /// `min_disk`, GB.
    MinDisk,
    /// `min_ram`, MB.
    MinRam,
    /// `created_at`, in whole seconds as clients see it.
    CreatedAt,
    /// `updated_at`, in whole seconds as clients see it.
    UpdatedAt,
}

impl NumberColumn {
    fn as_sql(self) -> &'static str {
        match self {
            NumberColumn::Size => "size",
            NumberColumn::VirtualSize => "virtual_size",
            NumberColumn::MinDisk => "min_disk",
            NumberColumn::MinRam => "min_ram",
            NumberColumn::CreatedAt => "created_at",
            NumberColumn::UpdatedAt => "updated_at",
        }
    }
}

/// How a column is compared with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    /// Equal.
    Equal,
    /// Not equal.
    NotEqual,
    /// Less.
    Less,
    /// Less or equal.
    AtMost,
    /// Greater.
    Greater,
    /// Greater or equal.
    AtLeast,
}

impl Comparison {
    fn as_sql(self) -> &'static str {
        match self {
            Comparison::Equal => " = ",
            Comparison::NotEqual => " <> ",
            Comparison::Less => " < ",
            Comparison::AtMost => " <= ",
            Comparison::Greater => " > ",
            Comparison::AtLeast => " >= ",
        }
    }
}

/// One condition; a list fulfils all of its filters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Filter {
    /// The column has one of these values.
    Text(TextColumn, Vec<String>),
    /// The column compares so with the number; times are in microseconds, and the column is compared as clients see it, in
    /// whole seconds.
    Number(NumberColumn, Comparison, i64),
    /// `protected` is so.
    Protected(bool),
    /// The image has the tag.
    Tag(String),
    /// The extra property has the value.
    Property(String, String),
}

/// A column that lists can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SortKey {
    /// `name`.
    Name,
    /// `status`.
    Status,
    /// `container_format`.
    ContainerFormat,
    /// `disk_format`.
    DiskFormat,
    /// `size`.
    Size,
    /// `id`.
    Id,
    /// `created_at`.
    CreatedAt,
    /// `updated_at`.
    UpdatedAt,
}

impl SortKey {
    /// How many there are.
    pub(crate) const COUNT: usize = 8;

    /// Every key.
    pub(crate) const ALL: [SortKey; SortKey::COUNT] = [
        SortKey::Name,
        SortKey::Status,
        SortKey::ContainerFormat,
        SortKey::DiskFormat,
        SortKey::Size,
        SortKey::Id,
        SortKey::CreatedAt,
        SortKey::UpdatedAt,
    ];

    /// The key of this name in a query.
    pub(crate) fn find(name: &str) -> Option<Self> {
        SortKey::ALL.into_iter().find(|key| key.as_sql() == name)
    }

    /// The column, which has the name of the key.
    pub(crate) fn as_sql(self) -> &'static str {
        match self {
            SortKey::Name => "name",
            SortKey::Status => "status",
            SortKey::ContainerFormat => "container_format",
            SortKey::DiskFormat => "disk_format",
            SortKey::Size => "size",
            SortKey::Id => "id",
            SortKey::CreatedAt => "created_at",
            SortKey::UpdatedAt => "updated_at",
        }
    }

    fn is_nullable(self) -> bool {
        match self {
            SortKey::Name | SortKey::ContainerFormat | SortKey::DiskFormat | SortKey::Size => true,
            SortKey::Status | SortKey::Id | SortKey::CreatedAt | SortKey::UpdatedAt => false,
        }
    }

    fn value(self, image: &Image) -> SortValue {
        match self {
            SortKey::Name => SortValue::Text(image.name.clone()),
            SortKey::Status => SortValue::Text(Some(image.status.as_str().to_owned())),
            SortKey::ContainerFormat => SortValue::Text(image.container_format.clone()),
            SortKey::DiskFormat => SortValue::Text(image.disk_format.clone()),
            SortKey::Size => SortValue::Number(image.size.map(rows::signed)),
            SortKey::Id => SortValue::Text(Some(image.id.to_string())),
            SortKey::CreatedAt => SortValue::Number(Some(image.created_at)),
            SortKey::UpdatedAt => SortValue::Number(Some(image.updated_at)),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum SortValue {
    Text(Option<String>),
    Number(Option<Micros>),
}

impl SortValue {
    fn is_null(&self) -> bool {
        matches!(self, SortValue::Text(None) | SortValue::Number(None))
    }

    fn push(&self, query: &mut Builder) {
        match self {
            SortValue::Text(text) => query.push_bind(text.clone()),
            SortValue::Number(number) => query.push_bind(*number),
        };
    }
}

/// Ascending or descending; null sorts lowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Smallest first.
    Ascending,
    /// Greatest first.
    Descending,
}

impl Direction {
    fn as_sql(self) -> &'static str {
        match self {
            Direction::Ascending => " ASC NULLS FIRST",
            Direction::Descending => " DESC NULLS LAST",
        }
    }
}

/// One page to ask for.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    /// Whose images.
    pub scope: Scope,
    /// Hidden images instead of the others.
    pub is_hidden: bool,
    /// Conditions, all of which hold.
    pub filters: Vec<Filter>,
    /// Sort keys; must end with one that is unique ([`SortKey::Id`]).
    pub sort: Vec<(SortKey, Direction)>,
    /// The last image of the page before.
    pub after: Option<Arc<Image>>,
    /// Most images to return.
    pub limit: u32,
}

impl Catalog {
    /// Lists live images.
    ///
    /// # Errors
    /// [`super::Error::Unavailable`].
    pub(crate) async fn list_images(&self, page: Page) -> Result<Listed> {
        self.list_images_driven_by(page, plan::FEW).await
    }

    /// The same, by an index that finds less than `few` rows if there is one.
    async fn list_images_driven_by(&self, page: Page, few: i64) -> Result<Listed> {
        if page.limit == 0 {
            return Ok(Listed::default());
        }
        let mut reader = self.db.browse().await?;
        if let Some(listed) = self.records_of(&mut reader, &page, few).await? {
            return Ok(listed);
        }
        // A record changed between the statements.
        drop(reader);
        let mut reader = self.db.snapshot().await?;
        let listed = self.records_of(&mut reader, &page, few).await?;
        listed.ok_or_else(|| Error::Other("a record changed within a snapshot".into()))
    }
}

/// Which images a page holds, in its order.
async fn find(db: &mut Connection, page: &Page, few: i64) -> Result<Vec<Found>> {
    let filters = page.filters.iter().cloned().map(Condition::Filter);
    let hidden = if page.is_hidden {
        Condition::Hidden
    } else {
        Condition::NotHidden
    };
    let filters: Vec<Condition> = filters.chain([hidden]).collect();
    let mut counter = Counter::new(&mut *db);
    let mut parts = Vec::new();
    for kind in scope::kinds(&page.scope) {
        let conditions: Vec<Condition> = kind.into_iter().chain(filters.iter().cloned()).collect();
        let path = counter.choose(&conditions, &page.sort, few).await?;
        for segment in segments(&page.sort, page.after.as_deref()) {
            parts.push(Part {
                conditions: conditions.clone(),
                path,
                segment,
            });
        }
    }
    // Without a project nothing private or shared is the caller's.
    if parts.is_empty() {
        return Ok(Vec::new());
    }
    query::fetch(db, &parts, &page.sort, page.limit).await
}

#[cfg(test)]
mod tests;
