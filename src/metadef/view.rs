//! The JSON of metadata definitions (contract 1.9), keys in the reference service's order. What is not set is left out.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Number, Value, json};

use super::{Association, Contents, Dated, Namespace, Object, Property, Tag};
use crate::image::{Micros, rfc3339};

const NAMESPACES: &str = "/v2/metadefs/namespaces";

/// What a segment of a path keeps as it is.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b':');

fn segment(name: &str) -> impl std::fmt::Display {
    utf8_percent_encode(name, KEPT)
}

/// The path of a namespace.
pub(crate) fn namespace_path(name: &str) -> String {
    format!("{NAMESPACES}/{}", segment(name))
}

/// An object that is written key by key.
#[derive(Default)]
struct View(Map<String, Value>);

impl View {
    fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.0.insert(key.to_owned(), value.into());
    }

    fn set_some(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.set(key, value);
        }
    }

    fn set_any(&mut self, key: &str, values: Vec<Value>) {
        if !values.is_empty() {
            self.set(key, values);
        }
    }

    fn set_times(&mut self, created_at: Micros, updated_at: Micros) {
        self.set("created_at", rfc3339(created_at));
        self.set("updated_at", rfc3339(updated_at));
    }

    fn set_attributes(&mut self, namespace: &Namespace) {
        let attributes = &namespace.attributes;
        self.set("namespace", attributes.name.as_str());
        self.set_some("display_name", attributes.display_name.as_deref());
        self.set_some("description", attributes.description.as_deref());
        self.set("visibility", attributes.visibility.as_str());
        self.set("protected", attributes.protected);
        let owner = attributes.owner.as_ref();
        self.set_some("owner", owner.map(|owner| owner.as_str()));
    }
}

/// A namespace with as much of its contents as it is shown with.
pub(crate) fn namespace_view(namespace: &Namespace, contents: &Contents) -> Value {
    let mut view = View::default();
    view.set_attributes(namespace);
    view.set_times(namespace.created_at, namespace.updated_at);
    let associations = contents.associations.iter().map(association_view);
    view.set_any("resource_type_associations", associations.collect());
    if !contents.properties.is_empty() {
        let properties = contents.properties.iter().map(|dated| &dated.part);
        view.set("properties", by_name(properties, shown_schema));
    }
    let objects = contents.objects.iter();
    let objects = objects.map(|object| object_view(namespace.name(), object));
    view.set_any("objects", objects.collect());
    let tags = contents.tags.iter().map(|dated| tag_name_view(&dated.part));
    view.set_any("tags", tags.collect());
    view.set("self", namespace_path(namespace.name()));
    view.set("schema", "/v2/schemas/metadefs/namespace");
    Value::Object(view.0)
}

/// A namespace as a definition file has it.
pub(super) fn file_view(namespace: &Namespace, contents: &Contents) -> Value {
    let mut view = View::default();
    view.set_attributes(namespace);
    let associations = contents.associations.iter();
    let associations = associations.map(|dated| Value::Object(association(&dated.part).0));
    view.set_any("resource_type_associations", associations.collect());
    if !contents.properties.is_empty() {
        let properties = contents.properties.iter().map(|dated| &dated.part);
        view.set("properties", by_name(properties, given_schema));
    }
    let objects = contents.objects.iter();
    let objects = objects.map(|dated| Value::Object(object(&dated.part, given_schema).0));
    view.set_any("objects", objects.collect());
    let tags = contents.tags.iter().map(|dated| tag_name_view(&dated.part));
    view.set_any("tags", tags.collect());
    Value::Object(view.0)
}

fn by_name<'a>(
    properties: impl Iterator<Item = &'a Property>,
    view: impl Fn(&Property) -> Value,
) -> Value {
    let entries = properties.map(|property| (property.name.clone(), view(property)));
    Value::Object(entries.collect())
}

/// What is said of a property, as it was given.
fn given_schema(property: &Property) -> Value {
    Value::Object(property.schema.clone())
}

/// The same as clients are shown it.
fn shown_schema(property: &Property) -> Value {
    let mut schema = property.schema.clone();
    if let Some(default) = schema.get_mut("default") {
        *default = shown_default(default);
    }
    Value::Object(schema)
}

/// Text, or null for what is neither text, a number nor a truth value: clients such as Horizon take a default for text.
fn shown_default(default: &Value) -> Value {
    match default {
        Value::String(text) => text.as_str().into(),
        Value::Number(number) => shown_number(number).into(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Null | Value::Array(_) | Value::Object(_) => Value::Null,
    }
}

/// A number in the reference service's notation, which is Python's.
fn shown_number(number: &Number) -> String {
    let Some(float) = number.as_f64().filter(|_| number.is_f64()) else {
        return number.to_string();
    };
    let scientific = format!("{float:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>().unwrap_or(0) {
        -4..16 => format!("{float:?}"),
        exponent @ 16.. => format!("{digits}e+{exponent}"),
        exponent => format!("{digits}e-{:02}", exponent.unsigned_abs()),
    }
}

/// Properties by name, each with its name inside as well.
pub(crate) fn property_map<'a>(properties: impl Iterator<Item = &'a Property>) -> Value {
    by_name(properties, property_view)
}

/// A property by itself.
pub(crate) fn property_view(property: &Property) -> Value {
    let mut view = View::default();
    view.set("name", property.name.as_str());
    if let Value::Object(schema) = shown_schema(property) {
        view.0.extend(schema);
    }
    Value::Object(view.0)
}

fn object(object: &Object, schema: impl Fn(&Property) -> Value) -> View {
    let mut view = View::default();
    view.set("name", object.name.as_str());
    view.set_some("description", object.description.as_deref());
    if let Some(required) = &object.required {
        view.set("required", required.as_slice());
    }
    if let Some(properties) = &object.properties {
        view.set("properties", by_name(properties.iter(), schema));
    }
    view
}

/// An object of a namespace.
pub(crate) fn object_view(namespace: &str, dated: &Dated<Object>) -> Value {
    let mut view = object(&dated.part, shown_schema);
    view.set_times(dated.created_at, dated.updated_at);
    let path = namespace_path(namespace);
    view.set(
        "self",
        format!("{path}/objects/{}", segment(&dated.part.name)),
    );
    view.set("schema", "/v2/schemas/metadefs/object");
    Value::Object(view.0)
}

/// A tag among others.
pub(crate) fn tag_name_view(tag: &Tag) -> Value {
    json!({"name": tag.name})
}

/// A tag by itself.
pub(crate) fn tag_view(dated: &Dated<Tag>) -> Value {
    let mut view = View::default();
    view.set("name", dated.part.name.as_str());
    view.set_times(dated.created_at, dated.updated_at);
    Value::Object(view.0)
}

fn association(association: &Association) -> View {
    let mut view = View::default();
    view.set("name", association.name.as_str());
    view.set_some("prefix", association.prefix.as_deref());
    view.set_some(
        "properties_target",
        association.properties_target.as_deref(),
    );
    view
}

/// The association of a namespace with a resource type.
pub(crate) fn association_view(dated: &Dated<Association>) -> Value {
    let mut view = association(&dated.part);
    view.set_times(dated.created_at, dated.updated_at);
    Value::Object(view.0)
}

/// A resource type.
pub(crate) fn resource_type_view(dated: &Dated<String>) -> Value {
    let mut view = View::default();
    view.set("name", dated.part.as_str());
    view.set_times(dated.created_at, dated.updated_at);
    Value::Object(view.0)
}
