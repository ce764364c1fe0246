//! The one writer of an image's status: always a compare-and-set, always within the table of `image/status.rs`.

use super::db::{Builder, Connection};
use super::rows::{self, signed};
use super::{Error, Result, now};
use crate::image::{DataFacts, ImageId, InvalidTransition, Status};

/// What becomes of the facts of the data with a change of status.
#[derive(Debug, Clone, Copy)]
pub(super) enum Facts<'a> {
    /// They stay.
    Kept,
    /// There is no data: size and its kin go (contract 2.6).
    Cleared,
    /// Data of so many bytes waits for an import, which tells the rest.
    Sized(u64),
    /// There is data, and these are its facts.
    Set(&'a DataFacts),
}

/// Takes an image from one status to another.
///
/// # Errors
/// [`Error::Transition`] when the table has no such step or the image is not in `from`; [`Error::Missing`] when it is gone.
pub(super) async fn change(
    tx: &mut Connection,
    id: &ImageId,
    from: Status,
    to: Status,
    facts: Facts<'_>,
) -> Result<()> {
    from.check_transition(to)?;
    write(tx, id, from, to, facts).await
}

/// Sets the facts of the data of an image that stays in its status.
///
/// # Errors
/// [`Error::Transition`] when the image is not in it; [`Error::Missing`] when it is gone.
pub(super) async fn set_facts(
    tx: &mut Connection,
    id: &ImageId,
    status: Status,
    facts: Facts<'_>,
) -> Result<()> {
    write(tx, id, status, status, facts).await
}

async fn write(
    tx: &mut Connection,
    id: &ImageId,
    from: Status,
    to: Status,
    facts: Facts<'_>,
) -> Result<()> {
    let now = now();
    let mut query = Builder::new("UPDATE images SET status = ");
    query.push_bind(to.as_str());
    // After the change before it, whatever the clock says; see `catalog::after`.
    query.push(", updated_at = CASE WHEN updated_at < ");
    query.push_bind(now).push(" THEN ").push_bind(now);
    query.push(" ELSE updated_at + 1 END");
    if to == Status::Deleted {
        query.push(", deleted_at = ").push_bind(now);
    }
    match facts {
        Facts::Kept => {}
        Facts::Cleared => drop(query.push(", size = NULL, virtual_size = NULL")),
        Facts::Sized(size) => drop(query.push(", size = ").push_bind(signed(size))),
        Facts::Set(facts) => {
            query.push(", size = ").push_bind(signed(facts.size));
            let virtual_size = facts.virtual_size.map(signed);
            query.push(", virtual_size = ").push_bind(virtual_size);
            query.push(", checksum = ").push_bind(&facts.checksum);
            query
                .push(", os_hash_algo = ")
                .push_bind(&facts.os_hash_algo);
            query
                .push(", os_hash_value = ")
                .push_bind(&facts.os_hash_value);
        }
    }
    query.push(" WHERE id = ").push_bind(id.as_str());
    query.push(" AND status = ").push_bind(from.as_str());
    if query.build().execute(tx).await? == 1 {
        return Ok(());
    }
    let present = rows::load(tx, id).await?.ok_or(Error::Missing)?.status;
    Err(InvalidTransition { from: present, to }.into())
}
