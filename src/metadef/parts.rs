//! What a namespace holds besides properties: objects, tags, and the resource types it is for.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::fields::{Fields, Invalid};
use super::{LONGEST_NAME, Property};
use crate::image::Micros;

/// A part of a namespace: it has a name that no other part of its kind has there.
pub(crate) trait Part: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The kind, as a word for messages and for the catalog.
    const KIND: &'static str;

    /// The name.
    fn name(&self) -> &str;

    /// The resource type that must be known before the part can be.
    fn resource_type(&self) -> Option<&str> {
        None
    }
}

/// A part with its times.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Dated<T> {
    /// The part.
    pub part: T,
    /// When it was made.
    pub created_at: Micros,
    /// When it was last changed.
    pub updated_at: Micros,
}

/// A group of properties.
///
/// What a request leaves out is left out of its own answer, and empty once it has been stored: as in the reference service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Object {
    /// Its name.
    pub name: String,
    /// What the group is about.
    pub description: Option<String>,
    /// Names of properties that a resource must have when it has any of the group.
    #[serde(deserialize_with = "or_empty")]
    pub required: Option<Vec<String>>,
    /// The properties.
    #[serde(deserialize_with = "or_empty")]
    pub properties: Option<Vec<Property>>,
}

fn or_empty<'de, D, T>(stored: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    let value = Option::deserialize(stored)?;
    Ok(Some(value.unwrap_or_default()))
}

/// A word to mark resources with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tag {
    /// The word.
    pub name: String,
}

/// That a namespace is for a type of resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Association {
    /// The resource type, like `OS::Glance::Image`.
    pub name: String,
    /// What stands before the name of each property on such a resource.
    pub prefix: Option<String>,
    /// Which of several sets of metadata of the resource is meant.
    pub properties_target: Option<String>,
}

impl Part for Property {
    const KIND: &'static str = "property";

    fn name(&self) -> &str {
        &self.name
    }
}

impl Part for Object {
    const KIND: &'static str = "object";

    fn name(&self) -> &str {
        &self.name
    }
}

impl Part for Tag {
    const KIND: &'static str = "tag";

    fn name(&self) -> &str {
        &self.name
    }
}

impl Part for Association {
    const KIND: &'static str = "resource type association";

    fn name(&self) -> &str {
        &self.name
    }

    fn resource_type(&self) -> Option<&str> {
        Some(&self.name)
    }
}

impl Object {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// [`Invalid`] with the first rule that is broken.
    pub(crate) fn parse(body: &Map<String, Value>) -> Result<Self, Invalid> {
        Self::read(&Fields::whole("object", body))
    }

    pub(super) fn read(fields: &Fields<'_>) -> Result<Self, Invalid> {
        fields.only(&["name", "description", "required", "properties"])?;
        Ok(Self {
            name: fields.name("name")?,
            description: fields.text("description", usize::MAX)?,
            required: fields.names("required")?,
            properties: match fields.get("properties") {
                Some(_) => Some(Property::parse_all(fields, "properties")?),
                None => None,
            },
        })
    }
}

impl Tag {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// [`Invalid`] with the first rule that is broken.
    pub(crate) fn parse(body: &Map<String, Value>) -> Result<Self, Invalid> {
        Self::read(&Fields::whole("tag", body))
    }

    /// The tag of a name that stands alone.
    ///
    /// # Errors
    /// [`Invalid`] when it is empty or too long.
    pub(crate) fn named(name: &str) -> Result<Self, Invalid> {
        let mut body = Map::new();
        body.insert("name".to_owned(), name.into());
        Self::parse(&body)
    }

    pub(super) fn read(fields: &Fields<'_>) -> Result<Self, Invalid> {
        fields.only(&["name"])?;
        Ok(Self {
            name: fields.name("name")?,
        })
    }
}

impl Association {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// [`Invalid`] with the first rule that is broken.
    pub(crate) fn parse(body: &Map<String, Value>) -> Result<Self, Invalid> {
        Self::read(&Fields::whole("resource type association", body))
    }

    pub(super) fn read(fields: &Fields<'_>) -> Result<Self, Invalid> {
        fields.only(&["name", "prefix", "properties_target"])?;
        Ok(Self {
            name: fields.name("name")?,
            prefix: fields.text("prefix", LONGEST_NAME)?,
            properties_target: fields.text("properties_target", LONGEST_NAME)?,
        })
    }
}

/// Reads the body of a request that names several tags.
///
/// # Errors
/// [`Invalid`] with the first rule that is broken.
pub(crate) fn parse_tags(body: &Map<String, Value>) -> Result<Vec<Tag>, Invalid> {
    let fields = Fields::whole("list of tags", body);
    fields.only(&["tags"])?;
    if fields.get("tags").is_none() {
        return Err(fields.malformed("tags", "is required"));
    }
    all(&fields, "tags", Tag::read)
}

/// The parts of an array, no two of one name.
pub(super) fn all<T: Part>(
    fields: &Fields<'_>,
    key: &str,
    read: impl Fn(&Fields<'_>) -> Result<T, Invalid>,
) -> Result<Vec<T>, Invalid> {
    let parts = fields.objects(key)?;
    let parts: Vec<T> = parts.iter().map(read).collect::<Result<_, _>>()?;
    let mut names = BTreeSet::new();
    match parts.iter().find(|part| !names.insert(part.name())) {
        Some(twice) => Err(fields.duplicate(key, twice.name())),
        None => Ok(parts),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::metadef::Reason;

    fn refused<T: std::fmt::Debug>(
        parse: impl Fn(&Map<String, Value>) -> Result<T, Invalid>,
        body: Value,
    ) -> Invalid {
        parse(body.as_object().unwrap()).expect_err(&body.to_string())
    }

    #[test]
    fn refusals_lead_to_the_field_inside() {
        for (body, field) in [
            (json!({}), "'name'"),
            (json!({"name": "o", "x": 1}), "'x'"),
            (json!({"name": "o", "description": 1}), "'description'"),
            (json!({"name": "o", "required": ["a", "a"]}), "'required'"),
            (json!({"name": "o", "properties": []}), "'properties'"),
            (
                json!({"name": "o", "properties": {"p": 1}}),
                "'properties.p'",
            ),
            (
                json!({"name": "o", "properties": {"p": {"title": "t"}}}),
                "'properties.p.type'",
            ),
        ] {
            let refusal = refused(Object::parse, body);
            assert_eq!(refusal.reason, Reason::Malformed);
            assert!(refusal.message.contains(field), "{}", refusal.message);
        }
        for (body, field) in [
            (json!({"name": 1}), "'name'"),
            (json!({"name": "r", "prefix": 1}), "'prefix'"),
            (json!({"name": "r", "prefix": "x".repeat(81)}), "'prefix'"),
            (
                json!({"name": "r", "properties_target": null}),
                "'properties_target'",
            ),
        ] {
            let refusal = refused(Association::parse, body);
            assert!(refusal.message.contains(field), "{}", refusal.message);
        }
    }

    #[test]
    fn tags_of_one_body_have_different_names() {
        let body = json!({"tags": [{"name": "a"}, {"name": "A"}, {"name": "a"}]});
        assert_eq!(refused(parse_tags, body).reason, Reason::Duplicate);
        for body in [
            json!({}),
            json!({"tags": ["a"]}),
            json!({"tags": [{"name": ""}]}),
        ] {
            assert_eq!(refused(parse_tags, body).reason, Reason::Malformed);
        }
        let body = json!({"tags": [{"name": "a"}, {"name": "A"}]});
        assert_eq!(parse_tags(body.as_object().unwrap()).unwrap().len(), 2);
    }

    #[test]
    fn what_is_made_here_is_read_only_in_every_part() {
        for key in ["created_at", "updated_at", "self", "schema"] {
            let body = json!({"name": "x", key: "y"});
            assert_eq!(
                refused(Object::parse, body.clone()).reason,
                Reason::ReadOnly
            );
            assert_eq!(refused(Tag::parse, body.clone()).reason, Reason::ReadOnly);
            assert_eq!(refused(Association::parse, body).reason, Reason::ReadOnly);
        }
    }
}
