//! What the images of a list have in common, one condition at a time: how it is asked of a row, and which index finds the
//! rows that fulfil it.

use super::{Comparison, Filter, NumberColumn, TextColumn};
use crate::catalog::db::{Builder, Words};
use crate::image::{MemberStatus, Micros, ProjectId, Visibility};

const MICROS: Micros = 1_000_000;

/// Characters of a property's value that its index holds.
const VALUE_PREFIX: usize = 64;

/// One condition of a list.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Condition {
    /// A filter of the caller's.
    Filter(Filter),
    /// Hidden images.
    Hidden,
    /// The others.
    NotHidden,
    /// The owner is this project.
    OwnedBy(ProjectId),
    /// This visibility.
    Visible(Visibility),
    /// The visibility is shared. Most images' is, so no index helps.
    IsShared,
    /// Shared with the project, which has answered so.
    SharedWith(ProjectId, MemberStatus),
    /// The owner is not this project; there may be none.
    Foreign(ProjectId),
    /// Not a community image of another project.
    NoForeignCommunity(Option<ProjectId>),
}

/// Where the rows of a condition are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Source {
    /// The index to go through.
    pub(super) index: &'static str,
    /// The table it is of.
    pub(super) table: Table,
    /// Whether its rows come in the default order, by age.
    pub(super) is_ordered: bool,
}

/// Where an index leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    /// The images themselves, `i`.
    Images,
    /// Tags, `t`.
    Tags,
    /// Properties, `p`.
    Properties,
    /// Members, `m`.
    Members,
}

impl Table {
    /// The table with its short name.
    fn as_sql(self) -> &'static str {
        match self {
            Table::Images => "images i",
            Table::Tags => "image_tags t",
            Table::Properties => "image_properties p",
            Table::Members => "image_members m",
        }
    }

    /// The columns with the id and the age of the image.
    pub(super) fn id_and_age(self) -> (&'static str, &'static str) {
        match self {
            Table::Images => ("i.id", "i.created_at"),
            Table::Tags => ("t.image_id", "t.created_at"),
            Table::Properties => ("p.image_id", "p.created_at"),
            Table::Members => ("m.image_id", "m.image_created_at"),
        }
    }
}

impl Source {
    /// The table, gone through by the index.
    pub(super) fn push_table(self, query: &mut Builder, words: &Words) {
        query
            .push(self.table.as_sql())
            .push((words.by_index)(self.index));
    }
}

impl Condition {
    /// The index that finds its rows, for conditions that may be rare.
    pub(super) fn source(&self) -> Option<Source> {
        let images = |index, is_ordered| {
            Some(Source {
                index,
                table: Table::Images,
                is_ordered,
            })
        };
        match self {
            Condition::Filter(Filter::Text(column, values)) => {
                let one = values.len() == 1;
                match column {
                    TextColumn::Id => images("images_by_id", false),
                    TextColumn::Name => images("images_by_name", one),
                    TextColumn::Status => images("images_by_status", one),
                    TextColumn::ContainerFormat => images("images_by_container_format", one),
                    TextColumn::DiskFormat => images("images_by_disk_format", one),
                    TextColumn::Owner => images("images_by_owner", one),
                    TextColumn::Checksum => images("images_by_checksum", false),
                    TextColumn::OsHashValue => images("images_by_os_hash_value", false),
                    TextColumn::OsHashAlgo => None,
                }
            }
            Condition::Filter(Filter::Number(_, Comparison::NotEqual, _)) => None,
            Condition::Filter(Filter::Number(column, comparison, _)) => match column {
                NumberColumn::Size => images("images_by_size", *comparison == Comparison::Equal),
                NumberColumn::CreatedAt => images("images_by_created_at", true),
                NumberColumn::UpdatedAt => images("images_by_updated_at", false),
                NumberColumn::VirtualSize | NumberColumn::MinDisk | NumberColumn::MinRam => None,
            },
            Condition::Filter(Filter::Protected(true)) => images("images_protected", true),
            Condition::Filter(Filter::Protected(false)) => None,
            Condition::Filter(Filter::Tag(_)) => Some(Source {
                index: "image_tags_by_value",
                table: Table::Tags,
                is_ordered: true,
            }),
            Condition::Filter(Filter::Property(..)) => Some(Source {
                index: "image_properties_by_value",
                table: Table::Properties,
                is_ordered: true,
            }),
            Condition::Hidden => images("images_hidden", true),
            Condition::OwnedBy(_) => images("images_by_owner", true),
            Condition::Visible(_) => images("images_by_visibility", true),
            Condition::SharedWith(..) => Some(Source {
                index: "image_members_by_member",
                table: Table::Members,
                is_ordered: true,
            }),
            Condition::NotHidden
            | Condition::IsShared
            | Condition::Foreign(_)
            | Condition::NoForeignCommunity(_) => None,
        }
    }

    /// Asks it of the rows of the index that finds them, after `WHERE`. Partial indexes want their own condition said.
    pub(super) fn push_driving(&self, query: &mut Builder, source: Source) {
        if source.table == Table::Images {
            query.push("i.deleted_at IS NULL AND ");
        }
        self.push_of_source(query);
    }

    /// What the index does not know of its rows. Left out where they are counted: the index alone is quicker.
    pub(super) fn push_rest(&self, query: &mut Builder) {
        if let Condition::Filter(Filter::Property(_, value)) = self {
            query.push(" AND p.value = ").push_bind(value.clone());
        }
    }

    /// Asks it of the rows of its own table, after `WHERE` or `AND`.
    fn push_of_source(&self, query: &mut Builder) {
        match self {
            Condition::Filter(Filter::Tag(tag)) => {
                query.push("t.value = ").push_bind(tag.clone());
            }
            Condition::Filter(Filter::Property(name, value)) => {
                // What the index holds ends at a NUL as well: the database's functions on text do.
                let held = value.chars().take_while(|c| *c != '\0');
                let prefix: String = held.take(VALUE_PREFIX).collect();
                query.push("p.name = ").push_bind(name.clone());
                query
                    .push(" AND substr(p.value, 1, 64) = ")
                    .push_bind(prefix);
            }
            Condition::SharedWith(project, status) => {
                query
                    .push("m.member_id = ")
                    .push_bind(project.as_str().to_owned())
                    .push(" AND m.status = ")
                    .push_bind(status.as_str());
            }
            _ => self.push(query),
        }
    }

    /// Asks it of an image `i`, after `WHERE` or `AND`.
    pub(super) fn push(&self, query: &mut Builder) {
        match self {
            Condition::Filter(filter) => push_filter(query, filter),
            Condition::Hidden => drop(query.push("i.os_hidden = TRUE")),
            Condition::NotHidden => drop(query.push("i.os_hidden = FALSE")),
            Condition::IsShared => drop(query.push("i.visibility = 'shared'")),
            Condition::OwnedBy(project) => {
                query
                    .push("i.owner = ")
                    .push_bind(project.as_str().to_owned());
            }
            Condition::Visible(visibility) => {
                query.push("i.visibility = ").push_bind(visibility.as_str());
            }
            Condition::SharedWith(..) => {
                query.push("EXISTS (SELECT 1 FROM image_members m WHERE m.image_id = i.id AND ");
                self.push_of_source(query);
                query.push(")");
            }
            Condition::Foreign(project) => {
                query
                    .push("i.owner IS DISTINCT FROM ")
                    .push_bind(project.as_str().to_owned());
            }
            Condition::NoForeignCommunity(project) => {
                // An administrator without a project is at home with the images without an owner.
                query
                    .push("(i.visibility <> 'community' OR i.owner IS NOT DISTINCT FROM ")
                    .push_bind(project.as_ref().map(|project| project.as_str().to_owned()))
                    .push(")");
            }
        }
    }
}

fn push_filter(query: &mut Builder, filter: &Filter) {
    match filter {
        Filter::Text(column, values) => {
            query.push("i.").push(column.as_sql());
            if let [value] = values.as_slice() {
                query.push(" = ").push_bind(value.clone());
                return;
            }
            query.push(" IN (");
            query.push_list(values);
            query.push(")");
        }
        Filter::Number(column, comparison, value) => match column {
            NumberColumn::CreatedAt | NumberColumn::UpdatedAt => {
                push_seconds(query, column.as_sql(), *comparison, *value);
            }
            _ => {
                query.push("i.").push(column.as_sql());
                query.push(comparison.as_sql()).push_bind(*value);
            }
        },
        Filter::Protected(is_protected) => {
            // Written out: so the index of protected images applies.
            query.push(if *is_protected {
                "i.protected = TRUE"
            } else {
                "i.protected = FALSE"
            });
        }
        Filter::Tag(tag) => {
            query.push("EXISTS (SELECT 1 FROM image_tags t WHERE t.image_id = i.id AND t.value = ");
            query.push_bind(tag.clone()).push(")");
        }
        Filter::Property(name, value) => {
            query.push(
                "EXISTS (SELECT 1 FROM image_properties p WHERE p.image_id = i.id AND p.name = ",
            );
            query
                .push_bind(name.clone())
                .push(" AND p.value = ")
                .push_bind(value.clone())
                .push(")");
        }
    }
}

/// Times are kept finer than they are shown, and compared as they are shown: whole seconds. What they are compared with
/// may have a fraction, which no image's time equals.
fn push_seconds(query: &mut Builder, column: &'static str, comparison: Comparison, at: Micros) {
    let whole = at.div_euclid(MICROS).saturating_mul(MICROS);
    // Images of this second: none, when there is a fraction.
    let next = whole.saturating_add(MICROS);
    let first = if at == whole { whole } else { next };
    let mut half = |operator: &'static str, bound: i64| {
        query
            .push("i.")
            .push(column)
            .push(operator)
            .push_bind(bound);
    };
    match comparison {
        Comparison::Less => half(" < ", first),
        Comparison::AtMost => half(" < ", next),
        Comparison::Greater => half(" >= ", next),
        Comparison::AtLeast => half(" >= ", first),
        Comparison::Equal => {
            half(" >= ", first);
            query.push(" AND ");
            query.push("i.").push(column).push(" < ").push_bind(next);
        }
        Comparison::NotEqual => {
            query.push("(");
            query.push("i.").push(column).push(" < ").push_bind(first);
            query
                .push(" OR i.")
                .push(column)
                .push(" >= ")
                .push_bind(next);
            query.push(")");
        }
    }
}
