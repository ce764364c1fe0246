//! Parameters: of paths by their names, of queries and headers by the operation.

use serde_json::{Value, json};

use super::shape;
use crate::api::images::members::LONGEST_MEMBER;
use crate::catalog::{NamespaceSortKey, PartSortKey, SortKey, TaskSortKey};
use crate::image::{MemberStatus, NAME_MAX_CHARS, Visibility};
use crate::metadef::{LONGEST_NAME, NamespaceVisibility};
use crate::task::{TaskStatus, TaskType};

/// A time, perhaps after a comparison. More forms are read; days end with the 28th, so that every time of this one exists.
const TIME: &str = "^((gt|gte|eq|neq|lt|lte):)?[12][0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])\
    (T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](Z|[+-](0[0-9]|1[0-2]):00)?)?$";

const DIRECTIONS: [&str; 2] = ["asc", "desc"];

/// The names of a path's parameters.
pub(super) fn names(path: &str) -> impl Iterator<Item = &str> {
    let parts = path.split('/');
    parts.filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

/// The parameters of a path.
pub(super) fn of_path(path: &str) -> Vec<Value> {
    let (longest_tag, tag) = if path.starts_with("/v2/metadefs/") {
        (LONGEST_NAME, "The name of a tag.")
    } else {
        (NAME_MAX_CHARS, "A tag, in UTF-8.")
    };
    let parameter = |name| {
        let (schema, about) = match name {
            "image_id" => (shape("Uuid"), "The id of an image. A malformed one is 404."),
            "task_id" => (shape("Uuid"), "The id of a task."),
            "member_id" => (text(LONGEST_MEMBER), "The id of a project."),
            "store_id" => (text(NAME_MAX_CHARS), "The id of a store."),
            "namespace" => (text(LONGEST_NAME), "The name of a namespace."),
            "property" => (text(LONGEST_NAME), "The name of a property."),
            "object" => (text(LONGEST_NAME), "The name of an object."),
            "tag" => (text(longest_tag), tag),
            _ => (text(LONGEST_NAME), "The name of a resource type."),
        };
        json!({"name": name, "in": "path", "required": true, "description": about, "schema": schema})
    };
    names(path).map(parameter).collect()
}

/// Makes a function of each list: a line says where the parameter stands, its name, what it means and what it looks like.
macro_rules! parameters {
    ($($(#[$doc:meta])+ $list:ident { $($place:ident $name:literal $about:literal $schema:expr;)+ })+) => {
        $(
            $(#[$doc])+
            pub(super) fn $list() -> Vec<Value> {
                vec![$(json!({
                    "name": $name,
                    "in": stringify!($place),
                    "description": $about,
                    "schema": $schema,
                })),+]
            }
        )+
    };
}

parameters! {
    /// Of `list_images`; extra properties come besides.
    attributes {
        query "limit" "Entries on the page at most; the site has a limit of its own." count();
        query "marker" "The id of the last entry of the page before." shape("Uuid");
        query "sort_key" "What to sort by, first key first." several(one_of(&SortKey::ALL.map(SortKey::as_sql)));
        query "sort_dir" "One direction for all keys, or one for each." several(one_of(&DIRECTIONS));
        query "sort" "Keys with directions, `key:dir,key:dir`; not beside sort_key and sort_dir." sort();
        query "name" "The name. The value itself, `eq:value`, or a list `in:a,\"b,c\"`." any();
        query "status" "The status; a value or a list of them, as for name." like(&["active", "in:queued,active"]);
        query "id" "The id; a value or a list of them, as for name." any();
        query "disk_format" "The disk format; a value or a list of them, as for name." like(&["raw"]);
        query "container_format" "The container format; a value or a list of them, as for name." like(&["bare"]);
        query "visibility" "Only images of this visibility." or_all(&Visibility::ALL.map(Visibility::as_str));
        query "member_status" "Which images shared with the caller are listed."
            or_all(&MemberStatus::ALL.map(MemberStatus::as_str));
        query "owner" "Only what belongs to this project." any();
        query "tag" "Only images that have all these tags." several(any());
        query "os_hidden" "The hidden images instead of the others." truth();
        query "protected" "Only images that are protected, or not." truth();
        query "size_min" "At least this many bytes." number();
        query "size_max" "At most this many bytes." number();
        query "created_at"
            "An ISO 8601 time, UTC without an offset, perhaps after a comparison: `gte:2026-01-31T00:00:00Z`."
            pattern(TIME);
        query "updated_at" "As created_at." pattern(TIME);
    }
    /// Of `list_tasks`.
    task_list {
        query "limit" "Entries on the page at most; the site has a limit of its own." count();
        query "marker" "The id of the last entry of the page before." shape("Uuid");
        query "sort_key" "What to sort by." one_of(&TaskSortKey::ALL.map(TaskSortKey::as_sql));
        query "sort_dir" "In which direction." one_of(&DIRECTIONS);
        query "status" "Only tasks in this status." one_of(&TaskStatus::ALL.map(TaskStatus::as_str));
        query "type" "Only tasks of this type." one_of(&TaskType::ALL.map(TaskType::as_str));
        query "owner" "Only what belongs to this project." any();
    }
    /// Of `list_namespaces`.
    namespace_list {
        query "limit" "Entries on the page at most; the site has a limit of its own." count();
        query "marker" "The name of the last entry of the page before." text(LONGEST_NAME);
        query "sort_key" "What to sort by." one_of(&NamespaceSortKey::ALL.map(NamespaceSortKey::as_str));
        query "sort_dir" "In which direction." one_of(&DIRECTIONS);
        query "visibility" "Only namespaces of this visibility."
            one_of(&NamespaceVisibility::ALL.map(NamespaceVisibility::as_str));
        query "resource_types" "Only namespaces associated with one of these, separated by commas." any();
    }
    /// Of the lists of what is in a namespace.
    part_list {
        query "limit" "Entries on the page at most; without it all of them." count();
        query "marker" "The name of the last entry of the page before." text(LONGEST_NAME);
        query "sort_key" "What to sort by." one_of(&PartSortKey::ALL.map(PartSortKey::as_sql));
        query "sort_dir" "In which direction." one_of(&DIRECTIONS);
    }
    /// Of what shows names as they are on a resource.
    resource_type {
        query "resource_type" "Shows names with the prefix of this association." any();
    }
    /// Of `download_image_data`.
    download {
        query "prefer" "Stores to read from first, separated by commas." any();
        header "Range" "One range of bytes." pattern("^(bytes=([0-9]+-[0-9]*|-[0-9]+))?$");
        header "Content-Range" "An older form of Range, looked at without one."
            pattern("^bytes [0-9]+-[0-9]+/([0-9]+|[*])$");
        header "If-Match" "412 unless one of these ETags is the data's." any();
        header "If-None-Match" "304 if one of these ETags is the data's." any();
        header "If-Range" "The range holds only for data with this ETag." any();
    }
    /// Of `upload_image_data`.
    upload {
        header "X-OpenStack-Image-Size" "The size in bytes that is promised; 0 means unknown." pattern("^[0-9]{1,19}$");
        header "X-Image-Meta-Store" "The store that shall hold the data." any();
    }
    /// Of `import_image`.
    import {
        header "X-Image-Meta-Store" "The store that shall hold the data; not beside stores and all_stores." any();
    }
    /// Of `create_tags`.
    append {
        header "X-Openstack-Append" "`True`: the tags that are there stay." any();
    }
}

/// Of `list_images`.
pub(super) fn image_list() -> Vec<Value> {
    let mut parameters = attributes();
    parameters.push(json!({
        "name": "properties_by_name",
        "in": "query",
        "description": "Extra properties by their own names, as in `os_distro=debian`.",
        "style": "form",
        "explode": true,
        "schema": {
            "type": "object",
            "propertyNames": {
                "pattern": "^(hw|os|img)_[a-z]{2,20}$",
                "not": {"pattern": "^os_(hidden|hash|glance)"},
            },
            "additionalProperties": {"type": "string"},
        },
    }));
    parameters
}

fn any() -> Value {
    json!({"type": "string"})
}

fn like(examples: &[&str]) -> Value {
    json!({"type": "string", "examples": examples})
}

fn pattern(pattern: &str) -> Value {
    json!({"type": "string", "pattern": pattern})
}

/// A name of at most so many characters.
fn text(longest: usize) -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": longest})
}

fn one_of(words: &[&str]) -> Value {
    json!({"type": "string", "enum": words})
}

fn or_all(words: &[&str]) -> Value {
    one_of(&[words, &["all"]].concat())
}

fn sort() -> Value {
    let keys = SortKey::ALL.map(SortKey::as_sql).join("|");
    let pair = format!("({keys})(:(asc|desc))?");
    pattern(&format!("^{pair}(,{pair})*$"))
}

fn several(items: Value) -> Value {
    json!({"type": "array", "items": items})
}

fn truth() -> Value {
    json!({"type": "boolean"})
}

fn count() -> Value {
    json!({"type": "integer", "minimum": 0})
}

fn number() -> Value {
    json!({"type": "integer", "minimum": i64::MIN, "maximum": i64::MAX})
}
