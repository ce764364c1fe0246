//! The log: one line an event on standard error, as text or JSON, with times in UTC.

use std::io::IsTerminal;

use tracing::Subscriber;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, Registry};

use crate::config::{Log, LogFormat, LogLevel};

/// Starts the log of this process.
///
/// # Errors
///
/// The process has a log already.
pub(crate) fn init(log: &Log) -> Result<(), TryInitError> {
    subscriber(log, std::io::stderr, std::io::stderr().is_terminal()).try_init()
}

fn subscriber<W>(log: &Log, writer: W, colours: bool) -> impl Subscriber + Send + Sync + use<W>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_ansi(colours);
    let layer: Box<dyn Layer<Registry> + Send + Sync> = match log.format {
        LogFormat::Text => lines.with_filter(filter(log.level)).boxed(),
        // Fields of the event stand beside its message, where collectors look for them.
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_filter(filter(log.level))
            .boxed(),
    };
    tracing_subscriber::registry().with(layer)
}

/// Events of this crate from `level`, those of libraries from `warn` at the most talkative.
fn filter(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target(env!("CARGO_CRATE_NAME"), level)
        // The protocol of the embedded store calls every 404 an error; our side of the call logs what matters of it.
        .with_target("s3s", LevelFilter::OFF)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn lines(level: LogLevel, format: LogFormat, events: impl FnOnce()) -> Vec<String> {
        let captured = Captured::default();
        let writer = captured.clone();
        let log = Log { level, format };
        tracing::subscriber::with_default(subscriber(&log, move || writer.clone(), false), events);
        let bytes = captured.0.lock().unwrap().clone();
        String::from_utf8(bytes)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    fn one_of_each() {
        tracing::debug!("own debug");
        tracing::info!("own info");
        tracing::info!(target: "hyper", "library info");
        tracing::warn!(target: "hyper", "library warning");
        tracing::error!(target: "hyper", "library error");
    }

    #[test]
    fn libraries_are_heard_from_warnings_and_the_crate_from_its_level() {
        let info = lines(LogLevel::Info, LogFormat::Text, one_of_each);
        assert_eq!(info.len(), 3, "{info:?}");
        assert!(info[0].contains("own info") && info[1].contains("library warning"));
        assert_eq!(
            lines(LogLevel::Debug, LogFormat::Text, one_of_each).len(),
            4
        );
        let error = lines(LogLevel::Error, LogFormat::Text, one_of_each);
        assert_eq!(error.len(), 1, "{error:?}");
    }

    #[test]
    fn json_lines_have_utc_time_and_fields_beside_the_message() {
        let lines = lines(LogLevel::Info, LogFormat::Json, || {
            tracing::info!(size_bytes = 7, "stored")
        });
        let event: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!(event["message"], "stored");
        assert_eq!(event["size_bytes"], 7);
        assert!(event["timestamp"].as_str().unwrap().ends_with('Z'));
    }
}
