//! The configuration: a TOML file, overlaid with the environment.
//!
//! Each section is a struct in a file of its own. Values carry their units in their types, unknown keys are errors and
//! loading reports everything that is wrong at once. The rule for names and a table of all keys stand in
//! `docs/configuration.md`; `config/reference.toml` has every key with its default. Nothing else in the crate reads the
//! environment.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

mod auth;
mod catalog;
mod choice;
mod cors;
mod embedded;
mod environment;
mod fault;
mod images;
mod import;
mod keystone;
mod limits;
mod policy;
pub(crate) mod read;
mod server;
pub(crate) mod setting;
mod store;
mod telemetry;
mod transfer;
mod units;
mod watched;
mod web;

use read::{Findings, Section};

pub use auth::{AuthMode, NoAuth, Tokens};
pub use catalog::{Catalog, Database};
pub use cors::Cors;
pub use embedded::Embedded;
pub use fault::{Fault, Faults};
pub use images::{GptCheck, HashAlgorithm, Images, InspectedContainers, ProtectionFormat};
pub use import::{Import, ImportMethod, ImportPlugin, Injected};
pub use keystone::{Interface, Keystone};
pub use limits::Limits;
pub use policy::Policy;
pub use server::Server;
pub use store::{Profile, Store};
pub use telemetry::{Log, LogFormat, LogLevel, Metrics};
pub use transfer::Transfer;
pub use units::{ByteSize, Limit, Secret, Span};
pub use watched::Watched;
pub use web::{WebRules, WebScheme};

/// Everything an operator can choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// How callers are recognised. Default `"tokens"`.
    pub auth: AuthMode,
    /// The store of uploads that name none. Default: none; needed when there is more than one store.
    pub default_store: Option<String>,
    /// The listener of the API.
    pub server: Server,
    /// The identity of every caller while `auth = "none"`.
    pub noauth: NoAuth,
    /// The tokens of `auth = "tokens"`.
    pub tokens: Tokens,
    /// The identity service of `auth = "keystone"`.
    pub keystone: Keystone,
    /// Who may do what.
    pub policy: Policy,
    /// Which web pages may call.
    pub cors: Cors,
    /// How much one project may ask at a time.
    pub limits: Limits,
    /// Where image records are kept.
    pub catalog: Catalog,
    /// What images may be.
    pub images: Images,
    /// How data is imported.
    pub import: Import,
    /// How image bytes move.
    pub transfer: Transfer,
    /// The log.
    pub log: Log,
    /// The listener of metrics.
    pub metrics: Metrics,
    /// The S3 server inside.
    pub embedded: Embedded,
    /// The stores by name; at least one.
    pub store: BTreeMap<String, Store>,
}

impl Config {
    /// Reads the file and the environment of this process.
    ///
    /// # Errors
    ///
    /// Everything that is wrong: a file that cannot be read or is no TOML, unknown keys, bad values.
    pub fn load(path: &Path) -> Result<Self, Faults> {
        let mut findings = Findings::default();
        let variables = environment::variables(&mut findings.faults);
        let text = std::fs::read_to_string(path)
            .map_err(|error| Faults(vec![Fault::unreadable(path, &error)]))?;
        Self::read(&text, variables, findings)
    }

    /// Reads the text of a file and pairs of names and values in place of the environment.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, as for [`Config::load`].
    pub fn from_parts(
        text: &str,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Faults> {
        Self::read(text, env, Findings::default())
    }

    /// The name of the store of uploads that name none.
    pub fn default_store_id(&self) -> &str {
        let only = || self.store.keys().next().map(String::as_str);
        self.default_store
            .as_deref()
            .or_else(only)
            .unwrap_or_default()
    }

    fn read(
        text: &str,
        env: impl IntoIterator<Item = (String, String)>,
        mut findings: Findings,
    ) -> Result<Self, Faults> {
        let mut table = read::parse_table(text)?;
        environment::overlay(&mut table, env, &mut findings);
        let config = Self::read_table(table, &mut findings);
        findings.into_result(config)
    }

    fn read_table(table: toml::Table, findings: &mut Findings) -> Self {
        let mut root = Section::root(table, findings);
        let config = Self {
            auth: root.take("auth", AuthMode::Tokens),
            default_store: root.take_optional("default_store"),
            server: root.section("server", Server::read),
            noauth: root.section("noauth", NoAuth::read),
            tokens: root.section("tokens", Tokens::read),
            keystone: root.section("keystone", Keystone::read),
            policy: root.section("policy", Policy::read),
            cors: root.section("cors", Cors::read),
            limits: root.section("limits", Limits::read),
            catalog: root.section("catalog", Catalog::read),
            images: root.section("images", Images::read),
            import: root.section("import", Import::read),
            transfer: root.section("transfer", Transfer::read),
            log: root.section("log", Log::read),
            metrics: root.section("metrics", Metrics::read),
            embedded: root.section("embedded", Embedded::read),
            store: root.sections("store", |name, section| {
                store::check_name(name, section);
                Store::read(section)
            }),
        };
        config.check(&mut root);
        root.finish();
        config
    }

    /// The rules between sections.
    fn check(&self, root: &mut Section<'_>) {
        match &self.default_store {
            _ if self.store.is_empty() => {
                root.fault("store", "at least one [store.NAME] is required")
            }
            None if self.store.len() > 1 => {
                root.fault("default_store", "is required with more than one store")
            }
            None => {}
            Some(name) => root.require(
                self.store.contains_key(name),
                "default_store",
                "must be the name of a store",
                format_args!("{name:?}"),
            ),
        }
        let needed = self
            .store
            .values()
            .map(|store| store.part_size.bytes().saturating_mul(2))
            .max()
            .unwrap_or_default();
        root.require(
            self.transfer.memory_budget.bytes() >= needed,
            "transfer.memory_budget",
            format!(
                "must be at least twice the largest part_size, {}",
                ByteSize(needed)
            ),
            self.transfer.memory_budget,
        );
        if self.auth == AuthMode::Keystone {
            self.keystone.check_used(root);
        }
        self.check_listeners(root);
        self.check_shared_buckets(root);
    }

    fn check_listeners(&self, root: &mut Section<'_>) {
        let has_embedded = self.store.values().any(Store::is_embedded);
        let listeners = [
            ("server.listen", Some(self.server.listen)),
            ("metrics.listen", self.metrics.listen),
            (
                "embedded.listen",
                has_embedded.then_some(self.embedded.listen),
            ),
        ];
        for (index, (key, address)) in listeners.iter().enumerate() {
            for (earlier_key, earlier) in &listeners[..index] {
                if let (Some(address), Some(earlier)) = (address, earlier) {
                    root.require(
                        !clash(*address, *earlier),
                        key,
                        format!("must differ from {earlier_key}"),
                        address,
                    );
                }
            }
        }
    }

    /// Two stores that see each other's objects would clean up each other's uploads.
    fn check_shared_buckets(&self, root: &mut Section<'_>) {
        let stores: Vec<(&String, &Store)> = self.store.iter().collect();
        for (index, (name, store)) in stores.iter().enumerate() {
            for (earlier_name, earlier) in &stores[..index] {
                root.require(
                    !store.overlaps(earlier),
                    &format!("store.{name}.prefix"),
                    format!("must keep its objects apart from store {earlier_name}, which has the same bucket"),
                    format_args!("{:?} and {:?}", store.prefix, earlier.prefix),
                );
            }
        }
    }
}

/// Whether two listeners cannot both be bound.
fn clash(a: SocketAddr, b: SocketAddr) -> bool {
    let same_address = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() != 0 && a.port() == b.port() && same_address
}

#[cfg(test)]
mod tests;
