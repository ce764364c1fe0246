//! Examples of bodies: requests that work as they stand.

use serde_json::{Value, json};

use crate::api::images::update::V20;

/// The example of an operation's body, if it has one.
pub(super) fn of(id: &str, media_type: &str) -> Option<Value> {
    let example = match id {
        "create_image" => json!({
            "name": "debian-12",
            "disk_format": "raw",
            "container_format": "bare",
            "min_disk": 2,
            "tags": ["lts"],
            "os_distro": "debian",
        }),
        "update_image" if media_type == V20 => {
            json!([{"replace": "/name", "value": "debian-12.2"}])
        }
        "update_image" => json!([
            {"op": "replace", "path": "/name", "value": "debian-12.1"},
            {"op": "add", "path": "/os_version", "value": "12.1"},
        ]),
        "import_image" => json!({"method": {"name": "glance-direct"}}),
        "add_image_member" => json!({"member": "8989447062e04a818baf9e073fd04fa7"}),
        "update_image_member" => json!({"status": "accepted"}),
        "create_namespace" => namespace(),
        "update_namespace" => json!({
            "namespace": "Site::Hardware",
            "display_name": "Hardware of the site",
            "visibility": "public",
        }),
        "create_property" | "update_property" => json!({
            "name": "memory_mb",
            "title": "Memory",
            "type": "integer",
            "minimum": 1,
            "default": 1024,
        }),
        "create_object" | "update_object" => json!({
            "name": "Disk",
            "description": "The disk of a machine",
            "required": [],
            "properties": {
                "disk_bus": {"title": "Bus", "type": "string", "enum": ["scsi", "virtio"]},
            },
        }),
        "create_tags" => json!({"tags": [{"name": "cpu"}, {"name": "memory"}]}),
        "update_tag" => json!({"name": "network"}),
        "create_association" => json!({
            "name": "OS::Nova::Flavor",
            "prefix": "hw:",
            "properties_target": "extra_specs",
        }),
        _ => return None,
    };
    Some(example)
}

fn namespace() -> Value {
    json!({
        "namespace": "Site::Hardware",
        "display_name": "Hardware",
        "visibility": "public",
        "protected": false,
        "resource_type_associations": [{"name": "OS::Glance::Image", "prefix": "hw_"}],
        "properties": {"cpu_cores": {"title": "Cores", "type": "integer", "minimum": 1}},
        "objects": [{
            "name": "Firmware",
            "required": ["firmware_type"],
            "properties": {
                "firmware_type": {"title": "Firmware", "type": "string", "enum": ["bios", "uefi"]},
            },
        }],
        "tags": [{"name": "hardware"}],
    })
}
