//! The body of `POST /v2/images`, checked in the order of contract 4.4.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{
    Image, ImageId, Micros, ProjectId, Status, Visibility, is_base_attribute, is_read_only,
    is_reserved,
};

const NAME_MAX_CHARS: usize = 255;
const INTEGER_MAX: i64 = i32::MAX as i64;

/// What the site allows in a new record.
#[derive(Debug, Clone, Copy)]
pub struct CreateRules<'a> {
    /// Names allowed for `disk_format`.
    pub disk_formats: &'a [String],
    /// Names allowed for `container_format`.
    pub container_formats: &'a [String],
    /// Most extra properties; `None` is no limit.
    pub property_quota: Option<u64>,
    /// Most tags; `None` is no limit.
    pub tag_quota: Option<u64>,
}

/// Why a body is refused, by what the client may do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The value does not fit the schema.
    Malformed,
    /// The attribute is not the client's to write, or the name is reserved.
    NotYours,
    /// Over a quota.
    TooMany,
}

/// A refused body: names the field and the rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InvalidImage {
    /// The class of the refusal.
    pub reason: Reason,
    /// A sentence for the client.
    pub message: String,
}

fn malformed(field: &str, rule: &str) -> InvalidImage {
    InvalidImage {
        reason: Reason::Malformed,
        message: format!("Invalid image: attribute '{field}' {rule}"),
    }
}

/// A checked body of `POST /v2/images`: what the client asked for, before policy has spoken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CreateRequest {
    /// The id the client chose, if any.
    pub id: Option<ImageId>,
    /// `None` when absent; `Some(None)` when null was asked for, which only administrators may.
    pub owner: Option<Option<ProjectId>>,
    /// Asked visibility; the default is shared.
    pub visibility: Visibility,
    name: Option<String>,
    protected: bool,
    os_hidden: bool,
    disk_format: Option<String>,
    container_format: Option<String>,
    min_disk: i64,
    min_ram: i64,
    tags: BTreeSet<String>,
    properties: BTreeMap<String, Option<String>>,
}

impl CreateRequest {
    /// Reads the JSON object of the request.
    ///
    /// # Errors
    /// [`InvalidImage`] with the first rule that is broken, in the contract's order.
    pub fn parse(body: &Map<String, Value>, rules: &CreateRules<'_>) -> Result<Self, InvalidImage> {
        for name in ["direct_url", "self", "file", "schema", "stores"] {
            if body.contains_key(name) {
                return Err(read_only(name));
            }
        }
        let mut request = Self::default();
        for (name, value) in body {
            request.take(name, value, rules)?;
        }
        for name in body.keys() {
            if is_reserved(name) {
                return Err(InvalidImage {
                    reason: Reason::NotYours,
                    message: format!("Attribute '{name}' is reserved."),
                });
            }
        }
        if let Some(name) = body.keys().find(|name| is_read_only(name)) {
            return Err(read_only(name));
        }
        over(
            "image_property_quota",
            "properties",
            request.properties.len(),
            rules.property_quota,
        )?;
        over(
            "image_tag_quota",
            "tags",
            request.tags.len(),
            rules.tag_quota,
        )?;
        Ok(request)
    }

    fn take(
        &mut self,
        name: &str,
        value: &Value,
        rules: &CreateRules<'_>,
    ) -> Result<(), InvalidImage> {
        match name {
            "id" => {
                let text = value
                    .as_str()
                    .ok_or_else(|| malformed(name, "must be a string"))?;
                self.id = Some(
                    text.parse()
                        .map_err(|e| malformed(name, &format!("is {e}")))?,
                );
            }
            "name" => self.name = nullable_text(name, value)?,
            "owner" => {
                self.owner = Some(nullable_text(name, value)?.map(|text| text.as_str().into()))
            }
            "visibility" => {
                self.visibility = value
                    .as_str()
                    .and_then(|text| text.parse().ok())
                    .ok_or_else(|| {
                        malformed(
                            name,
                            &format!(
                                "must be one of {}",
                                Visibility::ALL.map(Visibility::as_str).join(", ")
                            ),
                        )
                    })?;
            }
            "protected" => self.protected = boolean(name, value)?,
            "os_hidden" => self.os_hidden = boolean(name, value)?,
            "disk_format" => self.disk_format = one_of(name, value, rules.disk_formats)?,
            "container_format" => {
                self.container_format = one_of(name, value, rules.container_formats)?
            }
            "min_disk" => self.min_disk = small_integer(name, value)?,
            "min_ram" => self.min_ram = small_integer(name, value)?,
            "tags" => self.tags = tags(value)?,
            _ if is_base_attribute(name) || is_reserved(name) => {}
            _ => {
                self.properties
                    .insert(name.to_owned(), property(name, value)?);
            }
        }
        Ok(())
    }

    /// The new record, in status queued.
    pub fn into_image(self, id: ImageId, owner: Option<ProjectId>, now: Micros) -> Image {
        Image {
            id,
            name: self.name,
            status: Status::Queued,
            visibility: self.visibility,
            owner,
            protected: self.protected,
            os_hidden: self.os_hidden,
            disk_format: self.disk_format,
            container_format: self.container_format,
            min_disk: self.min_disk,
            min_ram: self.min_ram,
            size: None,
            virtual_size: None,
            checksum: None,
            os_hash_algo: None,
            os_hash_value: None,
            created_at: now,
            updated_at: now,
            tags: self.tags,
            properties: self.properties,
            locations: Vec::new(),
        }
    }
}

fn read_only(name: &str) -> InvalidImage {
    InvalidImage {
        reason: Reason::NotYours,
        message: format!("Attribute '{name}' is read-only."),
    }
}

fn over(
    quota_name: &str,
    things: &str,
    count: usize,
    quota: Option<u64>,
) -> Result<(), InvalidImage> {
    match quota {
        Some(quota) if count as u64 > quota => Err(InvalidImage {
            reason: Reason::TooMany,
            message: format!(
                "The limit has been exceeded on the number of allowed image {things} ({quota_name}). Attempted: {count}, Maximum: {quota}"
            ),
        }),
        _ => Ok(()),
    }
}

fn text(name: &str, value: &Value) -> Result<String, InvalidImage> {
    let text = value
        .as_str()
        .ok_or_else(|| malformed(name, "must be a string"))?;
    if text.chars().count() > NAME_MAX_CHARS {
        return Err(malformed(name, "must be at most 255 characters long"));
    }
    Ok(text.to_owned())
}

fn nullable_text(name: &str, value: &Value) -> Result<Option<String>, InvalidImage> {
    if value.is_null() {
        Ok(None)
    } else {
        text(name, value).map(Some)
    }
}

fn boolean(name: &str, value: &Value) -> Result<bool, InvalidImage> {
    value
        .as_bool()
        .ok_or_else(|| malformed(name, "must be true or false"))
}

fn one_of(name: &str, value: &Value, allowed: &[String]) -> Result<Option<String>, InvalidImage> {
    if value.is_null() {
        return Ok(None);
    }
    match value.as_str() {
        Some(text) if allowed.iter().any(|a| a == text) => Ok(Some(text.to_owned())),
        _ => Err(malformed(
            name,
            &format!("must be null or one of {}", allowed.join(", ")),
        )),
    }
}

/// 0 to 2^31-1. `5.0` is a valid JSON-schema integer, so it is one here.
fn small_integer(name: &str, value: &Value) -> Result<i64, InvalidImage> {
    let whole = value.as_i64().or_else(|| {
        value
            .as_f64()
            .filter(|f| f.fract() == 0.0 && f.abs() < 1e15)
            .map(|f| f as i64)
    });
    match whole {
        Some(n) if (0..=INTEGER_MAX).contains(&n) => Ok(n),
        _ => Err(malformed(name, "must be an integer from 0 to 2147483647")),
    }
}

fn tags(value: &Value) -> Result<BTreeSet<String>, InvalidImage> {
    let list = value
        .as_array()
        .ok_or_else(|| malformed("tags", "must be an array of strings"))?;
    list.iter().map(|tag| text("tags", tag)).collect()
}

fn property(name: &str, value: &Value) -> Result<Option<String>, InvalidImage> {
    if name.is_empty() || name.chars().count() > NAME_MAX_CHARS {
        return Err(malformed(name, "must have a name of 1 to 255 characters"));
    }
    let nullable_uuid = matches!(name, "kernel_id" | "ramdisk_id");
    if value.is_null() && nullable_uuid {
        return Ok(None);
    }
    let text = value
        .as_str()
        .ok_or_else(|| malformed(name, "must be a string"))?;
    if nullable_uuid && text.parse::<ImageId>().is_err() {
        return Err(malformed(name, "must be null or a UUID"));
    }
    if name == "cinder_encryption_key_deletion_policy"
        && !matches!(text, "on_image_deletion" | "do_not_delete")
    {
        return Err(malformed(
            name,
            "must be on_image_deletion or do_not_delete",
        ));
    }
    Ok(Some(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(body: Value) -> Result<CreateRequest, InvalidImage> {
        let (disk, container) = (["raw".to_owned(), "qcow2".to_owned()], ["bare".to_owned()]);
        let rules = CreateRules {
            disk_formats: &disk,
            container_formats: &container,
            property_quota: Some(2),
            tag_quota: Some(2),
        };
        CreateRequest::parse(body.as_object().expect("an object"), &rules)
    }

    #[test]
    fn an_empty_body_gives_the_defaults() {
        let image = parse(json!({}))
            .unwrap()
            .into_image(ImageId::random(), Some("p".into()), 7);
        assert_eq!(image.status, Status::Queued);
        assert_eq!(image.visibility, Visibility::Shared);
        assert_eq!((image.min_disk, image.min_ram, image.created_at), (0, 0, 7));
    }

    #[test]
    fn refusals_name_the_field_and_have_the_right_class() {
        let long = "x".repeat(256);
        for (body, reason, word) in [
            (json!({"name": 5}), Reason::Malformed, "'name'"),
            (json!({"name": long}), Reason::Malformed, "'name'"),
            (json!({"id": "nope"}), Reason::Malformed, "'id'"),
            (json!({"id": null}), Reason::Malformed, "'id'"),
            (
                json!({"visibility": "all"}),
                Reason::Malformed,
                "'visibility'",
            ),
            (
                json!({"protected": "true"}),
                Reason::Malformed,
                "'protected'",
            ),
            (
                json!({"disk_format": "floppy"}),
                Reason::Malformed,
                "'disk_format'",
            ),
            (
                json!({"container_format": 1}),
                Reason::Malformed,
                "'container_format'",
            ),
            (json!({"min_disk": -1}), Reason::Malformed, "'min_disk'"),
            (
                json!({"min_ram": 2_147_483_648_i64}),
                Reason::Malformed,
                "'min_ram'",
            ),
            (json!({"min_ram": null}), Reason::Malformed, "'min_ram'"),
            (json!({"min_ram": 1.5}), Reason::Malformed, "'min_ram'"),
            (json!({"tags": "a"}), Reason::Malformed, "'tags'"),
            (json!({"tags": [1]}), Reason::Malformed, "'tags'"),
            (json!({"tags": [long]}), Reason::Malformed, "'tags'"),
            (json!({"hw_cpu": 4}), Reason::Malformed, "'hw_cpu'"),
            (json!({"": "x"}), Reason::Malformed, "''"),
            (json!({"kernel_id": "x"}), Reason::Malformed, "'kernel_id'"),
            (
                json!({"status": "active"}),
                Reason::NotYours,
                "'status' is read-only",
            ),
            (
                json!({"stores": "x"}),
                Reason::NotYours,
                "'stores' is read-only",
            ),
            (
                json!({"os_hash_value": "x"}),
                Reason::NotYours,
                "'os_hash_value' is read-only",
            ),
            (
                json!({"locations": []}),
                Reason::NotYours,
                "'locations' is reserved",
            ),
            (
                json!({"os_glancex": "x"}),
                Reason::NotYours,
                "'os_glancex' is reserved",
            ),
            (
                json!({"a": "1", "b": "2", "c": "3"}),
                Reason::TooMany,
                "properties",
            ),
            (json!({"tags": ["a", "b", "c"]}), Reason::TooMany, "tags"),
        ] {
            let refusal = parse(body.clone()).expect_err(&body.to_string());
            assert_eq!(refusal.reason, reason, "{body}");
            assert!(
                refusal.message.contains(word),
                "{body}: {}",
                refusal.message
            );
        }
    }

    #[test]
    fn the_schema_is_checked_before_reserved_names() {
        assert_eq!(
            parse(json!({"locations": [], "name": 5}))
                .unwrap_err()
                .reason,
            Reason::Malformed
        );
        assert_eq!(
            parse(json!({"self": "x", "name": 5})).unwrap_err().reason,
            Reason::NotYours
        );
    }

    #[test]
    fn null_is_kept_where_the_contract_allows_it() {
        let request = parse(json!({"kernel_id": null, "name": null, "owner": null, "disk_format": null, "min_disk": 5.0})).unwrap();
        assert_eq!(request.owner, Some(None));
        let image = request.into_image(ImageId::random(), None, 0);
        assert_eq!(image.properties.get("kernel_id"), Some(&None));
        assert_eq!(image.min_disk, 5);
    }
}
