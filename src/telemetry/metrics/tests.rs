#![expect(
    clippy::disallowed_methods,
    reason = "the bodies of these tests are a few bytes"
)]

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};

use super::*;
use crate::telemetry::labels::{Job, JobOutcome};

const DOCUMENT: &str = include_str!("../../../docs/metrics.md");

/// Metrics with every series made once.
fn exercised() -> Metrics {
    let metrics = Metrics::new();
    let second = Duration::from_secs(1);
    metrics.request(
        &http::Method::GET,
        Some("/v2/images"),
        http::StatusCode::OK,
        second,
    );
    metrics.request(
        &http::Method::TRACE,
        None,
        http::StatusCode::NOT_FOUND,
        second,
    );
    metrics.upload_ended(UploadOutcome::Active);
    metrics.download_resumed("main");
    metrics.part_uploaded("main");
    metrics.store_call(
        "main",
        StoreOperation::UploadPart,
        StoreOutcome::Busy,
        second,
    );
    metrics.set_memory_budget(1 << 20);
    metrics.cache_hit();
    metrics.cache_miss();
    metrics.recovered(Direction::Back);
    metrics.upload_reaped("main");
    metrics.job_ran(Job::Sweep, "main", JobOutcome::Ok);
    metrics.set_garbage_rows([("main", 1)]);
    metrics
}

#[derive(Debug, PartialEq, Eq)]
struct Declared {
    kind: String,
    unit: Option<String>,
    labels: BTreeSet<String>,
}

/// Reads names, types, units and labels out of the text format.
fn declared_in(text: &str) -> BTreeMap<String, Declared> {
    let mut declared: BTreeMap<String, Declared> = BTreeMap::new();
    let mut current = String::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["#", "TYPE", name, kind] => {
                current = (*name).to_owned();
                let fresh = Declared {
                    kind: (*kind).to_owned(),
                    unit: None,
                    labels: BTreeSet::new(),
                };
                assert!(
                    declared.insert(current.clone(), fresh).is_none(),
                    "{name} is declared twice"
                );
            }
            ["#", "UNIT", _, unit] => {
                declared.get_mut(&current).unwrap().unit = Some((*unit).to_owned())
            }
            ["#", ..] => {}
            _ => {
                let Some((_, labels)) = line.split_once('{') else {
                    continue;
                };
                let (labels, _) = labels.rsplit_once('}').unwrap();
                let names = labels
                    .split("\",")
                    .filter_map(|label| label.split_once("=\""))
                    .map(|(name, _)| name);
                declared
                    .get_mut(&current)
                    .unwrap()
                    .labels
                    .extend(names.filter(|name| *name != "le").map(str::to_owned));
            }
        }
    }
    declared
}

/// Reads the same out of the tables of the document.
fn documented() -> BTreeMap<String, Declared> {
    DOCUMENT
        .lines()
        .filter(|line| line.starts_with("| `oriel_"))
        .map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let declared = Declared {
                kind: cells[2].to_owned(),
                unit: (cells[3] != "–").then(|| cells[3].to_owned()),
                labels: cells[4]
                    .split_whitespace()
                    .filter(|word| *word != "–")
                    .map(|word| word.trim_matches('`').to_owned())
                    .collect(),
            };
            (cells[1].trim_matches('`').to_owned(), declared)
        })
        .collect()
}

#[test]
fn document_lists_every_metric_with_type_unit_and_labels() {
    assert_eq!(declared_in(&exercised().encode()), documented());
}

#[test]
fn document_lists_every_value_of_a_label() {
    let words = [
        Method::ALL
            .iter()
            .map(|value| value.as_str())
            .collect::<Vec<_>>(),
        UploadOutcome::ALL
            .iter()
            .map(|value| value.as_str())
            .collect(),
        BodyEnd::ALL.iter().map(|value| value.as_str()).collect(),
        StoreOperation::ALL
            .iter()
            .map(|value| value.as_str())
            .collect(),
        StoreOutcome::ALL
            .iter()
            .map(|value| value.as_str())
            .collect(),
        Direction::ALL.iter().map(|value| value.as_str()).collect(),
        Job::ALL.iter().map(|value| value.as_str()).collect(),
        JobOutcome::ALL.iter().map(|value| value.as_str()).collect(),
        LookupResult::ALL
            .iter()
            .map(|value| value.as_str())
            .collect(),
        LimitKind::ALL.iter().map(|value| value.as_str()).collect(),
        ValidationOutcome::ALL
            .iter()
            .map(|value| value.as_str())
            .collect(),
    ];
    for word in words.concat() {
        assert!(DOCUMENT.contains(&format!("`{word}`")), "{word}");
    }
}

#[test]
fn requests_are_told_by_route_and_strange_methods_are_one() {
    let text = exercised().encode();
    assert!(
        text.contains(
            "oriel_requests_total{method=\"GET\",route=\"/v2/images\",status=\"200\"} 1\n"
        ),
        "{text}"
    );
    assert!(
        text.contains("oriel_requests_total{method=\"other\",route=\"none\",status=\"404\"} 1\n"),
        "{text}"
    );
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn series_with_known_labels_begin_at_zero() {
    let text = Metrics::new().encode();
    for series in [
        "oriel_uploads_total{outcome=\"failed\"} 0",
        "oriel_downloads_total{end=\"failed\"} 0",
    ] {
        assert!(text.contains(series), "{series}");
    }
}

#[test]
fn guards_lower_what_they_raised() {
    let metrics = Metrics::new();
    let (first, second) = (metrics.upload_in_flight(), metrics.upload_in_flight());
    assert!(metrics.encode().contains("oriel_uploads_in_flight 2\n"));
    drop(first);
    assert!(metrics.encode().contains("oriel_uploads_in_flight 1\n"));
    drop(second);
    assert!(metrics.encode().contains("oriel_uploads_in_flight 0\n"));
}

#[tokio::test]
async fn downloads_count_bytes_and_their_end() {
    let metrics = Metrics::new();
    let body = metrics.count_download(Full::new(Bytes::from_static(b"abcd")), 4);
    assert!(metrics.encode().contains("oriel_downloads_in_flight 1\n"));
    body.collect().await.unwrap();
    let text = metrics.encode();
    assert!(text.contains("oriel_download_bytes_total 4\n"), "{text}");
    assert!(
        text.contains("oriel_downloads_total{end=\"complete\"} 1\n"),
        "{text}"
    );
    assert!(text.contains("oriel_downloads_in_flight 0\n"), "{text}");
}
