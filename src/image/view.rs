//! The JSON object of an image (contract 4.1).

use std::collections::BTreeSet;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Image, Micros, StoreId, is_base_attribute};

/// An image as clients see it: extra properties first, then the attributes in Glance's order.
#[derive(Debug)]
pub(crate) struct ImageView<'a> {
    /// The record.
    pub image: &'a Image,
    /// Ids of the stores that hold the data, heaviest first; shown only with a located image.
    pub stores: Vec<&'a str>,
    /// Where the first copy of the data is, where that is shown.
    pub direct_url: Option<String>,
    /// Where every copy is, where that is shown.
    pub locations: Option<Vec<LocationView>>,
    /// Properties that the caller may not read.
    pub unreadable: BTreeSet<&'a str>,
}

/// A copy of the data as clients see it.
#[derive(Debug, Serialize)]
pub(crate) struct LocationView {
    /// Where it is, without credentials.
    pub url: String,
    /// The store that holds it.
    pub metadata: LocationMetadata,
}

/// What is known of a copy.
#[derive(Debug, Serialize)]
pub(crate) struct LocationMetadata {
    /// The store that holds it.
    pub store: StoreId,
}

impl Serialize for ImageView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let image = self.image;
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in image.properties.iter().filter(|(name, _)| {
            !is_base_attribute(name) && !self.unreadable.contains(name.as_str())
        }) {
            map.serialize_entry(name, value)?;
        }
        map.serialize_entry("name", &image.name)?;
        map.serialize_entry("disk_format", &image.disk_format)?;
        map.serialize_entry("container_format", &image.container_format)?;
        map.serialize_entry("visibility", image.visibility.as_str())?;
        map.serialize_entry("size", &image.size)?;
        map.serialize_entry("virtual_size", &image.virtual_size)?;
        map.serialize_entry("status", image.status.as_str())?;
        map.serialize_entry("checksum", &image.checksum)?;
        map.serialize_entry("protected", &image.protected)?;
        map.serialize_entry("min_ram", &image.min_ram)?;
        map.serialize_entry("min_disk", &image.min_disk)?;
        map.serialize_entry("owner", &image.owner)?;
        map.serialize_entry("os_hidden", &image.os_hidden)?;
        map.serialize_entry("os_hash_algo", &image.os_hash_algo)?;
        map.serialize_entry("os_hash_value", &image.os_hash_value)?;
        map.serialize_entry("id", &image.id)?;
        map.serialize_entry("created_at", &rfc3339(image.created_at))?;
        map.serialize_entry("updated_at", &rfc3339(image.updated_at))?;
        if let Some(locations) = &self.locations {
            map.serialize_entry("locations", locations)?;
        }
        if let Some(url) = &self.direct_url {
            map.serialize_entry("direct_url", url)?;
        }
        map.serialize_entry("tags", &image.tags)?;
        map.serialize_entry("self", &["/v2/images/", image.id.as_str()].concat())?;
        map.serialize_entry(
            "file",
            &["/v2/images/", image.id.as_str(), "/file"].concat(),
        )?;
        map.serialize_entry("schema", "/v2/schemas/image")?;
        if !self.stores.is_empty() {
            map.serialize_entry("stores", &self.stores.join(","))?;
        }
        map.end()
    }
}

/// `YYYY-MM-DDTHH:MM:SSZ`, without fractions, as every client parses it.
pub(crate) fn rfc3339(micros: Micros) -> String {
    OffsetDateTime::from_unix_timestamp(micros.div_euclid(1_000_000))
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
        .format(&Rfc3339)
        .unwrap_or_else(|_| "1970-01-01T00:00:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{CreateRequest, ImageId};

    #[test]
    fn times_are_shown_to_the_second() {
        assert_eq!(rfc3339(1_753_869_845_999_999), "2025-07-30T10:04:05Z");
        assert_eq!(rfc3339(-1), "1969-12-31T23:59:59Z");
        assert_eq!(rfc3339(253_402_300_799_000_000), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn properties_come_first_and_paths_are_relative() {
        let id: ImageId = "0a1b2c3d-0000-4000-8000-00000000abcd".parse().unwrap();
        let mut image = CreateRequest::default().into_image(id, Some("p".into()), 0);
        image.properties.insert("hw_cpu".into(), Some("4".into()));
        image.properties.insert("secret".into(), Some("x".into()));
        let json = serde_json::to_string(&ImageView {
            image: &image,
            stores: vec!["fast", "slow"],
            direct_url: None,
            locations: None,
            unreadable: ["secret"].into(),
        })
        .unwrap();
        assert!(json.starts_with(r#"{"hw_cpu":"4","name":null,"#), "{json}");
        assert!(json.contains(r#""file":"/v2/images/0a1b2c3d-0000-4000-8000-00000000abcd/file""#));
        assert!(json.ends_with(r#""stores":"fast,slow"}"#), "{json}");
    }
}
