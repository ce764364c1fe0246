//! Data that is shorter or longer than promised, and what broke off.

use super::*;
use crate::config::Span;

/// Does not wait for what never comes.
fn impatient(server: &WebServer) -> WebRules {
    WebRules {
        read_timeout: Span(Duration::from_secs(1)),
        ..rules(server)
    }
}

#[tokio::test]
async fn a_length_that_is_not_that_of_the_data_is_an_error() {
    let server = WebServer::start().await;
    server.put("/short", Page::new(data(5000)).with_false_length(6000));
    assert_eq!(
        told(&server, "/short").await,
        "the source broke off after 5000 of 6000 bytes: the connection ended, and the source has no length and strong \
         ETag by which to go on"
    );
    for (length, sent) in [(4999, 5000), (0, 5000), (100_000, 400_000)] {
        server.put("/long", Page::new(data(sent)).with_false_length(length));
        let expected = format!("the source sent more than the {length} bytes it promised");
        assert_eq!(told(&server, "/long").await, expected);
    }
}

#[tokio::test]
async fn a_break_is_an_error_where_nothing_tells_that_the_data_is_the_same() {
    let server = WebServer::start().await;
    for (page, message) in [
        (Page::new(data(5000)), "after 1234 of 5000 bytes"),
        (
            Page::new(data(5000)).with_etag("W/\"v1\""),
            "after 1234 of 5000 bytes",
        ),
        (
            Page::new(data(5000)).with_etag(ETAG).in_chunks(),
            "after 1234 bytes",
        ),
    ] {
        server.put("/x", page.failing([Fault::BreakAfter(1234)]));
        let told = told(&server, "/x").await;
        assert!(told.contains(message), "{told}");
        assert!(told.contains("no length and strong ETag"), "{told}");
    }
    assert_eq!(server.count("/x"), 3);
}

#[tokio::test]
async fn what_broke_off_is_gone_on_with_where_it_was() {
    let server = WebServer::start().await;
    let page = Page::new(data(300_000)).with_etag(ETAG);
    let faults = [
        Fault::BreakAfter(100_000),
        Fault::Unavailable,
        Fault::BreakAfter(50_000),
        Fault::BreakAfter(0),
    ];
    server.put("/image", page.failing(faults));
    server.put("/moved", Page::leading_to(302, "/image"));
    let (got, length) = fetch(&server, "/moved").await.unwrap();
    assert!(got == data(300_000));
    assert_eq!(length, Some(300_000));
    let heads = server.heads("/image");
    assert_eq!(heads.len(), 5);
    for (head, first) in heads[1..].iter().zip([100_000, 100_000, 150_000, 150_000]) {
        assert!(
            head.contains(&format!("range: bytes={first}-\r\n")),
            "{head}"
        );
        assert!(head.contains("if-range: \"v1\"\r\n"), "{head}");
        assert!(head.contains("accept-encoding: identity\r\n"), "{head}");
    }
    // The first try goes where the data came from, the others the whole way.
    assert_eq!(server.count("/moved"), 4);
}

#[tokio::test]
async fn a_pause_within_the_data_is_a_break_and_one_before_it_an_error() {
    let server = WebServer::start().await;
    let rules = impatient(&server);
    let page = Page::new(data(5000)).with_etag(ETAG);
    server.put("/x", page.failing([Fault::HangAfter(1234)]));
    let (got, _) = fetch_by(&rules, &server.url("/x")).await.unwrap();
    assert_eq!(got, data(5000));
    server.put(
        "/x",
        Page::new(data(5000)).failing([Fault::HangAfter(1234)]),
    );
    let told = fetch_by(&rules, &server.url("/x")).await.unwrap_err();
    assert!(
        told.to_string()
            .contains("after 1234 of 5000 bytes: the source has sent nothing for 1s")
    );
    server.put("/x", Page::new(data(5000)).failing([Fault::HangBeforeHead]));
    let told = fetch_by(&rules, &server.url("/x")).await.unwrap_err();
    assert!(matches!(told, Error::Silent(_)), "{told}");
}

#[tokio::test]
async fn the_rest_of_other_data_is_not_taken() {
    let server = WebServer::start().await;
    let page = || Page::new(data(5000)).with_etag(ETAG);
    for (fault, message) in [
        (
            Fault::RangeIgnored,
            "the source gives no ranges of its data",
        ),
        (Fault::RangeShifted, "the source changed while it was read"),
    ] {
        server.put("/x", page().failing([Fault::BreakAfter(1234), fault]));
        let expected = format!("the source broke off after 1234 of 5000 bytes: {message}");
        assert_eq!(told(&server, "/x").await, expected);
    }
    server.put("/x", page().failing([Fault::BreakAfter(1234)]));
    let mut body = web(&rules(&server)).open(&server.url("/x")).await.unwrap();
    server.put("/x", Page::new(vec![0; 5000]).with_etag("\"v2\""));
    let mut outcome = Ok(());
    while let Some(frame) = body.frame().await {
        outcome = frame.map(drop);
    }
    let told = outcome.unwrap_err().to_string();
    assert!(
        told.ends_with("the source changed while it was read"),
        "{told}"
    );
}

#[tokio::test]
async fn a_source_that_leads_elsewhere_meanwhile_is_filtered_again() {
    let server = WebServer::start().await;
    let page = Page::new(data(5000)).with_etag(ETAG);
    server.put("/x", page.failing([Fault::BreakAfter(1234)]));
    let mut body = web(&rules(&server)).open(&server.url("/x")).await.unwrap();
    server.put("/x", Page::leading_to(302, "http://169.254.169.254/"));
    let mut outcome = Ok(());
    while let Some(frame) = body.frame().await {
        outcome = frame.map(drop);
    }
    let told = outcome.unwrap_err().to_string();
    assert!(told.contains("redirected to a refused address"), "{told}");
}

#[tokio::test]
async fn a_source_that_breaks_off_again_and_again_is_given_up() {
    let server = WebServer::start().await;
    let page = Page::new(data(50_000)).with_etag(ETAG);
    server.put("/x", page.failing([Fault::BreakAfter(1000); 20]));
    assert_eq!(
        told(&server, "/x").await,
        "the source broke off after 6000 of 50000 bytes: the connection ended"
    );
    assert_eq!(server.count("/x"), 6);
    // Data that is shorter than it says is the same in the end.
    let page = Page::new(data(5000))
        .with_etag(ETAG)
        .with_false_length(6000);
    server.put("/short", page);
    assert_eq!(
        told(&server, "/short").await,
        "the source broke off after 5000 of 6000 bytes: the source answered 416"
    );
}

#[tokio::test]
async fn progress_gives_new_tries() {
    let server = WebServer::start().await;
    let length = 9 * 1024 * 1024;
    let page = Page::new(data(length)).with_etag(ETAG);
    server.put("/x", page.failing([Fault::BreakAfter(1024 * 1024); 8]));
    let (got, _) = fetch(&server, "/x").await.unwrap();
    assert!(got == data(length));
    assert_eq!(server.count("/x"), 9);
}

#[tokio::test]
async fn a_source_that_keeps_the_connection_open_is_not_waited_for() {
    let server = WebServer::start().await;
    let page = Page::new(data(5000)).failing([Fault::HangAfter(5000)]);
    server.put("/x", page);
    assert_eq!(fetch(&server, "/x").await.unwrap().0, data(5000));
    assert_eq!(server.count("/x"), 1);
}
