//! A file of tokens that is read again when it changes.
//!
//! A request looks at the file's time and size, at most once a second over all requests; nothing runs in the
//! background. So a token that is taken out of the file is refused a second later. A file that has become unreadable
//! or wrong leaves the tokens as they were, which is logged once for each change.

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use tokio::time::Instant;

use crate::config::{Fault, Faults};

use super::Identity;
use super::tokens::TokenSet;

/// How long a look at the file is good for.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// The tokens of a file, kept up with it.
#[derive(Debug)]
pub struct TokenFile {
    path: PathBuf,
    tokens: RwLock<Arc<TokenSet>>,
    watch: Mutex<Watch>,
}

/// What is known of the file.
#[derive(Debug)]
struct Watch {
    /// When it was looked at; none before the first request.
    checked: Option<Instant>,
    /// What the tokens, or the last failure to read them, came from.
    seen: Stamp,
}

/// Tells one content of the file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stamp {
    Unreadable,
    Of {
        modified: Option<SystemTime>,
        length: u64,
    },
}

impl TokenFile {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub fn open(path: &Path) -> Result<Self, Faults> {
        // Before the content: a change between the two is then seen at the next look.
        let seen = Stamp::from(std::fs::metadata(path));
        let tokens = read(path, std::fs::read_to_string(path))?;
        Ok(Self {
            path: path.to_owned(),
            tokens: RwLock::new(Arc::new(tokens)),
            watch: Mutex::new(Watch {
                checked: None,
                seen,
            }),
        })
    }

    /// Who holds the token, unless it has expired.
    pub async fn find(&self, token: &str) -> Option<Identity> {
        if self.claim_check() {
            self.check().await;
        }
        let tokens = Arc::clone(&self.tokens.read().unwrap_or_else(PoisonError::into_inner));
        tokens.find(token, OffsetDateTime::now_utc()).cloned()
    }

    /// Whether the file should be looked at, which the caller who is told so then does alone.
    fn claim_check(&self) -> bool {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        let due = watch
            .checked
            .is_none_or(|checked| checked.elapsed() >= CHECK_EVERY);
        if due {
            watch.checked = Some(Instant::now());
        }
        due
    }

    /// Looks at the file and reads it if it has changed. A caller that goes away meanwhile leaves the change to be
    /// found by the next look.
    async fn check(&self) {
        let mut now = Stamp::from(tokio::fs::metadata(&self.path).await);
        let seen = self
            .watch
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .seen;
        // An unreadable file is tried each time: a change of its permissions shows in neither time nor size.
        if now == seen && now != Stamp::Unreadable {
            return;
        }
        let text = tokio::fs::read_to_string(&self.path).await;
        if text.is_err() {
            now = Stamp::Unreadable;
        }
        match read(&self.path, text) {
            Ok(tokens) => {
                tracing::info!(
                    count = tokens.len(),
                    "the file of tokens has changed and was read again"
                );
                *self.tokens.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(tokens);
            }
            Err(faults) if now != seen => {
                tracing::error!(%faults, "the file of tokens has changed and is wrong; the earlier tokens stay good");
            }
            Err(_) => {}
        }
        self.watch
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .seen = now;
    }
}

fn read(path: &Path, text: std::io::Result<String>) -> Result<TokenSet, Faults> {
    match text {
        Ok(text) => {
            TokenSet::parse(&text).map_err(|faults| faults.within(&path.display().to_string()))
        }
        Err(error) => Err(Faults(vec![Fault::unreadable(path, &error)])),
    }
}

impl From<std::io::Result<Metadata>> for Stamp {
    fn from(metadata: std::io::Result<Metadata>) -> Self {
        metadata.map_or(Self::Unreadable, |metadata| Self::Of {
            modified: metadata.modified().ok(),
            length: metadata.len(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tokens::tests::entry;
    use super::*;

    /// A file with the token `alpha`.
    fn opened() -> (tempfile::TempDir, PathBuf, TokenFile) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tokens.toml");
        std::fs::write(&path, entry("a", "alpha", "")).unwrap();
        let file = TokenFile::open(&path).unwrap();
        (directory, path, file)
    }

    #[tokio::test(start_paused = true)]
    async fn changed_file_is_read_again_after_a_second() {
        let (_directory, path, file) = opened();
        assert!(file.find("alpha").await.is_some());
        std::fs::write(&path, entry("longer-name", "beta", "")).unwrap();
        assert!(
            file.find("alpha").await.is_some(),
            "looked at twice in a second"
        );
        tokio::time::advance(CHECK_EVERY).await;
        assert!(file.find("alpha").await.is_none());
        assert!(file.find("beta").await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn broken_or_missing_file_leaves_the_earlier_tokens() {
        let (_directory, path, file) = opened();
        std::fs::write(&path, "[[token]]\nname = 7").unwrap();
        assert!(file.find("alpha").await.is_some());
        std::fs::remove_file(&path).unwrap();
        tokio::time::advance(CHECK_EVERY).await;
        assert!(file.find("alpha").await.is_some());
        std::fs::write(&path, entry("b", "beta", "")).unwrap();
        tokio::time::advance(CHECK_EVERY).await;
        assert!(file.find("beta").await.is_some());
        assert!(file.find("alpha").await.is_none());
    }

    #[test]
    fn faults_name_the_file() {
        let (_directory, path, _) = opened();
        std::fs::write(&path, "token = 1").unwrap();
        let faults = TokenFile::open(&path).unwrap_err();
        assert_eq!(
            faults.to_string(),
            format!(
                "{}: token: must be a list of tables (got 1)",
                path.display()
            )
        );
    }
}
