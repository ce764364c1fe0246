//! The schema of an image.

use serde_json::{Value, json};

use super::{UUID, fields};
use crate::image::{NAME_MAX_CHARS, Status, Visibility, is_read_only};

/// The document; the formats are those of the site, after null.
pub(in crate::api) fn image(disk_formats: &[String], container_formats: &[String]) -> Value {
    let mut properties = fields(record());
    properties.extend(fields(data(disk_formats, container_formats)));
    properties.extend(fields(well_known()));
    for (name, schema) in &mut properties {
        if let Some(schema) = schema.as_object_mut().filter(|_| is_read_only(name)) {
            // Behind the type, as in Glance's.
            schema.shift_insert(1, "readOnly".to_owned(), true.into());
        }
    }
    json!({
        "name": "image",
        "properties": properties,
        "additionalProperties": {"type": "string"},
        "links": [
            {"rel": "self", "href": "{self}"},
            {"rel": "enclosure", "href": "{file}"},
            {"rel": "describedby", "href": "{schema}"},
        ],
    })
}

fn record() -> Value {
    json!({
        "id": {
            "type": "string",
            "description": "Identifies the image",
            "pattern": UUID,
        },
        "name": {
            "type": ["null", "string"],
            "description": "A name for people; several images may have it",
            "maxLength": NAME_MAX_CHARS,
        },
        "status": {
            "type": "string",
            "description": "Where the image stands in its life cycle",
            "enum": Status::ALL.map(Status::as_str),
        },
        "visibility": {
            "type": "string",
            "description": "Who may see and use the image",
            "enum": Visibility::ALL.map(Visibility::as_str),
        },
        "protected": {
            "type": "boolean",
            "description": "Whether the image is kept from being deleted",
        },
        "os_hidden": {
            "type": "boolean",
            "description": "Whether lists leave the image out unless asked for hidden ones",
        },
        "checksum": {
            "type": ["null", "string"],
            "description": "MD5 of the image data, in hex",
            "maxLength": 32,
        },
        "os_hash_algo": {
            "type": ["null", "string"],
            "description": "The algorithm of os_hash_value",
            "maxLength": 64,
        },
        "os_hash_value": {
            "type": ["null", "string"],
            "description": "Digest of the image data, in hex",
            "maxLength": 128,
        },
        "owner": {
            "type": ["null", "string"],
            "description": "The project that owns the image",
            "maxLength": NAME_MAX_CHARS,
        },
    })
}

fn data(disk_formats: &[String], container_formats: &[String]) -> Value {
    let formats = |allowed: &[String]| -> Vec<Value> {
        let allowed = allowed.iter().map(|name| json!(name));
        std::iter::once(Value::Null).chain(allowed).collect()
    };
    json!({
        "size": {
            "type": ["null", "integer"],
            "description": "Bytes of the image data",
        },
        "virtual_size": {
            "type": ["null", "integer"],
            "description": "Bytes of the disk in the image",
        },
        "container_format": {
            "type": ["null", "string"],
            "description": "Container format",
            "enum": formats(container_formats),
        },
        "disk_format": {
            "type": ["null", "string"],
            "description": "Disk format",
            "enum": formats(disk_formats),
        },
        "created_at": {
            "type": "string",
            "description": "When the record was made",
        },
        "updated_at": {
            "type": "string",
            "description": "When the record was last changed",
        },
        "tags": {
            "type": "array",
            "description": "Tags",
            "items": {"type": "string", "maxLength": NAME_MAX_CHARS},
        },
        "direct_url": {
            "type": "string",
            "description": "Where the image data is, outside of this service",
        },
        "min_ram": {
            "type": "integer",
            "description": "MiB of memory that booting needs",
        },
        "min_disk": {
            "type": "integer",
            "description": "GiB of disk that booting needs",
        },
        "self": {
            "type": "string",
            "description": "Path of the record",
        },
        "file": {
            "type": "string",
            "description": "Path of the image data",
        },
        "stores": {
            "type": "string",
            "description": "The stores that hold the image data, with commas between",
        },
        "schema": {
            "type": "string",
            "description": "Path of this schema",
        },
        "locations": {
            "type": "array",
            "description": "Every copy of the image data",
            "items": {
                "type": "object",
                "properties": {
                    "url": {"type": "string", "maxLength": 255},
                    "metadata": {"type": "object"},
                    "validation_data": {
                        "description": "What the image data must be",
                        "type": "object",
                        "writeOnly": true,
                        "additionalProperties": false,
                        "properties": {
                            "checksum": {"type": "string", "minLength": 32, "maxLength": 32},
                            "os_hash_algo": {"type": "string", "maxLength": 64},
                            "os_hash_value": {"type": "string", "maxLength": 128},
                        },
                        "required": ["os_hash_algo", "os_hash_value"],
                    },
                },
                "required": ["url", "metadata"],
            },
        },
    })
}

/// Properties whose meaning other services know.
fn well_known() -> Value {
    json!({
        "kernel_id": {
            "type": ["null", "string"],
            "pattern": UUID,
            "description": "The image of the kernel to boot with",
            "is_base": false,
        },
        "ramdisk_id": {
            "type": ["null", "string"],
            "pattern": UUID,
            "description": "The image of the initial ramdisk to boot with",
            "is_base": false,
        },
        "instance_uuid": {
            "type": "string",
            "description": "The server this image was taken of",
            "is_base": false,
        },
        "architecture": {
            "type": "string",
            "description": "Processor architecture of the system in the image",
            "is_base": false,
        },
        "os_distro": {
            "type": "string",
            "description": "Short name of the operating system's distribution",
            "is_base": false,
        },
        "os_version": {
            "type": "string",
            "description": "Version of the operating system",
            "is_base": false,
        },
        "description": {
            "type": "string",
            "description": "What the image is for, in words for people",
            "is_base": false,
        },
        "cinder_encryption_key_id": {
            "type": "string",
            "description": "The key manager's id of the key of an encrypted volume",
            "is_base": false,
        },
        "cinder_encryption_key_deletion_policy": {
            "type": "string",
            "description": "Whether that key goes with the image",
            "enum": ["on_image_deletion", "do_not_delete"],
            "is_base": false,
        },
    })
}
