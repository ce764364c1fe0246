//! `oriel metadefs` and the definitions that come with the program.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use oriel::builtin;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::metadefs::{NS, hardware, keys, make, names, put};
use crate::support::app::TestApp;
use crate::support::child::{Laptop, Output, oriel};
use crate::support::eventually;

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/metadefs");

/// Definition files, and a service that is stopped while they are loaded.
struct Site {
    app: TestApp,
    dir: TempDir,
}

impl Site {
    async fn new() -> Self {
        Self {
            app: TestApp::start().await,
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn write(&self, file: &str, definition: &Value) {
        fs::write(self.dir.path().join(file), definition.to_string()).unwrap();
    }

    /// Runs the command while the service is stopped.
    async fn run(&mut self, command: &str, dir: Option<&Path>, options: &[&str]) -> Output {
        self.app.shut_down().await;
        let config = self.app.config_file();
        let mut arguments = vec!["metadefs", command, "--config", config.to_str().unwrap()];
        arguments.extend_from_slice(options);
        arguments.extend(dir.map(|dir| dir.to_str().unwrap()));
        // A child that another test is just starting holds every lock of this process until it has become its program.
        let output = eventually("the catalog is free", async || {
            let output = oriel(&arguments).await;
            (!output.stderr.contains("in use by another process")).then_some(output)
        })
        .await;
        self.app.restart().await;
        output
    }

    async fn load(&mut self, options: &[&str]) -> Output {
        let dir = self.dir.path().to_owned();
        self.run("load", Some(&dir), options).await
    }

    async fn shown(&self, name: &str) -> Value {
        self.app.client.get(&format!("{NS}/{name}")).await.json()
    }

    async fn namespaces(&self) -> Vec<String> {
        let path = format!("{NS}?limit=1000&sort_key=namespace&sort_dir=asc");
        let page = self.app.client.get(&path).await.json();
        names(&page, "namespaces", "namespace")
    }
}

/// A definition as clients are shown it: tags newest first, defaults as text.
fn as_shown(mut definition: Value) -> Value {
    if let Some(tags) = definition.get_mut("tags") {
        tags.as_array_mut().unwrap().reverse();
    }
    if let Some(properties) = definition.get_mut("properties") {
        for property in properties.as_object_mut().unwrap().values_mut() {
            match property.get_mut("default") {
                Some(default @ Value::Number(_)) => *default = default.to_string().into(),
                Some(default @ Value::Bool(true)) => *default = "True".into(),
                Some(default @ Value::Bool(false)) => *default = "False".into(),
                _ => {}
            }
        }
    }
    definition
}

#[tokio::test]
async fn every_file_of_a_directory_is_loaded_whole() {
    let mut site = Site::new().await;
    let mut body = hardware("Loaded");
    body["protected"] = json!(true);
    body.as_object_mut().unwrap().remove("owner");
    site.write("a.json", &body);
    site.write("b.json", &json!({"namespace": "Bare"}));
    site.write("README.md", &json!("not looked at"));
    let output = site.load(&[]).await;
    assert!(output.status.success(), "{output:?}");
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "one line a file: {lines:?}");
    assert!(lines[0].starts_with("loaded") && lines[0].ends_with("a.json: Loaded"));
    assert_eq!(site.namespaces().await, ["Bare", "Loaded"]);
    let shown = site.shown("Loaded").await;
    for key in ["display_name", "visibility", "protected", "properties"] {
        assert_eq!(shown[key], body[key], "{key}");
    }
    assert_eq!(names(&shown, "tags", "name"), ["slow", "fast"]);
    assert_eq!(shown.get("owner"), None, "it is nobody's");
    assert_eq!(names(&shown, "objects", "name"), ["Disk"]);
    assert_eq!(
        keys(&shown["properties"]),
        ["cores", "arch"],
        "in the order of the file"
    );
    site.app.finish().await;
}

#[tokio::test]
async fn faulty_file_is_named_with_its_field_and_the_others_are_loaded() {
    let mut site = Site::new().await;
    site.write("good.json", &json!({"namespace": "Good"}));
    site.write("long.json", &json!({"namespace": "Bad", "tags": [{"name": "t"}], "objects": [{"name": "x".repeat(81)}]}));
    site.write(
        "twice.json",
        &json!({"namespace": "Bad", "tags": [{"name": "t"}, {"name": "t"}]}),
    );
    fs::write(site.dir.path().join("broken.json"), "{").unwrap();
    fs::write(site.dir.path().join("bytes.json"), [0xff]).unwrap();
    let output = site.load(&[]).await;
    assert_eq!(output.status.code(), Some(1));
    for (file, word) in [
        ("long.json", "'objects[0].name'"),
        ("twice.json", "'tags'"),
        ("broken.json", "JSON"),
        ("bytes.json", "UTF-8"),
    ] {
        let mut lines = output.stdout.lines();
        let line = lines.find(|line| line.contains(file)).unwrap();
        assert!(line.starts_with("FAULT") && line.contains(word), "{line}");
    }
    assert_eq!(site.namespaces().await, ["Good"]);
    site.app.finish().await;
}

#[tokio::test]
async fn namespace_that_exists_is_skipped_merged_or_replaced_as_told() {
    let mut site = Site::new().await;
    let property = |title: &str| json!({"title": title, "type": "string"});
    let there = json!({"namespace": "N", "description": "old", "owner": "own",
        "properties": {"both": property("old"), "old": property("old")}});
    let path = make(&site.app.client, &there).await;
    site.write(
        "n.json",
        &json!({"namespace": "N", "description": "new", "visibility": "public",
        "properties": {"both": property("new"), "new": property("new")}, "tags": [{"name": "t"}]}),
    );
    for (options, word, description, both, properties) in [
        (&[][..], "skipped", "old", "old", vec!["both", "old"]),
        (
            &["--merge"],
            "merged",
            "old",
            "old",
            vec!["both", "old", "new"],
        ),
        (
            &["--merge"],
            "lacked nothing",
            "old",
            "old",
            vec!["both", "old", "new"],
        ),
        (
            &["--merge", "--prefer-new"],
            "merged",
            "new",
            "new",
            vec!["both", "old", "new"],
        ),
        (
            &["--prefer-new"],
            "in the place of",
            "new",
            "new",
            vec!["both", "new"],
        ),
    ] {
        let output = site.load(options).await;
        assert!(output.status.success(), "{output:?}");
        assert!(
            output.stdout.contains(word),
            "{options:?}: {}",
            output.stdout
        );
        let shown = site.shown("N").await;
        assert_eq!(shown["description"], description, "{options:?}");
        assert_eq!(shown["properties"]["both"]["title"], both, "{options:?}");
        assert_eq!(keys(&shown["properties"]), properties, "{options:?}");
        assert_eq!(
            shown.get("tags").is_some(),
            !options.is_empty(),
            "{options:?}"
        );
    }
    assert_eq!(site.app.client.get(&path).await.status, 200);
    site.app.finish().await;
}

#[tokio::test]
async fn running_service_keeps_its_catalog_and_the_message_says_what_to_do() {
    let app = TestApp::start().await;
    let config = app.config_file();
    let output = oriel(&["metadefs", "load", "--config", config.to_str().unwrap()]).await;
    if !app.is_sqlite() {
        // Several processes are what that database is for.
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let namespaces = &app.client.get(NS).await.json()["namespaces"];
        assert_ne!(*namespaces, json!([]));
        return app.finish().await;
    }
    assert_eq!(output.status.code(), Some(1));
    assert!(
        output.stderr.contains("stop the service first"),
        "{output:?}"
    );
    assert!(
        output.stderr.contains("in use by another process"),
        "{output:?}"
    );
    assert_eq!(app.client.get(NS).await.json()["namespaces"], json!([]));
    app.finish().await;
}

#[tokio::test]
async fn directory_that_is_missing_or_empty_is_a_fault() {
    let mut site = Site::new().await;
    let output = site.load(&[]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stderr.contains("no *.json file"), "{output:?}");
    let missing = site.dir.path().join("missing");
    let output = site.run("load", Some(&missing), &[]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stderr.contains("missing"), "{output:?}");
    site.app.finish().await;
}

#[tokio::test]
async fn shipped_files_are_those_inside_and_every_one_is_loaded() {
    let mut files: Vec<PathBuf> = fs::read_dir(SHIPPED)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .collect();
    files.sort();
    let inside: BTreeSet<(String, String)> = builtin::FILES
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect();
    let there: BTreeSet<(String, String)> = files
        .iter()
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect();
    assert!(
        inside == there,
        "src/metadef/builtin.rs lists other files than {SHIPPED} has"
    );

    let mut site = Site::new().await;
    let output = site.run("load", Some(Path::new(SHIPPED)), &[]).await;
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stdout.lines().count(), files.len());
    for path in files {
        let file = as_shown(serde_json::from_slice(&fs::read(&path).unwrap()).unwrap());
        let shown = site.shown(file["namespace"].as_str().unwrap()).await;
        for key in [
            "display_name",
            "description",
            "visibility",
            "protected",
            "properties",
            "tags",
        ] {
            assert_eq!(shown.get(key), file.get(key), "{} {key}", path.display());
        }
    }
    let again = site.run("load", None, &[]).await;
    assert!(
        again.stdout.lines().all(|line| line.starts_with("skipped")),
        "{again:?}"
    );
    site.app.finish().await;
}

#[tokio::test]
async fn exported_files_load_as_what_they_were_and_are_not_overwritten() {
    let mut site = Site::new().await;
    let mut body = hardware("OS::Hard/Ware");
    body["protected"] = json!(true);
    make(&site.app.client, &body).await;
    make(&site.app.client, &json!({"namespace": "os-hard-ware"})).await;
    let path = format!("{NS}/OS::Hard%2FWare");
    let before = site.app.client.get(&path).await.json();
    let dir = site.dir.path().join("out");
    let output = site.run("export", Some(&dir), &[]).await;
    assert!(output.status.success(), "{output:?}");
    assert!(dir.join("os-hard-ware.json").exists() && dir.join("os-hard-ware-2.json").exists());
    let again = site.run("export", Some(&dir), &[]).await;
    assert_eq!(again.status.code(), Some(1));
    assert!(
        again.stdout.lines().all(|line| line.starts_with("FAULT")),
        "{again:?}"
    );

    let output = site.run("unload", Some(&dir), &[]).await;
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        site.namespaces().await,
        Vec::<String>::new(),
        "protected or not"
    );
    let output = site.run("unload", Some(&dir), &[]).await;
    assert!(
        output
            .stdout
            .lines()
            .all(|line| line.starts_with("skipped")),
        "{output:?}"
    );

    site.run("load", Some(&dir), &[]).await;
    let after = site.app.client.get(&path).await.json();
    for key in [
        "display_name",
        "description",
        "owner",
        "protected",
        "properties",
        "tags",
    ] {
        assert_eq!(after[key], before[key], "{key}");
    }
    for (list, keys) in [
        (
            "objects",
            &["name", "description", "required", "properties"][..],
        ),
        (
            "resource_type_associations",
            &["name", "prefix", "properties_target"],
        ),
    ] {
        for key in keys {
            assert_eq!(
                after[list][0].get(*key),
                before[list][0].get(*key),
                "{list} {key}"
            );
        }
    }
    site.app.finish().await;
}

#[tokio::test]
async fn laptop_has_the_shipped_definitions_from_its_first_start_on_and_keeps_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let laptop = Laptop::start(dir.path()).await;
    let list = format!("{NS}?limit=1000");
    let page = laptop.client.get(&list).await.json();
    let mut there = names(&page, "namespaces", "namespace");
    assert_eq!(there.len(), builtin::FILES.len());
    let gone = there.pop().unwrap();
    let path = format!("{NS}/{gone}");
    put(&laptop.client, &path, &json!({"namespace": gone})).await;
    assert_eq!(laptop.client.delete(&path).await.status, 204);
    laptop.terminate().await;
    let laptop = Laptop::start(dir.path()).await;
    let page = laptop.client.get(&list).await.json();
    assert_eq!(names(&page, "namespaces", "namespace"), there);
    laptop.terminate().await;
}
