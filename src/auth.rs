//! Who calls: turns the token of a request into an [`Identity`], by a file of tokens or by Keystone.
//!
//! What an identity may do is not decided here, and neither is where a token stands in a request.

mod identity;
mod keystone;
mod token_file;
pub(crate) mod tokens;

use std::sync::Arc;

use crate::config::{AuthMode, Config, Faults};
use crate::telemetry::metrics::Metrics;

pub(crate) use identity::Identity;
pub(crate) use keystone::{Keystone, KeystoneProbe, ProjectLimits};
pub(crate) use token_file::TokenFile;

/// Why a caller is not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The request has no token and needs one.
    #[error("authentication required")]
    Missing,
    /// The token is unknown or has expired.
    #[error("the token is not valid")]
    Invalid,
    /// Who holds the token cannot be found out now; asking again later may help.
    #[error("tokens cannot be checked now")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What of a request says who sends it, and what it is for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    /// The caller's token.
    pub token: Option<&'a str>,
    /// The token of a service that sends the request for the caller.
    pub service_token: Option<&'a str>,
    /// The HTTP method.
    pub method: &'a str,
    /// The path, as it is routed.
    pub path: &'a str,
}

/// The way callers are recognised.
#[derive(Debug)]
pub(crate) enum Authenticator {
    /// Every caller is this identity, with or without a token.
    None(Identity),
    /// Callers show a token that stands in a file.
    Tokens(TokenFile),
    /// Callers show a token of a cloud's identity service.
    Keystone(Box<Keystone>),
}

impl Authenticator {
    /// Makes ready what `auth` names. An identity service that is away is no fault.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with a file that is needed, or with the credentials of an identity service.
    pub(crate) fn open(config: &Config, metrics: &Arc<Metrics>) -> Result<Self, Faults> {
        match config.auth {
            AuthMode::None => Ok(Self::None(Identity {
                user_id: config.noauth.user_id.clone(),
                project_id: Some(config.noauth.project_id.clone()),
                roles: identity::with_implied(vec!["admin".to_owned()]),
                ..Identity::default()
            })),
            AuthMode::Tokens => TokenFile::open(&config.tokens.file).map(Self::Tokens),
            AuthMode::Keystone => Keystone::open(&config.keystone, metrics)
                .map(Box::new)
                .map(Self::Keystone),
        }
    }

    /// Finds who sends a request. An empty token counts as none.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] and [`Error::Invalid`] are the caller's fault, [`Error::Unavailable`] is not.
    pub(crate) async fn authenticate(&self, request: Request<'_>) -> Result<Identity, Error> {
        let request = Request {
            token: request.token.filter(|token| !token.is_empty()),
            service_token: request.service_token.filter(|token| !token.is_empty()),
            ..request
        };
        match self {
            Self::None(identity) => Ok(identity.clone()),
            Self::Tokens(file) => {
                let token = request.token.ok_or(Error::Missing)?;
                file.find(token).await.ok_or(Error::Invalid)
            }
            Self::Keystone(keystone) => keystone.authenticate(&request).await,
        }
    }

    /// What a project may hold, where the identity service says so.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`].
    pub(crate) async fn limits(&self, project: &str) -> Result<Option<ProjectLimits>, Error> {
        match self {
            Self::None(_) | Self::Tokens(_) => Ok(None),
            Self::Keystone(keystone) => keystone.limits(project).await,
        }
    }

    /// How a caller can become known, in the words of `WWW-Authenticate`.
    pub(crate) fn challenge(&self) -> &str {
        match self {
            Self::None(_) | Self::Tokens(_) => "Token realm=\"oriel\"",
            Self::Keystone(keystone) => keystone.challenge(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        let text = format!("{text}\n[store.main]\nendpoint = \"embedded\"");
        Config::from_parts(&text, []).unwrap()
    }

    fn open(config: &Config) -> Result<Authenticator, Faults> {
        Authenticator::open(config, &Arc::new(Metrics::new()))
    }

    fn with(token: Option<&str>) -> Request<'_> {
        Request {
            token,
            service_token: None,
            method: "GET",
            path: "/v2/images",
        }
    }

    #[tokio::test]
    async fn without_authentication_every_caller_is_the_administrator() {
        let config = config("auth = \"none\"\nnoauth = { project_id = \"p\", user_id = \"u\" }");
        let authenticator = open(&config).unwrap();
        for token in [None, Some("anything")] {
            let identity = authenticator.authenticate(with(token)).await.unwrap();
            assert_eq!(identity.roles, ["admin", "member", "reader"]);
            assert_eq!(identity.user_id, "u");
            assert_eq!(identity.project_id.as_deref(), Some("p"));
        }
    }

    #[tokio::test]
    async fn with_tokens_a_caller_needs_a_known_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tokens.toml");
        std::fs::write(&path, tokens::tests::entry("ci", "sesame", "")).unwrap();
        let config = config(&format!("tokens.file = {:?}", path.to_str().unwrap()));
        let authenticator = open(&config).unwrap();
        assert!(matches!(
            authenticator.authenticate(with(None)).await,
            Err(Error::Missing)
        ));
        assert!(matches!(
            authenticator.authenticate(with(Some(""))).await,
            Err(Error::Missing)
        ));
        assert!(matches!(
            authenticator.authenticate(with(Some("guess"))).await,
            Err(Error::Invalid)
        ));
        let identity = authenticator
            .authenticate(with(Some("sesame")))
            .await
            .unwrap();
        assert_eq!(identity.user_id, "user-of-ci");
        assert_eq!(identity.roles, ["member", "reader"]);
    }

    #[test]
    fn missing_file_of_tokens_is_a_fault_at_start() {
        let config = config("tokens.file = \"absent/tokens.toml\"");
        let faults = open(&config).unwrap_err();
        assert!(
            faults
                .to_string()
                .contains("absent/tokens.toml: cannot be read"),
            "{faults}"
        );
    }
}
