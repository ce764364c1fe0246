//! How a list is found: what the planner of the database would have to guess is counted.
//!
//! There are two ways to a page. *Ordered scan*: go through all images in the order of the list and keep those that fulfil every
//! condition; good when many do. *Index*: go through the rows of one condition by its index and sort what is left; good
//! when few fulfil it. A list that walks for a rare tag, or sorts a million rows for a common status, takes seconds, and a
//! planner without statistics, or with old ones, does either. So the rows of each condition are counted first, up to a
//! bound: that is half a millisecond a condition. Of the two ways the dearer one that is still taken, at a condition that
//! one image in a hundred fulfils, looks at ten thousand rows.
//!
//! In the default order, newest first, an index of one value has its rows in that order: then driving is walking too.

use super::condition::{Condition, Source};
use super::{Direction, SortKey};
use crate::catalog::Result;
use crate::catalog::db::{Builder, Connection};

/// Rows that are sorted rather than walked past.
pub(super) const FEW: i64 = 10_000;

/// How far conditions that are not few are told apart, when there are several.
const MANY: i64 = 20_000;

/// So few that nothing better needs to be looked for.
const VERY_FEW: i64 = 200;

/// The way to the images of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AccessPath {
    /// By the index of the condition at this place; sorted unless the index is in the list's order.
    Index(usize, Source),
    /// Through all images, by the index of the list's order.
    OrderedScan(&'static str),
}

/// Counts conditions, each once for all the kinds of a list.
pub(super) struct Counter<'a> {
    db: &'a mut Connection,
    /// Conditions with their rows, counted up to a bound.
    counted: Vec<(Condition, i64, i64)>,
}

impl<'a> Counter<'a> {
    pub(super) fn new(db: &'a mut Connection) -> Self {
        Self {
            db,
            counted: Vec::new(),
        }
    }

    /// The rows of a condition, up to `most`.
    async fn count(&mut self, condition: &Condition, source: Source, most: i64) -> Result<i64> {
        let mut counted = self.counted.iter();
        let known = counted.find(|(known, bound, _)| known == condition && *bound == most);
        if let Some((_, _, rows)) = known {
            return Ok(*rows);
        }
        let mut query = Builder::new("SELECT COUNT(*) AS found FROM (SELECT 1 FROM ");
        source.push_table(&mut query, self.db.words());
        query.push(" WHERE ");
        condition.push_driving(&mut query, source);
        query.push(" LIMIT ").push_bind(most).push(") AS counted");
        let row = query.build().fetch_one(&mut *self.db).await?;
        let rows = row.get("found")?;
        self.counted.push((condition.clone(), most, rows));
        Ok(rows)
    }

    /// The condition with the fewest rows, counted up to `most`.
    async fn rarest(
        &mut self,
        conditions: &[Condition],
        sources: &[(usize, Source)],
        most: i64,
    ) -> Result<Option<(i64, usize, Source)>> {
        let mut best: Option<(i64, usize, Source)> = None;
        for (place, source) in sources {
            let rows = self.count(&conditions[*place], *source, most).await?;
            if best.is_none_or(|(fewest, ..)| rows < fewest) {
                best = Some((rows, *place, *source));
            }
            if rows < VERY_FEW.min(most) {
                break;
            }
        }
        Ok(best)
    }

    /// Chooses the way for these conditions, all of which hold; less than `few` rows are sorted.
    pub(super) async fn choose(
        &mut self,
        conditions: &[Condition],
        sort: &[(SortKey, Direction)],
        few: i64,
    ) -> Result<AccessPath> {
        let is_default = is_default_order(sort);
        let sources: Vec<(usize, Source)> = conditions
            .iter()
            .enumerate()
            .filter_map(|(place, condition)| Some((place, condition.source()?)))
            .collect();
        match sources.as_slice() {
            [] => return Ok(AccessPath::OrderedScan(index_of(sort))),
            [(place, source)] if is_default && source.is_ordered => {
                return Ok(AccessPath::Index(*place, *source));
            }
            _ => {}
        }
        let bound = if is_default { few.max(MANY) } else { few };
        if let Some((rows, place, source)) = self.rarest(conditions, &sources, bound).await?
            && (rows < few || (is_default && source.is_ordered))
        {
            return Ok(AccessPath::Index(place, source));
        }
        if !is_default {
            return Ok(AccessPath::OrderedScan(index_of(sort)));
        }
        let ordered: Vec<(usize, Source)> = sources
            .into_iter()
            .filter(|(_, source)| source.is_ordered)
            .collect();
        let best = self.rarest(conditions, &ordered, bound).await?;
        Ok(match best {
            Some((_, place, source)) => AccessPath::Index(place, source),
            None => AccessPath::OrderedScan(index_of(sort)),
        })
    }
}

/// Newest first or oldest first.
pub(super) fn is_default_order(sort: &[(SortKey, Direction)]) -> bool {
    matches!(sort, [(SortKey::CreatedAt, a), (SortKey::Id, b)] if a == b)
}

/// The index that has the images in the order of the first key.
fn index_of(sort: &[(SortKey, Direction)]) -> &'static str {
    match sort.first().map(|(key, _)| *key) {
        Some(SortKey::Name) => "images_by_name",
        Some(SortKey::Status) => "images_by_status",
        Some(SortKey::ContainerFormat) => "images_by_container_format",
        Some(SortKey::DiskFormat) => "images_by_disk_format",
        Some(SortKey::Size) => "images_by_size",
        Some(SortKey::Id) => "images_by_id",
        Some(SortKey::UpdatedAt) => "images_by_updated_at",
        Some(SortKey::CreatedAt) | None => "images_by_created_at",
    }
}
