//! A file of tokens that is read again when it changes, within a second.

use std::path::Path;

use time::OffsetDateTime;

use crate::config::{Faults, Watched};

use super::Identity;
use super::tokens::TokenSet;

/// The tokens of a file, kept up with it.
#[derive(Debug)]
pub(crate) struct TokenFile(Watched<TokenSet>);

impl TokenFile {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub(crate) fn open(path: &Path) -> Result<Self, Faults> {
        Watched::open(path, "the file of tokens", TokenSet::parse).map(Self)
    }

    /// Who holds the token, unless it has expired.
    pub(crate) async fn find(&self, token: &str) -> Option<Identity> {
        let tokens = self.0.current().await;
        tokens.find(token, OffsetDateTime::now_utc()).cloned()
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use super::super::tokens::tests::entry;
    use super::*;

    const A_SECOND: Duration = Duration::from_secs(1);

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
        tokio::time::advance(A_SECOND).await;
        assert!(file.find("alpha").await.is_none());
        assert!(file.find("beta").await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn broken_or_missing_file_leaves_the_earlier_tokens() {
        let (_directory, path, file) = opened();
        std::fs::write(&path, "[[token]]\nname = 7").unwrap();
        assert!(file.find("alpha").await.is_some());
        std::fs::remove_file(&path).unwrap();
        tokio::time::advance(A_SECOND).await;
        assert!(file.find("alpha").await.is_some());
        std::fs::write(&path, entry("b", "beta", "")).unwrap();
        tokio::time::advance(A_SECOND).await;
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
