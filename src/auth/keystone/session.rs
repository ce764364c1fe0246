//! The service's own token: taken by a login, renewed before it expires, taken anew when Keystone no longer knows it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use time::OffsetDateTime;
use tokio::time::Instant;

use super::client::{Answer, Http, KeystoneRequest};
use super::credentials::{Credentials, LoginScope};
use super::error::Error;
use super::flights::Flights;
use super::token::Login;
use crate::config::{Faults, Keystone as Options};

const SUBJECT_TOKEN: HeaderName = HeaderName::from_static("x-subject-token");

/// How long before its end a token is renewed, unless a fifth of its life is less.
const RENEW_BEFORE: time::Duration = time::Duration::minutes(1);

/// After credentials were refused they are not tried again for so long: sites lock users after a few wrong passwords.
const PAUSE_AFTER_REFUSAL: Duration = Duration::from_secs(10);

/// A token of the service's own, and where to use it.
pub(super) struct Session {
    pub(super) token: HeaderValue,
    /// Keystone's URL, with `/v3`.
    pub(super) endpoint: String,
    pub(super) roles: Vec<String>,
    renew_at: OffsetDateTime,
    expires_at: OffsetDateTime,
}

/// Keeps a session at hand.
pub(super) struct Sessions {
    inner: Arc<Inner>,
    logins: Flights<(), Result<Arc<Session>, Arc<Error>>>,
}

/// What a login needs, and its outcome.
struct Inner {
    http: Arc<Http>,
    options: Options,
    scope: LoginScope,
    credentials: Credentials,
    auth_url: String,
    latest: Mutex<Latest>,
}

#[derive(Default)]
struct Latest {
    session: Option<Arc<Session>>,
    refused: Option<Instant>,
}

impl Sessions {
    /// Makes ready to log in at `auth_url`; the first login happens when a session is first needed.
    pub(super) fn open(
        http: Arc<Http>,
        options: &Options,
        auth_url: &str,
        scope: LoginScope,
    ) -> Result<Self, Faults> {
        Ok(Self {
            inner: Arc::new(Inner {
                http,
                credentials: Credentials::open(options)?,
                auth_url: versioned(auth_url),
                options: options.clone(),
                scope,
                latest: Mutex::default(),
            }),
            logins: Flights::new(),
        })
    }

    /// A session that is still good; logs in when there is none, or when it is about to end.
    pub(super) async fn current(&self) -> Result<Arc<Session>, Error> {
        let session = self.inner.latest().session.clone();
        let now = OffsetDateTime::now_utc();
        if let Some(session) = session.as_ref().filter(|s| now < s.renew_at) {
            return Ok(Arc::clone(session));
        }
        let inner = Arc::clone(&self.inner);
        let login = move || async move { inner.login().await.map_err(Arc::new) }.boxed();
        match (self.logins.join((), login).await, session) {
            (Ok(session), _) => Ok(session),
            // Not renewed, but not at its end either.
            (Err(_), Some(session)) if now < session.expires_at => Ok(session),
            (Err(e), _) => Err(Error::Shared(e)),
        }
    }

    /// Puts a question under a session. One that is no longer good is replaced once.
    pub(super) async fn ask(
        &self,
        http: &Http,
        question: impl Fn(&Session) -> KeystoneRequest,
    ) -> Result<Answer, Error> {
        let session = self.current().await?;
        let answer = http.ask(&question(&session)).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        self.forget(&session);
        let session = self.current().await?;
        http.ask(&question(&session)).await
    }

    /// Forgets a session that Keystone has refused, unless there is a newer one.
    fn forget(&self, session: &Arc<Session>) {
        let mut latest = self.inner.latest();
        if (latest.session.as_ref()).is_some_and(|latest| Arc::ptr_eq(latest, session)) {
            latest.session = None;
        }
    }
}

impl Inner {
    fn latest(&self) -> std::sync::MutexGuard<'_, Latest> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn login(&self) -> Result<Arc<Session>, Error> {
        let refused = self.latest().refused;
        if refused.is_some_and(|at| at.elapsed() < PAUSE_AFTER_REFUSAL) {
            return Err(Error::Refused);
        }
        let question = KeystoneRequest {
            method: Method::POST,
            url: format!("{}/auth/tokens", self.auth_url),
            headers: vec![(CONTENT_TYPE, HeaderValue::from_static("application/json"))],
            body: self.credentials.login(&self.options, self.scope).await?,
        };
        let answer = self.http.ask(&question).await?;
        match answer.status {
            StatusCode::OK | StatusCode::CREATED => {
                let session = Arc::new(self.begin(&answer)?);
                *self.latest() = Latest {
                    session: Some(Arc::clone(&session)),
                    refused: None,
                };
                Ok(session)
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                self.latest().refused = Some(Instant::now());
                Err(Error::Refused)
            }
            other => Err(Error::Status(other.as_u16())),
        }
    }

    fn begin(&self, answer: &Answer) -> Result<Session, Error> {
        let mut token = answer
            .headers
            .get(SUBJECT_TOKEN)
            .cloned()
            .ok_or(Error::Garbled("a login has no X-Subject-Token"))?;
        token.set_sensitive(true);
        let login = Login::parse(&answer.body)?;
        let endpoint = login
            .identity_endpoint(
                self.options.interface.as_str(),
                self.options.region.as_deref(),
            )
            .map_or_else(|| self.auth_url.clone(), versioned);
        let life: time::Duration = login.expires_at - login.issued_at;
        tracing::debug!(endpoint, expires_at = %login.expires_at, "logged in to Keystone");
        Ok(Session {
            token,
            endpoint,
            renew_at: login.expires_at - (life / 5_i32).min(RENEW_BEFORE),
            expires_at: login.expires_at,
            roles: login.roles,
        })
    }
}

/// The URL of version 3, however the version stands in it. Catalogs of old clouds still name the one before.
fn versioned(url: &str) -> String {
    let url = url.trim_end_matches('/');
    let base = url.strip_suffix("/v2.0").unwrap_or(url);
    if base.ends_with("/v3") {
        base.to_owned()
    } else {
        format!("{base}/v3")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_stands_in_every_url_once() {
        for (url, expected) in [
            ("http://k:5000", "http://k:5000/v3"),
            ("http://k:5000/", "http://k:5000/v3"),
            ("http://k:5000/v3", "http://k:5000/v3"),
            ("http://k:5000/v3/", "http://k:5000/v3"),
            ("http://k/identity", "http://k/identity/v3"),
            ("http://k/identity/v2.0", "http://k/identity/v3"),
        ] {
            assert_eq!(versioned(url), expected);
        }
    }
}
