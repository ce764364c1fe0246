//! Why a source gives no data, in words for whom asked for the import. None quotes what the source sent, or a URL: it may be signed.

use std::error::Error as StdError;
use std::time::Duration;

use super::refused::Refused;

/// Why there is no data, or no more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The source may not be asked.
    #[error("the source is refused: {0}")]
    Refused(#[source] Refused),
    /// The source names another one that may not be asked.
    #[error("redirected to a refused address: {0}")]
    RedirectRefused(#[source] Refused),
    /// A circle, or too long a way.
    #[error("redirected more than {0} times")]
    TooManyRedirects(usize),
    /// No connection, or none that can be trusted, or one that ended without an answer.
    #[error("the source cannot be reached: {0}")]
    Unreachable(String),
    /// Nothing came for too long.
    #[error("the source has sent nothing for {0:?}")]
    Silent(Duration),
    /// What came is no answer that can be read.
    #[error("the source does not speak HTTP as it should: {0}")]
    NotHttp(String),
    /// Another answer than the data.
    #[error("the source answered {0}")]
    Status(u16),
    /// Bytes that are not the data itself.
    #[error("the source sends its data in another coding than its own, such as compressed")]
    Coded,
    /// Nobody could tell whether the data is whole.
    #[error(
        "the source gives neither the length of its data nor a sign of its end, so nobody could tell whether it is whole"
    )]
    NoEnd,
    /// The connection ended or failed within the data.
    #[error("the connection ended")]
    Ended,
    /// It did so, and the rest is not to be had.
    #[error("the source broke off after {received} {}: {why}", of(*length))]
    BrokeOff {
        /// Bytes that came.
        received: u64,
        /// Bytes that were promised.
        length: Option<u64>,
        /// What happened last.
        #[source]
        why: Box<Error>,
    },
    /// It could go on only with the same data under a strong ETag (RFC 9110, 13.1.5).
    #[error("{0}, and the source has no length and strong ETag by which to go on")]
    NoValidator(#[source] Box<Error>),
    /// The same data again, and from its beginning.
    #[error("the source gives no ranges of its data")]
    NoRanges,
    /// The rest would be one of other data.
    #[error("the source changed while it was read")]
    Changed,
    /// More came than was promised.
    #[error("the source sent more than the {0} bytes it promised")]
    Longer(u64),
}

impl Error {
    /// That a connection or a handshake failed; tells what lies at the bottom of it.
    pub(super) fn unreachable(error: &(dyn StdError + 'static)) -> Self {
        let deepest = std::iter::successors(Some(error), |&error| error.source()).last();
        Self::Unreachable(deepest.unwrap_or(error).to_string())
    }

    /// That there was no head of an answer.
    pub(super) fn headless(error: &hyper::Error) -> Self {
        if error.is_parse_too_large() {
            Self::NotHttp("the head of its answer is too large".to_owned())
        } else if error.is_parse() || error.is_parse_status() {
            Self::NotHttp("its answer cannot be read".to_owned())
        } else {
            Self::Unreachable("the connection ended before an answer".to_owned())
        }
    }

    /// Whether the same data may be had at another try.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Refused(why) | Self::RedirectRefused(why) => why.is_passing(),
            Self::Unreachable(_) | Self::Silent(_) | Self::Status(_) | Self::Ended => true,
            Self::NotHttp(_) | Self::TooManyRedirects(_) | Self::NoEnd | Self::Coded => true,
            Self::BrokeOff { .. }
            | Self::NoValidator(_)
            | Self::NoRanges
            | Self::Changed
            | Self::Longer(_) => false,
        }
    }
}

fn of(length: Option<u64>) -> String {
    match length {
        Some(length) => format!("of {length} bytes"),
        None => "bytes".to_owned(),
    }
}
