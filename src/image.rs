//! The image record and its rules, without I/O and without a clock.
//!
//! A rule of the Image API that can be stated over values lives here: which status may follow which, who sees an
//! image, what a property may be called. What asks a database or a store does not.

mod attributes;
mod create;
mod denial;
mod id;
mod member;
mod patch;
mod property;
mod status;
mod view;
mod visibility;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub(crate) use attributes::{Attributes, INTEGER_MAX, InvalidImage, NAME_MAX_CHARS, Reason, Rules};
pub(crate) use create::CreateRequest;
pub(crate) use denial::Denial;
pub(crate) use id::{AttemptId, ImageId, ProjectId, StoreId};
pub(crate) use member::MemberStatus;
pub(crate) use patch::{Dialect, LocationChange, Patch};
pub(crate) use property::{is_base_attribute, is_read_only, is_reserved};
pub(crate) use status::{InvalidTransition, Status};
pub(crate) use view::{ImageView, LocationMetadata, LocationView, rfc3339};
pub(crate) use visibility::{Viewer, Visibility};

/// Microseconds since the Unix epoch, UTC. Shown to the second (contract 4.1), kept finer so that lists are stable.
pub(crate) type Micros = i64;

/// An image record as the catalog holds it (contract 4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Image {
    /// Chosen by the client or made at creation; never reused, also after deletion (OSSN-0075).
    pub id: ImageId,
    /// Free text, at most 255 characters; not unique.
    pub name: Option<String>,
    /// Where the image stands in its life cycle.
    pub status: Status,
    /// Who may see it.
    pub visibility: Visibility,
    /// The owning project; an image without an owner is administered by administrators alone.
    pub owner: Option<ProjectId>,
    /// Refuses deletion, also by administrators.
    pub protected: bool,
    /// Left out of the default list.
    pub os_hidden: bool,
    /// Format of the disk, one of the configured names; needed before an upload.
    pub disk_format: Option<String>,
    /// Format of the container, one of the configured names; needed before an upload.
    pub container_format: Option<String>,
    /// Smallest disk that boots the image, GB.
    pub min_disk: i64,
    /// Smallest memory that boots the image, MB.
    pub min_ram: i64,
    /// Bytes of image data; known once active.
    pub size: Option<u64>,
    /// Bytes of the disk inside the image, as its format says.
    pub virtual_size: Option<u64>,
    /// Hex MD5 of the data.
    pub checksum: Option<String>,
    /// Name of the algorithm of `os_hash_value`.
    pub os_hash_algo: Option<String>,
    /// Hex digest of the data.
    pub os_hash_value: Option<String>,
    /// When the record was made.
    pub created_at: Micros,
    /// When the record was last changed.
    pub updated_at: Micros,
    /// A set; shown in order, which is friendlier than Glance's arbitrary one.
    pub tags: BTreeSet<String>,
    /// Extra properties (contract 4.2). Only `kernel_id` and `ramdisk_id` may be null.
    pub properties: BTreeMap<String, Option<String>>,
    /// Where the data is; empty until the first upload has ended well.
    pub locations: Vec<Location>,
    /// The projects a shared image is shared with, whatever they have answered; empty for any other image. A page of
    /// images has only the caller's own project here.
    pub members: BTreeSet<ProjectId>,
}

impl Image {
    /// A record that says nothing yet.
    pub(crate) fn queued(id: ImageId, now: Micros) -> Self {
        Self {
            id,
            name: None,
            status: Status::Queued,
            visibility: Visibility::default(),
            owner: None,
            protected: false,
            os_hidden: false,
            disk_format: None,
            container_format: None,
            min_disk: 0,
            min_ram: 0,
            size: None,
            virtual_size: None,
            checksum: None,
            os_hash_algo: None,
            os_hash_value: None,
            created_at: now,
            updated_at: now,
            tags: BTreeSet::new(),
            properties: BTreeMap::new(),
            locations: Vec::new(),
            members: BTreeSet::new(),
        }
    }

    /// True when there is data to download.
    pub(crate) fn has_data(&self) -> bool {
        !self.locations.is_empty()
    }

    /// Bytes of what has no narrow bound of its own: properties with their names, tags, members.
    pub(crate) fn text_bytes(&self) -> u64 {
        let members = self.members.iter().map(|member| member.as_str().len());
        let rest = self.tags.iter().map(String::len).chain(members);
        properties_bytes(&self.properties) + rest.sum::<usize>() as u64
    }

    /// Names of the formats that still have to be set before data may be uploaded (contract 2.2, check 10).
    pub(crate) fn missing_formats(&self) -> Vec<&'static str> {
        let mut missing = Vec::new();
        if self.disk_format.is_none() {
            missing.push("disk_format");
        }
        if self.container_format.is_none() {
            missing.push("container_format");
        }
        missing
    }
}

/// Bytes of properties, names and values.
fn properties_bytes(properties: &BTreeMap<String, Option<String>>) -> u64 {
    let bytes = properties
        .iter()
        .map(|(name, value)| name.len() + value.as_ref().map_or(0, String::len));
    bytes.sum::<usize>() as u64
}

/// One copy of the image's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Location {
    /// The configured store that holds the object.
    pub store: StoreId,
    /// Key of the object, the store's prefix included.
    pub key: String,
    /// ETag the store gave; sent as If-Match so that a download never mixes two objects.
    pub etag: Option<String>,
}

/// What an upload found out about the data (contract 2.6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DataFacts {
    /// Bytes received.
    pub size: u64,
    /// Bytes of the disk inside, as its format says.
    pub virtual_size: Option<u64>,
    /// Hex MD5.
    pub checksum: String,
    /// Name of the algorithm of `os_hash_value`.
    pub os_hash_algo: String,
    /// Hex digest.
    pub os_hash_value: String,
}
