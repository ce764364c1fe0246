//! What a site allows of imports.

use std::sync::Arc;

use crate::config::{Import, ImportMethod};

/// The section `[import]`, as handlers ask it.
#[derive(Clone)]
pub(super) struct Imports(Arc<Import>);

impl Imports {
    pub(super) fn new(import: &Import) -> Self {
        Self(Arc::new(import.clone()))
    }

    /// The methods that clients may use.
    pub(super) fn methods(&self) -> Vec<&'static str> {
        self.0
            .methods
            .iter()
            .map(|method| method.as_str())
            .collect()
    }

    /// Whether clients may use a method.
    pub(super) fn allows(&self, method: ImportMethod) -> bool {
        self.0.allows(method)
    }
}
