//! The attributes a client may write, and the rules their values keep (contract 4.1, 4.2). Creation and PATCH share
//! them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Image, ImageId, ProjectId, Visibility, properties_bytes};

/// Longest name, owner, tag, and name of an extra property, in characters.
pub(crate) const NAME_MAX_CHARS: usize = 255;

/// Greatest `min_disk` and `min_ram`: the integers of the Image API have 32 bits.
pub(crate) const INTEGER_MAX: i64 = i32::MAX as i64;

/// What the site allows in a record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules<'a> {
    /// Names allowed for `disk_format`.
    pub disk_formats: &'a [String],
    /// Names allowed for `container_format`.
    pub container_formats: &'a [String],
    /// Most extra properties; `None` is no limit.
    pub property_quota: Option<u64>,
    /// Most bytes that the extra properties take together, names and values.
    pub properties_size: u64,
    /// Most tags; `None` is no limit.
    pub tag_quota: Option<u64>,
}

/// Why a change is refused, by what the client may do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The value does not fit the schema.
    Malformed,
    /// The attribute is not the client's to write, or the name is reserved.
    NotYours,
    /// What is to be replaced or removed is not there, or what is to be added is.
    Conflict,
    /// Over a quota.
    TooMany,
}

/// A refused body: names the field and the rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct InvalidImage {
    /// The class of the refusal.
    pub reason: Reason,
    /// A sentence for the client.
    pub message: String,
}

impl InvalidImage {
    pub(super) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }

    pub(super) fn read_only(name: &str) -> Self {
        Self::new(
            Reason::NotYours,
            format!("Attribute '{name}' is read-only."),
        )
    }

    pub(super) fn reserved(name: &str) -> Self {
        Self::new(Reason::NotYours, format!("Attribute '{name}' is reserved."))
    }
}

pub(super) fn malformed(field: &str, rule: &str) -> InvalidImage {
    InvalidImage::new(
        Reason::Malformed,
        format!("Invalid image: attribute '{field}' {rule}"),
    )
}

/// The attributes clients write.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Attributes {
    /// See [`Image::name`].
    pub name: Option<String>,
    /// See [`Image::visibility`].
    pub visibility: Visibility,
    /// See [`Image::owner`].
    pub owner: Option<ProjectId>,
    /// See [`Image::protected`].
    pub protected: bool,
    /// See [`Image::os_hidden`].
    pub os_hidden: bool,
    /// See [`Image::disk_format`].
    pub disk_format: Option<String>,
    /// See [`Image::container_format`].
    pub container_format: Option<String>,
    /// See [`Image::min_disk`].
    pub min_disk: i64,
    /// See [`Image::min_ram`].
    pub min_ram: i64,
    /// See [`Image::tags`].
    pub tags: BTreeSet<String>,
    /// See [`Image::properties`].
    pub properties: BTreeMap<String, Option<String>>,
}

impl Attributes {
    /// Those of a record.
    pub(crate) fn of(image: &Image) -> Self {
        Self {
            name: image.name.clone(),
            visibility: image.visibility,
            owner: image.owner.clone(),
            protected: image.protected,
            os_hidden: image.os_hidden,
            disk_format: image.disk_format.clone(),
            container_format: image.container_format.clone(),
            min_disk: image.min_disk,
            min_ram: image.min_ram,
            tags: image.tags.clone(),
            properties: image.properties.clone(),
        }
    }

    /// Writes them into a record and leaves the rest of it alone.
    pub(crate) fn write_to(self, image: &mut Image) {
        image.name = self.name;
        image.visibility = self.visibility;
        image.owner = self.owner;
        image.protected = self.protected;
        image.os_hidden = self.os_hidden;
        image.disk_format = self.disk_format;
        image.container_format = self.container_format;
        image.min_disk = self.min_disk;
        image.min_ram = self.min_ram;
        image.tags = self.tags;
        image.properties = self.properties;
    }

    /// Sets one attribute, or an extra property when no attribute has the name.
    ///
    /// # Errors
    /// [`Reason::Malformed`] when the value does not fit.
    pub(super) fn set(
        &mut self,
        name: &str,
        value: &Value,
        rules: &Rules<'_>,
    ) -> Result<(), InvalidImage> {
        match name {
            "name" => self.name = nullable_text(name, value)?,
            "owner" => self.owner = nullable_text(name, value)?.map(|text| text.as_str().into()),
            "visibility" => self.visibility = visibility(name, value)?,
            "protected" => self.protected = boolean(name, value)?,
            "os_hidden" => self.os_hidden = boolean(name, value)?,
            "disk_format" => self.disk_format = one_of(name, value, rules.disk_formats)?,
            "container_format" => {
                self.container_format = one_of(name, value, rules.container_formats)?
            }
            "min_disk" => self.min_disk = small_integer(name, value)?,
            "min_ram" => self.min_ram = small_integer(name, value)?,
            "tags" => self.tags = tags(value)?,
            _ => {
                let value = property(name, value)?;
                self.properties.insert(name.to_owned(), value);
            }
        }
        Ok(())
    }

    /// Adds one tag.
    ///
    /// # Errors
    /// [`Reason::Malformed`] when it is too long, [`Reason::TooMany`] over the quota.
    pub(crate) fn add_tag(&mut self, tag: &str, rules: &Rules<'_>) -> Result<(), InvalidImage> {
        let had = self.tags.len();
        self.tags.insert(short_text("tags", tag)?);
        check_quota(
            "image_tag_quota",
            "tags",
            self.tags.len(),
            had,
            rules.tag_quota,
        )
    }

    /// Checks the quotas. Having as many, or as much, as `before` is fine also over a quota that was lowered since.
    pub(super) fn check_quotas(
        &self,
        before: &Attributes,
        rules: &Rules<'_>,
    ) -> Result<(), InvalidImage> {
        let (count, had) = (self.properties.len(), before.properties.len());
        check_quota(
            "image_property_quota",
            "properties",
            count,
            had,
            rules.property_quota,
        )?;
        let size = properties_bytes(&self.properties);
        let allowed = rules.properties_size;
        if size > allowed && size > properties_bytes(&before.properties) {
            return Err(InvalidImage::new(
                Reason::TooMany,
                format!(
                    "The limit has been exceeded on the size of all image properties together (properties_size). \
                     Attempted: {size} bytes, Maximum: {allowed} bytes"
                ),
            ));
        }
        let (count, had) = (self.tags.len(), before.tags.len());
        check_quota("image_tag_quota", "tags", count, had, rules.tag_quota)
    }
}

fn check_quota(
    name: &str,
    things: &str,
    count: usize,
    had: usize,
    quota: Option<u64>,
) -> Result<(), InvalidImage> {
    match quota {
        Some(quota) if count as u64 > quota && count > had => Err(InvalidImage::new(
            Reason::TooMany,
            format!(
                "The limit has been exceeded on the number of allowed image {things} ({name}). \
                 Attempted: {count}, Maximum: {quota}"
            ),
        )),
        _ => Ok(()),
    }
}

fn visibility(name: &str, value: &Value) -> Result<Visibility, InvalidImage> {
    let known = value.as_str().and_then(|text| text.parse().ok());
    known.ok_or_else(|| {
        let words = Visibility::ALL.map(Visibility::as_str).join(", ");
        malformed(name, &format!("must be one of {words}"))
    })
}

fn text(name: &str, value: &Value) -> Result<String, InvalidImage> {
    let text = value
        .as_str()
        .ok_or_else(|| malformed(name, "must be a string"))?;
    short_text(name, text)
}

fn short_text(name: &str, text: &str) -> Result<String, InvalidImage> {
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
