//! What a site says of itself: schemas, stores, tasks (contract 1.7, 4.3, 6.6).

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::app::{Options, TestApp};
use crate::support::client::full;
use crate::support::tokens::Tokens;

const SCHEMAS: [&str; 16] = [
    "image",
    "images",
    "member",
    "members",
    "task",
    "tasks",
    "metadefs/namespace",
    "metadefs/namespaces",
    "metadefs/object",
    "metadefs/objects",
    "metadefs/property",
    "metadefs/properties",
    "metadefs/resource_type",
    "metadefs/resource_types",
    "metadefs/tag",
    "metadefs/tags",
];

#[tokio::test]
async fn every_schema_has_a_name_properties_and_needs_no_role() {
    let tokens = Tokens::new();
    let app = tokens.start(Options::default()).await;
    let roleless = app.client.with_token("roleless-token");
    for name in SCHEMAS {
        let answer = roleless.get(&format!("/v2/schemas/{name}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{name}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let schema = answer.json();
        let expected = match name.rsplit('/').next().unwrap() {
            "resource_type" => "resource_type_association",
            "resource_types" => "resource_type_associations",
            other => other,
        };
        assert_eq!(schema["name"], expected);
        assert!(schema["properties"].is_object(), "{name}");
    }
    for name in ["nothing", "metadefs", "metadefs/nothing", "image/x"] {
        assert_eq!(
            roleless.get(&format!("/v2/schemas/{name}")).await.status,
            404,
            "{name}"
        );
    }
    let refused = app
        .client
        .send(Method::POST, "/v2/schemas/image", &[], full(""))
        .await;
    assert_eq!(
        (refused.status.as_u16(), refused.header("allow")),
        (405, Some("GET"))
    );
    app.finish().await;
}

#[tokio::test]
async fn the_image_schema_has_every_attribute_in_order_and_the_sites_formats() {
    let app = TestApp::with(Options {
        tables: "[images]\ndisk_formats = [\"raw\", \"qcow2\"]\ncontainer_formats = [\"bare\"]\n"
            .into(),
        ..Options::default()
    })
    .await;
    let schema = app.client.get("/v2/schemas/image").await.json();
    let keys: Vec<_> = schema.as_object().unwrap().keys().cloned().collect();
    assert_eq!(
        keys,
        ["name", "properties", "additionalProperties", "links"]
    );
    let properties = schema["properties"].as_object().unwrap();
    let names: Vec<&str> = properties.keys().map(String::as_str).collect();
    let expected = "id name status visibility protected os_hidden checksum os_hash_algo os_hash_value owner size \
                    virtual_size container_format disk_format created_at updated_at tags direct_url min_ram min_disk self \
                    file stores schema locations kernel_id ramdisk_id instance_uuid architecture os_distro os_version \
                    description cinder_encryption_key_id cinder_encryption_key_deletion_policy";
    assert_eq!(names.join(" "), expected);
    assert_eq!(
        properties["disk_format"]["enum"],
        json!([null, "raw", "qcow2"])
    );
    assert_eq!(
        properties["container_format"]["enum"],
        json!([null, "bare"])
    );
    for (name, property) in properties {
        assert!(property["description"].is_string(), "{name}");
        let is_base = !names[names.len() - 9..].contains(&name.as_str());
        assert_eq!(property.get("is_base").is_none(), is_base, "{name}");
    }
    assert_eq!(schema["additionalProperties"], json!({"type": "string"}));
    // A record has no attribute that the schema does not know.
    let id = app.client.upload("data".into()).await;
    for key in app.client.image(&id).await.as_object().unwrap().keys() {
        assert!(properties.contains_key(key), "{key}");
    }
    let images = app.client.get("/v2/schemas/images").await.json();
    assert_eq!(images["properties"]["images"]["items"], schema);
    app.finish().await;
}

#[tokio::test]
async fn stores_are_named_and_their_setup_is_for_services() {
    let tokens = Tokens::new();
    let app = tokens
        .start(Options {
            top: String::new(),
            store: "description = \"fast disks\"\nweight = 7\npart_size = \"6MiB\"".into(),
            ..Options::default()
        })
        .await;
    let member = app.client.with_token("member-token");
    let stores = member.get("/v2/info/stores").await;
    assert_eq!(
        stores.text(),
        r#"{"stores":[{"id":"main","description":"fast disks","default":"true"}]}"#
    );
    let detail = app.client.get("/v2/info/stores/detail").await.json();
    let expected = json!({"stores": [{
        "id": "main", "description": "fast disks", "default": "true", "type": "s3", "weight": 7,
        "properties": {
            "s3_store_large_object_size": 6 << 20,
            "s3_store_large_object_chunk_size": 6 << 20,
            "s3_store_thread_pools": 4,
        },
    }]});
    assert_eq!(detail, expected);
    assert_eq!(member.get("/v2/info/stores/detail").await.status, 403);
    let methods = member.get("/v2/info/import").await.json();
    assert_eq!(
        methods["import-methods"]["value"],
        json!(["glance-direct", "web-download", "copy-image"])
    );
    assert_eq!(methods["import-methods"]["type"], "array");
    assert_eq!(
        member.get("/v2/info/usage").await.json(),
        json!({"usage": {}})
    );
    // No 405 on this one.
    let answer = member
        .send(Method::POST, "/v2/info/usage", &[], full(""))
        .await;
    assert_eq!(answer.status, 404);
    app.finish().await;
}

const TASKS: [&str; 3] = [
    "11111111-0000-4000-8000-000000000000",
    "22222222-0000-4000-8000-000000000000",
    "33333333-0000-4000-8000-000000000000",
];

/// Three tasks, a second apart, as an import would have left them, and one that has expired.
async fn with_tasks(app: &mut TestApp, image: &str) {
    app.shut_down().await;
    let database = app.database().await;
    let rows = [
        (
            TASKS[0],
            "success",
            "own",
            1_700_000_000_123_456_i64,
            Some(4_000_000_000_000_000_i64),
        ),
        (TASKS[1], "processing", "own", 1_700_000_001_000_000, None),
        (
            TASKS[2],
            "failure",
            "other",
            1_700_000_002_000_000,
            Some(4_000_000_000_000_000),
        ),
        (
            "44444444-0000-4000-8000-000000000000",
            "success",
            "own",
            1,
            Some(2),
        ),
    ];
    for (id, status, owner, at, expires) in rows {
        sqlx::query(
            "INSERT INTO tasks (id, type, status, owner, input, result, message, image_id, request_id, user_id, \
             created_at, updated_at, expires_at) \
             VALUES ($1, 'api_image_import', $2, $3, '{\"import_req\": {}}', NULL, 'said', $4, 'req-1', 'u', $5, $5, $6)",
        )
        .bind(id)
        .bind(status)
        .bind(owner)
        .bind(image)
        .bind(at)
        .bind(expires)
        .execute(&database)
        .await
        .unwrap();
    }
    database.close().await;
    let token = app.client.clone();
    app.restart().await;
    drop(token);
    app.client = app.client.with_token("admin-token");
}

fn ids(page: &Value) -> Vec<&str> {
    let tasks = page["tasks"].as_array().unwrap();
    tasks
        .iter()
        .map(|task| task["id"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn tasks_are_listed_filtered_and_shown_to_administrators() {
    let tokens = Tokens::new();
    let mut app = tokens.start(Options::default()).await;
    let image = app.client.with_token("member-token").create_image().await;
    with_tasks(&mut app, &image).await;
    let list = async |query: &str| app.client.get(&format!("/v2/tasks?{query}")).await.json();
    assert_eq!(ids(&list("").await), [TASKS[2], TASKS[1], TASKS[0]]);
    for (query, expected) in [
        ("status=processing", vec![TASKS[1]]),
        ("owner=other", vec![TASKS[2]]),
        ("type=api_image_import&sort_dir=asc", TASKS.to_vec()),
        ("type=import", vec![]),
        (
            "sort_key=status&sort_dir=asc",
            vec![TASKS[2], TASKS[1], TASKS[0]],
        ),
        ("sort_key=expires_at", vec![TASKS[2], TASKS[0], TASKS[1]]),
        (
            "sort_key=expires_at&sort_dir=asc",
            vec![TASKS[1], TASKS[0], TASKS[2]],
        ),
        ("limit=0", vec![]),
    ] {
        assert_eq!(ids(&list(query).await), expected, "{query}");
    }
    // Pages join to the whole.
    for sort in ["", "&sort_key=expires_at", "&sort_key=id&sort_dir=asc"] {
        let whole = list(sort.trim_start_matches('&')).await;
        let (mut path, mut found) = (format!("/v2/tasks?limit=1{sort}"), Vec::new());
        loop {
            let page = app.client.get(&path).await.json();
            found.extend(ids(&page).into_iter().map(str::to_owned));
            let Some(next) = page["next"].as_str() else {
                break;
            };
            path = next.to_owned();
        }
        assert_eq!(found, ids(&whole), "{sort}");
    }
    let listed = &list("status=success").await["tasks"][0];
    let expected = json!({
        "id": TASKS[0], "type": "api_image_import", "status": "success", "owner": "own",
        "created_at": "2023-11-14T22:13:20Z", "updated_at": "2023-11-14T22:13:20Z",
        "self": format!("/v2/tasks/{}", TASKS[0]), "schema": "/v2/schemas/task",
        "expires_at": "2096-10-02T07:06:40Z", "image_id": image, "request_id": "req-1", "user_id": "u",
    });
    assert_eq!(*listed, expected);
    let shown = app
        .client
        .get(&format!("/v2/tasks/{}", TASKS[0]))
        .await
        .json();
    assert_eq!(shown["input"], json!({"import_req": {}}));
    assert_eq!(
        (&shown["message"], &shown["result"]),
        (&json!("said"), &Value::Null)
    );
    for bad in [
        "status=x",
        "type=x",
        "sort_key=x",
        "sort_dir=x",
        "marker=x",
        "limit=x",
        "color=x",
    ] {
        assert_eq!(
            app.client.get(&format!("/v2/tasks?{bad}")).await.status,
            400,
            "{bad}"
        );
    }
    app.finish().await;
}

#[tokio::test]
async fn tasks_are_closed_to_others_and_cannot_be_deleted() {
    let tokens = Tokens::new();
    let mut app = tokens.start(Options::default()).await;
    let image = app.client.with_token("member-token").create_image().await;
    with_tasks(&mut app, &image).await;
    let member = app.client.with_token("member-token");
    let path = format!("/v2/tasks/{}", TASKS[0]);
    for (method, path) in [
        (Method::GET, "/v2/tasks"),
        (Method::GET, &path),
        (Method::DELETE, &path),
    ] {
        let refused = member.send(method.clone(), path, &[], full("")).await;
        assert_eq!(refused.status, 403, "{method} {path}");
    }
    let refused = app.client.delete(&path).await;
    assert_eq!(
        (refused.status.as_u16(), refused.header("allow")),
        (405, Some("GET"))
    );
    assert_eq!(
        app.client.delete("/v2/tasks/no-such-task").await.status,
        404
    );
    assert_eq!(app.client.get("/v2/tasks/no-such-task").await.status, 404);
    app.finish().await;
}

#[tokio::test]
async fn tasks_of_an_image_are_raw_rows_of_the_callers_project() {
    let tokens = Tokens::new();
    let mut app = tokens.start(Options::default()).await;
    let image = app.client.with_token("member-token").create_image().await;
    with_tasks(&mut app, &image).await;
    let path = format!("/v2/images/{image}/tasks");
    let member = app.client.with_token("member-token");
    let own = member.get(&path).await.json();
    assert_eq!(ids(&own), [TASKS[1], TASKS[0]]);
    let row = &own["tasks"][1];
    assert_eq!(row["created_at"], "2023-11-14T22:13:20.123456");
    assert_eq!(
        (&row["deleted"], &row["deleted_at"]),
        (&json!(false), &Value::Null)
    );
    assert_eq!(
        ids(&app.client.get(&path).await.json()),
        [TASKS[2], TASKS[1], TASKS[0]]
    );
    assert_eq!(
        app.client
            .with_token("stranger-token")
            .get(&path)
            .await
            .status,
        404
    );
    assert_eq!(
        app.client
            .with_token("roleless-token")
            .get(&path)
            .await
            .status,
        404
    );
    let other = member.send(Method::POST, &path, &[], full("")).await;
    assert_eq!(other.status, 404, "no 405 on this one");
    app.finish().await;
}
