//! What the databases say each in its own way; everything else is SQL that all of them take.

/// The words of one database.
pub(in crate::catalog) struct Words {
    /// Joins two tables so that the first is gone through and the second looked up, and not the other way round.
    pub(in crate::catalog) in_this_order: &'static str,
    /// After a table's name, says which index it is gone through by. Lists count before they choose, and know better than a
    /// planner whose statistics are old or missing.
    pub(in crate::catalog) by_index: fn(&str) -> String,
    /// The function that makes a JSON array of its arguments.
    pub(in crate::catalog) json_array: &'static str,
    /// A JSON array of an expression's values in all rows, empty without a row.
    pub(in crate::catalog) json_of_rows: fn(&str) -> String,
    /// The time of day by the database's clock, microseconds since the Unix epoch.
    pub(in crate::catalog) now: &'static str,
    /// At the end of a query, holds its rows for this transaction; empty where there is one writer anyway.
    pub(in crate::catalog) locking: &'static str,
    /// The same, and leaves out those that another transaction holds.
    pub(in crate::catalog) skipping_locked: &'static str,
    /// A write that leaves nothing behind.
    pub(super) write_sign: &'static str,
}

#[cfg(test)]
impl Words {
    pub(in crate::catalog) fn of_sqlite() -> &'static Self {
        &super::sqlite::WORDS
    }
}
