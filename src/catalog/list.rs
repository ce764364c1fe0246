//! Pages of images: filters, sort keys and keyset paging, so that a page costs the same wherever it stands.

use sqlx::{QueryBuilder, Sqlite};

use super::rows::{self, COLUMNS};
use super::{Catalog, Result};
use crate::image::{Image, Micros, ProjectId, Visibility};

/// Whose images a list holds (contract 4.9, scoping).
#[derive(Debug, Clone)]
pub struct Scope {
    /// The caller's own project.
    pub project: Option<ProjectId>,
    /// Administrators see every project's images.
    pub is_admin: bool,
    /// The audience asked for.
    pub audience: Audience,
}

/// Which visibilities a list holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Everything the caller may see but other projects' community images.
    Default,
    /// Everything the caller may see.
    All,
    /// One visibility.
    Only(Visibility),
}

/// A text column that can be filtered on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextColumn {
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
pub enum NumberColumn {
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
            // Times are kept finer than they are shown, and compared as they are shown.
            NumberColumn::CreatedAt => "created_at / 1000000",
            NumberColumn::UpdatedAt => "updated_at / 1000000",
        }
    }
}

/// How a column is compared with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
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
pub enum Filter {
    /// The column has one of these values.
    Text(TextColumn, Vec<String>),
    /// The column compares so with the number; times in seconds since the epoch.
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
pub enum SortKey {
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
    /// The key of this name in a query.
    pub fn find(name: &str) -> Option<Self> {
        const ALL: [SortKey; 8] = [
            SortKey::Name,
            SortKey::Status,
            SortKey::ContainerFormat,
            SortKey::DiskFormat,
            SortKey::Size,
            SortKey::Id,
            SortKey::CreatedAt,
            SortKey::UpdatedAt,
        ];
        ALL.into_iter().find(|key| key.as_sql() == name)
    }

    fn as_sql(self) -> &'static str {
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

enum SortValue {
    Text(Option<String>),
    Number(Option<Micros>),
}

impl SortValue {
    fn is_null(&self) -> bool {
        matches!(self, SortValue::Text(None) | SortValue::Number(None))
    }
}

/// Ascending or descending; null sorts lowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Smallest first.
    Ascending,
    /// Greatest first.
    Descending,
}

/// One page to ask for.
#[derive(Debug, Clone)]
pub struct Page {
    /// Whose images.
    pub scope: Scope,
    /// Hidden images instead of the others.
    pub is_hidden: bool,
    /// Conditions, all of which hold.
    pub filters: Vec<Filter>,
    /// Sort keys; must end with one that is unique ([`SortKey::Id`]).
    pub sort: Vec<(SortKey, Direction)>,
    /// The last image of the page before.
    pub after: Option<Image>,
    /// Most images to return.
    pub limit: u32,
}

impl Catalog {
    /// Lists live images.
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
            .push(" FROM images WHERE deleted_at IS NULL AND os_hidden = ")
            .push_bind(page.is_hidden);
        push_scope(&mut query, &page.scope);
        for filter in &page.filters {
            push_filter(&mut query, filter);
        }
        if let Some(after) = &page.after {
            push_after(&mut query, after, &page.sort);
        }
        query.push(" ORDER BY ");
        let mut keys = query.separated(", ");
        for (key, direction) in &page.sort {
            keys.push(key.as_sql());
            keys.push_unseparated(match direction {
                Direction::Ascending => " ASC",
                Direction::Descending => " DESC",
            });
        }
        query.push(" LIMIT ").push_bind(page.limit);
        let mut reader = self.db.reader().acquire().await?;
        let found = query.build().fetch_all(&mut *reader).await?;
        rows::load_page(&mut reader, &found, page.scope.project.as_ref()).await
    }
}

fn push_scope(query: &mut QueryBuilder<Sqlite>, scope: &Scope) {
    if let Audience::Only(visibility) = scope.audience {
        query
            .push(" AND visibility = ")
            .push_bind(visibility.as_str());
    }
    // What everybody may see of other projects' images, given the audience.
    let foreign = match (scope.is_admin, scope.audience) {
        (true, Audience::Default) => "visibility <> 'community'",
        (true, Audience::All | Audience::Only(_)) => return,
        (false, Audience::Default) => "visibility = 'public'",
        (false, Audience::All | Audience::Only(_)) => "visibility IN ('public', 'community')",
    };
    query.push(" AND (owner IS NULL OR ").push(foreign);
    if let Some(project) = &scope.project {
        query
            .push(" OR owner = ")
            .push_bind(project.as_str().to_owned());
    }
    query.push(")");
}

fn push_filter(query: &mut QueryBuilder<Sqlite>, filter: &Filter) {
    match filter {
        Filter::Text(column, values) => {
            query.push(" AND ").push(column.as_sql()).push(" IN (");
            let mut list = query.separated(", ");
            for value in values {
                list.push_bind(value.clone());
            }
            query.push(")");
        }
        Filter::Number(column, comparison, value) => {
            query
                .push(" AND ")
                .push(column.as_sql())
                .push(comparison.as_sql())
                .push_bind(*value);
        }
        Filter::Protected(is_protected) => {
            query.push(" AND protected = ").push_bind(*is_protected);
        }
        Filter::Tag(tag) => {
            query.push(" AND EXISTS (SELECT 1 FROM image_tags t WHERE t.image_id = images.id AND t.value = ");
            query.push_bind(tag.clone()).push(")");
        }
        Filter::Property(name, value) => {
            query.push(" AND EXISTS (SELECT 1 FROM image_properties p WHERE p.image_id = images.id AND p.name = ");
            query
                .push_bind(name.clone())
                .push(" AND p.value = ")
                .push_bind(value.clone())
                .push(")");
        }
    }
}

/// Everything after `image` in the order of `sort`: greater in the first key, or equal there and greater in the second,
/// and so on.
fn push_after(query: &mut QueryBuilder<Sqlite>, image: &Image, sort: &[(SortKey, Direction)]) {
    query.push(" AND (");
    for (place, (key, direction)) in sort.iter().enumerate() {
        query.push(if place == 0 { "(" } else { " OR (" });
        for (same, _) in &sort[..place] {
            query.push(same.as_sql()).push(" IS NOT DISTINCT FROM ");
            push_value(query, same.value(image));
            query.push(" AND ");
        }
        let value = key.value(image);
        match (direction, value.is_null()) {
            // Null is the lowest: everything else follows it going up, nothing going down.
            (Direction::Ascending, true) => drop(query.push(key.as_sql()).push(" IS NOT NULL")),
            (Direction::Descending, true) => drop(query.push("FALSE")),
            (Direction::Ascending, false) => {
                query.push(key.as_sql()).push(" > ");
                push_value(query, value);
            }
            (Direction::Descending, false) => {
                query
                    .push("(")
                    .push(key.as_sql())
                    .push(" IS NULL OR ")
                    .push(key.as_sql())
                    .push(" < ");
                push_value(query, value);
                query.push(")");
            }
        }
        query.push(")");
    }
    query.push(")");
}

fn push_value(query: &mut QueryBuilder<Sqlite>, value: SortValue) {
    match value {
        SortValue::Text(text) => query.push_bind(text),
        SortValue::Number(number) => query.push_bind(number),
    };
}
