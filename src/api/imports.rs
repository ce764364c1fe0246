//! What a site allows of imports.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::caller::Caller;
use crate::config::{Import, ImportMethod, ImportPlugin};
use crate::web::Web;

/// The section `[import]`, as handlers ask it.
#[derive(Clone)]
pub(super) struct Imports {
    config: Arc<Import>,
    web: Arc<Web>,
}

impl Imports {
    pub(super) fn new(config: &Import, web: &Arc<Web>) -> Self {
        Self {
            config: Arc::new(config.clone()),
            web: Arc::clone(web),
        }
    }

    /// The methods that clients may use.
    pub(super) fn methods(&self) -> Vec<&'static str> {
        let methods = self.config.methods.iter();
        methods.map(|method| method.as_str()).collect()
    }

    /// Whether clients may use a method.
    pub(super) fn allows(&self, method: ImportMethod) -> bool {
        self.config.allows(method)
    }

    /// Whether packed data is unpacked.
    pub(super) fn unpacks(&self) -> bool {
        self.config
            .plugins
            .contains(&ImportPlugin::ImageDecompression)
    }

    /// The properties that images get whose import this caller asks for.
    pub(super) fn injected(&self, caller: &Caller) -> BTreeMap<String, String> {
        let ignored = &self.config.inject_ignore_user_roles;
        let plugins = &self.config.plugins;
        let gets = plugins.contains(&ImportPlugin::InjectImageMetadata)
            && !ignored.iter().any(|role| caller.has_role(role));
        if gets {
            self.config.inject.0.clone()
        } else {
            BTreeMap::new()
        }
    }

    /// Where data can be fetched from.
    pub(super) fn web(&self) -> &Web {
        &self.web
    }
}
