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
    let patches = patches::shapes(&wanted);
    let shapes = texts().into_iter().chain(of_images(images, wanted));
    let shapes = shapes.chain(patches).chain(of_members_and_tasks());
    object(shapes.chain(metadefs::shapes()).chain(site::shapes()))
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
        // A record keeps a format that the site allows no longer.
        .with("disk_format", any_text.clone())
        .with("container_format", any_text)
        .also(&["tags"], &json!({"uniqueItems": true}))
        .with("locations", list("Location"));
    let mut wanted = wanted.into_schema();
    wanted["propertyNames"] = json!({"minLength": 1, "maxLength": NAME_MAX_CHARS});
    vec![
        ("ImageCreate", wanted),
        (
            "Image",
            shown.into_answer(&["locations", "direct_url", "stores"]),
        ),
        (
            "Images",
            page("images", "images", "Image").into_answer(&["next"]),
        ),
        ("Locations", list("Location")),
        (
            "Location",
            json!({
                "type": "object",
                "required": ["url", "metadata"],
                "properties": {
                    "url": {"type": "string"},
                    "metadata": {"type": "object", "properties": {"store": {"type": "string"}}},
                },
            }),
        ),
    ]
}

fn of_members_and_tasks() -> Shapes {
    let name = json!({"minLength": 1, "maxLength": LONGEST_MEMBER});
    let member = Record::of("member", records::member()).also(&["member_id"], &name);
    let status = &member.properties()["status"];
    let asked = |key: &str, schema: Value| json!({"type": "object", "required": [key], "properties": {key: schema}});
    let member_request = asked("member", member.properties()["member_id"].clone());
    let members = page("members", "members", "Member")
        .without("first")
        .without("next");
    let task =
        |document| Record::of("task", document).with("owner", json!({"type": ["string", "null"]}));
    let not_always = ["expires_at", "image_id", "request_id", "user_id"];
    let known = ["id", "type", "status"];
    let of_image = known.map(|key| (key, task(records::task_in_list()).properties()[key].clone()));
    vec![
        ("MemberCreate", member_request),
        ("MemberUpdate", asked("status", status.clone())),
        ("Member", member.into_answer(&[])),
        ("Members", members.into_answer(&[])),
        (
            "TaskItem",
            task(records::task_in_list()).into_answer(&not_always),
        ),
        ("Task", task(records::task()).into_answer(&not_always)),
        (
            "Tasks",
            page("tasks", "tasks", "TaskItem").into_answer(&["next"]),
        ),
        // Rows as the reference service's database has them.
        (
            "ImageTasks",
            closed(json!({
                "tasks": {
                    "type": "array",
                    "items": {"type": "object", "required": known, "properties": object(of_image)},
                },
            })),
        ),
    ]
}

/// A list with its links, whose document stands at the path.
fn page(path: &str, key: &str, records: &str) -> Record {
    Record::of(path, collection(key, array(&shape(records)), &[]))
}

fn list(records: &str) -> Value {
    array(&shape(records))
}

/// An object with these properties and no others.
fn closed(properties: Value) -> Value {
    let required: Vec<&String> = properties
        .as_object()
        .into_iter()
        .flat_map(Map::keys)
        .collect();
    json!({"type": "object", "required": required, "properties": properties, "additionalProperties": false})
}
