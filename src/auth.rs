//! Who calls: turns the token of a request into an [`Identity`].
//!
//! What an identity may do is not decided here, and neither is where a token stands in a request.

mod identity;
mod token_file;
pub mod tokens;

use crate::config::{AuthMode, Config, Faults};

pub use identity::Identity;
pub use token_file::TokenFile;

/// Why a caller is not known.
#[derive(Debug, thiserror::Error)]
pub enum Error {
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

/// The way callers are recognised.
#[derive(Debug)]
pub enum Authenticator {
    /// Every caller is this identity, with or without a token.
    None(Identity),
    /// Callers show a token that stands in a file.
    Tokens(TokenFile),
}

impl Authenticator {
    /// Makes ready what `auth` names.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the file of tokens.
    pub fn open(config: &Config) -> Result<Self, Faults> {
        match config.auth {
            AuthMode::None => Ok(Self::None(Identity {
                user_id: config.noauth.user_id.clone(),
                project_id: Some(config.noauth.project_id.clone()),
                roles: identity::with_implied(vec!["admin".to_owned()]),
                ..Identity::default()
            })),
            AuthMode::Tokens => TokenFile::open(&config.tokens.file).map(Self::Tokens),
        }
    }

    /// Finds who holds the token of a request.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] and [`Error::Invalid`] are the caller's fault, [`Error::Unavailable`] is not.
    pub async fn authenticate(&self, token: Option<&str>) -> Result<Identity, Error> {
        match self {
            Self::None(identity) => Ok(identity.clone()),
            Self::Tokens(file) => {
                let token = token
                    .filter(|token| !token.is_empty())
                    .ok_or(Error::Missing)?;
                file.find(token).await.ok_or(Error::Invalid)
            }
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

    #[tokio::test]
    async fn without_authentication_every_caller_is_the_administrator() {
        let config = config("auth = \"none\"\nnoauth = { project_id = \"p\", user_id = \"u\" }");
        let authenticator = Authenticator::open(&config).unwrap();
        for token in [None, Some("anything")] {
            let identity = authenticator.authenticate(token).await.unwrap();
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
        let authenticator = Authenticator::open(&config).unwrap();
        assert!(matches!(
            authenticator.authenticate(None).await,
            Err(Error::Missing)
        ));
        assert!(matches!(
            authenticator.authenticate(Some("")).await,
            Err(Error::Missing)
        ));
        assert!(matches!(
            authenticator.authenticate(Some("guess")).await,
            Err(Error::Invalid)
        ));
        let identity = authenticator.authenticate(Some("sesame")).await.unwrap();
        assert_eq!(identity.user_id, "user-of-ci");
        assert_eq!(identity.roles, ["member", "reader"]);
    }

    #[test]
    fn missing_file_of_tokens_is_a_fault_at_start() {
        let config = config("tokens.file = \"absent/tokens.toml\"");
        let faults = Authenticator::open(&config).unwrap_err();
        assert!(
            faults
                .to_string()
                .contains("absent/tokens.toml: cannot be read"),
            "{faults}"
        );
    }
}
