//! Which module may use which, and which crate belongs where. The compiler accepts any import; the architecture does not.
//!
//! The source is read as a stream of words, so comments and strings count for nothing, and however a path is written
//! (`use crate::{a, b}`, `crate::a::f()`, `super::super::a`) it is found. A module that no row of the table names is a
//! fault: whoever adds one decides where it stands.
#![expect(
    clippy::unwrap_used,
    reason = "a test ends at the first thing that goes wrong"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Every top-level module, and the others it may use.
const MODULES: [(&str, &str); 21] = [
    (
        "cli",
        "app auth catalog config embedded fsck image metadef rebuild store telemetry transfer",
    ),
    (
        "app",
        "api auth catalog config embedded jobs net store telemetry transfer web",
    ),
    (
        "api",
        "auth catalog config image metadef net policy store task telemetry transfer web",
    ),
    // What is to be done stands in lists of the catalog.
    ("jobs", "catalog image store telemetry transfer"),
    // Reads what they have written; what it does about it are steps of theirs.
    ("fsck", "catalog image store transfer"),
    ("rebuild", "catalog image store transfer"),
    (
        "transfer",
        "catalog config format image net store telemetry unpack web",
    ),
    ("auth", "config image net telemetry"),
    ("policy", "image"),
    ("catalog", "config image metadef task telemetry"),
    ("store", "config net telemetry"),
    ("web", "config net"),
    ("embedded", "net"),
    ("unpack", ""),
    ("net", ""),
    ("metadef", "image"),
    ("image", ""),
    ("task", ""),
    ("format", ""),
    ("config", ""),
    ("telemetry", "config"),
];

/// Crates with a place: nobody else names them. A path is a module of ours or, for its tests, a file without `.rs`.
const CRATES: [(&str, &[&str]); 28] = [
    // SQL is the catalog's, and so is the cache that must stay coherent with it; what projects use up is the API's.
    ("sqlx", &["catalog/db"]),
    ("dashmap", &["catalog", "api/throttle"]),
    // S3 as a client is the store's. The embedded store is tested with the real SDK.
    ("aws_config", &["store"]),
    ("aws_credential_types", &["store"]),
    ("aws_sdk_s3", &["store", "embedded/tests"]),
    ("aws_smithy_http_client", &["embedded/tests"]),
    ("aws_smithy_runtime_api", &["store"]),
    ("aws_smithy_types", &["store", "embedded"]),
    // S3 as a server is the embedded store's.
    ("s3s", &["embedded"]),
    // HTTP as a server; its words are also those of metrics, and of URLs in the configuration.
    ("axum", &["api", "app"]),
    ("tower_http", &["api"]),
    (
        "hyper",
        &["api", "app", "embedded", "store/transport", "web"],
    ),
    (
        "http",
        &[
            "api",
            "app",
            "auth",
            "embedded",
            "telemetry",
            "config",
            "store/transport",
            "web",
        ],
    ),
    // HTTP as a client is for Keystone, the stores and the web; the cache of what Keystone says is its own.
    (
        "hyper_rustls",
        &["auth", "store/transport", "net/roots", "web"],
    ),
    (
        "rustls",
        &["app", "auth", "store/transport", "net/roots", "web"],
    ),
    ("tokio_rustls", &["app"]),
    ("socket2", &["net/socket"]),
    ("lru", &["auth"]),
    // The command line, metrics and logs.
    ("clap", &["cli"]),
    ("prometheus_client", &["telemetry"]),
    ("tracing_subscriber", &["telemetry"]),
    // What packed data is packed with.
    ("bzip2", &["unpack"]),
    ("flate2", &["unpack"]),
    ("liblzma", &["unpack"]),
    ("zstd_safe", &["unpack"]),
    // Files that are read again.
    ("arc_swap", &["config"]),
    ("yaml_rust2", &["policy"]),
    ("regex_lite", &["policy", "api/images/query"]),
];

/// Modules of rules alone: no I/O, no runtime, no clock. They may use these crates and no others.
const PURE: [&str; 5] = ["metadef", "image", "policy", "task", "format"];
const CRATES_OF_PURE: [&str; 10] = [
    "percent_encoding",
    "proptest",
    "regex_lite",
    "serde",
    "serde_json",
    "thiserror",
    "time",
    "tempfile",
    "uuid",
    "yaml_rust2",
];
const STD_NOT_IN_PURE: [&str; 6] = ["env", "fs", "net", "os", "process", "thread"];
const CLOCKS: [&str; 4] = ["Instant", "SystemTime", "now_utc", "now_local"];

/// Where a failure may have a status code. The embedded store speaks S3, which has its own.
const STATUS_CODES: [&str; 4] = [
    "api/error",
    // Health is a report of trouble and not a request that failed.
    "api/versions",
    "embedded",
    // The answers of another service.
    "auth/keystone",
];

#[test]
fn every_module_has_a_place_and_keeps_to_it() {
    let table = BTreeMap::from(MODULES);
    let mut faults = Vec::new();
    for source in sources() {
        let Some(allowed) = table.get(source.module.as_str()) else {
            faults.push(format!(
                "{}: module `{}` is not in the table of tests/imports.rs",
                source.path, source.module
            ));
            continue;
        };
        for used in source.modules_used() {
            if used != source.module && !allowed.split(' ').any(|name| name == used) {
                faults.push(format!(
                    "{}: `{}` must not use `{used}`",
                    source.path, source.module
                ));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn imports_point_down_the_list_of_the_library() {
    let rows = rows_of_library();
    let row = |name: &str| {
        let found = rows.iter().position(|row| row.contains(name));
        found.unwrap_or_else(|| panic!("`{name}` is not in the list of src/lib.rs"))
    };
    for (module, allowed) in MODULES {
        for used in allowed.split_whitespace() {
            assert!(
                row(module) <= row(used),
                "`{module}` may use `{used}`, which stands above it in src/lib.rs"
            );
        }
    }
    let listed: usize = rows.iter().map(BTreeSet::len).sum();
    assert_eq!(
        listed,
        MODULES.len(),
        "src/lib.rs lists a module that the table does not have"
    );
}

#[test]
fn the_binary_knows_the_command_line_only() {
    let words = words(&fs::read_to_string(root().join("src/main.rs")).unwrap());
    assert_eq!(named_after(&words, "oriel"), BTreeSet::from(["run".into()]));
}

#[test]
fn crates_stay_in_their_places() {
    let mut faults = Vec::new();
    for source in sources() {
        for (name, places) in CRATES {
            let is_allowed = places.iter().any(|place| source.is_in(place));
            if !is_allowed && source.names_crate(name) {
                faults.push(format!("{}: crate `{name}` has no place here", source.path));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn pure_modules_touch_nothing() {
    let dependencies = dependencies();
    let mut faults = Vec::new();
    for source in sources().filter(|source| PURE.contains(&source.module.as_str())) {
        for name in &dependencies {
            if !CRATES_OF_PURE.contains(&name.as_str()) && source.names_crate(name) {
                faults.push(format!("{}: crate `{name}` in a pure module", source.path));
            }
        }
        for part in named_after(&source.words, "std") {
            if STD_NOT_IN_PURE.contains(&part.as_str()) {
                faults.push(format!("{}: `std::{part}` in a pure module", source.path));
            }
        }
        for clock in CLOCKS {
            if source.words.iter().any(|word| word == clock) {
                faults.push(format!("{}: `{clock}` in a pure module", source.path));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn only_the_error_module_knows_status_codes_of_failures() {
    let mut faults = Vec::new();
    for source in sources() {
        if STATUS_CODES.iter().any(|place| source.is_in(place)) {
            continue;
        }
        for constant in named_after(&source.words, "StatusCode") {
            let code = failure(&constant);
            let is_test = source.path.ends_with("/tests.rs");
            if code && !is_test {
                faults.push(format!("{}: StatusCode::{constant}", source.path));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_way_to_write_a_path_is_found() {
    for (text, found) in [
        ("use crate::store::Store;", vec!["store"]),
        (
            "use crate::{auth, catalog::{self, Error}, store};",
            vec!["auth", "catalog", "store"],
        ),
        (
            "fn f() { crate::app::run(crate::jobs::X) }",
            vec!["app", "jobs"],
        ),
        ("pub(in crate::api) fn f() {}", vec!["api"]),
        ("use super::super::transfer::Rules;", vec!["transfer"]),
        ("use super::error::Error;", vec![]),
        (
            "// use crate::store;\n/* crate::app */ \"crate::api\"",
            vec![],
        ),
        ("r#\"\" crate::api\"# 'a' '\"' crate::jobs", vec!["jobs"]),
        ("struct X<'a>(&'a crate::jobs::X);", vec!["jobs"]),
    ] {
        let source = Source {
            path: "src/api/images.rs".into(),
            module: "api".into(),
            depth: 2,
            words: words(text),
        };
        let found: BTreeSet<String> = found.into_iter().map(str::to_owned).collect();
        assert_eq!(source.modules_used(), found, "{text}");
    }
}

/// True for the name of a 4xx or 5xx constant, and for a code made of a number.
fn failure(constant: &str) -> bool {
    let is_from = matches!(constant, "from_u16" | "from_bytes" | "try_from");
    is_from
        || (400..600).any(|code| {
            let code = http::StatusCode::from_u16(code).unwrap();
            code.canonical_reason().is_some_and(|reason| {
                let words = reason.replace(['-', ' '], "_").replace('\'', "");
                words.eq_ignore_ascii_case(constant)
            })
        })
}

/// A file below `src`.
struct Source {
    path: String,
    /// The top-level module it belongs to.
    module: String,
    /// How many modules deep it stands; 1 for a top-level one.
    depth: usize,
    words: Vec<String>,
}

impl Source {
    /// Top-level modules named by way of `crate` or of enough `super`.
    fn modules_used(&self) -> BTreeSet<String> {
        let mut used = named_after(&self.words, "crate");
        let mut supers = 0;
        for (at, word) in self.words.iter().enumerate() {
            match word.as_str() {
                "super" => supers += 1,
                "::" => {}
                name => {
                    let is_path = at > 0 && self.words[at - 1] == "::";
                    let is_module = MODULES.iter().any(|(module, _)| *module == name);
                    if is_path && is_module && supers >= self.depth {
                        used.insert(name.to_owned());
                    }
                    supers = 0;
                }
            }
        }
        used
    }

    /// True when the file is `place`, a module or a file without its ending, or lies below it.
    fn is_in(&self, place: &str) -> bool {
        let rest = self
            .path
            .strip_prefix("src/")
            .and_then(|path| path.strip_prefix(place));
        rest.is_some_and(|rest| rest.starts_with(['/', '.']))
    }

    /// True when a path begins with the crate's name.
    fn names_crate(&self, name: &str) -> bool {
        self.words.windows(2).enumerate().any(|(at, pair)| {
            let begins = at == 0 || !matches!(self.words[at - 1].as_str(), "::" | ".");
            begins && pair[0] == name && pair[1] == "::"
        }) || self
            .words
            .windows(3)
            .any(|three| three[0] == "use" && three[1] == name && three[2] == ";")
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every file of the library but its root.
fn sources() -> impl Iterator<Item = Source> {
    let mut paths = Vec::new();
    gather(&root().join("src"), &mut paths);
    assert!(paths.len() > 50, "the sources are not where they were");
    paths.into_iter().filter_map(|path| {
        let relative = path.strip_prefix(root()).unwrap();
        let parts: Vec<String> = relative
            .with_extension("")
            .iter()
            .skip(1)
            .map(|part| part.to_string_lossy().into_owned())
            .collect();
        let module = parts[0].clone();
        if matches!(module.as_str(), "lib" | "main") {
            return None;
        }
        Some(Source {
            path: relative.to_string_lossy().into_owned(),
            depth: parts.len(),
            module,
            words: words(&fs::read_to_string(&path).unwrap()),
        })
    })
}

fn gather(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            gather(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// The rows of the table at the top of `src/lib.rs`, each with the modules it names.
fn rows_of_library() -> Vec<BTreeSet<String>> {
    let text = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("//! | "));
    let names = rows.map(|row| {
        let cell = row.split('|').next().unwrap_or_default();
        let names = cell.split('`').skip(1).step_by(2);
        names.map(str::to_owned).collect::<BTreeSet<String>>()
    });
    names.filter(|row| !row.is_empty()).collect()
}

/// The crates of Cargo.toml as the source names them.
fn dependencies() -> BTreeSet<String> {
    let text = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let manifest: toml::Table = text.parse().unwrap();
    let tables =
        ["dependencies", "dev-dependencies"].map(|name| manifest[name].as_table().unwrap());
    let names = tables.into_iter().flat_map(|table| table.keys());
    names
        .map(|name| match name.as_str() {
            "md-5" => "md5".to_owned(),
            name => name.replace('-', "_"),
        })
        .collect()
}

/// What follows `name::` in the words: one name, or the names at the head of a group.
fn named_after(words: &[String], name: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, pair) in words.windows(2).enumerate() {
        if pair[0] != name || pair[1] != "::" {
            continue;
        }
        let mut rest = words[at + 2..].iter().map(String::as_str);
        match rest.next() {
            Some("{") => found.extend(heads(rest)),
            Some(next) => drop(found.insert(next.to_owned())),
            None => {}
        }
    }
    found
}

/// The first names of the members of a group, up to its closing brace.
fn heads<'a>(words: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    let (mut heads, mut depth, mut is_head) = (BTreeSet::new(), 1, true);
    for word in words {
        match word {
            "{" => depth += 1,
            "}" if depth == 1 => break,
            "}" => depth -= 1,
            "," if depth == 1 => is_head = true,
            name if is_head => {
                heads.insert(name.to_owned());
                is_head = false;
            }
            _ => {}
        }
    }
    heads
}

/// The names and signs of a source, without comments, strings and characters; `::` is one sign.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        let taken = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(length) = raw_string(rest) {
            length
        } else if first == '"' {
            string(rest)
        } else if first == '\'' {
            character(rest)
        } else if is_name(first) {
            let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
            words.push(rest[..end].to_owned());
            end
        } else if rest.starts_with("::") {
            words.push("::".to_owned());
            2
        } else {
            if !first.is_whitespace() {
                words.push(first.to_string());
            }
            first.len_utf8()
        };
        rest = &rest[taken..];
    }
    words
}

/// The length of a raw string at the start of `text`.
fn raw_string(text: &str) -> Option<usize> {
    let hashes_on = text.strip_prefix("br").or_else(|| text.strip_prefix('r'))?;
    let body = hashes_on.trim_start_matches('#');
    let hashes = hashes_on.len() - body.len();
    let body = body.strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let end = body
        .find(&close)
        .unwrap_or(body.len().saturating_sub(close.len()));
    Some(text.len() - body.len() + end + close.len())
}

/// The length of the string at the start of `text`.
fn string(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '"' if !is_escaped => return at + 1,
            '\\' => is_escaped = !is_escaped,
            _ => is_escaped = false,
        }
    }
    text.len()
}

/// The length of the character at the start of `text`, or of the quote of a lifetime.
fn character(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), Some((at, escaped))) => {
            let from = at + escaped.len_utf8();
            text[from..]
                .find('\'')
                .map_or(text.len(), |end| from + end + 1)
        }
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 1,
    }
}
