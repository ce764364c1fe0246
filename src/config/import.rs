//! `[import]`: how data comes into images other than by an upload.

use toml::Value;

use super::choice::choice;
use super::read::Section;
use super::setting::Setting;

choice! {
    /// A way to import.
    ImportMethod {
        /// Data that a client has staged.
        GlanceDirect = "glance-direct",
    }
}

/// A list of methods, perhaps an empty one; commas part them in a variable.
impl Setting for Vec<ImportMethod> {
    const RULE: &'static str = "must be a list of: glance-direct";

    fn from_text(text: &str) -> Option<Self> {
        let words = text.split(',').map(str::trim);
        words
            .filter(|word| !word.is_empty())
            .map(ImportMethod::from_text)
            .collect()
    }

    fn from_toml(value: &Value) -> Option<Self> {
        let methods = value.as_array()?.iter();
        methods.map(ImportMethod::from_toml).collect()
    }
}

/// Staging and import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// The methods that clients may use. Default `["glance-direct"]`. An empty list turns import off, and staging with it.
    pub methods: Vec<ImportMethod>,
}

impl Default for Import {
    fn default() -> Self {
        Self {
            methods: vec![ImportMethod::GlanceDirect],
        }
    }
}

impl Import {
    /// Whether clients may use a method.
    pub fn allows(&self, method: ImportMethod) -> bool {
        self.methods.contains(&method)
    }

    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        Self {
            methods: section.take("methods", default.methods),
        }
    }
}
