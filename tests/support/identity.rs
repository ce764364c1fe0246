//! An identity service that does what a test tells it: it counts, hangs, fails, and talks nonsense. What the real one does
//! is tested in `tests/keystone.rs`.
//!
//! A token that begins with `good` is valid and belongs to a member of the project `own`, one that begins with `admin` to
//! an administrator; every other is refused.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::app::{Options, TestApp};

pub const PASSWORD: &str = "the-password-of-the-service";
/// What an answer that is not to be repeated anywhere holds.
pub const SECRET_OF_ANSWERS: &str = "said-by-the-identity-service";

/// What goes wrong with requests.
#[derive(Debug, Clone)]
pub enum Mood {
    Well,
    /// An answer with this status.
    Status(u16),
    /// An answer of 200 or 201 that is no token.
    Garbage(Bytes),
    /// No answer.
    Hang,
    /// The connection breaks.
    Cut,
}

/// A request about a token.
#[derive(Debug, Clone)]
pub struct Validation {
    pub subject: String,
    pub own: String,
    pub query: Option<String>,
    pub access_rules: Option<String>,
}

/// What the server does, and what it has seen.
pub struct Script {
    pub login: Mood,
    pub validation: Mood,
    /// How many requests are still to go wrong, both kinds together; after them all is well.
    pub faults: usize,
    /// The life of tokens it gives the service: how long ago they were issued, and when they end.
    pub own_life: (Duration, Duration),
    /// The endpoint in the catalog, with its region; none leaves the catalog empty.
    pub endpoint: Option<(String, String)>,
    /// When the tokens of users end.
    pub expires_in: Duration,
    /// Tokens that are no longer good, of users and of the service.
    pub revoked: BTreeSet<String>,
    pub logins: usize,
    pub validations: Vec<Validation>,
}

pub struct IdentityServer {
    pub addr: SocketAddr,
    script: Arc<Mutex<Script>>,
    /// Every validation takes one.
    gate: Arc<Semaphore>,
    serving: JoinHandle<()>,
    scheme: &'static str,
}

impl IdentityServer {
    pub async fn start() -> Self {
        Self::serve(TcpListener::bind("127.0.0.1:0").await.unwrap(), None)
    }

    pub async fn start_tls(acceptor: TlsAcceptor) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::serve(listener, Some(acceptor))
    }

    fn serve(listener: TcpListener, tls: Option<TlsAcceptor>) -> Self {
        let addr = listener.local_addr().unwrap();
        let script = Arc::new(Mutex::new(Script {
            login: Mood::Well,
            validation: Mood::Well,
            faults: usize::MAX,
            own_life: (Duration::ZERO, Duration::HOUR),
            endpoint: None,
            expires_in: Duration::HOUR,
            revoked: BTreeSet::new(),
            logins: 0,
            validations: Vec::new(),
        }));
        let gate = Arc::new(Semaphore::new(Semaphore::MAX_PERMITS));
        let scheme = if tls.is_some() { "https" } else { "http" };
        let shared = (Arc::clone(&script), Arc::clone(&gate));
        #[expect(clippy::disallowed_methods, reason = "ended by Drop")]
        let serving = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let ((script, gate), tls) = (shared.clone(), tls.clone());
                let service =
                    service_fn(move |request| answer(request, script.clone(), gate.clone()));
                connections.spawn(async move {
                    let http = http1::Builder::new();
                    match tls {
                        None => drop(http.serve_connection(TokioIo::new(stream), service).await),
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                let io = TokioIo::new(stream);
                                drop(http.serve_connection(io, service).await);
                            }
                        }
                    }
                });
            }
        });
        Self {
            addr,
            script,
            gate,
            serving,
            scheme,
        }
    }

    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.addr)
    }

    /// Changes what it does.
    pub fn script<T>(&self, change: impl FnOnce(&mut Script) -> T) -> T {
        change(&mut self.script.lock().unwrap())
    }

    /// From now on every request of either kind goes this way.
    pub fn all(&self, mood: &Mood) {
        self.script(|script| {
            (script.login, script.validation) = (mood.clone(), mood.clone());
            script.faults = usize::MAX;
        });
    }

    pub fn validations(&self) -> Vec<Validation> {
        self.script(|script| script.validations.clone())
    }

    /// How often a token was asked about.
    pub fn asked(&self, token: &str) -> usize {
        let validations = self.validations();
        validations.iter().filter(|v| v.subject == token).count()
    }

    /// Holds validations until [`IdentityServer::open`].
    pub fn close(&self) {
        self.gate.forget_permits(Semaphore::MAX_PERMITS);
    }

    pub fn open(&self) {
        self.gate.add_permits(Semaphore::MAX_PERMITS);
    }

    /// The table of the configuration, with more keys.
    pub fn table(&self, more: &str) -> String {
        format!(
            "[keystone]\nauth_url = \"{}\"\nusername = \"glance\"\npassword = \"{PASSWORD}\"\n\
             project_name = \"service\"\n{more}\n",
            self.url()
        )
    }

    /// The service with its callers here; its own client is an administrator's.
    pub async fn app(&self, more: &str) -> TestApp {
        let mut app = TestApp::with(Options {
            top: "auth = \"keystone\"".into(),
            tables: self.table(more),
            ..Options::default()
        })
        .await;
        app.client = app.client.with_token("admin");
        app
    }
}

impl Drop for IdentityServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

type Answer = Result<Response<Full<Bytes>>, Box<dyn std::error::Error + Send + Sync>>;

async fn answer(
    request: Request<Incoming>,
    script: Arc<Mutex<Script>>,
    gate: Arc<Semaphore>,
) -> Answer {
    let (head, body) = request.into_parts();
    #[expect(clippy::disallowed_methods, reason = "a login")]
    let body = body.collect().await?.to_bytes();
    if head.uri.path() != "/v3/auth/tokens" {
        return Ok(status(404));
    }
    let header = |name: &str| {
        let value = head.headers.get(name)?;
        Some(value.to_str().unwrap().to_owned())
    };
    if head.method == Method::POST {
        let login: Value = serde_json::from_slice(&body)?;
        let (mood, answer) = {
            let mut script = script.lock().unwrap();
            script.logins += 1;
            (mood(&mut script, |s| s.login.clone()), script.login(&login))
        };
        return in_mood(mood, answer).await;
    }
    let validation = Validation {
        subject: header("x-subject-token").unwrap_or_default(),
        own: header("x-auth-token").unwrap_or_default(),
        query: head.uri.query().map(str::to_owned),
        access_rules: header("openstack-identity-access-rules"),
    };
    let mood = {
        let mut script = script.lock().unwrap();
        script.validations.push(validation.clone());
        mood(&mut script, |s| s.validation.clone())
    };
    drop(gate.acquire().await?);
    let answer = script.lock().unwrap().validate(&validation);
    in_mood(mood, answer).await
}

fn mood(script: &mut Script, of: impl FnOnce(&Script) -> Mood) -> Mood {
    match (of(script), script.faults) {
        (Mood::Well, _) | (_, 0) => Mood::Well,
        (mood, _) => {
            script.faults -= 1;
            mood
        }
    }
}

async fn in_mood(mood: Mood, well: Response<Full<Bytes>>) -> Answer {
    match mood {
        Mood::Well => Ok(well),
        Mood::Status(code) => Ok(status(code)),
        Mood::Garbage(body) => {
            let mut answer = Response::new(Full::from(body));
            answer.headers_mut().insert(
                "x-subject-token",
                HeaderValue::from_static(SECRET_OF_ANSWERS),
            );
            Ok(answer)
        }
        Mood::Hang => std::future::pending().await,
        Mood::Cut => Err("scripted".into()),
    }
}

fn status(code: u16) -> Response<Full<Bytes>> {
    let body = json!({"error": {"code": code, "message": SECRET_OF_ANSWERS}});
    let mut answer = Response::new(Full::from(body.to_string()));
    *answer.status_mut() = StatusCode::from_u16(code).unwrap();
    answer
        .headers_mut()
        .insert("location", HeaderValue::from_static("/elsewhere"));
    answer
}

impl Script {
    fn login(&self, login: &Value) -> Response<Full<Bytes>> {
        let user = &login["auth"]["identity"]["password"]["user"];
        if user["password"] != PASSWORD {
            return status(401);
        }
        let (ago, left) = self.own_life;
        let endpoints: Vec<Value> = self
            .endpoint
            .iter()
            .map(|(url, region)| json!({"id": "e", "interface": "internal", "region": region, "region_id": region, "url": url}))
            .collect();
        let token = json!({"token": {
            "methods": ["password"],
            "user": {"id": "glance", "name": "glance", "domain": {"id": "default", "name": "Default"}},
            "project": {"id": "service", "name": "service", "domain": {"id": "default", "name": "Default"}},
            "roles": [{"id": "r", "name": "service"}],
            "issued_at": when(-ago),
            "expires_at": when(left),
            "catalog": [{"id": "s", "type": "identity", "name": "keystone", "endpoints": endpoints}],
        }});
        let mut answer = Response::new(Full::from(token.to_string()));
        *answer.status_mut() = StatusCode::CREATED;
        let own = format!("own-token-{}", self.logins);
        let own = HeaderValue::from_str(&own).unwrap();
        answer.headers_mut().insert("x-subject-token", own);
        answer
    }

    fn validate(&self, validation: &Validation) -> Response<Full<Bytes>> {
        if self.revoked.contains(&validation.own) || !validation.own.starts_with("own-token-") {
            return status(401);
        }
        let subject = &validation.subject;
        let role = match () {
            () if self.revoked.contains(subject) => return status(404),
            () if subject.starts_with("good") => "member",
            () if subject.starts_with("admin") => "admin",
            () if subject.starts_with("own-token-") => "service",
            () => return status(404),
        };
        let roles = ["admin", "member", "reader"]
            .into_iter()
            .skip_while(|&implied| implied != role)
            .map(|name| json!({"id": name, "name": name}));
        let token = json!({"token": {
            "methods": ["password"],
            "user": {"id": subject, "name": "n", "domain": {"id": "default", "name": "Default"}},
            "project": {"id": "own", "name": "own", "domain": {"id": "default", "name": "Default"}},
            "roles": roles.collect::<Vec<_>>(),
            "issued_at": when(-Duration::MINUTE),
            "expires_at": when(self.expires_in),
        }});
        Response::new(Full::from(token.to_string()))
    }
}

fn when(from_now: Duration) -> String {
    (OffsetDateTime::now_utc() + from_now)
        .format(&Rfc3339)
        .unwrap()
}
