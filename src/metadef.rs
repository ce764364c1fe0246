//! Metadata definitions (contract 1.9): which properties, objects and tags a resource may carry, gathered in namespaces.
//!
//! The records, the rules their JSON keeps in requests and in definition files, and how they look on the wire. Without
//! I/O and without a clock. Nothing here is enforced on images: the definitions are for people and their dashboards.

pub mod builtin;
mod fields;
mod file;
mod namespace;
mod parts;
mod property;
mod view;

pub(crate) use fields::{COUNT_MAX, Invalid, Reason};
pub(crate) use file::{document, parse_file};
pub(crate) use namespace::{
    Attributes, Contents, Definition, LONGEST_DESCRIPTION, LONGEST_OWNER, Namespace,
    NamespaceVisibility,
};
pub(crate) use parts::{Association, Dated, Object, Part, Tag, parse_tags};
pub(crate) use property::{Holds, KEYS as PROPERTY_KEYS, Property, TYPES as PROPERTY_TYPES};
pub(crate) use view::{
    association_view, namespace_path, namespace_view, object_view, property_map, property_view,
    resource_type_view, tag_name_view, tag_view,
};

/// Longest name of a namespace or of a part of one, in characters.
pub(crate) const LONGEST_NAME: usize = 80;
