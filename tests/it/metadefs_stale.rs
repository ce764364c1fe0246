//! Metadata definitions: what is judged is the namespace as the transaction of the write has it.
//!
//! A transaction of the test's own holds the database. The requests see what was there before it and wait for it with what
//! they write; then it is committed.

use http::Method;

use super::metadefs::{JSON, NS, hardware, make};
use crate::support::app::{Options, TestApp};
use crate::support::client::full;
use crate::support::tokens::Tokens;

/// Method, route within the namespace, body.
type Write = (&'static str, &'static str, &'static str);

const WRITES: [Write; 14] = [
    ("PUT", "", r#"{"namespace": "H", "owner": "own"}"#),
    ("DELETE", "", ""),
    (
        "POST",
        "/properties",
        r#"{"name": "p", "title": "P", "type": "string"}"#,
    ),
    (
        "PUT",
        "/properties/cores",
        r#"{"name": "p", "title": "P", "type": "string"}"#,
    ),
    ("DELETE", "/properties/cores", ""),
    ("DELETE", "/properties", ""),
    ("POST", "/objects", r#"{"name": "o"}"#),
    ("PUT", "/objects/Disk", r#"{"name": "o"}"#),
    ("DELETE", "/objects/Disk", ""),
    ("POST", "/tags", r#"{"tags": [{"name": "t"}]}"#),
    ("POST", "/tags/t", ""),
    ("PUT", "/tags/fast", r#"{"name": "t"}"#),
    ("DELETE", "/tags", ""),
    ("POST", "/resource_types", r#"{"name": "r"}"#),
];

/// A policy that lets members write what is their project's.
fn members_write() -> String {
    let rules = [
        "modify_metadef_namespace",
        "delete_metadef_namespace",
        "add_metadef_property",
        "modify_metadef_property",
        "remove_metadef_property",
        "add_metadef_object",
        "modify_metadef_object",
        "delete_metadef_object",
        "add_metadef_tag",
        "add_metadef_tags",
        "modify_metadef_tag",
        "delete_metadef_tags",
        "add_metadef_resource_type_association",
    ];
    let line = |rule| format!("{rule}: \"role:admin or project_id:%(project_id)s\"\n");
    rules.map(line).concat()
}

/// Sends a write as a member while the namespace `H` is being changed; gives the status.
async fn write_beside(app: &TestApp, change: &str, write: Write) -> u16 {
    let database = app.database().await;
    let mut change_of_test = database.begin().await.unwrap();
    let statement = format!("UPDATE metadef_namespaces SET {change} WHERE name = 'H'");
    sqlx::query(sqlx::AssertSqlSafe(statement))
        .execute(&mut *change_of_test)
        .await
        .unwrap();
    let (method, route, body) = write;
    let client = app.client.with_token("member-token");
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let path = format!("{NS}/H{route}");
    let changing = async {
        // Time for the write to look at the namespace. Had it none, it would meet the change at once and be refused as well.
        for _ in 0..20 {
            app.client.get(NS).await;
        }
        change_of_test.commit().await.unwrap();
        database.close().await;
    };
    let (answer, ()) = tokio::join!(client.send(method, &path, &JSON, full(body)), changing);
    answer.status.as_u16()
}

#[tokio::test]
async fn every_write_of_definitions_is_judged_on_the_namespace_of_its_transaction() {
    let tokens = Tokens::new();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("policy.yaml");
    std::fs::write(&file, members_write()).unwrap();
    let file = file.display().to_string();
    let options = Options {
        tables: format!("[policy]\nfile = {file:?}\n"),
        ..Options::default()
    };
    let app = tokens.start(options).await;
    let mut wrong = String::new();
    for write in WRITES {
        // Given to another project: not the member's to write, or to know of. And under another name: not there.
        for (change, name, expected) in [
            ("owner = 'other'", "H", 403),
            ("owner = 'other', visibility = 'private'", "H", 404),
            ("name = 'Renamed'", "Renamed", 404),
        ] {
            make(&app.client, &hardware("H")).await;
            let path = format!("{NS}/{name}");
            let status = write_beside(&app, change, write).await;
            let tags = app.client.get(&format!("{path}/tags")).await.text();
            let (method, route, _) = write;
            if status != expected || tags != r#"{"tags":[{"name":"slow"},{"name":"fast"}]}"# {
                wrong += &format!("{method} {route}, {change}: {status}, wanted {expected}\n");
            }
            app.client.delete(&path).await;
            app.client.delete(&format!("{NS}/H")).await;
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    app.finish().await;
}
