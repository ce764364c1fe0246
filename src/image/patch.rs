//! The body of `PATCH /v2/images/{id}` (contract 4.5): a subset of JSON Patch in two dialects, checked whole and then
//! applied to the attributes a client may write.

mod locations;

use serde_json::{Map, Value};

pub(crate) use locations::LocationChange;

use super::attributes::malformed;
use super::{
    Attributes, Image, InvalidImage, Reason, Rules, Status, is_base_attribute, is_read_only,
    is_reserved,
};

/// Which media type the body has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// `application/openstack-images-v2.0-json-patch`: `{"add": "/p", "value": …}`, and adding what exists is a conflict.
    V20,
    /// `application/openstack-images-v2.1-json-patch`: `{"op": "add", "path": "/p", "value": …}`.
    V21,
}

/// The reference service takes a patch for this name as one of a property, and then shows the attribute in its place. So
/// adding it is accepted and has no effect, and there is never one to replace or remove.
const STORES: &str = "stores";

#[derive(Debug, Clone, PartialEq, Eq)]
enum Operation {
    Add(String, Value),
    Replace(String, Value),
    Remove(String),
    Locations(LocationChange),
}

impl Operation {
    fn name(&self) -> &str {
        match self {
            Operation::Add(name, _) | Operation::Replace(name, _) | Operation::Remove(name) => name,
            Operation::Locations(_) => "locations",
        }
    }
}

/// A body that is well formed; what it means for an image is seen by [`Patch::apply`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Patch {
    dialect: Dialect,
    operations: Vec<Operation>,
}

fn syntax(place: usize, rule: impl std::fmt::Display) -> InvalidImage {
    InvalidImage::new(
        Reason::Malformed,
        format!("Operation {place} of the patch {rule}"),
    )
}

impl Patch {
    /// Reads the JSON of the request.
    ///
    /// # Errors
    /// [`Reason::Malformed`] for the syntax, [`Reason::NotYours`] for read-only and reserved names.
    pub(crate) fn parse(body: &Value, dialect: Dialect) -> Result<Self, InvalidImage> {
        let list = body.as_array().ok_or_else(|| {
            InvalidImage::new(
                Reason::Malformed,
                "The request body must be an array of operations",
            )
        })?;
        let operations = list
            .iter()
            .enumerate()
            .map(|(place, item)| {
                let item = item
                    .as_object()
                    .ok_or_else(|| syntax(place, "must be an object"))?;
                operation(place, item, dialect)
            })
            .collect::<Result<Vec<_>, _>>()?;
        for operation in &operations {
            let name = operation.name();
            if matches!(operation, Operation::Locations(_)) {
                continue;
            }
            if is_reserved(name) {
                return Err(InvalidImage::reserved(name));
            }
            if name == "id" || (is_read_only(name) && name != STORES) {
                return Err(InvalidImage::read_only(name));
            }
        }
        Ok(Self {
            dialect,
            operations,
        })
    }

    /// What the operations are about.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.operations.iter().map(Operation::name)
    }

    /// What is asked of the locations, which are no attribute that clients write.
    pub(crate) fn location_changes(&self) -> impl Iterator<Item = &LocationChange> {
        self.operations
            .iter()
            .filter_map(|operation| match operation {
                Operation::Locations(change) => Some(change),
                Operation::Add(..) | Operation::Replace(..) | Operation::Remove(_) => None,
            })
    }

    /// True when some operation is about this attribute.
    pub(crate) fn touches(&self, name: &str) -> bool {
        self.operations
            .iter()
            .any(|operation| operation.name() == name)
    }

    /// The image's attributes after all operations, or the first refusal; the image itself is not changed.
    ///
    /// # Errors
    /// [`InvalidImage`] of every class.
    pub(crate) fn apply(
        &self,
        image: &Image,
        rules: &Rules<'_>,
    ) -> Result<Attributes, InvalidImage> {
        let before = Attributes::of(image);
        let mut after = before.clone();
        for operation in &self.operations {
            let name = operation.name();
            let formats_are_fixed = !matches!(image.status, Status::Queued | Status::Importing);
            if formats_are_fixed && matches!(name, "disk_format" | "container_format") {
                return Err(InvalidImage::new(
                    Reason::NotYours,
                    format!(
                        "Attribute '{name}' can only be changed while the image is queued or importing."
                    ),
                ));
            }
            let exists =
                name != STORES && (is_base_attribute(name) || after.properties.contains_key(name));
            match operation {
                Operation::Locations(_) => {}
                Operation::Add(_, value) if name == STORES => {
                    if !value.is_string() {
                        return Err(malformed(name, "must be a string"));
                    }
                }
                Operation::Add(_, value) => {
                    if exists && self.dialect == Dialect::V20 {
                        return Err(conflict(format!("Property {name} already present.")));
                    }
                    after.set(name, value, rules)?;
                }
                Operation::Replace(_, value) => {
                    if !exists {
                        return Err(absent(name));
                    }
                    after.set(name, value, rules)?;
                }
                Operation::Remove(_) if exists && is_base_attribute(name) => {
                    return Err(InvalidImage::new(
                        Reason::NotYours,
                        format!("Property {name} may not be removed."),
                    ));
                }
                Operation::Remove(_) => {
                    after.properties.remove(name).ok_or_else(|| absent(name))?;
                }
            }
        }
        after.check_quotas(&before, rules)?;
        Ok(after)
    }
}

fn conflict(message: String) -> InvalidImage {
    InvalidImage::new(Reason::Conflict, message)
}

fn absent(name: &str) -> InvalidImage {
    conflict(format!("Property {name} does not exist."))
}

fn operation(
    place: usize,
    item: &Map<String, Value>,
    dialect: Dialect,
) -> Result<Operation, InvalidImage> {
    let text = |key: &str| item.get(key).and_then(Value::as_str);
    let (kind, path) = match dialect {
        Dialect::V21 => {
            let kind = text("op").ok_or_else(|| syntax(place, "must have an 'op'"))?;
            (kind, text("path"))
        }
        Dialect::V20 => {
            let mut kinds = ["add", "replace", "remove"]
                .into_iter()
                .filter(|kind| item.contains_key(*kind));
            match (kinds.next(), kinds.next()) {
                (Some(kind), None) => (kind, text(kind)),
                _ => {
                    return Err(syntax(
                        place,
                        "must be exactly one of add, replace and remove",
                    ));
                }
            }
        }
    };
    let path = path.ok_or_else(|| syntax(place, "must have a path that is a string"))?;
    if let Some(change) = locations::parse(kind, path, item.get("value")) {
        return change.map(Operation::Locations);
    }
    let name = attribute_of(place, path)?;
    let value = || {
        item.get("value")
            .cloned()
            .ok_or_else(|| syntax(place, "must have a 'value'"))
    };
    match kind {
        "add" => Ok(Operation::Add(name, value()?)),
        "replace" => Ok(Operation::Replace(name, value()?)),
        "remove" => Ok(Operation::Remove(name)),
        _ => Err(syntax(place, "must be add, replace or remove")),
    }
}

/// The one segment of a JSON pointer, decoded (RFC 6901).
fn attribute_of(place: usize, path: &str) -> Result<String, InvalidImage> {
    let name = path
        .strip_prefix('/')
        .ok_or_else(|| syntax(place, "must have a path that begins with '/'"))?;
    if name.contains('/') {
        return Err(syntax(
            place,
            "must have a path of one segment without a trailing '/'",
        ));
    }
    let mut decoded = String::with_capacity(name.len());
    let mut rest = name.trim().chars();
    while let Some(c) = rest.next() {
        decoded.push(match (c, c == '~') {
            (_, true) => match rest.next() {
                Some('0') => '~',
                Some('1') => '/',
                _ => return Err(syntax(place, "must escape '~' as '~0' and '/' as '~1'")),
            },
            (c, false) => c,
        });
    }
    if decoded.is_empty() {
        return Err(syntax(place, "must have a path that names an attribute"));
    }
    Ok(decoded)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::image::{CreateRequest, ImageId};

    fn image() -> Image {
        let mut image = CreateRequest::default().into_image(ImageId::random(), None, 0);
        image
            .properties
            .insert("os_distro".into(), Some("debian".into()));
        image
    }

    fn patch(image: &Image, dialect: Dialect, body: Value) -> Result<Attributes, InvalidImage> {
        let (disk, container) = (["raw".to_owned()], ["bare".to_owned()]);
        let rules = Rules {
            disk_formats: &disk,
            container_formats: &container,
            property_quota: Some(2),
            properties_size: 64,
            tag_quota: Some(2),
        };
        Patch::parse(&body, dialect)?.apply(image, &rules)
    }

    #[test]
    fn both_dialects_say_the_same() {
        let new = patch(
            &image(),
            Dialect::V21,
            json!([
                {"op": "replace", "path": "/name", "value": "n"},
                {"op": "add", "path": "/a~1b", "value": "v"},
                {"op": "remove", "path": "/os_distro"},
                {"op": "add", "path": "/protected", "value": true},
            ]),
        );
        let old = patch(
            &image(),
            Dialect::V20,
            json!([
                {"replace": "/name", "value": "n"},
                {"add": "/a~1b", "value": "v"},
                {"remove": "/os_distro"},
                {"replace": "/protected", "value": true},
            ]),
        );
        assert_eq!(new, old);
        let after = new.unwrap();
        assert_eq!(after.properties.get("a/b"), Some(&Some("v".to_owned())));
        assert!(after.protected && !after.properties.contains_key("os_distro"));
    }

    #[test]
    fn an_empty_patch_changes_nothing() {
        assert_eq!(
            patch(&image(), Dialect::V21, json!([])),
            Ok(Attributes::of(&image()))
        );
    }

    #[test]
    fn refusals_have_the_right_class() {
        use Reason::{Conflict, Malformed, NotYours, TooMany};
        for (body, reason) in [
            (json!({}), Malformed),
            (json!([1]), Malformed),
            (
                json!([{"op": "test", "path": "/name", "value": "x"}]),
                Malformed,
            ),
            (json!([{"op": "add", "path": "/name"}]), Malformed),
            (
                json!([{"op": "add", "path": "name", "value": "x"}]),
                Malformed,
            ),
            (json!([{"op": "add", "path": "/", "value": "x"}]), Malformed),
            (
                json!([{"op": "add", "path": "/a/", "value": "x"}]),
                Malformed,
            ),
            (
                json!([{"op": "add", "path": "/a//b", "value": "x"}]),
                Malformed,
            ),
            (
                json!([{"op": "add", "path": "/tags/-", "value": "x"}]),
                Malformed,
            ),
            (
                json!([{"op": "add", "path": "/a~2", "value": "x"}]),
                Malformed,
            ),
            (
                json!([{"op": "add", "path": "/min_ram", "value": -1}]),
                Malformed,
            ),
            (
                json!([{"op": "add", "path": "/hw_cpu", "value": 4}]),
                Malformed,
            ),
            (
                json!([{"op": "replace", "path": "/status", "value": "active"}]),
                NotYours,
            ),
            (
                json!([{"op": "replace", "path": "/id", "value": "x"}]),
                NotYours,
            ),
            (
                json!([{"op": "replace", "path": "/stores", "value": "x"}]),
                Conflict,
            ),
            (
                json!([{"op": "add", "path": "/os_glance_x", "value": "x"}]),
                NotYours,
            ),
            (json!([{"op": "remove", "path": "/name"}]), NotYours),
            (json!([{"op": "remove", "path": "/tags"}]), NotYours),
            (
                json!([{"op": "replace", "path": "/absent", "value": "x"}]),
                Conflict,
            ),
            (json!([{"op": "remove", "path": "/absent"}]), Conflict),
            (
                json!([{"op": "add", "path": "/tags", "value": ["a", "b", "c"]}]),
                TooMany,
            ),
        ] {
            let refused = patch(&image(), Dialect::V21, body.clone()).expect_err(&body.to_string());
            assert_eq!(refused.reason, reason, "{body}: {refused}");
        }
        let again = patch(
            &image(),
            Dialect::V20,
            json!([{"add": "/os_distro", "value": "x"}]),
        );
        assert_eq!(again.unwrap_err().reason, Conflict);
    }

    #[test]
    fn formats_are_fixed_once_data_is_on_its_way() {
        let mut saving = image();
        saving.status = Status::Saving;
        let body = json!([{"op": "replace", "path": "/disk_format", "value": "raw"}]);
        assert_eq!(
            patch(&saving, Dialect::V21, body.clone())
                .unwrap_err()
                .reason,
            Reason::NotYours
        );
        assert!(patch(&image(), Dialect::V21, body).is_ok());
    }

    #[test]
    fn an_image_over_a_lowered_quota_may_still_be_patched() {
        let mut image = image();
        for n in 0..5 {
            image
                .properties
                .insert(format!("p{n}"), Some(String::new()));
        }
        let rename = json!([{"op": "replace", "path": "/name", "value": "n"}]);
        assert!(patch(&image, Dialect::V21, rename).is_ok());
        let more = json!([{"op": "add", "path": "/q", "value": "n"}]);
        assert_eq!(
            patch(&image, Dialect::V21, more).unwrap_err().reason,
            Reason::TooMany
        );
    }
}
