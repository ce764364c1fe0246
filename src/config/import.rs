//! `[import]`: how data comes into images other than by an upload.

use std::collections::BTreeMap;

use toml::Value;

use super::choice::choice;
use super::read::Section;
use super::setting::Setting;
use super::units::Span;
use super::web::WebRules;

choice! {
    /// A way to import.
    ImportMethod {
        /// Data that a client has staged.
        GlanceDirect = "glance-direct",
        /// Data that the service fetches from a URL.
        WebDownload = "web-download",
        /// More copies of the data of an active image.
        CopyImage = "copy-image",
    }
}

choice! {
    /// What an import may do to what it brings in, besides storing it.
    ImportPlugin {
        /// Properties of the site's choice on every image.
        InjectImageMetadata = "inject_image_metadata",
        /// Data that is packed is unpacked on the way.
        ImageDecompression = "image_decompression",
    }
}

impl Setting for Vec<ImportPlugin> {
    const RULE: &'static str = "must be a list of: inject_image_metadata, image_decompression";

    fn from_text(text: &str) -> Option<Self> {
        let words = text.split(',').map(str::trim);
        words
            .filter(|word| !word.is_empty())
            .map(ImportPlugin::from_text)
            .collect()
    }

    fn from_toml(value: &Value) -> Option<Self> {
        let plugins = value.as_array()?.iter();
        plugins.map(ImportPlugin::from_toml).collect()
    }
}

/// Properties by their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Injected(pub BTreeMap<String, String>);

/// A list of `name:value`; commas part them in a variable.
impl Setting for Injected {
    const RULE: &'static str = "must be a list of properties such as \"name:value\"";

    fn from_text(text: &str) -> Option<Self> {
        let pairs = text.split(',').map(str::trim);
        let pairs = pairs.filter(|pair| !pair.is_empty()).map(pair_of);
        pairs.collect::<Option<_>>().map(Self)
    }

    fn from_toml(value: &Value) -> Option<Self> {
        let pairs = value.as_array()?.iter();
        let pairs = pairs.map(|pair| pair_of(pair.as_str()?));
        pairs.collect::<Option<_>>().map(Self)
    }
}

fn pair_of(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once(':')?;
    Some((name.trim().to_owned(), value.trim().to_owned()))
}

/// A list of methods, perhaps an empty one; commas part them in a variable.
impl Setting for Vec<ImportMethod> {
    const RULE: &'static str = "must be a list of: glance-direct, web-download, copy-image";

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
    /// The methods that clients may use. Default all. An empty list turns import off, and staging with it.
    pub methods: Vec<ImportMethod>,
    /// What is done to what comes in, besides storing it; not to copies. Default `[]`.
    pub plugins: Vec<ImportPlugin>,
    /// The properties of `inject_image_metadata`. Default none.
    pub inject: Injected,
    /// Whose imports do not get them: who has one of these roles. Default `["admin"]`.
    pub inject_ignore_user_roles: Vec<String>,
    /// How many imports one server carries out at once. Default 8; the others wait.
    pub tasks: u32,
    /// How many imports of one project are carried out at once, on all servers. Default 4.
    pub tasks_per_project: u32,
    /// How long the record of a task is kept after its end. Default `"48h"`.
    pub task_time_to_live: Span,
    /// Where data may be fetched from.
    pub web: WebRules,
}

impl Default for Import {
    fn default() -> Self {
        Self {
            methods: vec![
                ImportMethod::GlanceDirect,
                ImportMethod::WebDownload,
                ImportMethod::CopyImage,
            ],
            plugins: Vec::new(),
            inject: Injected::default(),
            inject_ignore_user_roles: vec!["admin".to_owned()],
            tasks: 8,
            tasks_per_project: 4,
            task_time_to_live: Span::seconds(48 * 60 * 60),
            web: WebRules::default(),
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
        let import = Self {
            methods: section.take("methods", default.methods),
            plugins: section.take("plugins", default.plugins),
            inject: section.take("inject", default.inject),
            inject_ignore_user_roles: section
                .take("inject_ignore_user_roles", default.inject_ignore_user_roles),
            tasks: section.take("tasks", default.tasks),
            tasks_per_project: section.take("tasks_per_project", default.tasks_per_project),
            task_time_to_live: section.take("task_time_to_live", default.task_time_to_live),
            web: WebRules::read(section),
        };
        for (key, tasks) in [
            ("tasks", import.tasks),
            ("tasks_per_project", import.tasks_per_project),
        ] {
            section.require(tasks > 0, key, "must be at least 1", tasks);
        }
        import
    }
}
