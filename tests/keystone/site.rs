//! More projects and users of a test's own, and the service among them.

use http::Method;
use serde_json::{Value, json};

use crate::cloud::{Cloud, PASSWORD};
use crate::support::client::{Client, full};

/// A user with one role in one project.
pub struct User {
    name: String,
    project: String,
    pub id: String,
}

pub async fn project(cloud: &Cloud) -> String {
    let body = json!({"project": {"name": unique("project"), "domain_id": "default"}});
    made(cloud, "/projects", "project", body).await
}

/// Makes a user; the role is made as well where Keystone does not have it.
pub async fn user(cloud: &Cloud, project: &str, role: &str) -> User {
    let name = unique("user");
    let body = json!({"user": {"name": name, "domain_id": "default", "password": PASSWORD}});
    let id = made(cloud, "/users", "user", body).await;
    let role = role_id(cloud, role).await;
    let path = format!("/projects/{project}/users/{id}/roles/{role}");
    cloud.ask(Method::PUT, &path, None).await;
    User {
        name,
        project: project.to_owned(),
        id,
    }
}

pub async fn role_id(cloud: &Cloud, name: &str) -> String {
    let found = cloud
        .ask(Method::GET, &format!("/roles?name={name}"), None)
        .await
        .json();
    match found["roles"][0]["id"].as_str() {
        Some(id) => id.to_owned(),
        None => made(cloud, "/roles", "role", json!({"role": {"name": name}})).await,
    }
}

/// Makes a record and gives its id.
pub async fn made(cloud: &Cloud, path: &str, kind: &str, body: Value) -> String {
    let answer = cloud.ask(Method::POST, path, Some(body)).await.json();
    answer[kind]["id"].as_str().unwrap().to_owned()
}

impl User {
    /// A token for the user's project.
    pub async fn token(&self, cloud: &Cloud) -> String {
        let body = json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user": {
                "name": self.name, "domain": {"id": "default"}, "password": PASSWORD,
            }}},
            "scope": {"project": {"id": self.project}},
        }});
        let headers = [("content-type", "application/json")];
        let login = Client::new(cloud.keystone().addr)
            .send(
                Method::POST,
                "/v3/auth/tokens",
                &headers,
                full(body.to_string()),
            )
            .await;
        assert_eq!(login.status, 201, "{}", login.text());
        login.header("x-subject-token").unwrap().to_owned()
    }

    /// The name to log in with.
    pub fn name(&self) -> &str {
        &self.name
    }
}

fn unique(kind: &str) -> String {
    format!("{kind}-{}", uuid::Uuid::new_v4().simple())
}
