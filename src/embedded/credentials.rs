//! The key pair of the store: made once, kept in the directory, readable by its owner only.

use std::fs;
use std::io;

use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};

use super::Error;
use super::layout::Layout;

/// An access key and its secret. There is deliberately no `Debug`: nothing should be able to log it by accident.
#[derive(Serialize, Deserialize)]
pub(super) struct Credentials {
    access_key: String,
    secret_key: String,
}

impl Credentials {
    /// Reads the key pair of the directory, or makes one if it has none yet.
    pub(super) fn load_or_create(layout: &Layout) -> Result<Self, Error> {
        let path = layout.credentials();
        match fs::read(&path) {
            Ok(json) => serde_json::from_slice(&json).map_err(|e| Error::Damaged {
                path,
                reason: e.to_string(),
            }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let made = Self {
                    access_key: random_hex::<10>()?,
                    secret_key: random_hex::<32>()?,
                };
                layout
                    .write_record(&path, &made)
                    .map_err(|source| Error::Io { path, source })?;
                Ok(made)
            }
            Err(source) => Err(Error::Io { path, source }),
        }
    }

    pub(super) fn access_key(&self) -> &str {
        &self.access_key
    }

    pub(super) fn secret_key(&self) -> &str {
        &self.secret_key
    }
}

/// `N` random bytes as upper-case hexadecimal digits: safe in a header, a URL and a shell.
fn random_hex<const N: usize>() -> Result<String, Error> {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Error::Random)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02X}")).collect())
}
