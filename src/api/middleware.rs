//! The layers around the routes, outermost first: `observe`, `negotiate`, then for `/v2` `authenticate`.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::header::{ALLOW, CONNECTION, EXPECT, LOCATION};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use tokio::time::Instant;
use tracing::Instrument;

use super::caller::Caller;
use super::drain::Drains;
use super::endpoint::Endpoint;
use super::error::{Error, names_methods, render};
use super::policies::Policies;
use super::router;
use super::stopping::Stopping;
use super::throttle::Throttle;
use super::versions::{self, PREFIXES};
use crate::auth::{self, Authenticator};
use crate::telemetry::metrics::Metrics;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-openstack-request-id");
const TOKEN: HeaderName = HeaderName::from_static("x-auth-token");
/// What clients of object storage call the same.
const STORAGE_TOKEN: HeaderName = HeaderName::from_static("x-storage-token");
const SERVICE_TOKEN: HeaderName = HeaderName::from_static("x-service-token");
/// Longest id that a client may give its request, without the `req-` before it.
pub(super) const LONGEST_REQUEST_ID: usize = 64;

/// The route a request was matched to, told to the outermost layer by the answer.
#[derive(Clone)]
struct Route(MatchedPath);

/// What [`observe`] needs.
#[derive(Clone)]
pub(super) struct Observer {
    pub(super) drains: Drains,
    pub(super) metrics: Arc<Metrics>,
    pub(super) stopping: Stopping,
}

/// What [`authenticate`] needs.
#[derive(Clone)]
pub(super) struct Admission {
    pub(super) authenticator: Arc<Authenticator>,
    pub(super) policies: Arc<Policies>,
    pub(super) throttle: Arc<Throttle>,
}

/// The id of a request, as its answer has it.
#[derive(Debug, Clone)]
pub(super) struct RequestId(pub(super) String);

/// Gives every request an id and a span, counts it, gives errors their body, sees to unread bodies, and says when the
/// connection closes.
pub(super) async fn observe(
    State(observer): State<Observer>,
    request: Request,
    next: Next,
) -> Response {
    let begun = Instant::now();
    let id = request_id(request.headers());
    let (method, headers) = (request.method().clone(), request.headers().clone());
    let span =
        tracing::info_span!("request", request.id = id, %method, path = request.uri().path());
    let expects_continue = headers.contains_key(EXPECT);
    let (mut parts, body) = request.into_parts();
    parts.extensions.insert(RequestId(id.clone()));
    let (body, unread) = observer.drains.watch(body, expects_continue);
    let request = Request::from_parts(parts, body);
    let answer = next.run(request).instrument(span.clone()).await;
    let mut response = render(&headers, answer);
    if unread.settle().await || observer.stopping.has_begun() {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    if !names_methods(response.status()) {
        // The router puts it on whatever a layer answers in place of a route.
        response.headers_mut().remove(ALLOW);
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    let route = response.extensions_mut().remove::<Route>();
    let route = route.as_ref().map(|route| route.0.as_str());
    let elapsed = begun.elapsed();
    observer
        .metrics
        .request(&method, route, response.status(), elapsed);
    log(&span, response.status(), elapsed);
    response
}

fn log(span: &tracing::Span, status: StatusCode, elapsed: Duration) {
    let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    tracing::info!(parent: span, status = status.as_u16(), elapsed_ms, "answered");
}

/// The client's own id when it is a sane one, else a new one. The prefix is Glance's.
fn request_id(headers: &HeaderMap) -> String {
    let given = headers
        .get(REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .filter(|text| {
            (1..=LONGEST_REQUEST_ID).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        });
    match given {
        Some(id) if id.starts_with("req-") => id.to_owned(),
        Some(id) => format!("req-{id}"),
        None => format!("req-{}", uuid::Uuid::new_v4()),
    }
}

/// Paths before routing (contract 1.2): every version prefix means `/v2`, an unknown first segment gets the versions
/// document, OPTIONS is answered on any path.
pub(super) async fn negotiate(
    State(endpoint): State<Arc<Endpoint>>,
    mut request: Request,
    next: Next,
) -> Response {
    if request.method() == Method::OPTIONS {
        return StatusCode::OK.into_response();
    }
    // CONNECT has no path, and `*` is one without a slash.
    let path = request.uri().path();
    let path = path.strip_prefix('/').unwrap_or(path);
    let (first, rest) = path
        .split_once('/')
        .map_or((path, None), |(first, rest)| (first, Some(rest)));
    if first.is_empty() || matches!(first, "versions" | "healthcheck" | "openapi.json") {
        return next.run(request).await;
    }
    if !PREFIXES.contains(&first) {
        return versions::choices(State(endpoint), request.headers().clone()).await;
    }
    if first != "v2" {
        let query = request
            .uri()
            .query()
            .map(|query| format!("?{query}"))
            .unwrap_or_default();
        let path = rest.map_or_else(|| "/v2".to_owned(), |rest| format!("/v2/{rest}"));
        let mut parts = std::mem::take(request.uri_mut()).into_parts();
        parts.path_and_query = PathAndQuery::try_from(format!("{path}{query}")).ok();
        match Uri::from_parts(parts) {
            Ok(uri) => *request.uri_mut() = uri,
            Err(_) => return Error::NoRoute.into_response(),
        }
    }
    next.run(request).await
}

/// A handler that panics is a fault of ours like any other: 500, counted and logged, and the connection goes on.
pub(super) async fn catch_panic(
    State(metrics): State<Arc<Metrics>>,
    request: Request,
    next: Next,
) -> Response {
    // What a handler shares with others is behind locks, which tell of a panic themselves.
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(panic) => {
            metrics.panicked();
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            let text = text.unwrap_or_else(|| "no message".into());
            Error::Internal(format!("a handler panicked: {text}").into()).into_response()
        }
    }
}

impl Admission {
    /// Who sends the request, if that is known and within its limits.
    async fn admit(&self, claim: auth::Request<'_>) -> Result<Caller, Error> {
        let identity = self.authenticator.authenticate(claim).await;
        let identity =
            identity.map_err(|e| Error::unknown_caller(e, self.authenticator.challenge()))?;
        let caller = Caller::new(identity, self.policies.current().await);
        self.throttle.admit(&caller)?;
        Ok(caller)
    }
}

/// Everything under `/v2` needs a caller, known route or not.
pub(super) async fn authenticate(
    State(admission): State<Admission>,
    mut request: Request,
    next: Next,
) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let headers = request.headers();
    let header = |name: &HeaderName| {
        let value = headers.get(name);
        value.map(|value| value.to_str().unwrap_or_default())
    };
    let claim = auth::Request {
        token: header(&TOKEN).or_else(|| header(&STORAGE_TOKEN)),
        service_token: header(&SERVICE_TOKEN),
        method: request.method().as_str(),
        path: request.uri().path(),
    };
    let mut response = match admission.admit(claim).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(e) => e.into_response(),
    };
    if let Some(route) = route {
        response.extensions_mut().insert(Route(route));
    }
    response
}

/// `/v2` without a slash, for clients that join URLs by hand.
pub(super) async fn add_slash(
    State(endpoint): State<Arc<Endpoint>>,
    headers: HeaderMap,
) -> Response {
    let to = format!("{}/v2/", endpoint.request_url(&headers));
    match HeaderValue::try_from(to) {
        Ok(to) => (StatusCode::FOUND, [(LOCATION, to)]).into_response(),
        Err(_) => Error::BadRequest("The Host header is not valid.".into()).into_response(),
    }
}

/// A path that no route has: 404, or 501 for a method no route has.
pub(super) async fn no_route(method: Method) -> Error {
    if router::METHODS.contains(&method) {
        Error::NoRoute
    } else {
        Error::NotImplemented("The method is not implemented.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_handler_that_panics_is_500_and_counted() {
        async fn panics() -> Response {
            panic!("a fault of ours")
        }
        let metrics = Arc::new(Metrics::new());
        let app = axum::Router::new()
            .route("/", axum::routing::get(panics))
            .layer(axum::middleware::from_fn_with_state(
                Arc::clone(&metrics),
                catch_panic,
            ));
        for count in 1..3 {
            let request = Request::new(axum::body::Body::empty());
            let answer = tower::ServiceExt::oneshot(app.clone(), request).await;
            assert!(answer.unwrap().status().is_server_error());
            let line = format!("oriel_panics_total {count}\n");
            assert!(metrics.encode().contains(&line), "{}", metrics.encode());
        }
    }

    #[test]
    fn a_sane_request_id_is_echoed_with_glances_prefix() {
        let echoed = |id: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_str(id).unwrap());
            request_id(&headers)
        };
        assert_eq!(echoed("req-1"), "req-1");
        assert_eq!(echoed("abc"), "req-abc");
        for odd in ["a b", "<script>", "ü", &"x".repeat(65)] {
            assert!(!echoed(odd).contains(odd), "{odd}");
        }
    }
}
