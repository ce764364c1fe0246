//! The rules in force: the defaults, with a site's file over them that is read again when it changes.

use std::sync::Arc;

use crate::config::{Config, Fault, Faults, Watched};
use crate::policy::Policy;

/// Where the rules of a request come from.
#[derive(Debug)]
pub(crate) enum Policies {
    /// The defaults alone.
    Defaults(Arc<Policy>),
    /// A file over them.
    File(Watched<Policy>),
}

impl Policies {
    /// Reads the policy file, if the site has one.
    ///
    /// # Errors
    ///
    /// When it cannot be read or is no map of rules. A rule that is wrong by itself is logged and never fulfilled.
    pub(crate) fn open(config: &Config) -> Result<Self, Faults> {
        match &config.policy.file {
            None => Ok(Self::Defaults(Arc::new(Policy::defaults()))),
            Some(path) => Watched::open(path, "the policy file", parse).map(Self::File),
        }
    }

    /// The rules now, at most a second old.
    pub(crate) async fn current(&self) -> Arc<Policy> {
        match self {
            Self::Defaults(policy) => Arc::clone(policy),
            Self::File(file) => file.current().await,
        }
    }
}

fn parse(text: &str) -> Result<Policy, Faults> {
    let policy = Policy::parse(text).map_err(|e| {
        Faults(vec![Fault {
            key: "policy".into(),
            variable: None,
            rule: e.to_string(),
            got: None,
        }])
    })?;
    for problem in policy.problems() {
        tracing::error!(
            problem,
            "a rule of the policy file is wrong and will never be fulfilled"
        );
    }
    Ok(policy)
}
