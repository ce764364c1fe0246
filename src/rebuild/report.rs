//! What is told of a rebuild: a line for people, an object for programs.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::Ours;
use crate::image::ImageId;
use crate::store::{ListedObject, Store};
use crate::transfer::Recovered;

/// Something to tell.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Line {
    /// An image has a record again.
    Recovered {
        image: ImageId,
        store: String,
        key: String,
        /// Bytes.
        size: u64,
        disk_format: &'static str,
        /// Why only administrators may download it: an upload of it would be refused.
        #[serde(skip_serializing_if = "Option::is_none")]
        deactivated_because: Option<String>,
    },
    /// An object of ours stays without a record.
    Left {
        store: String,
        key: String,
        reason: &'static str,
    },
    /// Something could not be done.
    Incomplete { what: String, error: String },
    /// The last line.
    Summary(Summary),
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Every object of ours has a record, or is told why not.
    Complete,
    /// Something could not be done; run it again.
    Incomplete,
}

/// Why no record is made of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// It has one.
    Recorded,
    Uploading,
    Staged,
    Garbage,
    OtherRecord,
    OtherImage,
    Older,
}

impl Reason {
    fn as_str(self) -> &'static str {
        match self {
            Reason::Recorded => "it has a record",
            Reason::Uploading => "its upload is under way",
            Reason::Staged => "it waits for an import",
            Reason::Garbage => "it is to be removed",
            Reason::OtherRecord => "its image has or had a record without it",
            Reason::OtherImage => "its metadata names another image",
            Reason::Older => "there is newer data of its image",
        }
    }
}

/// Counts.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Summary {
    /// Objects in the buckets.
    objects: u64,
    /// Of them, with keys that are not of our making.
    foreign: u64,
    /// With a record before.
    recorded: u64,
    /// With a record now.
    recovered: u64,
    /// Bytes of those.
    recovered_bytes: u64,
    /// Why others stay without, and how many.
    left: BTreeMap<&'static str, u64>,
    /// What could not be done.
    incomplete: u64,
}

/// Tells and counts.
pub(super) struct Report<'a> {
    tell: &'a mut dyn FnMut(&Line),
    summary: Summary,
}

impl<'a> Report<'a> {
    pub(super) fn new(tell: &'a mut dyn FnMut(&Line)) -> Self {
        Self {
            tell,
            summary: Summary::default(),
        }
    }

    pub(super) fn saw_object(&mut self) {
        self.summary.objects += 1;
    }

    pub(super) fn saw_foreign(&mut self) {
        self.summary.foreign += 1;
    }

    pub(super) fn recovered(&mut self, store: &Store, ours: &Ours, found: Recovered) {
        self.summary.recovered += 1;
        self.summary.recovered_bytes += found.facts.size;
        (self.tell)(&Line::Recovered {
            image: ours.image.clone(),
            store: store.name().to_owned(),
            key: ours.object.key.clone(),
            size: found.facts.size,
            disk_format: found.disk_format,
            deactivated_because: found.refusal,
        });
    }

    /// What has its record is only counted.
    pub(super) fn left(&mut self, store: &Store, object: &ListedObject, reason: Reason) {
        if reason == Reason::Recorded {
            self.summary.recorded += 1;
            return;
        }
        *self.summary.left.entry(reason.as_str()).or_default() += 1;
        (self.tell)(&Line::Left {
            store: store.name().to_owned(),
            key: object.key.clone(),
            reason: reason.as_str(),
        });
    }

    pub(super) fn incomplete(&mut self, what: String, error: anyhow::Error) {
        self.summary.incomplete += 1;
        let error = format!("{error:#}");
        (self.tell)(&Line::Incomplete { what, error });
    }

    /// Tells the summary.
    pub(super) fn end(self) -> Verdict {
        let verdict = match self.summary.incomplete {
            0 => Verdict::Complete,
            _ => Verdict::Incomplete,
        };
        (self.tell)(&Line::Summary(self.summary));
        verdict
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Line::Recovered {
                image,
                store,
                size,
                disk_format,
                deactivated_because,
                ..
            } => {
                write!(
                    f,
                    "image {image}: {size} bytes, {disk_format}, in store {store}"
                )?;
                match deactivated_because {
                    Some(why) => write!(f, "; deactivated: {why}"),
                    None => Ok(()),
                }
            }
            Line::Left { store, key, reason } => {
                write!(f, "left  {key} of store {store}: {reason}")
            }
            Line::Incomplete { what, error } => write!(f, "ERROR {what}: {error}"),
            Line::Summary(summary) => summary.fmt(f),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} objects: {} images recovered ({} bytes), {} had a record, {} are not of our making",
            self.objects, self.recovered, self.recovered_bytes, self.recorded, self.foreign
        )?;
        for (reason, count) in &self.left {
            write!(f, "; {count} left, {reason}")?;
        }
        match self.incomplete {
            0 => Ok(()),
            count => write!(f, "; {count} could not be done"),
        }
    }
}
