//! The query of `GET /v2/images`: filters, operators, sort keys, paging (contract 4.9).

mod isotime;

use crate::api::error::Error;
use crate::api::paging::{Pairs, bad, direction, limit, list};
use crate::catalog::{Audience, Comparison, Direction, Filter, NumberColumn, SortKey, TextColumn};
use crate::image::{ImageId, MemberStatus, Status};

/// What a list was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Query {
    pub(super) limit: Option<u32>,
    pub(super) marker: Option<String>,
    pub(super) audience: Audience,
    /// Which of the caller's shares count; `None` is all of them.
    pub(super) member_status: Option<MemberStatus>,
    pub(super) is_hidden: bool,
    pub(super) filters: Vec<Filter>,
    pub(super) sort: Vec<(SortKey, Direction)>,
    /// A filter that no image can pass, like an unknown status: an empty list, not an error.
    pub(super) matches_nothing: bool,
}

/// The sort part of a query while it is gathered.
#[derive(Default)]
struct Sorting {
    keys: Vec<SortKey>,
    directions: Vec<Direction>,
    joined: Option<Vec<(SortKey, Direction)>>,
}

/// A query while it is read.
#[derive(Default)]
struct Gathered {
    sorting: Sorting,
    /// Values behind `in:` so far.
    listed: usize,
}

impl Query {
    /// Reads the pairs of a query.
    ///
    /// # Errors
    /// 400 that names the parameter and the rule.
    pub(super) fn parse(pairs: &Pairs) -> Result<Self, Error> {
        let mut query = Query {
            limit: None,
            marker: None,
            audience: Audience::Default,
            member_status: Some(MemberStatus::Accepted),
            is_hidden: false,
            filters: Vec::new(),
            sort: Vec::new(),
            matches_nothing: false,
        };
        let mut gathered = Gathered::default();
        for (key, value) in pairs {
            query.take(key, value, &mut gathered)?;
        }
        query.sort = gathered.sorting.finish()?;
        Ok(query)
    }

    fn take(&mut self, key: &str, value: &str, gathered: &mut Gathered) -> Result<(), Error> {
        let sorting = &mut gathered.sorting;
        match key {
            "limit" => {
                if self.limit.replace(limit(key, value)?).is_some() {
                    return Err(bad(key, "is given twice"));
                }
            }
            "marker" => {
                if self.marker.replace(value.to_owned()).is_some() {
                    return Err(bad(key, "is given twice"));
                }
            }
            "sort_key" => {
                check_sort_keys(key, sorting.keys.len() + 1)?;
                sorting.keys.push(sort_key(key, value)?);
            }
            "sort_dir" => sorting.directions.push(direction(key, value)?),
            "sort" => sorting.joined = Some(joined_sort(key, value)?),
            "visibility" => match value {
                "all" => self.audience = Audience::All,
                "" => self.matches_nothing = true,
                word => {
                    let visibility = word.parse().map_err(|_| {
                        bad(key, "must be public, private, community, shared or all")
                    })?;
                    self.audience = Audience::Only(visibility);
                }
            },
            "member_status" => {
                self.member_status = match value {
                    "all" => None,
                    word => Some(
                        word.parse()
                            .map_err(|_| bad(key, "must be pending, accepted, rejected or all"))?,
                    ),
                };
            }
            "os_hidden" => {
                self.is_hidden = match value.to_ascii_lowercase().as_str() {
                    "true" => true,
                    "false" => false,
                    _ => return Err(bad(key, "must be true or false")),
                };
            }
            "protected" => {
                let is_protected = value
                    .parse()
                    .map_err(|_| bad(key, "must be true or false"))?;
                self.filters.push(Filter::Protected(is_protected));
            }
            "tag" => self.filters.push(Filter::Tag(value.to_owned())),
            "changes-since" => return Err(bad(key, "is not supported")),
            // A word of older APIs: without effect in the reference service.
            "deleted" => {}
            // Attributes that are no columns: an image has no such value.
            "locations" | "members" | "properties" => self.matches_nothing = true,
            _ => self.filter(key, value, &mut gathered.listed)?,
        }
        Ok(())
    }

    fn filter(&mut self, key: &str, value: &str, listed: &mut usize) -> Result<(), Error> {
        let mut words = |key: &str, value: &str| {
            let mut words = words(key, value)?;
            if key == "id" {
                words = words.into_iter().map(as_image_id).collect();
            }
            list(key, if words.len() > 1 { words.len() } else { 0 }, listed)?;
            Ok::<_, Error>(words)
        };
        let mut text = |column| Ok::<_, Error>(Filter::Text(column, words(key, value)?));
        let exact = |column| Filter::Text(column, vec![value.to_owned()]);
        let filter = match key {
            "name" => text(TextColumn::Name)?,
            "id" => text(TextColumn::Id)?,
            "container_format" => text(TextColumn::ContainerFormat)?,
            "disk_format" => text(TextColumn::DiskFormat)?,
            "status" => {
                let mut wanted = words(key, value)?;
                wanted.retain(|word| {
                    word.parse::<Status>()
                        .is_ok_and(|s| !matches!(s, Status::Deleted | Status::Killed))
                });
                self.matches_nothing |= wanted.is_empty();
                Filter::Text(TextColumn::Status, wanted)
            }
            "owner" => exact(TextColumn::Owner),
            "checksum" => exact(TextColumn::Checksum),
            "os_hash_algo" => exact(TextColumn::OsHashAlgo),
            "os_hash_value" => exact(TextColumn::OsHashValue),
            "created_at" => time_filter(key, NumberColumn::CreatedAt, value)?,
            "updated_at" => time_filter(key, NumberColumn::UpdatedAt, value)?,
            _ => match number_filter(key, value)? {
                NumberFilter::Some(filter) => filter,
                NumberFilter::Nonsense => {
                    self.matches_nothing = true;
                    return Ok(());
                }
                NumberFilter::None => Filter::Property(key.to_owned(), value.to_owned()),
            },
        };
        self.filters.push(filter);
        Ok(())
    }
}

impl Sorting {
    /// The full order: what was asked for, then `created_at` and `id`, so that it is total. A key counts once, where it
    /// is named first; a later one would never be looked at.
    fn finish(self) -> Result<Vec<(SortKey, Direction)>, Error> {
        let (named, rest) = match self.joined {
            Some(_) if !self.keys.is_empty() || !self.directions.is_empty() => {
                return Err(bad("sort", "cannot stand beside sort_key or sort_dir"));
            }
            Some(joined) => {
                let rest = match joined.as_slice() {
                    [(_, direction)] => *direction,
                    _ => Direction::Descending,
                };
                (joined, rest)
            }
            None => {
                let keys = if self.keys.is_empty() {
                    vec![SortKey::CreatedAt]
                } else {
                    self.keys
                };
                let (directions, rest) = match self.directions.as_slice() {
                    [] => (
                        vec![Direction::Descending; keys.len()],
                        Direction::Descending,
                    ),
                    [one] => (vec![*one; keys.len()], *one),
                    several if several.len() == keys.len() => {
                        (several.to_vec(), Direction::Descending)
                    }
                    _ => {
                        return Err(bad(
                            "sort_dir",
                            "must be given once, or once for each sort_key",
                        ));
                    }
                };
                (keys.into_iter().zip(directions).collect(), rest)
            }
        };
        let ties = [SortKey::CreatedAt, SortKey::Id].map(|key| (key, rest));
        let mut sort: Vec<(SortKey, Direction)> = Vec::with_capacity(SortKey::COUNT);
        for (key, direction) in named.into_iter().chain(ties) {
            if sort.iter().all(|(present, _)| *present != key) {
                sort.push((key, direction));
            }
        }
        Ok(sort)
    }
}

fn sort_key(key: &str, value: &str) -> Result<SortKey, Error> {
    SortKey::find(value).ok_or_else(|| {
        bad(key, "must be name, status, container_format, disk_format, size, id, created_at or updated_at")
    })
}

/// Refuses more keys than there are: some of them would be repeated.
fn check_sort_keys(key: &str, named: usize) -> Result<(), Error> {
    if named > SortKey::COUNT {
        let rule = format!("names too many keys: there are {}", SortKey::COUNT);
        return Err(bad(key, rule));
    }
    Ok(())
}

fn joined_sort(key: &str, value: &str) -> Result<Vec<(SortKey, Direction)>, Error> {
    check_sort_keys(key, value.split(',').count())?;
    value
        .split(',')
        .map(|part| match part.trim().split_once(':') {
            Some((name, dir)) => Ok((sort_key(key, name.trim())?, direction(key, dir.trim())?)),
            None => Ok((sort_key(key, part.trim())?, Direction::Descending)),
        })
        .collect()
}

/// `eq:v`, `in:a,"b,c"` or a plain value. Other words before a colon are part of the value: a name may well have one.
fn words(key: &str, value: &str) -> Result<Vec<String>, Error> {
    if let Some(value) = value.strip_prefix("eq:") {
        return Ok(vec![value.to_owned()]);
    }
    let Some(mut list) = value.strip_prefix("in:") else {
        return Ok(vec![value.to_owned()]);
    };
    let mut found = Vec::new();
    loop {
        let rest = if let Some(quoted) = list.strip_prefix('"') {
            let (word, rest) = quoted
                .split_once('"')
                .ok_or_else(|| bad(key, "has a quote that is not closed"))?;
            found.push(word.to_owned());
            rest
        } else {
            let end = list.find(',').unwrap_or(list.len());
            found.push(list[..end].to_owned());
            &list[end..]
        };
        match rest.strip_prefix(',') {
            Some(more) => list = more,
            None if rest.is_empty() => return Ok(found),
            None => return Err(bad(key, "has text after a closing quote")),
        }
    }
}

/// An id as images have it: in capitals it names the same image. What is no id stays as it is, and names none.
fn as_image_id(word: String) -> String {
    match word.parse::<ImageId>() {
        Ok(id) => id.as_str().to_owned(),
        Err(_) => word,
    }
}

fn time_filter(key: &str, column: NumberColumn, value: &str) -> Result<Filter, Error> {
    let operators = [
        ("eq:", Comparison::Equal),
        ("neq:", Comparison::NotEqual),
        ("lte:", Comparison::AtMost),
        ("lt:", Comparison::Less),
        ("gte:", Comparison::AtLeast),
        ("gt:", Comparison::Greater),
    ];
    let (comparison, text) = operators
        .into_iter()
        .find_map(|(word, comparison)| Some((comparison, value.strip_prefix(word)?)))
        .unwrap_or((Comparison::Equal, value));
    let at = isotime::parse(text).ok_or_else(|| {
        bad(
            key,
            "must be an ISO 8601 time, perhaps after gt:, gte:, eq:, neq:, lt: or lte:",
        )
    })?;
    Ok(Filter::Number(column, comparison, at))
}

enum NumberFilter {
    Some(Filter),
    /// Equality with something that is no number: no image has it.
    Nonsense,
    /// Not a number column: `hw_min` is a property like any other.
    None,
}

fn number_filter(key: &str, value: &str) -> Result<NumberFilter, Error> {
    let column = |name: &str| match name {
        "size" => Some(NumberColumn::Size),
        "virtual_size" => Some(NumberColumn::VirtualSize),
        "min_disk" => Some(NumberColumn::MinDisk),
        "min_ram" => Some(NumberColumn::MinRam),
        _ => None,
    };
    if let Some(column) = column(key) {
        return Ok(match value.parse() {
            Ok(number) => NumberFilter::Some(Filter::Number(column, Comparison::Equal, number)),
            Err(_) => NumberFilter::Nonsense,
        });
    }
    for (suffix, comparison) in [("_min", Comparison::AtLeast), ("_max", Comparison::AtMost)] {
        if let Some(column) = key.strip_suffix(suffix).and_then(column) {
            let number = value.parse().map_err(|_| bad(key, "must be an integer"))?;
            return Ok(NumberFilter::Some(Filter::Number(
                column, comparison, number,
            )));
        }
    }
    Ok(NumberFilter::None)
}

#[cfg(test)]
mod tests;
