//! Cross-origin requests, as browsers send them for a dashboard (contract 8.2).

use http::{Method, StatusCode};

use crate::support::app::{Options, TestApp};
use crate::support::client::{Answer, Client, full};
use crate::support::tokens::Tokens;

const DASHBOARD: &str = "https://horizon.example.org";

async fn site(tokens: &Tokens, origins: &str) -> (TestApp, Client) {
    let tables = format!("[cors]\nallowed_origins = [{origins}]\n");
    let app = tokens
        .start(Options {
            tables,
            ..Options::default()
        })
        .await;
    let anyone = Client::new(app.client.addr);
    (app, anyone)
}

fn words(answer: &Answer, header: &str) -> Vec<String> {
    let list = answer.header(header).unwrap_or_default().to_lowercase();
    list.split(',').map(|word| word.trim().to_owned()).collect()
}

async fn preflight(client: &Client, origin: &str, path: &str) -> Answer {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", "PUT"),
        (
            "access-control-request-headers",
            "x-auth-token,content-type",
        ),
    ];
    client.send(Method::OPTIONS, path, &headers, full("")).await
}

#[tokio::test]
async fn pages_of_allowed_origins_may_call_and_see_errors() {
    let tokens = Tokens::new();
    let (app, anyone) = site(
        &tokens,
        &format!("{DASHBOARD:?}, \"http://localhost:8000\""),
    )
    .await;
    let id = app.client.create_image().await;
    let file = format!("/v2/images/{id}/file");
    for origin in [DASHBOARD, "http://localhost:8000"] {
        let asked = preflight(&anyone, origin, &file).await;
        assert_eq!((asked.status, asked.body.len()), (StatusCode::OK, 0));
        assert_eq!(asked.header("access-control-allow-origin"), Some(origin));
        assert_eq!(asked.header("access-control-max-age"), Some("3600"));
        assert_eq!(asked.header("access-control-allow-credentials"), None);
        for method in ["get", "put", "post", "delete", "patch"] {
            assert!(
                words(&asked, "access-control-allow-methods").contains(&method.into()),
                "{method}"
            );
        }
        for header in ["x-auth-token", "content-type", "x-image-meta-store"] {
            assert!(
                words(&asked, "access-control-allow-headers").contains(&header.into()),
                "{header}"
            );
        }
    }
    let put = app
        .client
        .put_file(&id, &[("origin", DASHBOARD)], full("data"))
        .await;
    assert_eq!(put.status, StatusCode::NO_CONTENT);
    assert_eq!(put.header("access-control-allow-origin"), Some(DASHBOARD));
    assert!(
        words(&put, "access-control-expose-headers").contains(&"x-openstack-request-id".into())
    );
    assert!(words(&put, "vary").contains(&"origin".into()));
    // A page has to learn why it was refused.
    for (client, path, status) in [
        (&anyone, file.as_str(), 401),
        (&app.client, "/v2/images/nothing", 404),
        (&app.client, "/v2/images?limit=x", 400),
    ] {
        let refused = client.get_with(path, &[("origin", DASHBOARD)]).await;
        assert_eq!(refused.status, status, "{path}");
        assert_eq!(
            refused.header("access-control-allow-origin"),
            Some(DASHBOARD),
            "{path}"
        );
    }
    app.finish().await;
}

#[tokio::test]
async fn pages_of_other_origins_get_no_leave() {
    let tokens = Tokens::new();
    let (app, anyone) = site(&tokens, &format!("{DASHBOARD:?}")).await;
    for origin in [
        "https://evil.example.org",
        "http://horizon.example.org",
        "null",
    ] {
        let asked = preflight(&anyone, origin, "/v2/images").await;
        assert_eq!(asked.status, StatusCode::OK, "{origin}");
        assert_eq!(
            asked.header("access-control-allow-origin"),
            None,
            "{origin}"
        );
        let got = app
            .client
            .get_with("/v2/images", &[("origin", origin)])
            .await;
        assert_eq!(got.status, StatusCode::OK);
        assert_eq!(got.header("access-control-allow-origin"), None, "{origin}");
    }
    app.finish().await;
    let plain = TestApp::start().await;
    let asked = preflight(&plain.client, DASHBOARD, "/v2/images").await;
    assert_eq!(asked.status, StatusCode::OK);
    assert_eq!(
        asked.header("access-control-allow-origin"),
        None,
        "off by default"
    );
    plain.finish().await;
}

#[tokio::test]
async fn every_page_may_call_where_the_site_says_so() {
    let tokens = Tokens::new();
    let (app, anyone) = site(&tokens, "\"*\"").await;
    let asked = preflight(&anyone, "https://anybody.example.org", "/v2/images").await;
    assert_eq!(asked.header("access-control-allow-origin"), Some("*"));
    app.finish().await;
}
