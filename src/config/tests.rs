use std::collections::BTreeSet;

use super::*;

const REFERENCE: &str = include_str!("../../config/reference.toml");
const DEVELOPMENT: &str = include_str!("../../config/dev.toml");
const DOCUMENT: &str = include_str!("../../docs/configuration.md");

/// The least that is a configuration.
const LEAST: &str = "[store.main]\nbucket = \"images\"\n";

fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|&(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn faults(text: &str, pairs: &[(&str, &str)]) -> Vec<String> {
    let faults = Config::from_parts(text, variables(pairs)).unwrap_err();
    faults.to_string().lines().map(str::to_owned).collect()
}

/// Every key that loading asks for, with the store `main`.
fn known_keys() -> BTreeSet<String> {
    let mut findings = Findings::default();
    Config::read_table(read::parse_table(LEAST).unwrap(), &mut findings);
    assert!(findings.faults.is_empty(), "{:?}", findings.faults);
    findings.asked.into_iter().collect()
}

fn leaves(path: &str, table: &toml::Table, keys: &mut BTreeSet<String>) {
    for (key, value) in table {
        let path = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        match value {
            toml::Value::Table(table) => leaves(&path, table, keys),
            _ => assert!(keys.insert(path)),
        }
    }
}

#[test]
fn reference_holds_the_defaults() {
    assert_eq!(
        Config::from_parts(REFERENCE, []).unwrap(),
        Config::from_parts(LEAST, []).unwrap()
    );
}

#[test]
fn reference_lists_every_key_and_no_other() {
    // Keys without a default are commented out: `#key = example`.
    let text: String = REFERENCE
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase()) => format!("{rest}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let (defaults, all) = (
        read::parse_table(REFERENCE).unwrap(),
        read::parse_table(&text).unwrap(),
    );
    let mut keys = BTreeSet::new();
    leaves("", &all, &mut keys);
    assert_eq!(keys, known_keys());
    // A key that has a default is not commented out, so that the comparison of defaults sees it.
    let mut given = BTreeSet::new();
    leaves("", &defaults, &mut given);
    let optional: Vec<&str> = keys.difference(&given).map(String::as_str).collect();
    assert_eq!(
        optional,
        [
            "catalog.url",
            "cors.allowed_origins",
            "default_store",
            "images.property_protection_file",
            "import.ca_bundle",
            "keystone.application_credential_id",
            "keystone.application_credential_secret",
            "keystone.auth_url",
            "keystone.ca_bundle",
            "keystone.credentials_file",
            "keystone.limits_endpoint_id",
            "keystone.password",
            "keystone.project_name",
            "keystone.region",
            "keystone.username",
            "keystone.www_authenticate_uri",
            "policy.file",
            "server.public_endpoint",
            "server.tls_certificate",
            "server.tls_client_ca",
            "server.tls_key",
            "store.main.access_key",
            "store.main.ca_bundle",
            "store.main.credentials_file",
            "store.main.endpoint",
            "store.main.request_checksums",
            "store.main.secret_key",
            "store.main.sign_payload",
        ]
    );
}

#[test]
fn document_lists_every_key_and_no_other() {
    let documented: BTreeSet<String> = DOCUMENT
        .lines()
        .filter(|line| line.starts_with("| `") && line.matches(" | ").count() == 2)
        .filter_map(|line| line.split('`').nth(1))
        .map(|key| key.replace("NAME", "main"))
        .collect();
    assert_eq!(documented, known_keys());
}

#[test]
fn document_gives_the_defaults_of_the_reference() {
    let reference = read::parse_table(REFERENCE).unwrap();
    let mut compared = 0;
    for line in DOCUMENT.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.split(" | ").collect();
        let [key, default, _] = cells.as_slice() else {
            continue;
        };
        let key = key.trim_start_matches("| ").trim_matches('`');
        // A default that is no value is described in words.
        let Some(default) = default.strip_prefix('`') else {
            continue;
        };
        let documented = read::parse_table(&format!("value = {}", default.trim_end_matches('`')));
        let value = key
            .replace("NAME", "main")
            .split('.')
            .try_fold(toml::Value::Table(reference.clone()), |value, part| {
                value.get(part).cloned()
            });
        if documented.is_ok() || value.is_some() {
            assert_eq!(documented.unwrap().get("value"), value.as_ref(), "{key}");
            compared += 1;
        }
    }
    assert!(compared > 30, "{compared}");
}

#[test]
fn development_configuration_is_valid() {
    let config = Config::from_parts(DEVELOPMENT, []).unwrap();
    assert_eq!(config.auth, AuthMode::None);
    let store = &config.store[config.default_store_id()];
    assert!(store.is_embedded() && store.path_style);
    assert_eq!(
        (store.bucket.as_str(), store.profile),
        ("images", Profile::Embedded)
    );
}

#[test]
fn environment_wins_over_the_file_and_is_read_by_type() {
    let text = "[server]\nlisten = \"127.0.0.1:1\"\n[store.Site-A]\nbucket = \"images\"\n";
    let config = Config::from_parts(
        text,
        variables(&[
            ("ORIEL__AUTH", "none"),
            ("ORIEL__SERVER__LISTEN", "127.0.0.1:2"),
            (
                "ORIEL__SERVER__PUBLIC_ENDPOINT",
                "https://images.example.org/",
            ),
            ("ORIEL__METRICS__LISTEN", "off"),
            ("ORIEL__IMAGES__TAG_QUOTA", "-1"),
            ("ORIEL__IMAGES__DISK_FORMATS", "raw, qcow2"),
            ("ORIEL__STORE__SITE_A__ACCESS_KEY", "12345"),
            ("ORIEL__STORE__SITE_A__SECRET_KEY", "s"),
            ("ORIEL__STORE__SITE_A__CREATE_BUCKET", "true"),
            ("ORIEL__STORE__SITE_A__REGION", ""),
            ("ORIEL_OTHER", "x"),
            ("PATH", "x"),
        ]),
    )
    .unwrap();
    assert_eq!(config.auth, AuthMode::None);
    assert_eq!(config.server.listen.port(), 2);
    assert_eq!(
        config.server.public_endpoint.as_deref(),
        Some("https://images.example.org")
    );
    assert_eq!(config.metrics.listen, None);
    assert_eq!(config.images.tag_quota, Limit::Unlimited);
    assert_eq!(config.images.disk_formats, ["raw", "qcow2"]);
    let store = &config.store["Site-A"];
    assert_eq!(store.access_key.as_deref(), Some("12345"));
    assert_eq!(store.secret_key.as_ref().unwrap().expose(), "s");
    assert_eq!(store.region, "us-east-1");
    assert!(store.create_bucket);
}

#[test]
fn environment_alone_makes_a_configuration() {
    let config = Config::from_parts(
        "",
        variables(&[("ORIEL__STORE__MAIN__ENDPOINT", "embedded")]),
    )
    .unwrap();
    assert_eq!(config.default_store_id(), "main");
}

#[test]
fn every_fault_is_reported_with_its_key_and_rule() {
    let text = r#"
        default_store = "other"
        [server]
        listen = "localhost"
        lisen = "x"
        header_timeout = "0s"
        [images]
        limit_default = 2000
        [log]
        level = "loud"
        [store.main]
        secret_key = "hunter2"
        part_size = "1MiB"
        retries = "3"
    "#;
    let mut found = faults(
        text,
        &[("ORIEL__LOG__FORMAT", "xml"), ("ORIEL__NOWHERE", "1")],
    );
    found.sort();
    assert_eq!(
        found,
        [
            "default_store: must be the name of a store (got \"other\")",
            "images.limit_default: must be from 1 to limit_max, 1000 (got 2000)",
            "log.format (ORIEL__LOG__FORMAT): must be one of: text json (got \"xml\")",
            "log.level: must be one of: error warn info debug trace (got \"loud\")",
            "nowhere (ORIEL__NOWHERE): is not a known key",
            "server.header_timeout: must be more than 0s (got 0ms)",
            "server.lisen: is not a known key; did you mean listen?",
            "server.listen: must be an address with a port, such as \"127.0.0.1:9292\" (got \"localhost\")",
            "store.main.access_key: is required with secret_key",
            "store.main.bucket: is required",
            "store.main.part_size: must be from 5MiB to 5GiB (got 1MiB)",
            "store.main.retries: must be a whole number, 0 or more (got \"3\")",
        ]
    );
}

#[test]
fn each_rule_refuses_what_it_forbids() {
    for (text, expected) in [
        ("", "store: at least one [store.NAME] is required"),
        (
            "[store.a]\nbucket=\"a\"\n[store.b]\nbucket=\"b\"",
            "default_store: is required with more than one store",
        ),
        (
            "[store.\"a b\"]\nbucket=\"b\"",
            "store.a b: must have a name of 1 to 64",
        ),
        (
            "[store.os_glance_x]\nbucket=\"b\"",
            "store.os_glance_x: must not have a name that begins with os_glance",
        ),
        (
            "[store.a]\nbucket=\"\"",
            "store.a.bucket: must not be empty",
        ),
        (
            "[store.a]\nbucket=\"a/b\"",
            "store.a.bucket: must be a name without /",
        ),
        (
            "[store.a]\nbucket=\"b\"\nprefix=\"/x\"",
            "store.a.prefix: must not begin with /",
        ),
        (
            "[store.a]\nbucket=\"b\"\nparts_in_flight=0",
            "store.a.parts_in_flight: must be at least 1",
        ),
        (
            "[store.a]\nbucket=\"b\"\npart_size=\"1GiB\"",
            "transfer.memory_budget: must be at least twice the largest part_size, 2GiB (got 256MiB)",
        ),
        (
            "[store.a]\nbucket=\"b\"\nendpoint=\"s3.example\"",
            "store.a.endpoint: must be an http or https URL",
        ),
        (
            "[store.a]\nbucket=\"b\"\nendpoint=\"http://s3\"\nca_bundle=\"x\"",
            "store.a.ca_bundle: needs an endpoint with https",
        ),
        (
            "[store.a]\nbucket=\"b\"\naccess_key=\"k\"",
            "store.a.secret_key: is required with access_key",
        ),
        (
            "[store.a]\nbucket=\"b\"\naccess_key=\"k\"\nsecret_key=\"s\"\ncredentials_file=\"f\"",
            "store.a.credentials_file: must not stand beside access_key",
        ),
        (
            "default_store=\"a\"\n[store.a]\nbucket=\"b\"\n[store.c]\nbucket=\"b\"\nprefix=\"x/\"",
            "store.c.prefix: must keep its objects apart from store a",
        ),
        (
            "metrics.listen=\"0.0.0.0:9292\"\n[store.a]\nbucket=\"b\"",
            "metrics.listen: must differ from server.listen",
        ),
        (
            "embedded.listen=\"127.0.0.1:9293\"\n[store.a]\nendpoint=\"embedded\"",
            "embedded.listen: must differ from metrics.listen",
        ),
        (
            "transfer.lease=\"2s\"\n[store.a]\nbucket=\"b\"",
            "transfer.lease: must be at least 3s (got 2s)",
        ),
        (
            "images.size_cap=0\n[store.a]\nbucket=\"b\"",
            "images.size_cap: must be more than 0",
        ),
        (
            "images.tag_quota=-2\n[store.a]\nbucket=\"b\"",
            "images.tag_quota: must be a whole number",
        ),
        (
            "images.disk_formats=[]\n[store.a]\nbucket=\"b\"",
            "images.disk_formats: must be a list of words",
        ),
        (
            "server.public_endpoint=\"http://u:hunter2@a\"\n[store.a]\nbucket=\"b\"",
            "server.public_endpoint: must be an http or https URL",
        ),
        (
            "server=1\n[store.a]\nbucket=\"b\"",
            "server: must be a table (got 1)",
        ),
        ("a = 1\nb =\n", "line 2: "),
    ] {
        let found = faults(text, &[]);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert!(found[0].starts_with(expected), "{text}: {found:?}");
        assert!(!found[0].contains("hunter2"), "{found:?}");
    }
}

#[test]
fn listeners_on_free_or_different_ports_do_not_clash() {
    let text = "embedded.listen=\"127.0.0.1:0\"\nserver.listen=\"127.0.0.1:0\"\n[store.a]\nendpoint=\"embedded\"";
    Config::from_parts(text, []).unwrap();
    let text = "metrics.listen=\"127.0.0.2:9292\"\n[store.a]\nbucket=\"b\"";
    Config::from_parts(text, []).unwrap();
}

#[test]
fn variables_that_fit_nowhere_are_faults() {
    let two = "default_store=\"a-b\"\n[store.a-b]\nbucket=\"x\"\n[store.a_b]\nbucket=\"y\"\n";
    assert_eq!(
        faults(two, &[("ORIEL__STORE__A_B__REGION", "r")]),
        ["store.a_b.region (ORIEL__STORE__A_B__REGION): means more than one store"]
    );
    assert_eq!(
        faults(LEAST, &[("ORIEL__STORE", "x")]),
        ["store (ORIEL__STORE): is a table"]
    );
    assert_eq!(
        faults(LEAST, &[("ORIEL__SERVER____LISTEN", "x")]),
        ["server..listen (ORIEL__SERVER____LISTEN): names no key"]
    );
    let deep = ("ORIEL__AUTH__MODE", "x");
    assert_eq!(
        faults(&format!("auth = \"none\"\n{LEAST}"), &[deep]),
        ["auth.mode (ORIEL__AUTH__MODE): lies under a key that is no table"]
    );
}

#[test]
fn secrets_are_in_no_fault_and_no_debug_print() {
    let found = faults(
        "[store.main]\nbucket=\"b\"\nsecretkey=\"hunter2\"\nsecret_key = [\"hunter2\"]",
        &[],
    );
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(!found.concat().contains("hunter2"), "{found:?}");
    let text = format!("{LEAST}access_key=\"k\"\nsecret_key=\"hunter2\"");
    let config = Config::from_parts(&text, []).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn load_names_the_file_it_cannot_read() {
    let faults = Config::load(Path::new("absent/oriel.toml")).unwrap_err();
    assert!(
        faults
            .to_string()
            .starts_with("absent/oriel.toml: cannot be read: "),
        "{faults}"
    );
}
