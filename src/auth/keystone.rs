//! Keystone says who holds a token (contract 5.1, 5.2).
//!
//! A token that is not in the cache is looked up with `GET /v3/auth/tokens`, under a token of the service's own, once
//! however many requests come with it at the same time. Three things bound what a wrong answer of the cache can do:
//!
//! - *Time.* An answer is good for `token_cache_time` after the question was put, so a token that is revoked meanwhile
//!   lives no longer than that. A token's own expiry counts at each use.
//! - *Refusal.* Once Keystone has refused a token, nothing it said earlier counts.
//! - *Keystone away.* A token that was good goes on for `stale_while_unavailable` after its cache time. Every other
//!   request gets 503: trouble asking is no refusal, which would send clients into a loop of logins.
//!
//! A valid token of a service in `X-Service-Token` lifts two limits of the user's token: its expiry, which Keystone then
//! checks against a longer window, and the access rules of an application credential. Services send both on work that a
//! user began long ago.
//!
//! Identities come from Keystone's answers alone, never from a header of the request. No token, secret or answer is
//! logged or stands in an error.

mod access;
mod cache;
mod client;
mod credentials;
mod error;
mod flights;
mod limits;
mod session;
mod token;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::tokens::Digest;
use super::{Error, Identity, Request};
use crate::config::{Faults, Keystone as Options};
use crate::telemetry::labels::{LookupResult, ValidationOutcome};
use crate::telemetry::metrics::Metrics;
use cache::{Cache, Found};
use client::{Http, KeystoneRequest, fault};
use credentials::LoginScope;
use error::Error as LookupError;
use flights::Flights;
use limits::Limits;
pub(crate) use limits::ProjectLimits;
use session::{Session, Sessions};
use token::Token;

const AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");
const SUBJECT_TOKEN: HeaderName = HeaderName::from_static("x-subject-token");
/// Says that access rules are understood here; without it Keystone hides tokens that have some.
const ACCESS_RULES: HeaderName = HeaderName::from_static("openstack-identity-access-rules");

/// Longer than any token; longer ones are refused unasked, since servers answer long headers with faults.
const LONGEST_TOKEN: usize = 4096;

/// Questions put to Keystone at once. More only wait there, and random tokens would open any number of connections.
const REQUESTS_AT_ONCE: usize = 64;

/// While Keystone is away, stale tokens are served without a question for so long after one that failed.
const AWAY_TIME: Duration = Duration::from_secs(5);

/// Whether a token's own expiry counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Expiry {
    Enforced,
    /// Keystone overlooks it for as long as it is set to (`allow_expired_window`).
    Overlooked,
}

/// Recognises callers by their Keystone tokens.
pub(crate) struct Keystone {
    /// The value of `WWW-Authenticate`.
    challenge: String,
    service_token_roles: Vec<String>,
    service_type: String,
    inner: Arc<Inner>,
    flights: Flights<(Digest, Expiry), Answer>,
    limits: Option<Limits>,
}

/// The token, none for a refused one, or why neither is known.
type Answer = Result<Option<Arc<Token>>, Arc<LookupError>>;

/// What a question needs, and what is learnt by it.
struct Inner {
    http: Arc<Http>,
    sessions: Sessions,
    permits: Semaphore,
    time_limit: Duration,
    cache: Cache,
    /// Until when Keystone counts as away.
    away: Mutex<Option<Instant>>,
    metrics: Arc<Metrics>,
}

/// What `oriel check` tells of Keystone.
#[derive(Debug)]
pub(crate) struct KeystoneProbe {
    /// Where tokens are validated.
    pub endpoint: String,
    /// The roles of the service's own token.
    pub roles: Vec<String>,
}

impl Keystone {
    /// Makes ready to ask; Keystone may be away.
    ///
    /// # Errors
    ///
    /// What is wrong with the credentials or the certificate authorities.
    pub(crate) fn open(options: &Options, metrics: &Arc<Metrics>) -> Result<Self, Faults> {
        let auth_url = options
            .auth_url
            .as_deref()
            .ok_or_else(|| fault("keystone.auth_url", "is required"))?;
        let http = Arc::new(Http::open(options)?);
        let uri = options.www_authenticate_uri.as_deref().unwrap_or(auth_url);
        let limits = Limits::open(&http, options, auth_url)?;
        Ok(Self {
            challenge: format!("Keystone uri=\"{uri}\""),
            service_token_roles: options.service_token_roles.clone(),
            service_type: options.service_type.clone(),
            inner: Arc::new(Inner {
                sessions: Sessions::open(
                    Arc::clone(&http),
                    options,
                    auth_url,
                    LoginScope::Project,
                )?,
                http,
                permits: Semaphore::new(REQUESTS_AT_ONCE),
                time_limit: options.request_timeout.duration(),
                cache: Cache::new(options),
                away: Mutex::default(),
                metrics: Arc::clone(metrics),
            }),
            flights: Flights::new(),
            limits,
        })
    }

    /// The challenge of a 401.
    pub(super) fn challenge(&self) -> &str {
        &self.challenge
    }

    /// Finds who holds the token of a request.
    pub(super) async fn authenticate(&self, request: &Request<'_>) -> Result<Identity, Error> {
        let text = request.token.ok_or(Error::Missing)?;
        match self.find(text, Expiry::Enforced).await {
            Ok(token) => {
                let covered = token.covers(&self.service_type, request.method, request.path);
                if covered || self.is_of_service(request).await? {
                    Ok(token.identity.clone())
                } else {
                    Err(Error::Invalid)
                }
            }
            Err(Error::Invalid) if self.is_of_service(request).await? => {
                let token = self.find(text, Expiry::Overlooked).await?;
                Ok(token.identity.clone())
            }
            Err(e) => Err(e),
        }
    }

    /// What a project may hold; `None` where the site does not use limits.
    pub(super) async fn limits(&self, project: &str) -> Result<Option<ProjectLimits>, Error> {
        let Some(limits) = &self.limits else {
            return Ok(None);
        };
        let limits = limits.of(project).await;
        limits.map(Some).map_err(|e| Error::Unavailable(e.into()))
    }

    /// Logs in and has the service's own token validated.
    ///
    /// # Errors
    ///
    /// Whatever keeps the service from either.
    pub(crate) async fn probe(&self) -> Result<KeystoneProbe, Error> {
        let probing = async {
            let session = self.inner.sessions.current().await?;
            let answer = self
                .inner
                .validate(session.token.clone(), Expiry::Enforced)
                .await?;
            answer.ok_or(LookupError::Garbled(
                "it does not know the token it has just given",
            ))?;
            Ok(KeystoneProbe {
                endpoint: session.endpoint.clone(),
                roles: session.roles.clone(),
            })
        };
        self.inner
            .in_time(probing)
            .await
            .map_err(|e| Error::Unavailable(e.into()))
    }

    /// Whether the request also has the valid token of a service.
    async fn is_of_service(&self, request: &Request<'_>) -> Result<bool, Error> {
        let Some(text) = request.service_token else {
            return Ok(false);
        };
        match self.find(text, Expiry::Enforced).await {
            Ok(token) => Ok(token.has_role_of(&self.service_token_roles)),
            Err(Error::Missing | Error::Invalid) => Ok(false),
            Err(e @ Error::Unavailable(_)) => Err(e),
        }
    }

    /// The token, from memory or from Keystone.
    async fn find(&self, text: &str, expiry: Expiry) -> Result<Arc<Token>, Error> {
        let (cache, metrics) = (&self.inner.cache, &self.inner.metrics);
        let Some(token) = header(text) else {
            return Err(Error::Invalid);
        };
        let key = Digest::of(text);
        match cache.find(&key, expiry) {
            Found::Good(token) => {
                metrics.token_looked_up(LookupResult::Hit);
                return Ok(token);
            }
            Found::Refused => {
                metrics.token_looked_up(LookupResult::Hit);
                return Err(Error::Invalid);
            }
            Found::Stale(token) if self.inner.is_away() => {
                metrics.token_looked_up(LookupResult::Stale);
                return Ok(token);
            }
            Found::Stale(_) | Found::Nothing => {}
        }
        let inner = Arc::clone(&self.inner);
        let ask = move || async move { inner.learn(key, token, expiry).await }.boxed();
        let trouble = match self.flights.join((key, expiry), ask).await {
            Ok(token) => {
                metrics.token_looked_up(LookupResult::Miss);
                return token
                    .filter(|token| expiry == Expiry::Overlooked || !token.has_expired())
                    .ok_or(Error::Invalid);
            }
            Err(trouble) => trouble,
        };
        match cache.find(&key, expiry) {
            Found::Good(token) | Found::Stale(token) => {
                metrics.token_looked_up(LookupResult::Stale);
                Ok(token)
            }
            Found::Refused => Err(Error::Invalid),
            Found::Nothing => {
                metrics.token_looked_up(LookupResult::Miss);
                Err(Error::Unavailable(trouble.into()))
            }
        }
    }
}

impl Inner {
    /// Asks Keystone about the token and keeps what it says.
    async fn learn(&self, key: Digest, token: HeaderValue, expiry: Expiry) -> Answer {
        // Somebody may have come to know it between this request's look and its turn.
        match self.cache.find(&key, expiry) {
            Found::Good(token) => return Ok(Some(token)),
            Found::Refused => return Ok(None),
            Found::Stale(_) | Found::Nothing => {}
        }
        let asking = async {
            let turn = self.permits.acquire().await;
            let _turn = turn.expect("the semaphore is never closed");
            let asked = Instant::now();
            let answer = self.validate(token, expiry).await?;
            Ok((answer, asked))
        };
        let outcome = match self.in_time(asking).await {
            Ok((Some(token), asked)) => {
                let token = Arc::new(token);
                self.cache.keep(key, &token, asked);
                Ok(Some(token))
            }
            Ok((None, asked)) => {
                self.cache.refuse(key, expiry, asked);
                Ok(None)
            }
            Err(trouble) => Err(Arc::new(trouble)),
        };
        self.metrics.token_validated(match outcome {
            Ok(Some(_)) => ValidationOutcome::Valid,
            Ok(None) => ValidationOutcome::Invalid,
            Err(_) => ValidationOutcome::Unavailable,
        });
        self.metrics.set_token_cache_entries(self.cache.len());
        self.note(outcome.as_ref().err());
        outcome
    }

    /// `GET /v3/auth/tokens`; none for a token that Keystone refuses.
    async fn validate(
        &self,
        token: HeaderValue,
        expiry: Expiry,
    ) -> Result<Option<Token>, LookupError> {
        let question = |session: &Session| question(session, &token, expiry);
        let answer = self.sessions.ask(&self.http, question).await?;
        match answer.status {
            StatusCode::OK => Token::parse(&answer.body).map(Some),
            StatusCode::NOT_FOUND => Ok(None),
            StatusCode::UNAUTHORIZED => Err(LookupError::Refused),
            StatusCode::FORBIDDEN => Err(LookupError::NotAllowed),
            other => Err(LookupError::Status(other.as_u16())),
        }
    }

    async fn in_time<T>(
        &self,
        asking: impl Future<Output = Result<T, LookupError>>,
    ) -> Result<T, LookupError> {
        let outcome = tokio::time::timeout(self.time_limit, asking).await;
        outcome.unwrap_or(Err(LookupError::Slow(self.time_limit)))
    }

    fn is_away(&self) -> bool {
        let away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        away.is_some_and(|until| Instant::now() < until)
    }

    /// Remembers whether Keystone answers; a change is logged once.
    fn note(&self, trouble: Option<&Arc<LookupError>>) {
        let until = trouble.map(|_| Instant::now() + AWAY_TIME);
        let mut away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        let was_away = std::mem::replace(&mut *away, until).is_some();
        drop(away);
        match trouble {
            Some(trouble) if !was_away => tracing::warn!(
                %trouble,
                "Keystone does not say who holds a token; those it vouched for lately go on"
            ),
            None if was_away => tracing::info!("Keystone answers again"),
            _ => {}
        }
    }
}

fn question(session: &Session, token: &HeaderValue, expiry: Expiry) -> KeystoneRequest {
    let query = match expiry {
        Expiry::Enforced => "",
        Expiry::Overlooked => "?allow_expired=1",
    };
    KeystoneRequest {
        method: Method::GET,
        url: format!("{}/auth/tokens{query}", session.endpoint),
        headers: vec![
            (AUTH_TOKEN, session.token.clone()),
            (SUBJECT_TOKEN, token.clone()),
            (ACCESS_RULES, HeaderValue::from_static("1")),
        ],
        body: Bytes::new(),
    }
}

/// The token as a header; none for a text that can be no token.
fn header(text: &str) -> Option<HeaderValue> {
    let is_token = text.len() <= LONGEST_TOKEN && text.bytes().all(|byte| byte.is_ascii_graphic());
    let mut value = is_token
        .then(|| HeaderValue::from_str(text).ok())
        .flatten()?;
    value.set_sensitive(true);
    Some(value)
}

impl std::fmt::Debug for Keystone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keystone")
            .field("challenge", &self.challenge)
            .finish_non_exhaustive()
    }
}
