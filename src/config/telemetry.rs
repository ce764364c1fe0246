//! `[log]` and `[metrics]`: what the service tells about itself.

use std::net::{Ipv4Addr, SocketAddr};

use super::choice::choice;
use super::read::Section;

choice! {
    /// How grave an event must be to be logged.
    LogLevel {
        /// Somebody should look.
        Error = "error",
        /// Went on, degraded.
        Warn = "warn",
        /// Events in the life of the service and its images.
        Info = "info",
        /// For diagnosis.
        Debug = "debug",
        /// Every step.
        Trace = "trace",
    }
}

choice! {
    /// How a log line is written.
    LogFormat {
        /// For people.
        Text = "text",
        /// One JSON object a line, for collectors.
        Json = "json",
    }
}

/// The log, written to standard error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The least grave level of the service's own events; libraries log from `warn`. Default `"info"`. Use `"debug"`
    /// while looking for a fault.
    pub level: LogLevel,
    /// How a line is written. Default `"text"`; `"json"` for log collectors.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: LogLevel::Info,
            format: LogFormat::Text,
        }
    }
}

impl Log {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        Self {
            level: section.take("level", default.level),
            format: section.take("format", default.format),
        }
    }
}

/// The listener of metrics and health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metrics {
    /// Address and port of the metrics, apart from the API so that they need no token. Default `127.0.0.1:9293`;
    /// `"off"` serves none. Set an address of the monitoring network.
    pub listen: Option<SocketAddr>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            listen: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 9293))),
        }
    }
}

impl Metrics {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        Self {
            listen: section.take("listen", Self::default().listen),
        }
    }
}
