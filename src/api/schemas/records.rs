//! The schemas of members and tasks.

use serde_json::{Value, json};

use super::UUID;
use crate::image::MemberStatus;
use crate::task::{TaskStatus, TaskType};

/// A row of a member list.
pub(in crate::api) fn member() -> Value {
    json!({
        "name": "member",
        "properties": {
            "member_id": {"type": "string", "description": "The project the image is shared with"},
            "image_id": {"type": "string", "description": "The shared image", "pattern": UUID},
            "created_at": {"type": "string", "description": "When it was shared"},
            "updated_at": {"type": "string", "description": "When the project last answered"},
            "status": {
                "type": "string",
                "description": "What the project has answered",
                "enum": MemberStatus::ALL.map(MemberStatus::as_str),
            },
            "schema": {"readOnly": true, "type": "string"},
        },
        "additionalProperties": false,
    })
}

/// A task, whole.
pub(in crate::api) fn task() -> Value {
    with_properties(true)
}

/// A task as lists show it.
pub(in crate::api) fn task_in_list() -> Value {
    with_properties(false)
}

fn with_properties(is_whole: bool) -> Value {
    let mut task = json!({
        "name": "task",
        "properties": {
            "id": {"description": "Identifies the task", "pattern": UUID, "type": "string"},
            "type": {
                "description": "What the task does",
                "enum": TaskType::ALL.map(TaskType::as_str),
                "type": "string",
            },
            "status": {
                "description": "How far it is",
                "enum": TaskStatus::ALL.map(TaskStatus::as_str),
                "type": "string",
            },
            "input": {"description": "What it was told", "type": ["null", "object"]},
            "result": {"description": "What it has found or made", "type": ["null", "object"]},
            "owner": {"description": "The project it works for", "type": "string"},
            "message": {"description": "How it ended, in words", "type": "string"},
            "image_id": {"description": "The image it works on", "type": "string"},
            "request_id": {"description": "The request that asked for it", "type": "string"},
            "user_id": {"description": "The user who asked for it", "type": "string"},
            "expires_at": {
                "description": "When its record will be removed",
                "type": ["null", "string"],
            },
            "created_at": {"description": "When it was asked for", "type": "string"},
            "updated_at": {"description": "When its record last changed", "type": "string"},
            "self": {"readOnly": true, "type": "string"},
            "schema": {"readOnly": true, "type": "string"},
        },
        "additionalProperties": false,
    });
    if !is_whole && let Some(properties) = task["properties"].as_object_mut() {
        for name in ["input", "result", "message"] {
            properties.shift_remove(name);
        }
    }
    task
}
