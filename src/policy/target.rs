//! What a rule is asked about, as attributes with names.

use std::borrow::Cow;

use crate::image::{Image, ProjectId, Viewer};

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// There is no such attribute: a check that needs it does not hold.
    Missing,
    /// It is there and empty. Written `None` in rules, as in Python.
    Null,
    /// Text.
    Text(&'a str),
    /// `True` or `False` in rules.
    Truth(bool),
    /// A number.
    Number(i64),
}

impl<'a> Value<'a> {
    /// Text, or null when there is none.
    pub(crate) fn text_or_null(text: Option<&'a str>) -> Self {
        text.map_or(Value::Null, Value::Text)
    }

    /// As it stands in the place of `%(name)s`.
    pub(super) fn as_text(&self) -> Option<Cow<'a, str>> {
        match self {
            Value::Missing => None,
            Value::Null => Some("None".into()),
            Value::Text(text) => Some((*text).into()),
            Value::Truth(true) => Some("True".into()),
            Value::Truth(false) => Some("False".into()),
            Value::Number(number) => Some(number.to_string().into()),
        }
    }
}

/// Something with attributes.
pub(crate) trait Target {
    /// The attribute of this name.
    fn attribute(&self, name: &str) -> Value<'_>;
}

/// A rule that is about nothing in particular.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Nothing;

impl Target for Nothing {
    fn attribute(&self, _: &str) -> Value<'_> {
        Value::Missing
    }
}

/// A few attributes, written where they are asked about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a>(pub &'a [(&'a str, Value<'a>)]);

impl Target for Fields<'_> {
    fn attribute(&self, name: &str) -> Value<'_> {
        self.0
            .iter()
            .find(|(own, _)| *own == name)
            .map_or(Value::Missing, |(_, value)| value.clone())
    }
}

/// An image, looked at by a caller.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ImageTarget<'a> {
    image: &'a Image,
    member: Option<&'a ProjectId>,
}

impl<'a> ImageTarget<'a> {
    /// The image as `viewer` meets it: the owner, or a project it is shared with.
    pub(crate) fn new(image: &'a Image, viewer: &Viewer) -> Self {
        Self {
            image,
            member: viewer.membership(image),
        }
    }
}

impl Target for ImageTarget<'_> {
    /// Attributes of the record come before properties, so that nobody gives himself rights by the name of a property.
    fn attribute(&self, name: &str) -> Value<'_> {
        let image = self.image;
        match name {
            "project_id" | "owner" | "tenant" => {
                Value::text_or_null(image.owner.as_ref().map(ProjectId::as_str))
            }
            "member_id" | "member" => self
                .member
                .map_or(Value::Missing, |member| Value::Text(member.as_str())),
            "id" | "image_id" => Value::Text(image.id.as_str()),
            "visibility" => Value::Text(image.visibility.as_str()),
            "status" => Value::Text(image.status.as_str()),
            "name" => Value::text_or_null(image.name.as_deref()),
            "protected" => Value::Truth(image.protected),
            "os_hidden" => Value::Truth(image.os_hidden),
            "disk_format" => Value::text_or_null(image.disk_format.as_deref()),
            "container_format" => Value::text_or_null(image.container_format.as_deref()),
            "min_disk" => Value::Number(image.min_disk),
            "min_ram" => Value::Number(image.min_ram),
            "size" => number(image.size),
            "virtual_size" => number(image.virtual_size),
            "checksum" => Value::text_or_null(image.checksum.as_deref()),
            "os_hash_algo" => Value::text_or_null(image.os_hash_algo.as_deref()),
            "os_hash_value" => Value::text_or_null(image.os_hash_value.as_deref()),
            "user_id" => Value::Missing,
            name => match image.properties.get(name) {
                Some(value) => Value::text_or_null(value.as_deref()),
                None => Value::Missing,
            },
        }
    }
}

fn number(value: Option<u64>) -> Value<'static> {
    value.map_or(Value::Null, |value| {
        Value::Number(i64::try_from(value).unwrap_or(i64::MAX))
    })
}
