//! Keys in a file, for sites that rotate them by replacing the file.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Context;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use serde::Deserialize;

/// How long the SDK may use what it read before it asks again: the bound on a rotation's delay.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// A TOML file with `access_key`, `secret_key` and perhaps `session_token`.
#[derive(Debug)]
pub(super) struct FileCredentials {
    path: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    access_key: String,
    secret_key: String,
    session_token: Option<String>,
}

impl FileCredentials {
    /// Reads the file once, so that a fault in it is found at start.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let this = Self {
            path: path.to_owned(),
        };
        this.read()?;
        Ok(this)
    }

    fn read(&self) -> anyhow::Result<Credentials> {
        let shown = self.path.display();
        let text = std::fs::read_to_string(&self.path)
            .with_context(|| format!("cannot read credentials_file {shown}"))?;
        // The parser's message would quote the line, and with it a secret.
        let keys: Keys = toml::from_str(&text).map_err(|_| {
            anyhow::anyhow!("credentials_file {shown} must hold access_key, secret_key and perhaps session_token")
        })?;
        let expiry = SystemTime::now() + READ_AGAIN_AFTER;
        Ok(Credentials::new(
            keys.access_key,
            keys.secret_key,
            keys.session_token,
            Some(expiry),
            "file",
        ))
    }
}

impl ProvideCredentials for FileCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(self.read().map_err(CredentialsError::provider_error))
    }
}
