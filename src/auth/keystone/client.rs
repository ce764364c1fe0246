//! Requests to Keystone: one TLS stack, retries with jitter, answers of bounded size. Redirects are not followed, since
//! every request carries a secret.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;

use super::error::Error;
use crate::config::{Fault, Faults, Keystone as Options};
use crate::net::{RootsError, client_tls};

/// The largest answer that is read: a token with the catalog of a large cloud has some tens of KiB.
const LARGEST_ANSWER: usize = 1024 * 1024;

/// Idle connections are kept for bursts of new tokens, and closed before servers do.
const IDLE_CONNECTIONS: usize = 16;
const IDLE_CONNECTION_LIFE: Duration = Duration::from_secs(4);

const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LONGEST_BACKOFF: Duration = Duration::from_secs(2);

/// The connections to Keystone.
pub(super) struct Http {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    retries: u32,
}

/// A question, to be put more than once if need be.
pub(super) struct KeystoneRequest {
    pub(super) method: Method,
    pub(super) url: String,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Bytes,
}

/// An answer below 500.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Http {
    pub(super) fn open(options: &Options) -> Result<Self, Faults> {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(options.connect_timeout.duration()));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls(options)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_CONNECTION_LIFE)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .build(connector);
        Ok(Self {
            client,
            retries: options.retries,
        })
    }

    /// Puts the question, again after what may be a passing failure. The caller sets the limit in time.
    pub(super) async fn ask(&self, question: &KeystoneRequest) -> Result<Answer, Error> {
        let mut attempt = 0;
        loop {
            let outcome = self.ask_once(question).await;
            let error = match outcome {
                Ok(answer) if !is_passing(answer.status) => return Ok(answer),
                Ok(answer) => Error::Status(answer.status.as_u16()),
                Err(error) => error,
            };
            if attempt == self.retries {
                return Err(error);
            }
            tracing::debug!(attempt, %error, "Keystone is asked again");
            tokio::time::sleep(backoff(attempt)).await;
            attempt += 1;
        }
    }

    async fn ask_once(&self, question: &KeystoneRequest) -> Result<Answer, Error> {
        let mut request = Request::new(Full::new(question.body.clone()));
        *request.method_mut() = question.method.clone();
        *request.uri_mut() = (question.url.parse())
            .map_err(|_| Error::Garbled("its catalog has an endpoint that is no URL"))?;
        request.headers_mut().extend(question.headers.clone());
        let answer = self
            .client
            .request(request)
            .await
            .map_err(Error::Unreachable)?;
        let (head, body) = answer.into_parts();
        #[expect(
            clippy::disallowed_methods,
            reason = "a JSON document, limited right here"
        )]
        let body = Limited::new(body, LARGEST_ANSWER)
            .collect()
            .await
            .map_err(Error::Broken)?;
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body: body.to_bytes(),
        })
    }
}

/// Whether the same question may have another answer soon.
fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS
}

/// Between half and the whole of a pause that doubles, so that many who failed together do not come back together.
fn backoff(attempt: u32) -> Duration {
    let whole = FIRST_BACKOFF
        .saturating_mul(2_u32.saturating_pow(attempt))
        .min(LONGEST_BACKOFF);
    whole.mul_f64(0.5 + fastrand::f64() / 2.0)
}

fn tls(options: &Options) -> Result<ClientConfig, Faults> {
    let is_https = |url: &String| url.starts_with("https:");
    let speaks_tls = options.auth_url.as_ref().is_some_and(is_https);
    client_tls(options.ca_bundle.as_deref(), speaks_tls).map_err(|e| {
        let rule = match e {
            RootsError::File(rule) => rule,
            RootsError::System(_) => format!("is required, since {e}"),
        };
        fault("keystone.ca_bundle", rule)
    })
}

pub(super) fn fault(key: &str, rule: impl Into<String>) -> Faults {
    Faults(vec![Fault {
        key: key.to_owned(),
        variable: None,
        rule: rule.into(),
        got: None,
    }])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_differ() {
        for attempt in [0, 1, 5, 40, u32::MAX] {
            let pause = backoff(attempt);
            assert!(pause >= FIRST_BACKOFF / 2 && pause <= LONGEST_BACKOFF);
        }
        let pauses: std::collections::BTreeSet<Duration> = (0..10).map(|_| backoff(3)).collect();
        assert!(pauses.len() > 1);
    }

    #[test]
    fn bundle_without_certificates_is_a_fault_that_names_the_key() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ca.pem");
        for content in [None, Some("no pem")] {
            if let Some(content) = content {
                std::fs::write(&path, content).unwrap();
            }
            let options = Options {
                ca_bundle: Some(path.clone()),
                ..Options::default()
            };
            let faults = tls(&options).unwrap_err().to_string();
            assert!(faults.starts_with("keystone.ca_bundle: "), "{faults}");
            assert!(faults.contains("ca.pem"), "{faults}");
        }
    }
}
