//! Every route asks the rules it names (contract 5.4, 5.5).
//!
//! The policy of this site adds to each rule `and not role:without_RULE`. An administrator with that one role more is
//! refused by that one rule; without it he passes. So each rule of each route has a case that is allowed and one that is
//! denied, and a route that does not ask its rule, or has no case, is found.

use http::{Method, StatusCode};
use oriel::Rule;
use oriel::{ROUTES, Route};
use serde_json::{Value, json};

use crate::support::app::{Options, TestApp};
use crate::support::client::{Answer, Client, full};
use crate::support::tokens::{Tokens, entry};

const TABLE: &str = include_str!("../../docs/policy.md");
const NAMESPACES: &str = "/v2/metadefs/namespaces";
const PATCH: &str = "application/openstack-images-v2.1-json-patch";

struct Site {
    app: TestApp,
    admin: Client,
    _tokens: Tokens,
    _dir: tempfile::TempDir,
}

impl Site {
    async fn start() -> Self {
        let tokens = Tokens::new();
        let mut callers = entry("admin-token", Some("site"), "\"admin\"");
        let mut policy = String::new();
        for rule in Rule::ALL {
            let (name, check) = (rule.as_str(), rule.default_check());
            let roles = format!("\"admin\", \"without_{name}\"");
            callers += &entry(&denied(rule), Some("site"), &roles);
            let check = if check.is_empty() { "@" } else { check };
            policy += &format!("\"{name}\": \"({check}) and not role:without_{name}\"\n");
        }
        tokens.write(&callers);
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("policy.yaml");
        std::fs::write(&file, policy).unwrap();
        let options = Options {
            tables: format!(
                "[policy]\nfile = {:?}\n[images]\nshow_multiple_locations = true\n",
                file.display().to_string()
            ),
            ..Options::default()
        };
        let app = tokens.start(options).await;
        Self {
            admin: app.client.clone(),
            app,
            _tokens: tokens,
            _dir: dir,
        }
    }

    async fn namespace(&self) -> String {
        let name = format!("ns-{}", uuid::Uuid::new_v4());
        let body = json!({"namespace": name, "visibility": "public"});
        let made = self.admin.post_json(NAMESPACES, &body).await;
        assert_eq!(made.status, 201, "{}", made.text());
        name
    }

    /// Makes what the route needs, and gives the request: path, media type and body.
    async fn request(
        &self,
        method: &str,
        route: &str,
        rule: Rule,
    ) -> (String, &'static str, String) {
        let image = json!({"disk_format": "raw", "container_format": "bare", "owner": "site"});
        let json = "application/json";
        let plain = |path: String| (path, json, String::new());
        let id = if route.contains("{image_id}") {
            self.admin.create(&image).await
        } else {
            String::new()
        };
        let path = route.replace("{image_id}", &id);
        match (method, route) {
            ("GET", "/v2/images") => {
                self.admin.create(&image).await;
                plain(path)
            }
            ("POST", "/v2/images") => {
                let visibility = match rule {
                    Rule::PublicizeImage => "public",
                    Rule::CommunitizeImage => "community",
                    _ => "private",
                };
                (path, json, json!({"visibility": visibility}).to_string())
            }
            ("PATCH", "/v2/images/{image_id}") => {
                let operation = match rule {
                    Rule::PublicizeImage => {
                        json!({"op": "add", "path": "/visibility", "value": "public"})
                    }
                    Rule::CommunitizeImage => {
                        json!({"op": "add", "path": "/visibility", "value": "community"})
                    }
                    _ => json!({"op": "add", "path": "/name", "value": "n"}),
                };
                (path, PATCH, json!([operation]).to_string())
            }
            ("GET", "/v2/images/{image_id}/file") if rule == Rule::DownloadFromStore => {
                plain(format!("{path}?prefer=main"))
            }
            ("PUT", "/v2/images/{image_id}/file" | "/v2/images/{image_id}/stage") => {
                (path, "application/octet-stream", "data".into())
            }
            ("POST", "/v2/images/{image_id}/import") if rule == Rule::CopyImage => {
                let file = format!("/v2/images/{id}/file");
                let kind = [("content-type", "application/octet-stream")];
                self.admin
                    .send(Method::PUT, &file, &kind, full("data"))
                    .await;
                let body = json!({"method": {"name": "copy-image"}, "all_stores": true});
                (path, json, body.to_string())
            }
            ("POST", "/v2/images/{image_id}/import") => {
                crate::support::upload::stage(&self.admin, &id, &[], full("data")).await;
                let body = json!({"method": {"name": "glance-direct"}});
                (path, json, body.to_string())
            }
            (_, "/v2/images/{image_id}/tags/{tag}") => {
                let path = path.replace("{tag}", "t");
                self.admin.send(Method::PUT, &path, &[], full("")).await;
                plain(path)
            }
            ("POST", "/v2/images/{image_id}/members") => {
                (path, json, json!({"member": "other"}).to_string())
            }
            (_, "/v2/images/{image_id}/members" | "/v2/images/{image_id}/members/{member_id}") => {
                let body = json!({"member": "other"});
                self.admin
                    .post_json(&format!("/v2/images/{id}/members"), &body)
                    .await;
                let path = path.replace("{member_id}", "other");
                (path, json, json!({"status": "accepted"}).to_string())
            }
            (
                "POST",
                "/v2/images/{image_id}/actions/deactivate"
                | "/v2/images/{image_id}/actions/reactivate",
            ) => {
                self.admin.put_file(&id, &[], full("data")).await;
                plain(path)
            }
            ("DELETE", "/v2/stores/{store_id}/{image_id}") => {
                plain(path.replace("{store_id}", "main"))
            }
            (_, "/v2/tasks/{task_id}") => {
                let id = uuid::Uuid::new_v4().to_string();
                let database = self.app.database().await;
                sqlx::query(
                    "INSERT INTO tasks (id, type, status, owner, message, created_at, updated_at) \
                     VALUES ($1, 'import', 'pending', 'site', '', 1, 1)",
                )
                .bind(&id)
                .execute(&database)
                .await
                .unwrap();
                database.close().await;
                plain(path.replace("{task_id}", &id))
            }
            (method, route) if route.starts_with("/v2/metadefs") => {
                self.metadef(method, route, rule).await
            }
            _ => plain(path),
        }
    }

    async fn metadef(
        &self,
        method: &str,
        route: &str,
        rule: Rule,
    ) -> (String, &'static str, String) {
        let json = "application/json";
        let nested = match rule {
            Rule::AddMetadefObject => json!({"objects": [{"name": "o"}]}),
            Rule::AddMetadefProperty => {
                json!({"properties": {"p": {"title": "P", "type": "string"}}})
            }
            Rule::AddMetadefTag | Rule::AddMetadefTags => json!({"tags": [{"name": "t"}]}),
            Rule::AddMetadefResourceTypeAssociation => {
                json!({"resource_type_associations": [{"name": "OS::Glance::Image"}]})
            }
            _ => json!({}),
        };
        if method == "POST" && route == NAMESPACES {
            let mut body = nested;
            body["namespace"] = format!("ns-{}", uuid::Uuid::new_v4()).into();
            return (route.into(), json, body.to_string());
        }
        if !route.contains("{namespace}") {
            self.namespace().await;
            return (route.into(), json, String::new());
        }
        let namespace = self.namespace().await;
        let base = format!("{NAMESPACES}/{namespace}");
        let property = json!({"name": "p", "title": "P", "type": "string"});
        for (parts, body) in [
            ("properties", property.clone()),
            ("objects", json!({"name": "o"})),
            ("resource_types", json!({"name": "OS::Glance::Image"})),
            ("tags", json!({"tags": [{"name": "t"}]})),
        ] {
            let made = self
                .admin
                .post_json(&format!("{base}/{parts}"), &body)
                .await;
            assert_eq!(made.status, 201, "{parts}: {}", made.text());
        }
        let is_new = method == "POST";
        let mut path = route
            .replace("{namespace}", &namespace)
            .replace("{property}", "p")
            .replace("{object}", "o")
            .replace("{tag}", if is_new { "another" } else { "t" })
            .replace("{resource_type}", "OS::Glance::Image");
        if rule == Rule::GetMetadefResourceType && route.ends_with("{property}") {
            path += "?resource_type=OS::Glance::Image";
        }
        let body = match (method, route.rsplit('/').next().unwrap()) {
            ("PUT", "{namespace}") => json!({"namespace": namespace}),
            ("POST", "properties") => json!({"name": "q", "title": "Q", "type": "string"}),
            ("PUT", "{property}") => property,
            ("POST", "objects") => json!({"name": "another"}),
            ("PUT", "{object}") => json!({"name": "o"}),
            ("POST", "tags") => json!({"tags": [{"name": "u"}]}),
            ("PUT", "{tag}") => json!({"name": "u"}),
            ("POST", "resource_types") => json!({"name": "OS::Nova::Flavor"}),
            _ => return (path, json, String::new()),
        };
        (path, json, body.to_string())
    }

    async fn ask(&self, client: &Client, method: &str, route: &str, rule: Rule) -> Answer {
        let (path, media_type, body) = self.request(method, route, rule).await;
        let headers = [("content-type", media_type), ("accept", "application/json")];
        // A body is for methods that take one.
        let body = if matches!(method, "GET" | "DELETE") {
            String::new()
        } else {
            body
        };
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        client.send(method, &path, &headers, full(body)).await
    }
}

fn denied(rule: Rule) -> String {
    format!("without-{}-token", rule.as_str())
}

/// The parts of an answer that a rule may take away without refusing the whole.
fn shown(answer: &Answer) -> Value {
    let mut body = answer.json();
    let keys = [
        "images",
        "members",
        "tasks",
        "namespaces",
        "resource_types",
        "objects",
        "tags",
        "properties",
    ];
    let rows = keys
        .iter()
        .find_map(|key| body.get_mut(*key).map(Value::take));
    rows.unwrap_or(body)
}

fn is_empty(rows: &Value) -> bool {
    rows.as_array().is_some_and(Vec::is_empty)
        || rows.as_object().is_some_and(serde_json::Map::is_empty)
}

#[tokio::test]
async fn every_rule_of_every_route_has_an_allowed_and_a_denied_case() {
    let site = Site::start().await;
    let mut asked = Vec::new();
    for Route { path, methods } in ROUTES {
        for (method, rules) in *methods {
            for rule in *rules {
                asked.push(*rule);
                let case = format!("{method} {path} {}", rule.as_str());
                let allowed = site.ask(&site.admin, method, path, *rule).await;
                let is_fine = allowed.status.is_success()
                    // What a case comes to when the rules have let it pass: the one copy, and tasks, cannot be removed.
                    || (*path == "/v2/stores/{store_id}/{image_id}" && allowed.status == 409)
                    || (*path == "/v2/tasks/{task_id}" && allowed.status == 405);
                assert!(
                    is_fine,
                    "{case}: allowed: {} {}",
                    allowed.status,
                    allowed.text()
                );
                let without = site.app.client.with_token(&denied(*rule));
                let refused = site.ask(&without, method, path, *rule).await;
                match refused.status {
                    StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => {}
                    StatusCode::OK => {
                        assert!(
                            is_empty(&shown(&refused)) && !is_empty(&shown(&allowed)),
                            "{case}: denied, and still there: {}",
                            refused.text()
                        );
                    }
                    status => panic!("{case}: denied: {status} {}", refused.text()),
                }
            }
        }
    }
    // Shown in records only, or asked by PATCH of locations: tests/it/locations.rs.
    let elsewhere = [Rule::SetImageLocation];
    let unasked: Vec<_> = Rule::ALL
        .into_iter()
        .filter(|rule| !asked.contains(rule) && !elsewhere.contains(rule))
        .collect();
    assert_eq!(unasked, [], "rules that no route asks");
    site.app.finish().await;
}

#[test]
fn the_document_lists_every_route_with_its_rules() {
    let mut table = String::from("| method | path | rules |\n| --- | --- | --- |\n");
    for Route { path, methods } in ROUTES {
        for (method, rules) in *methods {
            let rules: Vec<_> = rules
                .iter()
                .map(|rule| format!("`{}`", rule.as_str()))
                .collect();
            let rules = if rules.is_empty() {
                "any valid token".into()
            } else {
                rules.join(", ")
            };
            table += &format!("| {method} | `{path}` | {rules} |\n");
        }
    }
    assert!(
        TABLE.contains(&table),
        "docs/policy.md must have this table:\n{table}"
    );
}

#[tokio::test]
async fn a_changed_policy_file_holds_without_a_restart_and_a_wrong_rule_is_nobodys() {
    let tokens = Tokens::new();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("policy.yaml");
    let write = |text: &str| {
        let aside = dir.path().join("new");
        std::fs::write(&aside, text).unwrap();
        std::fs::rename(aside, &file).unwrap();
    };
    write("# nothing yet\n");
    let tables = format!("[policy]\nfile = {:?}\n", file.display().to_string());
    let app = tokens
        .start(Options {
            tables,
            ..Options::default()
        })
        .await;
    let member = app.client.with_token("member-token");
    let reader = app.client.with_token("reader-token");
    let body = json!({});
    assert_eq!(reader.post_json("/v2/images", &body).await.status, 403);
    write("add_image: role:reader and project_id:%(owner)s\nget_images: role:admin or\n");
    crate::support::eventually("the new rule holds", async || {
        (reader.post_json("/v2/images", &body).await.status == 201).then_some(())
    })
    .await;
    // The second rule is wrong: nobody passes it, and the first holds all the same.
    assert_eq!(app.client.get("/v2/images").await.status, 403);
    write("{}");
    crate::support::eventually("the defaults are back", async || {
        let listed = app.client.get("/v2/images").await.status == 200;
        (listed && reader.post_json("/v2/images", &body).await.status == 403).then_some(())
    })
    .await;
    assert_eq!(member.post_json("/v2/images", &body).await.status, 201);
    app.finish().await;
}
