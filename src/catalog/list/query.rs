//! The statement of a page: a union of pages, each by its own way.

use super::condition::{Condition, Table};
use super::plan::{self, AccessPath};
use super::{Direction, SortKey, SortValue};
use crate::catalog::Result;
use crate::catalog::db::{Builder, Connection, Words};
use crate::catalog::rows::bad_row;
use crate::image::{Image, ImageId, Micros};

/// One page of the union.
pub(super) struct Part {
    pub(super) conditions: Vec<Condition>,
    pub(super) path: AccessPath,
    pub(super) segment: Segment,
}

/// A stretch of the list's order, behind a marker or without one.
///
/// In an order by one key, what follows a marker is at most two stretches that an index can be entered at: null sorts
/// lowest, and no comparison holds for it, so it is a stretch of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    /// The whole.
    All,
    /// Behind these values, all keys running the same way.
    Behind(Vec<SortValue>),
    /// The first key is null, and the others are behind these values.
    NullsBehind(Vec<SortValue>),
    /// The first key is not null.
    NotNull,
    /// The first key is null.
    Nulls,
    /// Behind these values, in an order whose keys run different ways.
    Mixed(Vec<SortValue>),
}

/// The stretches behind a marker.
pub(super) fn segments(sort: &[(SortKey, Direction)], after: Option<&Image>) -> Vec<Segment> {
    let Some(after) = after else {
        return vec![Segment::All];
    };
    let values: Vec<SortValue> = sort.iter().map(|(key, _)| key.value(after)).collect();
    let Some((_, first)) = sort.first() else {
        return vec![Segment::All];
    };
    let only_the_first_is_null = sort.iter().skip(1).all(|(key, _)| !key.is_nullable());
    if sort.iter().any(|(_, direction)| direction != first) || !only_the_first_is_null {
        return vec![Segment::Mixed(values)];
    }
    let is_null = values.first().is_some_and(SortValue::is_null);
    let has_nulls = sort.first().is_some_and(|(key, _)| key.is_nullable());
    match (first, is_null) {
        (Direction::Ascending, true) => vec![Segment::NullsBehind(values), Segment::NotNull],
        (Direction::Descending, true) => vec![Segment::NullsBehind(values)],
        (Direction::Ascending, false) => vec![Segment::Behind(values)],
        (Direction::Descending, false) if has_nulls => {
            vec![Segment::Behind(values), Segment::Nulls]
        }
        (Direction::Descending, false) => vec![Segment::Behind(values)],
    }
}

/// An image of a page.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) id: ImageId,
    /// Which of its records the page is made of.
    pub(super) updated_at: Micros,
}

/// Asks for the page.
pub(super) async fn fetch(
    db: &mut Connection,
    parts: &[Part],
    sort: &[(SortKey, Direction)],
    limit: u32,
) -> Result<Vec<Found>> {
    let page = build(parts, sort, limit, db.words());
    let row = page.build().fetch_one(db).await?;
    let page: Option<&str> = row.get("page")?;
    let images = page.unwrap_or_default().split_terminator(',');
    images
        .map(|image| {
            let (id, at) = image.split_once(' ').unwrap_or((image, ""));
            Ok(Found {
                id: id.parse().map_err(bad_row)?,
                updated_at: at.parse().map_err(bad_row)?,
            })
        })
        .collect()
}

/// The statement that gives the page: one row, of ids with the times of their last change. The rows of the union are in
/// order and limited, so they are put together in that order.
pub(super) fn build(
    parts: &[Part],
    sort: &[(SortKey, Direction)],
    limit: u32,
    words: &Words,
) -> Builder {
    let mut query = Builder::new("SELECT string_agg(id || ' ' || updated_at, ',') AS page FROM (");
    for (place, part) in parts.iter().enumerate() {
        query.push(if place == 0 {
            "SELECT * FROM ("
        } else {
            ") AS part UNION ALL SELECT * FROM ("
        });
        push_part(&mut query, part, sort, limit, words);
    }
    query.push(") AS part");
    push_order(&mut query, sort, &|key| key.as_sql().to_owned());
    query.push(" LIMIT ").push_bind(limit).push(") AS page");
    query
}

fn push_part(
    query: &mut Builder,
    part: &Part,
    sort: &[(SortKey, Direction)],
    limit: u32,
    words: &Words,
) {
    query.push("SELECT i.id, i.updated_at");
    for (key, _) in sort {
        if !matches!(key, SortKey::Id | SortKey::UpdatedAt) {
            query.push(", i.").push(key.as_sql());
        }
    }
    query.push(" FROM ");
    let driven_by = match part.path {
        AccessPath::Index(place, source) => {
            source.push_table(query, words);
            if source.table != Table::Images {
                // Its rows lead to images, which are looked up one by one in this order and no other.
                query.push(words.in_this_order).push("images i");
            }
            query.push(" WHERE ");
            part.conditions[place].push_driving(query, source);
            part.conditions[place].push_rest(query);
            if source.table != Table::Images {
                let (id, _) = source.table.id_and_age();
                query
                    .push(" AND i.id = ")
                    .push(id)
                    .push(" AND i.deleted_at IS NULL");
            }
            Some((place, source))
        }
        AccessPath::OrderedScan(index) => {
            query.push("images i").push((words.by_index)(index));
            query.push(" WHERE i.deleted_at IS NULL");
            None
        }
    };
    for (place, condition) in part.conditions.iter().enumerate() {
        if driven_by.is_none_or(|(driver, _)| driver != place) {
            query.push(" AND ");
            condition.push(query);
        }
    }
    // Tags, properties and members have the age of their image: in the default order their index is walked, and entered
    // behind the marker.
    let walked = driven_by
        .filter(|(_, source)| source.is_ordered && plan::is_default_order(sort))
        .map(|(_, source)| source.table.id_and_age());
    let names = |key: SortKey| match (walked, key) {
        (Some((_, age)), SortKey::CreatedAt) => age.to_owned(),
        (Some((id, _)), SortKey::Id) => id.to_owned(),
        (_, key) => format!("i.{}", key.as_sql()),
    };
    push_segment(query, &part.segment, sort, &names);
    push_order(query, sort, &names);
    query.push(" LIMIT ").push_bind(limit);
}

fn push_order(
    query: &mut Builder,
    sort: &[(SortKey, Direction)],
    names: &dyn Fn(SortKey) -> String,
) {
    query.push(" ORDER BY ");
    for (place, (key, direction)) in sort.iter().enumerate() {
        query.push(if place == 0 { "" } else { ", " });
        query.push(names(*key)).push(direction.as_sql());
    }
}

fn push_segment(
    query: &mut Builder,
    segment: &Segment,
    sort: &[(SortKey, Direction)],
    names: &dyn Fn(SortKey) -> String,
) {
    let first = || {
        sort.first()
            .map_or_else(String::new, |(key, _)| names(*key))
    };
    match segment {
        Segment::All => {}
        Segment::Behind(values) => {
            query.push(" AND ");
            push_behind(query, sort, values, names);
        }
        Segment::NullsBehind(values) => {
            query.push(" AND ").push(first()).push(" IS NULL AND ");
            push_behind(query, &sort[1..], &values[1..], names);
        }
        Segment::NotNull => drop(query.push(" AND ").push(first()).push(" IS NOT NULL")),
        Segment::Nulls => drop(query.push(" AND ").push(first()).push(" IS NULL")),
        Segment::Mixed(values) => push_mixed(query, sort, values, names),
    }
}

/// `(a, b, c) > (…)`, which an index on the keys can be entered at.
fn push_behind(
    query: &mut Builder,
    sort: &[(SortKey, Direction)],
    values: &[SortValue],
    names: &dyn Fn(SortKey) -> String,
) {
    let keys: Vec<String> = sort.iter().map(|(key, _)| names(*key)).collect();
    let is_ascending = sort
        .first()
        .is_some_and(|(_, d)| *d == Direction::Ascending);
    query.push("(").push(keys.join(", "));
    query.push(if is_ascending { ") > (" } else { ") < (" });
    for (place, value) in values.iter().enumerate() {
        query.push(if place == 0 { "" } else { ", " });
        value.push(query);
    }
    query.push(")");
}

/// Greater in the first key, or equal there and greater in the rest: each key is named twice, however many there are.
fn push_mixed(
    query: &mut Builder,
    sort: &[(SortKey, Direction)],
    values: &[SortValue],
    names: &dyn Fn(SortKey) -> String,
) {
    query.push(" AND ");
    let keys = sort.iter().zip(values);
    for (place, ((key, direction), value)) in keys.clone().enumerate() {
        query.push("(");
        let name = names(*key);
        match (direction, value.is_null()) {
            // Null is the lowest: everything else follows it going up, nothing going down.
            (Direction::Ascending, true) => drop(query.push(&name).push(" IS NOT NULL")),
            (Direction::Descending, true) => drop(query.push("FALSE")),
            (Direction::Ascending, false) => {
                query.push(&name).push(" > ");
                value.push(query);
            }
            (Direction::Descending, false) => {
                query
                    .push("(")
                    .push(&name)
                    .push(" IS NULL OR ")
                    .push(&name)
                    .push(" < ");
                value.push(query);
                query.push(")");
            }
        }
        if place + 1 < sort.len() {
            query
                .push(" OR (")
                .push(&name)
                .push(" IS NOT DISTINCT FROM ");
            value.push(query);
            query.push(" AND ");
        }
    }
    for place in 0..sort.len() {
        query.push(if place == 0 { ")" } else { "))" });
    }
}
