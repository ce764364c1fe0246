//! Unified limits (contract 5.6): how much a project may hold, as Keystone has it.
//!
//! A project's own limit stands before the registered default; a resource without either may not be used at all, as in
//! the reference service. The answers for a project are good for a short time, and a while longer when Keystone does not
//! answer. Usage is not counted here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderName, Method, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::client::{Http, KeystoneRequest};
use super::credentials::LoginScope;
use super::error::Error;
use super::flights::Flights;
use super::session::{Session, Sessions};
use crate::config::{Faults, Keystone as Options};

const AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");

/// Projects whose limits are kept in memory.
const MOST_PROJECTS: usize = 10_000;

/// The limits of one project; `None` is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ProjectLimits {
    /// `image_size_total`, MiB.
    pub size_total: Option<u64>,
    /// `image_stage_total`, MiB.
    pub stage_total: Option<u64>,
    /// `image_count_total`.
    pub count_total: Option<u64>,
    /// `image_count_uploading`.
    pub count_uploading: Option<u64>,
}

/// Asks Keystone for limits.
pub(super) struct Limits {
    inner: Arc<Inner>,
    flights: Flights<String, Result<ProjectLimits, Arc<Error>>>,
    cache_time: Duration,
    stale_time: Duration,
}

struct Inner {
    http: Arc<Http>,
    sessions: Sessions,
    endpoint_id: String,
    time_limit: Duration,
    /// The service and the region of our endpoint, once they are known.
    place: Mutex<Option<Place>>,
    known: Mutex<HashMap<String, Known>>,
}

#[derive(Clone)]
struct Place {
    service_id: String,
    region_id: Option<String>,
}

#[derive(Clone, Copy)]
struct Known {
    limits: ProjectLimits,
    asked: Instant,
}

impl Limits {
    /// Makes ready to ask, when the site uses limits.
    ///
    /// # Errors
    ///
    /// What is wrong with the credentials.
    pub(super) fn open(
        http: &Arc<Http>,
        options: &Options,
        auth_url: &str,
    ) -> Result<Option<Self>, Faults> {
        let Some(endpoint_id) = &options.limits_endpoint_id else {
            return Ok(None);
        };
        Ok(Some(Self {
            inner: Arc::new(Inner {
                // Limits of other projects are shown to tokens for the whole deployment only.
                sessions: Sessions::open(Arc::clone(http), options, auth_url, LoginScope::System)?,
                http: Arc::clone(http),
                endpoint_id: endpoint_id.clone(),
                time_limit: options.request_timeout.duration(),
                place: Mutex::default(),
                known: Mutex::default(),
            }),
            flights: Flights::new(),
            cache_time: options.limits_cache_time.duration(),
            stale_time: options.stale_while_unavailable.duration(),
        }))
    }

    /// The limits of a project.
    pub(super) async fn of(&self, project: &str) -> Result<ProjectLimits, Arc<Error>> {
        let known = self.inner.known(project);
        let age = known.map(|known| known.asked.elapsed());
        if let (Some(known), Some(age)) = (known, age)
            && age < self.cache_time
        {
            return Ok(known.limits);
        }
        let inner = Arc::clone(&self.inner);
        let name = project.to_owned();
        let ask = move || async move { inner.learn(name).await.map_err(Arc::new) }.boxed();
        match (self.flights.join(project.to_owned(), ask).await, known, age) {
            (Err(e), Some(known), Some(age)) if age < self.cache_time + self.stale_time => {
                tracing::warn!(error = %e, "Keystone does not tell limits; those it told lately go on");
                Ok(known.limits)
            }
            (outcome, ..) => outcome,
        }
    }
}

impl Inner {
    fn known(&self, project: &str) -> Option<Known> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(project).copied()
    }

    async fn learn(&self, project: String) -> Result<ProjectLimits, Error> {
        let asked = Instant::now();
        let asking = tokio::time::timeout(self.time_limit, self.ask(&project));
        let limits = asking.await.unwrap_or(Err(Error::Slow(self.time_limit)))?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_PROJECTS {
            // Each costs two questions to come back, so a cleverer choice would not pay.
            known.clear();
        }
        known.insert(project, Known { limits, asked });
        Ok(limits)
    }

    async fn ask(&self, project: &str) -> Result<ProjectLimits, Error> {
        let place = self.place().await?;
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let mut of_service = format!("service_id={}", encode(&place.service_id));
        if let Some(region) = &place.region_id {
            of_service += &format!("&region_id={}", encode(region));
        }
        let registered: Registered = self.get(&format!("registered_limits?{of_service}")).await?;
        let of_project = format!("limits?{of_service}&project_id={}", encode(project));
        let own: Own = self.get(&of_project).await?;
        let limit = |resource: &str| {
            let mut own = own.limits.iter();
            let own = own.find(|limit| limit.resource_name == resource);
            let mut registered = registered.registered_limits.iter();
            let registered = registered.find(|limit| limit.resource_name == resource);
            let number = own
                .map(|limit| limit.resource_limit)
                .or(registered.map(|limit| limit.default_limit))
                .unwrap_or(0);
            // -1 is no limit.
            u64::try_from(number).ok()
        };
        Ok(ProjectLimits {
            size_total: limit("image_size_total"),
            stage_total: limit("image_stage_total"),
            count_total: limit("image_count_total"),
            count_uploading: limit("image_count_uploading"),
        })
    }

    /// Whose limits are asked for: the service and the region of the endpoint that is ours.
    async fn place(&self) -> Result<Place, Error> {
        let known = self
            .place
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(place) = known {
            return Ok(place);
        }
        let id = utf8_percent_encode(&self.endpoint_id, NON_ALPHANUMERIC);
        let found: FoundEndpoint = self.get(&format!("endpoints/{id}")).await?;
        let place = Place {
            service_id: found.endpoint.service_id,
            region_id: found.endpoint.region_id,
        };
        *self.place.lock().unwrap_or_else(PoisonError::into_inner) = Some(place.clone());
        Ok(place)
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        let question = |session: &Session| KeystoneRequest {
            method: Method::GET,
            url: format!("{}/{path}", session.endpoint),
            headers: vec![(AUTH_TOKEN, session.token.clone())],
            body: Bytes::new(),
        };
        let answer = self.sessions.ask(&self.http, question).await?;
        match answer.status {
            StatusCode::OK => {
                serde_json::from_slice(&answer.body).map_err(|_| Error::Garbled("a list of limits"))
            }
            StatusCode::UNAUTHORIZED => Err(Error::Refused),
            StatusCode::FORBIDDEN => Err(Error::LimitsNotAllowed),
            other => Err(Error::Status(other.as_u16())),
        }
    }
}

#[derive(Deserialize)]
struct FoundEndpoint {
    endpoint: Endpoint,
}

#[derive(Deserialize)]
struct Endpoint {
    service_id: String,
    region_id: Option<String>,
}

#[derive(Deserialize)]
struct Registered {
    registered_limits: Vec<RegisteredLimit>,
}

#[derive(Deserialize)]
struct RegisteredLimit {
    resource_name: String,
    default_limit: i64,
}

#[derive(Deserialize)]
struct Own {
    limits: Vec<OwnLimit>,
}

#[derive(Deserialize)]
struct OwnLimit {
    resource_name: String,
    resource_limit: i64,
}
