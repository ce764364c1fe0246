//! Shapes: the schemas of bodies. Records are those of `/v2/schemas/…`; what these documents leave open, since clients of
//! the Image API expect them just so, is closed here.

mod metadefs;
mod patches;
mod record;
mod site;

use serde_json::{Map, Value, json};

use super::{object, shape};
use crate::api::images::members::LONGEST_MEMBER;
use crate::api::schemas::image::image;
use crate::api::schemas::records;
use crate::api::schemas::{UUID, array, collection};
use crate::config::Images;
use crate::image::{INTEGER_MAX, NAME_MAX_CHARS};
use record::Record;

/// Every shape by its name, on a site that allows these formats.
pub(super) fn shapes(images: &Images) -> Value {
    let wanted = image_request(images);
    let groups = [
        texts(),
        patches::shapes(&wanted),
        of_images(images, wanted),
        of_members(),
        of_tasks(),
        metadefs::shapes(),
        site::shapes(),
    ];
    object(groups.into_iter().flatten())
}

type Shapes = Vec<(&'static str, Value)>;

fn texts() -> Shapes {
    let timestamp = json!({
        "description": "UTC, to the second.",
        "type": "string",
        "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$",
    });
    vec![
        ("Text", json!({"type": "string"})),
        ("Binary", json!({"type": "string", "format": "binary"})),
        ("Uuid", json!({"type": "string", "pattern": UUID})),
        ("Timestamp", timestamp),
    ]
}

/// An image with the limits of its numbers.
fn image_record(images: &Images) -> Record {
    let small = json!({"minimum": 0, "maximum": INTEGER_MAX});
    Record::of(
        "image",
        image(&images.disk_formats, &images.container_formats),
    )
    .also(&["min_disk", "min_ram"], &small)
    .also(&["size", "virtual_size"], &json!({"minimum": 0}))
}

/// What a new image may have. Copies of the data come by uploads only.
fn image_request(images: &Images) -> Record {
    image_record(images).without("locations").into_request()
}

fn of_images(images: &Images, wanted: Record) -> Shapes {
    let any_text = json!({"type": ["string", "null"]});
    let shown = image_record(images)
        .about("Any other key is an extra property.")
        // A record keeps a format that the site allows no longer.
        .with("disk_format", any_text.clone())
        .with("container_format", any_text)
        .with("locations", list("Location"))
        .also(&["tags"], &json!({"uniqueItems": true}))
        .into_answer(&["locations", "direct_url", "stores"]);
    let mut wanted = wanted
        .about("Any other key is an extra property and has a string.")
        .into_schema();
    wanted["propertyNames"] = json!({"minLength": 1, "maxLength": NAME_MAX_CHARS});
    let listed = page("images", "images", "Image").into_answer(&["next"]);
    let metadata = json!({"type": "object", "properties": {"store": {"type": "string"}}});
    let location = complete(json!({"url": {"type": "string"}, "metadata": metadata}));
    vec![
        ("ImageCreate", wanted),
        ("Image", shown),
        ("Images", listed),
        ("Location", location),
        ("Locations", list("Location")),
    ]
}

fn of_members() -> Shapes {
    let name = json!({"minLength": 1, "maxLength": LONGEST_MEMBER});
    let member = Record::of("member", records::member()).also(&["member_id"], &name);
    let listed = page("members", "members", "Member")
        .without("first")
        .without("next");
    vec![
        (
            "MemberCreate",
            complete(json!({"member": member.property("member_id")})),
        ),
        (
            "MemberUpdate",
            complete(json!({"status": member.property("status")})),
        ),
        ("Member", member.into_answer(&[])),
        ("Members", listed.into_answer(&[])),
    ]
}

/// The body of an import.
fn import() -> Value {
    let mut import = complete(json!({"method": complete(json!({
        "name": {"type": "string", "enum": ["glance-direct", "web-download", "copy-image"]},
    }))}));
    import["properties"]["method"]["properties"]["uri"] = json!({"type": "string"});
    let stores = json!({"type": "array", "minItems": 1, "items": {"type": "string"}});
    import["properties"]["stores"] = stores;
    for flag in ["all_stores", "all_stores_must_succeed"] {
        import["properties"][flag] = json!({"type": "boolean"});
    }
    import
}

fn of_tasks() -> Shapes {
    let task =
        |document| Record::of("task", document).with("owner", json!({"type": ["string", "null"]}));
    let (whole, item) = (task(records::task()), task(records::task_in_list()));
    // Rows as the reference service's database has them.
    let known = ["id", "type", "status"].map(|key| (key, item.property(key)));
    let rows = json!({"type": "array", "items": complete(object(known))});
    let not_always = ["expires_at", "image_id", "request_id", "user_id"];
    vec![
        ("TaskItem", item.into_answer(&not_always)),
        ("Task", whole.into_answer(&not_always)),
        (
            "Tasks",
            page("tasks", "tasks", "TaskItem").into_answer(&["next"]),
        ),
        ("ImageTasks", closed(json!({"tasks": rows}))),
        ("ImageImport", import()),
    ]
}

/// A list with its links, whose document stands at the path.
fn page(path: &str, key: &str, records: &str) -> Record {
    Record::of(path, collection(key, array(&shape(records)), &[]))
}

fn list(records: &str) -> Value {
    array(&shape(records))
}

/// An object that has all these properties, and perhaps others.
fn complete(properties: Value) -> Value {
    let required: Vec<&String> = properties
        .as_object()
        .into_iter()
        .flat_map(Map::keys)
        .collect();
    json!({"type": "object", "required": required, "properties": properties})
}

/// An object that has all these properties and no others.
fn closed(properties: Value) -> Value {
    let mut object = complete(properties);
    object["additionalProperties"] = false.into();
    object
}
