//! Why a source is not asked at all.

use super::host::{Host, HostFault};

/// Why a URL is refused. Names the host at most: paths and queries carry signatures.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// Longer than is read.
    #[error("the URL is too long")]
    TooLong,
    /// A character that stands in no URL, or is read differently by different programs.
    #[error("the URL has a character that must not stand in one")]
    Characters,
    /// Not of the form `scheme://host`.
    #[error("the URL does not name a scheme and a host")]
    NotAbsolute,
    /// A user or a password.
    #[error("the URL must not name a user")]
    User,
    /// No port, where a colon promises one.
    #[error("the URL has no valid port after its host")]
    PortForm,
    /// No host that can be asked.
    #[error("the URL {0}")]
    HostForm(#[from] HostFault),
    /// A scheme that is not spoken, or not allowed here.
    #[error("the scheme of the URL is not allowed")]
    Scheme,
    /// The host is not allowed here.
    #[error("the host {0} is not allowed")]
    Host(String),
    /// The port is not allowed here.
    #[error("port {0} is not allowed")]
    Port(u16),
    /// The address, or one that the name leads to, is not one to connect to. Does not say which: names of the site's own network are
    /// not told to its users.
    #[error("{0} is not, or does not lead to, a public address alone")]
    Address(String),
    /// There is no address.
    #[error("the host {0} cannot be resolved")]
    Unresolved(String),
}

impl Refused {
    /// Nobody could say where the name leads.
    pub(super) fn unresolved(host: &Host) -> Self {
        Self::Unresolved(host.to_string())
    }

    /// Whether it may be different in a moment.
    pub(super) fn is_passing(&self) -> bool {
        matches!(self, Self::Unresolved(_))
    }
}
