//! What a site allows of imports.

use std::sync::Arc;

use crate::config::{Import, ImportMethod};
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

    /// Where data can be fetched from.
    pub(super) fn web(&self) -> &Web {
        &self.web
    }
}
