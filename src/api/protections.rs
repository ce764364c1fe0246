//! Property protection, asked where properties come in and go out (contract 4.2).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::caller::Caller;
use super::error::Error;
use crate::config::{self, Fault, Faults, ProtectionFormat};
use crate::image::Image;
use crate::policy::{Access, Format, Protections};

type Properties = BTreeMap<String, Option<String>>;

/// The site's protections, if it has any; clones share them.
#[derive(Clone)]
pub(crate) struct PropertyProtection(Option<Arc<Protections>>);

impl PropertyProtection {
    /// Reads the site's file, if it has one.
    ///
    /// # Errors
    /// When it cannot be read or is wrong: the service does not start then, since everything would lie open.
    pub(crate) fn open(images: &config::Images) -> Result<Self, Faults> {
        let Some(path) = &images.property_protection_file else {
            return Ok(Self(None));
        };
        let text = std::fs::read_to_string(path)
            .map_err(|error| Faults(vec![Fault::unreadable(path, &error)]))?;
        let format = match images.property_protection_rule_format {
            ProtectionFormat::Roles => Format::Roles,
            ProtectionFormat::Policies => Format::Policies,
        };
        let protections = Protections::parse(&text, format).map_err(|e| {
            Faults(vec![Fault {
                key: path.display().to_string(),
                variable: None,
                rule: e.to_string(),
                got: None,
            }])
        })?;
        Ok(Self(Some(Arc::new(protections))))
    }

    /// Whether the caller may see the property.
    pub(super) fn may_read(&self, caller: &Caller, property: &str) -> bool {
        self.may_access(caller, Access::Read, property)
    }

    /// The image's properties that the caller may not see.
    pub(super) fn unreadable<'a>(&self, caller: &Caller, image: &'a Image) -> BTreeSet<&'a str> {
        if self.0.is_none() {
            return BTreeSet::new();
        }
        let names = image.properties.keys().map(String::as_str);
        names.filter(|name| !self.may_read(caller, name)).collect()
    }

    /// Checks a change of properties; `touched` are those it is about, whether their values change or not.
    ///
    /// # Errors
    /// 403 that names the property.
    pub(super) fn check<'a>(
        &self,
        caller: &Caller,
        touched: impl Iterator<Item = &'a str>,
        before: &Properties,
        after: &Properties,
    ) -> Result<(), Error> {
        for name in touched {
            let access = match (before.contains_key(name), after.contains_key(name)) {
                (false, true) => Access::Create,
                (true, true) => Access::Update,
                (true, false) => Access::Delete,
                (false, false) => continue,
            };
            if !self.may_access(caller, access, name) {
                return Err(Error::Forbidden(format!("Property '{name}' is protected.")));
            }
        }
        Ok(())
    }

    fn may_access(&self, caller: &Caller, access: Access, property: &str) -> bool {
        let protections = self.0.as_deref();
        protections.is_none_or(|protections| caller.may_access(protections, access, property))
    }
}
