//! The body of `POST /v2/images`, checked in the order of contract 4.4.

use serde_json::{Map, Value};

use super::attributes::malformed;
use super::{
    Attributes, Image, ImageId, InvalidImage, Micros, ProjectId, Rules, Status, Visibility,
    is_read_only, is_reserved,
};

/// A checked body of `POST /v2/images`: what the client asked for, before policy has spoken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CreateRequest {
    /// The id the client chose, if any.
    pub id: Option<ImageId>,
    /// `None` when absent; `Some(None)` when null was asked for, which only administrators may.
    pub owner: Option<Option<ProjectId>>,
    attributes: Attributes,
}

impl CreateRequest {
    /// Reads the JSON object of the request.
    ///
    /// # Errors
    /// [`InvalidImage`] with the first rule that is broken, in the contract's order.
    pub(crate) fn parse(
        body: &Map<String, Value>,
        rules: &Rules<'_>,
    ) -> Result<Self, InvalidImage> {
        for name in ["direct_url", "self", "file", "schema", "stores"] {
            if body.contains_key(name) {
                return Err(InvalidImage::read_only(name));
            }
        }
        let mut request = Self::default();
        for (name, value) in body {
            request.take(name, value, rules)?;
        }
        if let Some(name) = body.keys().find(|name| is_reserved(name)) {
            return Err(InvalidImage::reserved(name));
        }
        let is_ignored = |name: &str| matches!(name, "os_hash_algo" | "os_hash_value");
        let mut names = body.keys().filter(|name| !is_ignored(name));
        if let Some(name) = names.find(|name| is_read_only(name)) {
            return Err(InvalidImage::read_only(name));
        }
        request
            .attributes
            .check_quotas(&Attributes::default(), rules)?;
        Ok(request)
    }

    /// Asked visibility; the default is shared.
    pub(crate) fn visibility(&self) -> Visibility {
        self.attributes.visibility
    }

    fn take(&mut self, name: &str, value: &Value, rules: &Rules<'_>) -> Result<(), InvalidImage> {
        match name {
            "id" => {
                let text = value
                    .as_str()
                    .ok_or_else(|| malformed(name, "must be a string"))?;
                let id = text
                    .parse()
                    .map_err(|e| malformed(name, &format!("is {e}")))?;
                self.id = Some(id);
            }
            // Taken and without effect, as in the reference service: they are the data's, which is not there yet.
            "os_hash_algo" | "os_hash_value" => check_schema(name, value)?,
            // Refused by the caller, after everything has been held against the schema.
            _ if is_reserved(name) || is_read_only(name) => check_schema(name, value)?,
            _ => {
                self.attributes.set(name, value, rules)?;
                if name == "owner" {
                    self.owner = Some(self.attributes.owner.clone());
                }
            }
        }
        Ok(())
    }

    /// The new record, in status queued.
    pub(crate) fn into_image(self, id: ImageId, owner: Option<ProjectId>, now: Micros) -> Image {
        let mut image = Image::queued(id, now);
        self.attributes.write_to(&mut image);
        image.owner = owner;
        image
    }
}

/// Holds the value of an attribute that the client may not write against the schema: a value that does not fit is the
/// nearer fault.
fn check_schema(name: &str, value: &Value) -> Result<(), InvalidImage> {
    let text = value.as_str();
    let is_short = |most: usize| text.is_some_and(|text| text.chars().count() <= most);
    let (fits, rule) = match name {
        "size" | "virtual_size" => (
            value.is_null() || value.is_i64() || value.is_u64(),
            "must be null or an integer",
        ),
        "checksum" => (
            value.is_null() || is_short(32),
            "must be null or a string of at most 32 characters",
        ),
        "os_hash_algo" => (
            value.is_null() || is_short(64),
            "must be null or a string of at most 64 characters",
        ),
        "os_hash_value" => (
            value.is_null() || is_short(128),
            "must be null or a string of at most 128 characters",
        ),
        "status" => (
            text.is_some_and(|text| text.parse::<Status>().is_ok()),
            "must be the name of a status",
        ),
        "locations" => (value.is_array(), "must be an array"),
        _ => (text.is_some(), "must be a string"),
    };
    if fits {
        Ok(())
    } else {
        Err(malformed(name, rule))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::image::Reason;

    fn parse(body: Value) -> Result<CreateRequest, InvalidImage> {
        let (disk, container) = (["raw".to_owned(), "qcow2".to_owned()], ["bare".to_owned()]);
        let rules = Rules {
            disk_formats: &disk,
            container_formats: &container,
            property_quota: Some(2),
            properties_size: 64,
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
                json!({"os_hash_value": 5}),
                Reason::Malformed,
                "'os_hash_value'",
            ),
            (json!({"deleted": true}), Reason::Malformed, "'deleted'"),
            (
                json!({"deleted_at": null}),
                Reason::Malformed,
                "'deleted_at'",
            ),
            (json!({"location": 1}), Reason::Malformed, "'location'"),
            (json!({"locations": "x"}), Reason::Malformed, "'locations'"),
            (
                json!({"os_glance_x": 1}),
                Reason::Malformed,
                "'os_glance_x'",
            ),
            (json!({"size": "1"}), Reason::Malformed, "'size'"),
            (json!({"status": "new"}), Reason::Malformed, "'status'"),
            (
                json!({"deleted": "true"}),
                Reason::NotYours,
                "'deleted' is reserved",
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
