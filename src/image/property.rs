//! Which names a client may write (contract 4.2 and 4.4).

/// Attributes of every image that a client may give at creation.
const WRITABLE: [&str; 10] = [
    "id",
    "name",
    "visibility",
    "protected",
    "os_hidden",
    "owner",
    "disk_format",
    "container_format",
    "min_disk",
    "min_ram",
];

/// Attributes only the service writes. `os_hash_*` and `stores` are among them although Glance lets a property of that
/// name through (contract 4.2, shadowing).
const READ_ONLY: [&str; 13] = [
    "status",
    "size",
    "virtual_size",
    "checksum",
    "created_at",
    "updated_at",
    "os_hash_algo",
    "os_hash_value",
    "direct_url",
    "self",
    "file",
    "schema",
    "stores",
];

/// Names that are refused whatever their value.
const RESERVED: [&str; 4] = ["locations", "location", "deleted", "deleted_at"];

/// True for an attribute of its own column, as opposed to an extra property.
pub(crate) fn is_base_attribute(name: &str) -> bool {
    WRITABLE.contains(&name) || READ_ONLY.contains(&name) || name == "tags" || name == "locations"
}

/// True for an attribute that only the service writes: 403 "Attribute 'x' is read-only."
pub(crate) fn is_read_only(name: &str) -> bool {
    READ_ONLY.contains(&name)
}

/// True for a name that is never a property: 403 "Attribute 'x' is reserved." The prefix has no underscore on purpose.
pub(crate) fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name) || name.starts_with("os_glance")
}
