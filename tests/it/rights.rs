//! Who sees what (contract 4.8, 11.1): images without an owner through every route, and the refusals of rights.

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Value, json};

use crate::support::app::{Options, TestApp};
use crate::support::client::{Answer, Client, full, patch};
use crate::support::content;
use crate::support::tokens::{Tokens, entry};

const ABSENT: &str = "00000000-0000-4000-8000-000000000000";

/// A member and a reader of a project, a member without one, an administrator.
const CALLERS: [&str; 4] = ["member", "reader", "projectless", "admin"];

/// Every rule about images holds for everybody, the comparison with nothing among them.
const OPEN: &str = "get_images: \"@\"\nget_image: \"None:%(owner)s\"\ndownload_image: \"None:%(owner)s or @\"\n\
    download_from_store: \"@\"\nmodify_image: \"None:%(project_id)s\"\ndelete_image: \"@\"\nupload_image: \"@\"\n\
    get_members: \"'shared':%(visibility)s or @\"\nget_member: \"@\"\nadd_member: \"@\"\nmodify_member: \"@\"\n\
    delete_member: \"@\"\nfetch_image_location: \"@\"\nget_image_location: \"@\"\ndelete_image_location: \"@\"\n\
    deactivate: \"@\"\nreactivate: \"@\"\n";

struct Site {
    app: TestApp,
    _tokens: Tokens,
    _dir: tempfile::TempDir,
}

impl Site {
    async fn start(policy: &str) -> Self {
        let tokens = Tokens::new();
        tokens.write(
            &[
                entry("admin-token", Some("site"), "\"admin\""),
                entry("member", Some("other"), "\"member\""),
                entry("reader", Some("other"), "\"reader\""),
                entry("projectless", None, "\"member\""),
                entry("admin", Some("site"), "\"admin\""),
                entry("of-none", Some("None"), "\"member\""),
            ]
            .concat(),
        );
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("policy.yaml");
        std::fs::write(&file, policy).unwrap();
        let file = file.display().to_string();
        let options = Options {
            tables: format!("[policy]\nfile = {file:?}\n"),
            ..Options::default()
        };
        Self {
            app: tokens.start(options).await,
            _tokens: tokens,
            _dir: dir,
        }
    }

    fn client(&self, token: &str) -> Client {
        self.app.client.with_token(token)
    }

    /// An active image without an owner, named after its visibility.
    async fn ownerless(&self, visibility: &str) -> String {
        let body = json!({
            "name": visibility, "owner": null, "visibility": visibility, "disk_format": "raw", "container_format": "bare"
        });
        let id = self.app.client.create(&body).await;
        let bytes = full(content::bytes(100));
        assert_eq!(self.app.client.put_file(&id, &[], bytes).await.status, 204);
        id
    }
}

/// Method, path, body, and the answers of a shared image and of an open one.
type Row = (&'static str, &'static str, &'static str, [u16; 4], [u16; 4]);

/// Every route that leads to an image, and its answers to the member, the reader, the one without a project and the
/// administrator: for a shared image, and for a community or public one.
const ROUTES: [Row; 20] = [
    ("GET", "/v2/images/ID", "", [200; 4], [200; 4]),
    (
        "GET",
        "/v2/images/ID/file",
        "",
        [200, 403, 200, 200],
        [200, 403, 200, 200],
    ),
    (
        "PUT",
        "/v2/images/ID/file",
        "x",
        [403, 403, 403, 409],
        [403, 403, 403, 409],
    ),
    (
        "PUT",
        "/v2/images/ID/stage",
        "x",
        [403, 403, 403, 409],
        [403, 403, 403, 409],
    ),
    (
        "POST",
        "/v2/images/ID/import",
        "{\"method\": {\"name\": \"glance-direct\"}}",
        [409; 4],
        [409; 4],
    ),
    (
        "PATCH",
        "/v2/images/ID",
        "[]",
        [403, 403, 403, 200],
        [403, 403, 403, 200],
    ),
    (
        "PUT",
        "/v2/images/ID/tags/t",
        "",
        [403, 403, 403, 204],
        [403, 403, 403, 204],
    ),
    (
        "DELETE",
        "/v2/images/ID/tags/t",
        "",
        [403, 403, 403, 204],
        [403, 403, 403, 204],
    ),
    ("GET", "/v2/images/ID/members", "", [200; 4], [403; 4]),
    (
        "POST",
        "/v2/images/ID/members",
        r#"{"member": "m"}"#,
        [403, 403, 403, 200],
        [403; 4],
    ),
    ("GET", "/v2/images/ID/members/x", "", [404; 4], [404; 4]),
    (
        "PUT",
        "/v2/images/ID/members/x",
        r#"{"status": "accepted"}"#,
        [404; 4],
        [403; 4],
    ),
    ("DELETE", "/v2/images/ID/members/x", "", [404; 4], [403; 4]),
    (
        "GET",
        "/v2/images/ID/locations",
        "",
        [403, 403, 403, 200],
        [403, 403, 403, 200],
    ),
    ("GET", "/v2/images/ID/tasks", "", [200; 4], [200; 4]),
    (
        "POST",
        "/v2/images/ID/actions/deactivate",
        "",
        [403, 403, 403, 204],
        [403, 403, 403, 204],
    ),
    (
        "POST",
        "/v2/images/ID/actions/reactivate",
        "",
        [403, 403, 403, 204],
        [403, 403, 403, 204],
    ),
    ("DELETE", "/v2/stores/main/ID", "", [403; 4], [403; 4]),
    ("GET", "/v2/images?marker=ID", "", [200; 4], [200; 4]),
    (
        "DELETE",
        "/v2/images/ID",
        "",
        [403, 403, 403, 204],
        [403, 403, 403, 204],
    ),
];

async fn ask(client: &Client, method: &str, path: &str, body: &str) -> Answer {
    let content_type = match method {
        "PATCH" => "application/openstack-images-v2.1-json-patch",
        _ => "application/octet-stream",
    };
    let headers = [
        ("content-type", content_type),
        ("accept", "application/json"),
    ];
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    client
        .send(method, path, &headers, full(body.to_owned()))
        .await
}

async fn names(client: &Client, query: &str) -> BTreeSet<String> {
    let page = client.get(&format!("/v2/images?{query}")).await.json();
    let images = page["images"].as_array().unwrap();
    let name = |image: &Value| image["name"].as_str().unwrap().to_owned();
    images.iter().map(name).collect()
}

#[tokio::test]
async fn an_image_without_an_owner_is_open_as_its_visibility_says_through_every_route() {
    let site = Site::start("").await;
    let mut wrong = Vec::new();
    for visibility in ["shared", "community", "public"] {
        let id = site.ownerless(visibility).await;
        for (method, path, body, shared, open) in ROUTES {
            let expected = if visibility == "shared" { shared } else { open };
            for (token, status) in CALLERS.into_iter().zip(expected) {
                let answer = ask(&site.client(token), method, &path.replace("ID", &id), body).await;
                if answer.status != status {
                    wrong.push(format!(
                        "{visibility} {token} {method} {path}: {} and not {status}",
                        answer.status
                    ));
                }
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    site.app.finish().await;
}

#[tokio::test]
async fn a_private_image_without_an_owner_is_the_administrators_whatever_the_policy_says() {
    for policy in ["", OPEN] {
        let site = Site::start(policy).await;
        let id = site.ownerless("private").await;
        let mut wrong = Vec::new();
        for token in ["member", "reader", "projectless", "of-none"] {
            let client = site.client(token);
            for (method, path, body, ..) in ROUTES {
                let answer = ask(&client, method, &path.replace("ID", &id), body).await;
                let status = if path.contains("marker") { 403 } else { 404 };
                let says_as_if_absent = path.contains("marker") || {
                    let absent = ask(&client, method, &path.replace("ID", ABSENT), body).await;
                    answer.text().replace(&id, ABSENT) == absent.text()
                };
                if answer.status != status || !says_as_if_absent {
                    wrong.push(format!(
                        "{policy:?} {token} {method} {path}: {}",
                        answer.status
                    ));
                }
            }
            for query in [
                "",
                "visibility=private",
                "visibility=all",
                &format!("id={id}"),
                "owner=",
            ] {
                let found = names(&client, query).await;
                if !found.is_empty() {
                    wrong.push(format!("{policy:?} {token} lists it by '{query}'"));
                }
            }
        }
        assert_eq!(wrong, Vec::<String>::new());
        let admin = site.app.client.get(&format!("/v2/images/{id}/file")).await;
        assert_eq!(
            (admin.status.as_u16(), admin.body),
            (200, content::bytes(100))
        );
        assert_eq!(names(&site.app.client, "").await.len(), 1);
        site.app.finish().await;
    }
}

#[tokio::test]
async fn lists_hold_images_without_an_owner_only_when_public_or_asked_for_or_shared() {
    let site = Site::start("").await;
    let mut shared = String::new();
    for visibility in ["private", "shared", "community", "public"] {
        let body = json!({"name": visibility, "owner": null, "visibility": visibility});
        let id = site.app.client.create(&body).await;
        if visibility == "shared" {
            shared = id;
        }
    }
    let set = |names: &[&str]| {
        names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<BTreeSet<_>>()
    };
    for token in ["member", "reader", "projectless"] {
        let client = site.client(token);
        for (query, expected) in [
            ("", &["public"][..]),
            ("visibility=public", &["public"]),
            ("visibility=community", &["community"]),
            ("visibility=all", &["community", "public"]),
            ("visibility=shared", &[]),
            ("visibility=shared&member_status=all", &[]),
            ("visibility=private", &[]),
            ("sort=name:asc", &["public"]),
            ("name=in:private,shared,community,public", &["public"]),
        ] {
            assert_eq!(
                names(&client, query).await,
                set(expected),
                "{token} {query}"
            );
        }
    }
    for (query, expected) in [
        ("", &["private", "shared", "public"][..]),
        (
            "visibility=all",
            &["private", "shared", "community", "public"],
        ),
    ] {
        assert_eq!(
            names(&site.app.client, query).await,
            set(expected),
            "admin {query}"
        );
    }
    let members = format!("/v2/images/{shared}/members");
    let added = site
        .app
        .client
        .post_json(&members, &json!({"member": "other"}))
        .await;
    assert_eq!(added.status, 200, "{}", added.text());
    let rows = site.client("member").get(&members).await.json();
    assert_eq!(rows["members"].as_array().unwrap().len(), 1, "its own row");
    let rows = site.client("of-none").get(&members).await.json();
    assert_eq!(rows["members"], json!([]), "another's row is not shown");
    let member = site.client("member");
    let row = format!("{members}/other");
    assert_eq!(
        ask(&member, "PUT", &row, r#"{"status": "accepted"}"#)
            .await
            .status,
        200
    );
    assert_eq!(names(&member, "").await, set(&["public", "shared"]));
    site.app.finish().await;
}

/// A value that is absent equals no attribute of a caller, not even a project that is called so.
#[tokio::test]
async fn a_project_named_none_owns_nothing_of_nobodys() {
    let site = Site::start("").await;
    let id = site.ownerless("shared").await;
    let client = site.client("of-none");
    for (method, path, body) in [
        ("PATCH", format!("/v2/images/{id}"), "[]"),
        ("DELETE", format!("/v2/images/{id}"), ""),
        ("POST", format!("/v2/images/{id}/actions/deactivate"), ""),
    ] {
        let answer = ask(&client, method, &path, body).await;
        assert_eq!(answer.status, 403, "{method} {path}");
    }
    site.app.finish().await;
}

#[tokio::test]
async fn creation_that_the_rules_refuse_names_the_rule() {
    let site = Site::start("").await;
    for (token, body) in [
        ("reader", json!({})),
        ("projectless", json!({})),
        ("member", json!({"owner": "third"})),
        ("member", json!({"owner": null})),
    ] {
        let answer = site.client(token).post_json("/v2/images", &body).await;
        assert_eq!(answer.status, 403, "{token} {body}");
        assert_eq!(
            answer.json()["message"],
            "You are not authorized to complete add_image action.",
            "{token} {body}"
        );
    }
    site.app.finish().await;
}

#[tokio::test]
async fn an_owner_is_not_replaced_by_a_member_even_by_itself() {
    let site = Site::start("").await;
    let member = site.client("member");
    let id = member.create(&json!({})).await;
    let path = format!("/v2/images/{id}");
    for op in ["replace", "add"] {
        let change = json!([{"op": op, "path": "/owner", "value": "other"}]);
        assert_eq!(
            patch(&member, &path, change.clone()).await.status,
            403,
            "{op}"
        );
        assert_eq!(
            patch(&site.app.client, &path, change).await.status,
            200,
            "{op}"
        );
    }
    site.app.finish().await;
}

#[tokio::test]
async fn a_row_that_is_not_there_is_404_before_the_right_to_end_it_is_asked() {
    let site = Site::start("").await;
    let member = site.client("member");
    let reader = site.client("reader");
    let id = member.create(&json!({})).await;
    let members = format!("/v2/images/{id}/members");
    member.post_json(&members, &json!({"member": "site"})).await;
    for (token, row, status) in [
        ("reader", "x", 404),
        ("reader", "site", 403),
        ("member", "x", 404),
    ] {
        let answer = site.client(token).delete(&format!("{members}/{row}")).await;
        assert_eq!(answer.status, status, "{token} {row}");
    }
    // The right to answer comes before the word of the answer; a body without one is none.
    let row = format!("{members}/site");
    assert_eq!(
        ask(&member, "PUT", &row, r#"{"status": "bogus"}"#)
            .await
            .status,
        403
    );
    assert_eq!(
        ask(&reader, "PUT", &row, r#"{"status": "bogus"}"#)
            .await
            .status,
        403
    );
    assert_eq!(
        ask(&site.app.client, "PUT", &row, r#"{"status": "bogus"}"#)
            .await
            .status,
        400
    );
    assert_eq!(ask(&member, "PUT", &row, "{}").await.status, 400);
    site.app.finish().await;
}

#[tokio::test]
async fn an_unknown_caller_learns_no_methods() {
    let site = Site::start("").await;
    let nobody = Client::new(site.app.client.addr);
    for path in [
        "/v2/images",
        "/v2/images/x/file",
        "/v2/info/usage",
        "/v2/nothing",
        "/v2",
    ] {
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "ODD"] {
            let answer = ask(&nobody, method, path, "").await;
            assert_eq!(answer.status, 401, "{method} {path}");
            assert_eq!(answer.header("allow"), None, "{method} {path}");
        }
    }
    site.app.finish().await;
}

#[tokio::test]
async fn a_hidden_marker_is_403_and_an_unknown_one_is_not() {
    let site = Site::start("").await;
    let id = site
        .app
        .client
        .create(&json!({"visibility": "private"}))
        .await;
    let space = json!({"namespace": "Hidden", "visibility": "private"});
    let spaces = "/v2/metadefs/namespaces";
    assert_eq!(site.app.client.post_json(spaces, &space).await.status, 201);
    for (path, status) in [
        (format!("/v2/images?marker={id}"), 403),
        (format!("/v2/images?marker={ABSENT}"), 400),
        (format!("{spaces}?marker=Hidden"), 403),
        (format!("{spaces}?marker=absent"), 404),
    ] {
        for token in ["member", "reader"] {
            assert_eq!(
                site.client(token).get(&path).await.status,
                status,
                "{token} {path}"
            );
        }
    }
    site.app.finish().await;
}
