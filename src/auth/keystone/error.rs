//! Why Keystone has not said who holds a token. None of these quotes what Keystone sent: it repeats tokens at times.

use std::sync::Arc;

/// Keystone could not be asked, or did not answer the question.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// No connection, or one that broke.
    #[error("Keystone cannot be reached")]
    Unreachable(#[source] hyper_util::client::legacy::Error),
    /// The answer broke off, or is larger than any that can be right.
    #[error("the answer of Keystone cannot be read")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No answer in time.
    #[error("Keystone has not answered within {0:?}")]
    Slow(std::time::Duration),
    /// An answer that does not belong to the question.
    #[error("Keystone answered with status {0}")]
    Status(u16),
    /// A body that is not what the API says.
    #[error("the answer of Keystone is not understood: {0}")]
    Garbled(&'static str),
    /// Our own credentials are not taken.
    #[error("Keystone refuses the service's own credentials of [keystone]")]
    Refused,
    /// Our own user may not ask about tokens.
    #[error(
        "the service's own user of [keystone] may not validate tokens; it needs the role service or admin"
    )]
    NotAllowed,
    /// Our own user may not ask about limits.
    #[error(
        "the service's own user of [keystone] may not read limits; it needs the role reader for the whole deployment"
    )]
    LimitsNotAllowed,
    /// The file of credentials has become unreadable or wrong.
    #[error("the credentials of [keystone] cannot be had")]
    Credentials(#[source] crate::config::Faults),
    /// The same for everybody who waited for one answer.
    #[error(transparent)]
    Shared(Arc<Error>),
}
