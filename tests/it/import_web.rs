//! `POST /v2/images/{id}/import` with the method web-download (contract 6.3, 6.5): data from a web server of the tests' own.

use http::StatusCode;
use serde_json::{Value, json};

use crate::import::{Site, accepted, ended_task, import};
use crate::support::app::{Options, TestApp};
use crate::support::client::Client;
use crate::support::content;
use crate::support::eventually;
use crate::support::proxy;
use crate::support::upload::{MIB, assert_refused, until_status};
use crate::support::web::{Fault, Page, WebServer};

const ALWAYS: usize = usize::MAX;

fn from(uri: &str) -> Value {
    json!({"method": {"name": "web-download", "uri": uri}})
}

/// A web server, and a service that may ask it and no other.
struct Sites {
    web: WebServer,
    oriel: Site,
}

impl Sites {
    async fn start() -> Self {
        Self::with("read_timeout = \"1s\"", "").await
    }

    async fn with(import: &str, images: &str) -> Self {
        let web = WebServer::start().await;
        let import = format!("{}\n{import}", allowing(&web));
        let oriel = Site::with(&import, images).await;
        Self { web, oriel }
    }

    fn client(&self) -> &Client {
        self.oriel.client()
    }

    /// A queued image whose import from a path has begun.
    async fn importing(&self, path: &str, more: Value) -> String {
        let id = self.client().create_image().await;
        let mut body = from(&self.web.url(path));
        for (key, value) in more.as_object().unwrap() {
            body[key] = value.clone();
        }
        accepted(self.client(), &id, body).await;
        id
    }

    /// Imports what is at a path, and sees it fail; gives what the task says.
    async fn failure(&self, path: &str) -> String {
        let id = self.importing(path, json!({})).await;
        let task = ended_task(self.client(), &id).await;
        assert_eq!(task["status"], "failure", "{path}: {task}");
        let image = self.client().image(&id).await;
        assert_eq!(image["status"], "queued", "{path}: {image}");
        assert!(image["size"].is_null() && image["checksum"].is_null());
        assert_eq!(image["os_glance_importing_to_stores"], "");
        assert_eq!(image["os_glance_failed_import"], "main");
        assert!(image.get("os_glance_import_task").is_none(), "{image}");
        self.oriel.until_nothing_is_left(&id).await;
        task["message"].as_str().unwrap().to_owned()
    }
}

fn allowing(web: &WebServer) -> String {
    format!(
        "allow_private_addresses = true\nallowed_hosts = [\"127.0.0.1\"]\nallowed_ports = [{}]",
        web.port()
    )
}

#[tokio::test]
async fn data_from_the_web_becomes_the_images() {
    let sites = Sites::start().await;
    for (size, page) in [
        (0, Page::new([])),
        (5000, Page::new(content::bytes(5000)).in_chunks()),
        (20 * MIB, Page::new(content::bytes(20 * MIB))),
    ] {
        sites.web.put("/image", page);
        sites
            .web
            .put("/latest", Page::leading_to(302, "/image?signed=yes"));
        let id = sites.importing("/latest?token=secret", json!({})).await;
        let task = ended_task(sites.client(), &id).await;
        assert_eq!(task["status"], "success", "{task}");
        assert_eq!(task["message"], format!("Copied {} MiB", size / MIB));
        let shown = &task["input"]["import_req"]["method"]["uri"];
        assert_eq!(
            *shown,
            sites.web.url("/latest"),
            "a query may be a signature"
        );
        let image = sites.client().image(&id).await;
        assert_eq!(image["status"], "active", "{image}");
        assert_eq!(image["size"], size, "{image}");
        assert_eq!(image["stores"], "main");
        assert_eq!(image["os_glance_importing_to_stores"], "");
        assert_eq!(image["os_glance_failed_import"], "");
        let uploaded = sites.client().upload(content::bytes(size)).await;
        let uploaded = sites.client().image(&uploaded).await;
        for fact in ["checksum", "os_hash_value", "virtual_size"] {
            assert_eq!(image[fact], uploaded[fact], "as by an upload: {fact}");
        }
        let file = sites.client().get(&format!("/v2/images/{id}/file")).await;
        assert!(file.body == content::bytes(size), "other bytes came back");
        assert_eq!(sites.oriel.app.bucket.keys().await.len(), 2);
        for image in [&id, uploaded["id"].as_str().unwrap()] {
            sites.client().delete(&format!("/v2/images/{image}")).await;
            sites.oriel.until_nothing_is_left(image).await;
        }
    }
    sites.oriel.app.finish().await;
}

#[tokio::test]
async fn several_stores_get_what_is_fetched_once() {
    let sites = Sites::start().await;
    let bytes = content::bytes(9 * MIB);
    sites.web.put("/image", Page::new(bytes.clone()));
    let id = sites.importing("/image", json!({"all_stores": true})).await;
    let task = ended_task(sites.client(), &id).await;
    assert_eq!(task["status"], "success", "{task}");
    let image = sites.client().image(&id).await;
    assert_eq!(image["stores"], "main,second", "{image}");
    for store in ["main", "second"] {
        let file = format!("/v2/images/{id}/file?prefer={store}");
        assert!(sites.client().get(&file).await.body == bytes);
    }
    assert_eq!(sites.web.count("/image"), 1);
    sites.oriel.app.finish().await;
}

#[tokio::test]
async fn source_that_fails_is_told_by_the_task_and_leaves_a_queued_image() {
    let sites = Sites::start().await;
    let data = content::bytes(200_000);
    let page = || Page::new(data.clone());
    let other_port = "http://127.0.0.1:1/image";
    for (path, page, about) in [
        ("/absent", Page::of_status(404), "answered 404"),
        ("/away", Page::of_status(500), "answered 500"),
        (
            "/short",
            page().with_false_length(300_000),
            "broke off after 200000 of 300000 bytes",
        ),
        (
            "/long",
            page().with_false_length(100_000),
            "more than the 100000 bytes",
        ),
        (
            "/broken",
            page().in_chunks().failing([Fault::BreakAfter(100_000)]),
            "broke off",
        ),
        (
            "/changed",
            page()
                .with_etag("\"1\"")
                .failing([Fault::BreakAfter(100_000), Fault::RangeShifted]),
            "broke off",
        ),
        (
            "/hangs",
            page().failing([Fault::HangAfter(1000)]),
            "nothing for",
        ),
        (
            "/gzip",
            page().with("content-encoding", "gzip"),
            "compressed",
        ),
        (
            "/file",
            Page::leading_to(302, "file:///etc/passwd"),
            "redirected",
        ),
        (
            "/port",
            Page::leading_to(302, other_port),
            "redirected to a refused",
        ),
        (
            "/name",
            Page::leading_to(302, "http://localhost/image"),
            "redirected to a refused",
        ),
        (
            "/loop",
            Page::leading_to(302, "/loop"),
            "redirected more than",
        ),
    ] {
        sites.web.put(path, page);
        let message = sites.failure(path).await;
        assert!(message.contains(about), "{path}: {message}");
    }
    sites.oriel.app.finish().await;
}

#[tokio::test]
async fn image_whose_import_failed_can_be_imported_again() {
    let sites = Sites::start().await;
    sites.web.put("/image", Page::of_status(503));
    let id = sites.importing("/image", json!({})).await;
    assert_eq!(ended_task(sites.client(), &id).await["status"], "failure");
    sites.web.put("/image", Page::new(content::bytes(1000)));
    accepted(sites.client(), &id, from(&sites.web.url("/image"))).await;
    until_status(sites.client(), &id, "active").await;
    let image = sites.client().image(&id).await;
    assert_eq!(image["os_glance_failed_import"], "", "{image}");
    sites.oriel.app.finish().await;
}

#[tokio::test]
async fn source_that_breaks_off_is_taken_up_where_it_was() {
    let sites = Sites::start().await;
    let bytes = content::bytes(12 * MIB);
    let page = Page::new(bytes.clone()).with_etag("\"1\"");
    let breaks = [5, 4].map(|mib| Fault::BreakAfter(mib * 1024 * 1024));
    sites.web.put("/image", page.failing(breaks));
    let id = sites.importing("/image", json!({})).await;
    let task = ended_task(sites.client(), &id).await;
    assert_eq!(task["status"], "success", "{task}");
    let file = sites.client().get(&format!("/v2/images/{id}/file")).await;
    assert!(file.body == bytes, "other bytes came back");
    assert_eq!(sites.web.count("/image"), 3);
    sites.oriel.app.finish().await;
}

#[tokio::test]
async fn data_of_another_format_or_size_fails_the_import() {
    let cap = format!("size_cap = {MIB}");
    let sites = Sites::with("", &cap).await;
    let large = Page::new(content::bytes(2 * MIB));
    sites.web.put("/large", large.clone());
    sites.web.put("/chunks", large.in_chunks());
    for path in ["/large", "/chunks"] {
        let message = sites.failure(path).await;
        assert!(message.contains("image_size_cap"), "{path}: {message}");
    }
    sites.web.put("/raw", Page::new(content::bytes(5000)));
    let qcow2 = json!({"disk_format": "qcow2", "container_format": "bare"});
    let id = sites.client().create(&qcow2).await;
    accepted(sites.client(), &id, from(&sites.web.url("/raw"))).await;
    let task = ended_task(sites.client(), &id).await;
    assert_eq!(task["status"], "failure", "{task}");
    let message = task["message"].as_str().unwrap();
    assert!(message.contains("does not match"), "{message}");
    assert_eq!(sites.client().status(&id).await, "queued");
    sites.oriel.until_nothing_is_left(&id).await;
    sites.oriel.app.finish().await;
}

/// Check 14, before anything is begun; the defaults of a site.
#[tokio::test]
async fn urls_that_do_not_pass_the_filter_are_400() {
    let app = TestApp::start().await;
    let id = app.client.create_image().await;
    for uri in [
        "",
        "image.qcow2",
        "file:///etc/passwd",
        "ftp://203.0.113.1/image",
        "http://127.0.0.1/image",
        "http://localhost/image",
        "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.1/image",
        "http://[::1]/image",
        "http://[::ffff:127.0.0.1]/image",
        "http://2130706433/image",
        "http://0x7f.1/image",
        "http://user:secret@203.0.113.1/image",
        "http://203.0.113.1:8080/image",
        "http://name.invalid/image",
    ] {
        let answer = import(&app.client, &id, from(uri)).await;
        assert_refused(&answer, StatusCode::BAD_REQUEST, "does not pass filtering");
        assert!(!answer.text().contains("secret"), "{}", answer.text());
    }
    let none = import(
        &app.client,
        &id,
        json!({"method": {"name": "web-download"}}),
    )
    .await;
    assert_refused(&none, StatusCode::BAD_REQUEST, "does not pass filtering");
    let number = json!({"method": {"name": "web-download", "uri": 1}});
    let number = import(&app.client, &id, number).await;
    assert_refused(&number, StatusCode::BAD_REQUEST, "'uri'");
    assert_eq!(app.client.status(&id).await, "queued");
    app.finish().await;
}

/// Checks 3 to 6 and 10, which come before the URL.
#[tokio::test]
async fn what_stands_in_the_record_is_checked_before_the_url() {
    let app = TestApp::start().await;
    let client = &app.client;
    let active = client.upload(content::bytes(10)).await;
    let answer = import(client, &active, from("")).await;
    assert_refused(&answer, StatusCode::CONFLICT, "copy-image");
    for (formats, about) in [
        (json!({}), "container_format"),
        (json!({"container_format": "bare"}), "disk_format"),
    ] {
        let id = client.create(&formats).await;
        let answer = import(client, &id, from("")).await;
        assert_refused(&answer, StatusCode::CONFLICT, about);
    }
    let id = client.create_image().await;
    let mut body = from("");
    body["stores"] = json!(["nowhere"]);
    let answer = import(client, &id, body).await;
    assert_refused(&answer, StatusCode::CONFLICT, "'nowhere'");
    app.finish().await;
}

#[tokio::test]
async fn store_that_fails_is_told_and_the_next_one_fetches() {
    let sites = Sites::start().await;
    let away = proxy::Fault::Answer(StatusCode::SERVICE_UNAVAILABLE, "SlowDown");
    sites.oriel.to_second.fail_operation("put", away, 0, ALWAYS);
    sites.web.put("/image", Page::new(content::bytes(MIB)));
    let more = json!({"stores": ["second", "main"], "all_stores_must_succeed": false});
    let id = sites.importing("/image", more).await;
    let task = ended_task(sites.client(), &id).await;
    assert_eq!(task["status"], "success", "{task}");
    let message = task["message"].as_str().unwrap();
    assert!(message.contains("store second: "), "{message}");
    let image = sites.client().image(&id).await;
    assert_eq!(image["status"], "active", "{image}");
    assert_eq!(image["stores"], "main");
    assert_eq!(image["os_glance_failed_import"], "second");

    let id = sites
        .importing("/image", json!({"stores": ["second"]}))
        .await;
    let task = ended_task(sites.client(), &id).await;
    assert_eq!(task["status"], "failure", "{task}");
    assert_eq!(sites.client().status(&id).await, "queued");
    sites.oriel.until_nothing_is_left(&id).await;
    sites.oriel.app.finish().await;
}

#[tokio::test]
async fn image_deleted_while_its_data_is_fetched_leaves_nothing() {
    let sites = Sites::with("read_timeout = \"5s\"", "").await;
    let page = Page::new(content::bytes(20 * MIB));
    sites
        .web
        .put("/image", page.failing([Fault::HangAfter(9_000_000)]));
    let id = sites.importing("/image", json!({})).await;
    eventually("the data is on its way", async || {
        let uploads = sites.oriel.app.bucket.open_uploads().await;
        (!uploads.is_empty()).then_some(())
    })
    .await;
    assert_eq!(sites.client().status(&id).await, "importing");
    let again = import(sites.client(), &id, from(&sites.web.url("/image"))).await;
    assert_refused(&again, StatusCode::CONFLICT, "importing");
    let deleted = sites.client().delete(&format!("/v2/images/{id}")).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    sites.oriel.until_nothing_is_left(&id).await;
    sites.oriel.app.finish().await;
}

#[tokio::test]
async fn what_is_fetched_counts_as_the_owners() {
    let quota = format!("user_storage_quota = {}", MIB + MIB / 2);
    let sites = Sites::with("", &quota).await;
    let large = Page::new(content::bytes(2 * MIB));
    sites.web.put("/large", large.clone());
    sites.web.put("/chunks", large.in_chunks());
    for path in ["/large", "/chunks"] {
        let message = sites.failure(path).await;
        assert!(message.contains("would hold"), "{path}: {message}");
    }
    sites.web.put("/image", Page::new(content::bytes(MIB)));
    let id = sites.importing("/image", json!({})).await;
    until_status(sites.client(), &id, "active").await;
    let id = sites.importing("/image", json!({})).await;
    let task = ended_task(sites.client(), &id).await;
    assert_eq!(task["status"], "failure", "{task}");
    sites.oriel.app.finish().await;
}

#[tokio::test]
async fn site_may_have_the_method_off() {
    let app = TestApp::with(Options {
        tables: "[import]\nmethods = [\"glance-direct\"]\n".into(),
        ..Options::default()
    })
    .await;
    let id = app.client.create_image().await;
    let answer = import(&app.client, &id, from("http://203.0.113.1/image")).await;
    assert_refused(&answer, StatusCode::BAD_REQUEST, "'web-download'");
    app.finish().await;
}
