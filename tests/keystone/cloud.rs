//! A cloud with two projects: its users, what an administrator does there, and the service in it.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Stdio;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use tokio::sync::OnceCell;

use crate::support::app::{Options, TestApp};
use crate::support::client::{Answer, Client, full};
use crate::support::{eventually, skipped_store};

const SETTINGS: &str = "ORIEL_TEST_KEYSTONE_FILE";
const DEFAULT_SETTINGS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/var/stores/keystone/run/settings"
);
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/keystone/keystone.sh");

/// The password of every user.
pub const PASSWORD: &str = "the-password-of-everybody";

/// Each test binary makes users and projects of its own, once.
static CLOUD: OnceCell<Option<Cloud>> = OnceCell::const_new();

pub struct Cloud {
    keystone: Keystone,
    admin: String,
    /// Goes into every name, so that a second run on the same Keystone finds no namesakes.
    mark: String,
    /// The id of the project that most users are in.
    pub own: String,
    pub other: String,
}

/// Where a Keystone answers.
#[derive(Clone)]
pub struct Keystone {
    pub addr: SocketAddr,
}

/// What a token is for.
pub enum Scope<'a> {
    Project(&'a str),
    Domain,
    System,
    Nothing,
}

/// The cloud, or none, loudly, where there is no Keystone.
pub async fn cloud() -> Option<&'static Cloud> {
    CLOUD.get_or_init(Cloud::find).await.as_ref()
}

impl Cloud {
    #[expect(clippy::disallowed_methods, reason = "the one setting of these tests")]
    async fn find() -> Option<Self> {
        let file =
            std::env::var_os(SETTINGS).map_or_else(|| PathBuf::from(DEFAULT_SETTINGS), Into::into);
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(e) => {
                skipped_store("keystone", &format!("{}: {e}", file.display()));
                return None;
            }
        };
        let setting = |key: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once('='));
            lines.find(|(name, _)| *name == key).unwrap().1.to_owned()
        };
        let url = setting("KEYSTONE_URL");
        let addr = url.strip_prefix("http://").unwrap();
        let keystone = Keystone {
            addr: addr.strip_suffix("/v3").unwrap().parse().unwrap(),
        };
        let login = password(
            &setting("KEYSTONE_ADMIN"),
            &setting("KEYSTONE_PASSWORD"),
            json!({"project": {"name": "admin", "domain": {"id": "default"}}}),
        );
        let admin = keystone.login(&login).await;
        let mut cloud = Self {
            keystone,
            admin,
            mark: uuid::Uuid::new_v4().simple().to_string()[..8].to_owned(),
            own: String::new(),
            other: String::new(),
        };
        cloud.own = cloud.make_project("own").await;
        cloud.other = cloud.make_project("other").await;
        let service = cloud.make_project("service").await;
        for (user, project, role) in [
            ("admin", &cloud.own, Some("admin")),
            ("member", &cloud.own, Some("member")),
            ("reader", &cloud.own, Some("reader")),
            ("stranger", &cloud.other, Some("member")),
            ("glance", &service, Some("service")),
            ("nova", &service, Some("service")),
            ("powerless", &service, Some("member")),
        ] {
            cloud.make_user(user, project, role).await;
            // The first login of a day is written down, and no two servers can write at once.
            cloud.token(user).await;
        }
        Some(cloud)
    }

    /// `GET`, `POST`, … as the cloud's administrator; panics unless Keystone agrees.
    pub async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let answer = self.keystone.ask(&self.admin, method, path, body).await;
        assert!(answer.status.is_success(), "{path}: {}", answer.text());
        answer
    }

    async fn make_project(&self, name: &str) -> String {
        let project = json!({"project": {"name": self.name(name), "domain_id": "default"}});
        let answer = self.ask(Method::POST, "/projects", Some(project)).await;
        answer.json()["project"]["id"].as_str().unwrap().to_owned()
    }

    async fn make_user(&self, name: &str, project: &str, role: Option<&str>) -> String {
        let user = json!({"user": {
            "name": self.name(name),
            "domain_id": "default",
            "default_project_id": null,
            "password": PASSWORD,
        }});
        let answer = self.ask(Method::POST, "/users", Some(user)).await;
        let user = answer.json()["user"]["id"].as_str().unwrap().to_owned();
        if let Some(role) = role {
            let role = self.role(role).await;
            let path = format!("/projects/{project}/users/{user}/roles/{role}");
            self.ask(Method::PUT, &path, None).await;
        }
        user
    }

    /// Gives a user a role for the domain and for the whole deployment.
    pub async fn make_wide_user(&self, name: &str, role: &str) {
        let user = self.make_user(name, "", None).await;
        let role = self.role(role).await;
        for scope in ["domains/default", "system"] {
            let path = format!("/{scope}/users/{user}/roles/{role}");
            self.ask(Method::PUT, &path, None).await;
        }
    }

    async fn role(&self, name: &str) -> String {
        let path = format!("/roles?name={name}");
        let roles = self.ask(Method::GET, &path, None).await.json();
        roles["roles"][0]["id"].as_str().unwrap().to_owned()
    }

    fn name(&self, name: &str) -> String {
        format!("{name}-{}", self.mark)
    }

    pub fn keystone(&self) -> &Keystone {
        &self.keystone
    }

    /// A token of one of the users, for the project that user is in.
    pub async fn token(&self, user: &str) -> String {
        self.token_of(&self.keystone, user).await
    }

    /// The same from a certain Keystone.
    pub async fn token_of(&self, keystone: &Keystone, user: &str) -> String {
        let project = match user {
            "stranger" => "other",
            "glance" | "nova" | "powerless" => "service",
            _ => "own",
        };
        self.token_for(keystone, user, Scope::Project(project))
            .await
    }

    pub async fn token_for(&self, keystone: &Keystone, user: &str, scope: Scope<'_>) -> String {
        let scope = match scope {
            Scope::Project(name) => {
                json!({"project": {"name": self.name(name), "domain": {"id": "default"}}})
            }
            Scope::Domain => json!({"domain": {"id": "default"}}),
            Scope::System => json!({"system": {"all": true}}),
            Scope::Nothing => json!("unscoped"),
        };
        keystone
            .login(&password(&self.name(user), PASSWORD, scope))
            .await
    }

    pub async fn revoke(&self, token: &str) {
        let admin = Client::new(self.keystone.addr).with_token(&self.admin);
        let headers = [("x-subject-token", token)];
        let answer = admin
            .send(Method::DELETE, "/v3/auth/tokens", &headers, full(""))
            .await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text());
    }

    /// An application credential that the holder of the token makes: its id and secret.
    pub async fn application_credential(
        &self,
        token: &str,
        rules: Option<Value>,
    ) -> (String, String) {
        let headers = [("x-subject-token", token)];
        let client = Client::new(self.keystone.addr).with_token(token);
        let whose = client.get_with("/v3/auth/tokens", &headers).await.json();
        let user = whose["token"]["user"]["id"].as_str().unwrap();
        let mut credential = json!({"name": uuid::Uuid::new_v4().to_string()});
        if let Some(rules) = rules {
            credential["access_rules"] = rules;
        }
        let path = format!("/users/{user}/application_credentials");
        let body = json!({"application_credential": credential});
        let answer = self
            .keystone
            .ask(token, Method::POST, &path, Some(body))
            .await;
        assert!(answer.status.is_success(), "{}", answer.text());
        let made = &answer.json()["application_credential"];
        let text = |key: &str| made[key].as_str().unwrap().to_owned();
        (text("id"), text("secret"))
    }

    /// A token by an application credential.
    pub async fn token_by(&self, (id, secret): &(String, String)) -> String {
        let login = json!({"auth": {"identity": {
            "methods": ["application_credential"],
            "application_credential": {"id": id, "secret": secret},
        }}});
        self.keystone.login(&login).await
    }

    /// The table of the configuration, with the user `glance` and more keys.
    pub fn table(&self, more: &str) -> String {
        self.table_of(&self.keystone, "glance", more)
    }

    pub fn table_of(&self, keystone: &Keystone, user: &str, more: &str) -> String {
        format!(
            "[keystone]\nauth_url = {:?}\nusername = {:?}\npassword = {PASSWORD:?}\nproject_name = {:?}\n{more}\n",
            keystone.url(),
            self.name(user),
            self.name("service"),
        )
    }

    /// The service in this cloud; its own client is an administrator's.
    pub async fn app(&self, more: &str) -> TestApp {
        self.app_with(self.table(more)).await
    }

    pub async fn app_with(&self, table: String) -> TestApp {
        let mut app = TestApp::with(Options {
            top: "auth = \"keystone\"".into(),
            tables: table,
            ..Options::default()
        })
        .await;
        app.client = app.client.with_token(&self.token("admin").await);
        app
    }
}

impl Keystone {
    pub fn url(&self) -> String {
        format!("http://{}/v3", self.addr)
    }

    async fn login(&self, body: &Value) -> String {
        let client = Client::new(self.addr);
        let answer = client.post_json("/v3/auth/tokens", body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
        answer.header("x-subject-token").unwrap().to_owned()
    }

    async fn ask(&self, token: &str, method: Method, path: &str, body: Option<Value>) -> Answer {
        let client = Client::new(self.addr).with_token(token);
        let body = body.map_or_else(String::new, |body| body.to_string());
        let headers = [("content-type", "application/json")];
        client
            .send(method, &format!("/v3{path}"), &headers, full(body))
            .await
    }
}

fn password(user: &str, password: &str, scope: Value) -> Value {
    json!({"auth": {
        "identity": {
            "methods": ["password"],
            "password": {"user": {"name": user, "domain": {"id": "default"}, "password": password}},
        },
        "scope": scope,
    }})
}

/// One more Keystone on the cloud's database, a process of its own; killed when dropped.
pub struct Node {
    pub keystone: Keystone,
    process: Child,
}

impl Node {
    /// One whose tokens live so many seconds.
    pub async fn with_short_tokens(seconds: u32) -> Self {
        Self::start(
            free_port(),
            &[("OS_TOKEN__EXPIRATION", &seconds.to_string())],
        )
        .await
    }

    pub async fn start(port: u16, environment: &[(&str, &str)]) -> Self {
        let process = Command::new(SCRIPT)
            .args(["serve", &port.to_string()])
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let keystone = Keystone {
            addr: SocketAddr::from(([127, 0, 0, 1], port)),
        };
        eventually("the node answers", async || {
            let connection = tokio::net::TcpStream::connect(keystone.addr).await;
            connection.ok().map(drop)
        })
        .await;
        Self { keystone, process }
    }

    pub async fn kill(mut self) {
        self.process.kill().await.unwrap();
    }
}

pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
