//! The service in a cloud whose identity service is the real Keystone.
//!
//! `tests/keystone/keystone.sh start` starts it and writes where it is (`ORIEL_TEST_KEYSTONE_FILE`, by default
//! `var/stores/keystone/run/settings`). Where it is not there the tests are skipped with a line that says so.
#![expect(
    clippy::unwrap_used,
    reason = "a test ends at the first thing that goes wrong"
)]

#[path = "support/mod.rs"]
mod support;

#[path = "keystone/access_rules.rs"]
mod access_rules;
#[path = "keystone/cloud.rs"]
mod cloud;
#[path = "keystone/limits.rs"]
mod limits;
#[path = "keystone/outage.rs"]
mod outage;
#[path = "keystone/rbac.rs"]
mod rbac;
#[path = "keystone/secrets.rs"]
mod secrets;
#[path = "keystone/service_tokens.rs"]
mod service_tokens;
#[path = "keystone/site.rs"]
mod site;
#[path = "keystone/tokens.rs"]
mod tokens;
