//! What can be found, and how it is told: a line for people, an object for programs.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::catalog::Counters;
use crate::image::{AttemptId, ImageId, StoreId};

/// Something that is not as it should be.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Finding {
    /// An object that no record, no upload and no row of the garbage list has.
    OrphanedObject {
        #[serde(flatten)]
        object: Object,
        /// Where its image stands; `None` for one that this catalog never had.
        image_status: Option<&'static str>,
    },
    /// A record whose object is not there.
    MissingObject(Copy),
    /// A record whose object has another size.
    WrongSize {
        #[serde(flatten)]
        copy: Copy,
        /// Bytes by the record.
        recorded: Option<u64>,
        /// Bytes by the store.
        found: u64,
    },
    /// A record whose object is another one by its ETag.
    WrongEtag {
        #[serde(flatten)]
        copy: Copy,
        /// By the record.
        recorded: Option<String>,
        /// By the store.
        found: Option<String>,
    },
    /// A record whose data has another digest.
    WrongDigest {
        #[serde(flatten)]
        copy: Copy,
        /// The attribute of the record.
        attribute: &'static str,
        /// What it says.
        recorded: String,
        /// What the bytes say.
        found: String,
    },
    /// An image that has data by its status and none by its record.
    NoLocation {
        image: ImageId,
        image_status: &'static str,
    },
    /// Records with data in a store that is not configured, so nobody can look.
    UnknownStore { store: StoreId, copies: u64 },
    /// A project that holds something else than its counters say.
    WrongUsage {
        /// Empty for what has no owner.
        project: String,
        recorded: Counters,
        counted: Counters,
    },
    /// An upload whose lease ran out long ago.
    AbandonedUpload {
        store: StoreId,
        key: String,
        image: ImageId,
        attempt: AttemptId,
        lapsed_seconds: u64,
    },
    /// An image in saving or uploading that neither an upload nor staged data is there for.
    StuckImage {
        image: ImageId,
        image_status: &'static str,
    },
    /// A multipart upload that no attempt has.
    OpenMultipart {
        #[serde(flatten)]
        object: Object,
        upload_id: String,
    },
}

/// An object, or what would become one.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Object {
    pub(super) store: StoreId,
    pub(super) key: String,
    /// Bytes; not known of what is still open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) size_bytes: Option<u64>,
    /// `None` when the store does not say.
    pub(super) age_seconds: Option<u64>,
    /// By the object's metadata, else by its key.
    pub(super) image: Option<String>,
    pub(super) attempt: Option<String>,
}

/// A copy of an image's data, as the record has it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Copy {
    pub(super) store: StoreId,
    pub(super) key: String,
    pub(super) image: ImageId,
    pub(super) image_status: &'static str,
}

/// Something that looks like a finding and is none.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Left {
    pub(super) reason: Reason,
    /// Whether it is a multipart upload and not an object.
    pub(super) is_open: bool,
    #[serde(flatten)]
    pub(super) object: Object,
}

/// Why something is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reason {
    /// It may be the work of this moment.
    Young,
    /// It is of an upload under way.
    UnderWay,
    /// It waits for an import.
    Staged,
    /// It stands on the garbage list and will go.
    Garbage,
    /// Its key is not of our making.
    Foreign,
}

impl Finding {
    /// The kind as the summary counts it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Finding::OrphanedObject { .. } => "orphaned_object",
            Finding::MissingObject(_) => "missing_object",
            Finding::WrongSize { .. } => "wrong_size",
            Finding::WrongEtag { .. } => "wrong_etag",
            Finding::WrongDigest { .. } => "wrong_digest",
            Finding::NoLocation { .. } => "no_location",
            Finding::UnknownStore { .. } => "unknown_store",
            Finding::WrongUsage { .. } => "wrong_usage",
            Finding::AbandonedUpload { .. } => "abandoned_upload",
            Finding::StuckImage { .. } => "stuck_image",
            Finding::OpenMultipart { .. } => "open_multipart",
        }
    }
}

impl Reason {
    /// The reason as the summary counts it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Reason::Young => "young",
            Reason::UnderWay => "under_way",
            Reason::Staged => "staged",
            Reason::Garbage => "garbage",
            Reason::Foreign => "foreign",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.kind())?;
        match self {
            Finding::OrphanedObject {
                object,
                image_status,
            } => {
                let image = image_status.unwrap_or("never in this catalog");
                write!(f, "{object}: no record has it; the image is {image}")
            }
            Finding::MissingObject(copy) => write!(f, "{copy}: the object is not there"),
            Finding::WrongSize {
                copy,
                recorded,
                found,
            } => {
                let recorded = recorded.map_or("no size".to_owned(), |n| format!("{n} bytes"));
                write!(f, "{copy}: {recorded} by the record, {found} in the store")
            }
            Finding::WrongEtag {
                copy,
                recorded,
                found,
            } => {
                let [recorded, found] =
                    [recorded, found].map(|etag| etag.as_deref().unwrap_or("none"));
                write!(
                    f,
                    "{copy}: ETag {recorded} by the record, {found} in the store"
                )
            }
            Finding::WrongDigest {
                copy,
                attribute,
                recorded,
                found,
            } => write!(
                f,
                "{copy}: {attribute} is {recorded} by the record, {found} by the bytes"
            ),
            Finding::NoLocation {
                image,
                image_status,
            } => write!(f, "image {image}: {image_status} without data"),
            Finding::UnknownStore { store, copies } => {
                write!(
                    f,
                    "store {store}: not configured, and records have {copies} objects in it"
                )
            }
            Finding::WrongUsage {
                project,
                recorded,
                counted,
            } => {
                let project = if project.is_empty() { "none" } else { project };
                write!(
                    f,
                    "project {project}: recorded {recorded}; counted {counted}"
                )
            }
            Finding::AbandonedUpload {
                store,
                key,
                image,
                attempt,
                lapsed_seconds,
            } => {
                let since = age(*lapsed_seconds);
                write!(
                    f,
                    "{store} {key}: image {image}, attempt {attempt}: nobody has worked on it for {since}"
                )
            }
            Finding::StuckImage {
                image,
                image_status,
            } => {
                write!(
                    f,
                    "image {image}: {image_status}, and no upload is there for it"
                )
            }
            Finding::OpenMultipart { object, upload_id } => {
                write!(
                    f,
                    "{object}: multipart upload {upload_id} is open and of no attempt"
                )
            }
        }
    }
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.is_open {
            "multipart upload"
        } else {
            "object"
        };
        write!(f, "{}: {what} {}", self.reason.as_str(), self.object)
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.store, self.key)?;
        if let Some(size) = self.size_bytes {
            write!(f, ": {size} bytes")?;
        }
        if let Some(seconds) = self.age_seconds {
            write!(f, ", {} old", age(seconds))?;
        }
        if let Some(image) = &self.image {
            write!(f, ", image {image}")?;
        }
        if let Some(attempt) = &self.attempt {
            write!(f, ", attempt {attempt}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Copy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Copy {
            store,
            key,
            image,
            image_status,
        } = self;
        write!(f, "{store} {key}: image {image} ({image_status})")
    }
}

impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counters {
            bytes,
            reserved,
            images,
            uploads,
            staged,
        } = self;
        write!(
            f,
            "{bytes} bytes, {reserved} reserved, {images} images, {uploads} uploads, {staged} bytes staged"
        )
    }
}

/// A time in the unit that says most.
fn age(seconds: u64) -> String {
    let units = [(86_400, "days"), (3600, "hours"), (60, "minutes")];
    let unit = units.into_iter().find(|(each, _)| seconds >= 2 * each);
    let (each, name) = unit.unwrap_or((1, "seconds"));
    format!("{} {name}", seconds / each)
}

/// Whole seconds.
pub(super) fn seconds(age: Option<Duration>) -> Option<u64> {
    age.map(|age| age.as_secs())
}
