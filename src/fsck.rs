//! `fsck`: bucket and catalog matched both ways, while servers go on.
//!
//! Two ordered streams are merged for each store: the keys of the bucket and the copies that records have there. What stands
//! in one alone is only a suspicion: pages are of different moments, and servers write in between. So each is looked at a
//! second time, alone, and in the order in which it can be told: *who has an object* is asked before the object is looked
//! at, since whoever gives one up has removed it before he forgets it; *what a record says* is read after its object was
//! looked at, since a record goes before its object. What is then still wrong has been so for all that time.
//!
//! Memory is bounded by the pages, whatever the sizes: nothing is gathered but a page of suspicions.
//!
//! What is done about a finding stands in `repair`, and each of those steps sees for itself that it still applies. Records
//! are never deleted. Neither is an object of an image that this catalog never had: that is a neighbour's, or the catalog
//! was restored from an older backup and the object is the only trace of its image.

mod counters;
mod finding;
mod merge;
mod multiparts;
mod objects;
mod records;
mod repair;
mod report;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::catalog::Catalog;
use crate::store::Store;
use crate::transfer::{ReadRate, Result, Transfers};

pub(crate) use report::{Line, Verdict};

use report::Report;

/// Rows and objects read at once; a store lists a thousand in one answer at most.
const PAGE: u16 = 500;

/// What is looked at.
pub(crate) struct Site {
    /// The records.
    pub catalog: Catalog,
    /// The stores, and what settles and removes.
    pub transfers: Arc<Transfers>,
}

/// What becomes of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// They are told.
    Report,
    /// And what would be done about them.
    Plan,
    /// And it is done.
    Repair,
}

/// What the caller wants.
pub(crate) struct Options {
    /// What becomes of findings.
    pub mode: Mode,
    /// Objects and open multipart uploads that are younger are left alone.
    pub min_age: Duration,
    /// Read the data as well, so many bytes a second.
    pub verify: Option<u64>,
    /// This store alone, with what belongs to it.
    pub store: Option<Arc<Store>>,
}

/// Looks at everything; each line is told as soon as it is known, the summary last.
pub(crate) async fn run(site: &Site, options: &Options, tell: &mut dyn FnMut(&Line)) -> Verdict {
    let mut check = Check {
        site,
        options,
        rate: options.verify.map(ReadRate::new),
        report: Report::new(tell),
    };
    let stores: Vec<_> = match &options.store {
        Some(store) => vec![Arc::clone(store)],
        None => site.transfers.stores().iter().map(Arc::clone).collect(),
    };
    for store in &stores {
        let done = check.objects(store).await;
        check.note(&format!("objects of store {}", store.name()), done);
        let done = check.multiparts(store).await;
        check.note(
            &format!("multipart uploads of store {}", store.name()),
            done,
        );
    }
    let done = check.uploads().await;
    check.note("uploads", done);
    // These belong to no store.
    if options.store.is_none() {
        let done = check.records().await;
        check.note("records", done);
        let done = check.counters().await;
        check.note("counters", done);
    }
    check.report.end()
}

/// A run.
struct Check<'a> {
    site: &'a Site,
    options: &'a Options,
    rate: Option<ReadRate>,
    report: Report<'a>,
}

impl Check<'_> {
    /// What could not be gone through to its end is told; the others go on.
    fn note(&mut self, what: &str, done: Result<()>) {
        if let Err(e) = done {
            self.report.incomplete(what, &e);
        }
    }

    /// True for what may be the work of this very moment, or of a neighbour with the same prefix.
    fn is_young(&self, age: Option<Duration>) -> bool {
        age.is_some_and(|age| age < self.options.min_age)
    }
}

/// How old something of that time is; of what lies in the future, by the clock of the store, nothing.
fn age_of(time: Option<SystemTime>) -> Option<Duration> {
    time.map(|time| SystemTime::now().duration_since(time).unwrap_or_default())
}
