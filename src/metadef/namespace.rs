//! A namespace and what it holds.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};

use super::fields::{Fields, Invalid};
use super::parts::all;
use super::{Association, Dated, LONGEST_NAME, Object, Property, Tag};
use crate::image::{Micros, ProjectId, Viewer};

/// Longest description of a namespace, in characters.
pub(crate) const LONGEST_DESCRIPTION: usize = 500;

/// Longest id of the project it belongs to, in characters.
pub(crate) const LONGEST_OWNER: usize = 255;

const ATTRIBUTES: [&str; 6] = [
    "namespace",
    "display_name",
    "description",
    "visibility",
    "protected",
    "owner",
];
const PARTS: [&str; 4] = [
    "resource_type_associations",
    "properties",
    "objects",
    "tags",
];

/// Who may read a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum NamespaceVisibility {
    /// Everybody.
    Public,
    /// Its project; the default.
    #[default]
    Private,
}

impl NamespaceVisibility {
    /// Every visibility, in the order of the namespace schema.
    pub(crate) const ALL: [NamespaceVisibility; 2] =
        [NamespaceVisibility::Public, NamespaceVisibility::Private];

    /// The word on the wire and in the catalog.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            NamespaceVisibility::Public => "public",
            NamespaceVisibility::Private => "private",
        }
    }
}

impl fmt::Display for NamespaceVisibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no visibility of a namespace.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("unknown visibility of a namespace")]
pub(crate) struct UnknownVisibility;

impl FromStr for NamespaceVisibility {
    type Err = UnknownVisibility;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        NamespaceVisibility::ALL
            .into_iter()
            .find(|visibility| visibility.as_str() == text)
            .ok_or(UnknownVisibility)
    }
}

/// What a client writes of a namespace itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Attributes {
    /// The name, which no other namespace has.
    pub name: String,
    /// Its name for people.
    pub display_name: Option<String>,
    /// What is defined in it.
    pub description: Option<String>,
    /// Who may read it.
    pub visibility: NamespaceVisibility,
    /// Refuses deletion, of itself and of what is in it, also by administrators.
    pub protected: bool,
    /// The project it belongs to.
    pub owner: Option<ProjectId>,
}

/// A namespace as the catalog holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Namespace {
    /// What its parts refer to; stays when the name changes.
    pub id: String,
    /// What clients write.
    pub attributes: Attributes,
    /// When it was made.
    pub created_at: Micros,
    /// When its attributes were last changed.
    pub updated_at: Micros,
}

impl Namespace {
    /// The name.
    pub(crate) fn name(&self) -> &str {
        &self.attributes.name
    }

    /// True when the caller may know that it exists.
    pub(crate) fn is_seen_by(&self, viewer: &Viewer) -> bool {
        let owner = &self.attributes.owner;
        viewer.is_admin
            || self.attributes.visibility == NamespaceVisibility::Public
            || (owner.is_some() && *owner == viewer.project)
    }
}

/// Everything in a namespace.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Contents {
    /// The resource types it is for.
    pub associations: Vec<Dated<Association>>,
    /// Properties of its own.
    pub properties: Vec<Dated<Property>>,
    /// Groups of properties.
    pub objects: Vec<Dated<Object>>,
    /// Tags.
    pub tags: Vec<Dated<Tag>>,
}

impl Contents {
    /// Gives properties the names they have on resources of a type.
    pub(crate) fn prefix_for(&mut self, resource_type: &str) {
        let mut associations = self.associations.iter();
        let of_type = associations.find(|a| a.part.name == resource_type);
        let Some(prefix) = of_type.and_then(|a| a.part.prefix.clone()) else {
            return;
        };
        let add = |name: &mut String| name.insert_str(0, &prefix);
        for property in &mut self.properties {
            add(&mut property.part.name);
        }
        for object in &mut self.objects {
            let properties = object.part.properties.iter_mut().flatten();
            properties.for_each(|property| add(&mut property.name));
            object.part.required.iter_mut().flatten().for_each(add);
        }
    }
}

/// A namespace with its parts, as a request or a file gives it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Definition {
    /// The namespace itself.
    pub attributes: Attributes,
    /// The resource types it is for.
    pub associations: Vec<Association>,
    /// Properties of its own.
    pub properties: Vec<Property>,
    /// Groups of properties.
    pub objects: Vec<Object>,
    /// Tags.
    pub tags: Vec<Tag>,
}

impl Definition {
    /// Reads a namespace with its parts; `owner` is whose it is unless it says so itself.
    ///
    /// # Errors
    /// [`Invalid`] with the first rule that is broken.
    pub(crate) fn parse(
        body: &Map<String, Value>,
        owner: Option<ProjectId>,
    ) -> Result<Self, Invalid> {
        let fields = Fields::whole("namespace", body);
        fields.only(&[&ATTRIBUTES[..], &PARTS[..]].concat())?;
        Ok(Self {
            attributes: Attributes::read(&fields, owner)?,
            associations: all(&fields, "resource_type_associations", Association::read)?,
            properties: Property::parse_all(&fields, "properties")?,
            objects: all(&fields, "objects", Object::read)?,
            tags: all(&fields, "tags", Tag::read)?,
        })
    }

    /// The same with one time for everything.
    pub(crate) fn into_contents(self, now: Micros) -> Contents {
        fn dated<T>(parts: Vec<T>, now: Micros) -> Vec<Dated<T>> {
            let dated = parts.into_iter().map(|part| Dated {
                part,
                created_at: now,
                updated_at: now,
            });
            dated.collect()
        }
        Contents {
            associations: dated(self.associations, now),
            properties: dated(self.properties, now),
            objects: dated(self.objects, now),
            tags: dated(self.tags, now),
        }
    }
}

impl Attributes {
    /// Reads the body of a change: what is left out gets its default. Parts are checked and otherwise passed over, as
    /// clients send back what they were shown.
    ///
    /// # Errors
    /// [`Invalid`] with the first rule that is broken.
    pub(crate) fn parse(
        body: &Map<String, Value>,
        owner: Option<ProjectId>,
    ) -> Result<Self, Invalid> {
        Definition::parse(body, owner).map(|definition| definition.attributes)
    }

    fn read(fields: &Fields<'_>, owner: Option<ProjectId>) -> Result<Self, Invalid> {
        let visibility = fields.text("visibility", usize::MAX)?;
        let visibility = visibility.map(|word| word.parse()).transpose();
        Ok(Self {
            name: fields.name("namespace")?,
            display_name: fields.text("display_name", LONGEST_NAME)?,
            description: fields.text("description", LONGEST_DESCRIPTION)?,
            visibility: visibility
                .map_err(|_| fields.malformed("visibility", "must be public or private"))?
                .unwrap_or_default(),
            protected: fields.boolean("protected")?.unwrap_or_default(),
            owner: match fields.text("owner", LONGEST_OWNER)? {
                Some(text) => Some(text.as_str().into()),
                None => owner,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::metadef::Reason;

    fn parse(body: &Value) -> Result<Definition, Invalid> {
        Definition::parse(body.as_object().unwrap(), Some("p".into()))
    }

    #[test]
    fn a_name_is_enough() {
        let attributes = parse(&json!({"namespace": "n"})).unwrap().attributes;
        assert_eq!(attributes.visibility, NamespaceVisibility::Private);
        assert!(!attributes.protected);
        assert_eq!(attributes.owner, Some("p".into()));
    }

    #[test]
    fn refusals_lead_to_the_field_inside() {
        let property = json!({"type": "string"});
        for (body, reason, field) in [
            (json!({}), Reason::Malformed, "'namespace'"),
            (
                json!({"namespace": "x".repeat(81)}),
                Reason::Malformed,
                "'namespace'",
            ),
            (
                json!({"display_name": "x".repeat(81)}),
                Reason::Malformed,
                "'display_name'",
            ),
            (
                json!({"description": "x".repeat(501)}),
                Reason::Malformed,
                "'description'",
            ),
            (
                json!({"visibility": "shared"}),
                Reason::Malformed,
                "'visibility'",
            ),
            (
                json!({"protected": "true"}),
                Reason::Malformed,
                "'protected'",
            ),
            (json!({"owner": null}), Reason::Malformed, "'owner'"),
            (json!({"color": "red"}), Reason::Malformed, "'color'"),
            (json!({"created_at": "x"}), Reason::ReadOnly, "'created_at'"),
            (json!({"self": "x", "color": 1}), Reason::ReadOnly, "'self'"),
            (
                json!({"properties": {"p": property}}),
                Reason::Malformed,
                "'properties.p.title'",
            ),
            (
                json!({"properties": {"": property}}),
                Reason::Malformed,
                "'properties.'",
            ),
            (
                json!({"objects": [{"name": "a"}, {}]}),
                Reason::Malformed,
                "'objects[1].name'",
            ),
            (json!({"objects": {}}), Reason::Malformed, "'objects'"),
            (
                json!({"objects": [{"name": "a"}, {"name": "a"}]}),
                Reason::Duplicate,
                "'objects'",
            ),
            (
                json!({"tags": [{"name": "a"}, {"name": "a"}]}),
                Reason::Duplicate,
                "'tags'",
            ),
            (
                json!({"resource_type_associations": [{"name": "a", "x": 1}]}),
                Reason::Malformed,
                "'resource_type_associations[0].x'",
            ),
        ] {
            let mut body = body;
            let map = body.as_object_mut().unwrap();
            if field != "'namespace'" {
                map.insert("namespace".into(), json!("n"));
            }
            let refusal = parse(&body).expect_err(&body.to_string());
            assert_eq!(refusal.reason, reason, "{body}");
            assert!(refusal.message.contains(field), "{}", refusal.message);
        }
    }

    #[test]
    fn parts_may_come_back_as_they_were_shown() {
        let body = json!({
            "namespace": "n",
            "resource_type_associations": [{"name": "r", "created_at": "x", "updated_at": "x"}],
            "objects": [{"name": "o", "required": [], "properties": {}, "created_at": "x", "updated_at": "x",
                "self": "x", "schema": "x"}],
            "properties": {"p": {"name": "p", "title": "t", "type": "string"}},
            "tags": [{"name": "t"}],
        });
        let definition = parse(&body).unwrap();
        assert_eq!(definition.objects[0].name, "o");
        assert!(!definition.properties[0].schema.contains_key("name"));
    }

    #[test]
    fn strangers_see_public_namespaces_only() {
        let viewer = |project: Option<&str>, is_admin| Viewer {
            project: project.map(ProjectId::from),
            is_admin,
        };
        let namespace = |owner: Option<&str>, visibility| Namespace {
            id: "i".into(),
            attributes: Attributes {
                visibility,
                owner: owner.map(ProjectId::from),
                ..Attributes::default()
            },
            created_at: 0,
            updated_at: 0,
        };
        let private = namespace(Some("own"), NamespaceVisibility::Private);
        let public = namespace(None, NamespaceVisibility::Public);
        let ownerless = namespace(None, NamespaceVisibility::Private);
        for (viewer, seen) in [
            (viewer(Some("own"), false), [true, true, false]),
            (viewer(Some("other"), false), [false, true, false]),
            (viewer(None, false), [false, true, false]),
            (viewer(None, true), [true, true, true]),
        ] {
            let sees = [&private, &public, &ownerless].map(|n| n.is_seen_by(&viewer));
            assert_eq!(sees, seen, "{viewer:?}");
        }
    }

    #[test]
    fn prefix_is_that_of_the_association() {
        let body = json!({
            "namespace": "n",
            "resource_type_associations": [{"name": "image", "prefix": "hw_"}, {"name": "server"}],
            "objects": [{"name": "o", "required": ["a"], "properties": {"a": {"title": "t", "type": "string"}}}],
            "properties": {"p": {"title": "t", "type": "string"}},
        });
        let contents = parse(&body).unwrap().into_contents(0);
        let mut prefixed = contents.clone();
        prefixed.prefix_for("image");
        assert_eq!(prefixed.properties[0].part.name, "hw_p");
        let object = &prefixed.objects[0].part;
        assert_eq!(object.properties.as_ref().unwrap()[0].name, "hw_a");
        assert_eq!(*object.required.as_ref().unwrap(), ["hw_a"]);
        assert_eq!(object.name, "o");
        for unprefixed in ["server", "unknown"] {
            let mut same = contents.clone();
            same.prefix_for(unprefixed);
            assert_eq!(same, contents, "{unprefixed}");
        }
    }
}
